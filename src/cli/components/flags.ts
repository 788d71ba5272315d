import { readFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { CodedError } from '#base';
import { parseDurationMs } from '../options.ts';

/** `--flag`, `--flag=true`, `--flag=false`, as upstream's. */
export function parseSwitch(text: string | boolean): boolean {
  if (text === true || text === 'true') return true;
  if (text === 'false') return false;
  throw new InvalidArgumentError('expected true or false');
}

export function parseList(text: string): string[] {
  return text.split(',').filter((one) => one !== '');
}

/** `a=b,c=d`. */
export function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    parseList(text).map((one) => {
      const at = one.indexOf('=');
      if (at < 1) throw new InvalidArgumentError('expected KEY=VALUE[,KEY=VALUE]');
      return [one.slice(0, at), one.slice(at + 1)];
    }),
  );
}

/** `key=value:Effect[,…]`. */
export function parseTaints(text: string): { key: string; value?: string; effect: string }[] {
  return parseList(text).map((one) => {
    const match = /^([^=:]+)(?:=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(one);
    if (match === null) throw new InvalidArgumentError('expected KEY[=VALUE]:EFFECT[,…]');
    const [, key = '', value, effect = ''] = match;
    return value === undefined ? { key, effect } : { key, value, effect };
  });
}

export interface ElectionOptions {
  readonly leaderElect: boolean;
  readonly leaderElectLeaseDuration?: number;
  readonly leaderElectRenewDeadline?: number;
  readonly leaderElectRetryPeriod?: number;
}

export function withElection(command: Command): Command {
  return command
    .option('--leader-elect [boolean]', 'act only while holding the Lease in kube-system', parseSwitch, true)
    .option('--leader-elect-lease-duration <duration>', 'how long others wait for a silent leader', parseDurationMs)
    .option('--leader-elect-renew-deadline <duration>', 'how long a leader tries to renew', parseDurationMs)
    .option('--leader-elect-retry-period <duration>', 'pause between tries', parseDurationMs);
}

export function electionOf(options: ElectionOptions) {
  const { leaderElect, leaderElectLeaseDuration, leaderElectRenewDeadline, leaderElectRetryPeriod } = options;
  return {
    leaderElect,
    election: {
      ...(leaderElectLeaseDuration === undefined ? {} : { leaseDurationMs: leaderElectLeaseDuration }),
      ...(leaderElectRenewDeadline === undefined ? {} : { renewDeadlineMs: leaderElectRenewDeadline }),
      ...(leaderElectRetryPeriod === undefined ? {} : { retryPeriodMs: leaderElectRetryPeriod }),
    },
  };
}

export interface StoreOptions {
  readonly store?: string;
  readonly etcdServers?: string[];
  readonly etcdCafile?: string;
  readonly etcdCertfile?: string;
  readonly etcdKeyfile?: string;
}

export function withStore(command: Command): Command {
  return withEtcdTls(
    command
      .option('--store <store>', 'memory, lmdb:DIR or etcd:URL[,URL]')
      .option('--etcd-servers <urls>', 'the same as --store etcd:URLS', parseList),
  );
}

export function withEtcdTls(command: Command): Command {
  return command
    .option('--etcd-cafile <file>', "authority of etcd's certificates")
    .option('--etcd-certfile <file>', 'certificate shown to etcd')
    .option('--etcd-keyfile <file>', 'its key');
}

export function storeOf(options: StoreOptions) {
  const { store, etcdServers } = options;
  if (store !== undefined && etcdServers !== undefined)
    throw new CodedError('WrongUsage', 'give --store or --etcd-servers, not both');
  const place = etcdServers === undefined ? store : `etcd:${etcdServers.join(',')}`;
  if (place === undefined) throw new CodedError('WrongUsage', 'say where the store is, with --store or --etcd-servers');
  return { store: place, ...etcdTlsOf(options) };
}

export function etcdTlsOf({ etcdCafile, etcdCertfile, etcdKeyfile }: StoreOptions) {
  if (etcdCafile === undefined) return {};
  return {
    etcdTls: {
      ca: etcdCafile,
      ...(etcdCertfile === undefined ? {} : { cert: etcdCertfile }),
      ...(etcdKeyfile === undefined ? {} : { key: etcdKeyfile }),
    },
  };
}

/** This machine's name as a node has it. */
export function ownNodeName(): string {
  return hostname().toLowerCase();
}

/** The address and link of the default route's interface, else of the first that is not loopback. */
export function ownAddress(): { readonly address: string; readonly link: string } {
  const routes = readFileSync('/proc/net/route', 'utf8').split('\n').slice(1);
  const byDefault = routes.map((line) => line.split('\t')).find((fields) => fields[1] === '00000000')?.[0];
  const all = Object.entries(networkInterfaces()).flatMap(([link, found]) =>
    (found ?? []).filter((one) => one.family === 'IPv4' && !one.internal).map(({ address }) => ({ address, link })),
  );
  const found = all.find(({ link }) => link === byDefault) ?? all[0];
  if (found === undefined)
    throw new CodedError('NoAddress', 'this machine has no address: name one with --advertise-address or --node-ip');
  return found;
}

/** The link that has an address. */
export function linkOfAddress(address: string): string | undefined {
  return Object.entries(networkInterfaces()).find(([, found]) => found?.some((one) => one.address === address))?.[0];
}
