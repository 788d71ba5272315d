import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, CodedError } from '#base';
import { loadEtcdMembers, type StoreMembers } from '#store';
import { writeJson } from '../files.ts';
import type { MachineLayout } from '../layout.ts';
import type { NodeSettings } from '../settings.ts';

export const etcdClientPort = 2379;
export const etcdPeerPort = 2380;

const clientUrl = (address: string): string => `https://${address}:${etcdClientPort}`;
export const peerUrl = (address: string): string => `https://${address}:${etcdPeerPort}`;

export interface EtcdPlan {
  readonly layout: MachineLayout;
  readonly node: Pick<NodeSettings, 'nodeName' | 'address'>;
  /** All members, this one too: names and peer URLs. */
  readonly members: readonly { readonly name: string; readonly peerUrl: string }[];
  /** `existing`: it joins members that are there. */
  readonly state: 'new' | 'existing';
}

export function etcdDataDir(layout: MachineLayout): string {
  return join(layout.dataDir, 'etcd');
}

/** How the member of etcd on a machine is run. */
export function planEtcd({ layout, node, members, state }: EtcdPlan) {
  const file = (name: string): string => join(layout.pkiDir, 'etcd', name);
  const tls = (kind: '' | 'peer-', name: string): string[] => [
    `--${kind}cert-file=${file(`${name}.crt`)}`,
    `--${kind}key-file=${file(`${name}.key`)}`,
    `--${kind}trusted-ca-file=${file('ca.crt')}`,
    `--${kind}client-cert-auth`,
  ];
  return {
    program: 'etcd',
    args: [
      `--name=${node.nodeName}`,
      `--data-dir=${etcdDataDir(layout)}`,
      `--listen-client-urls=${clientUrl(node.address)}`,
      `--advertise-client-urls=${clientUrl(node.address)}`,
      `--listen-peer-urls=${peerUrl(node.address)}`,
      `--initial-advertise-peer-urls=${peerUrl(node.address)}`,
      `--initial-cluster=${members.map((one) => `${one.name}=${one.peerUrl}`).join(',')}`,
      `--initial-cluster-state=${state}`,
      '--quota-backend-bytes=8589934592',
      '--max-request-bytes=2097152',
      '--logger=zap',
      '--log-level=warn',
      ...tls('', 'server'),
      ...tls('peer-', 'peer'),
    ],
  };
}

/** Where the description of a machine's member is; it is there on machines that have one. */
export function etcdConfigFile(layout: MachineLayout): string {
  return join(layout.configDir, 'etcd.json');
}

export function writeEtcd(plan: EtcdPlan): void {
  writeJson(etcdConfigFile(plan.layout), planEtcd(plan));
}

/** The member of etcd that runs on this machine; undefined when there is none. */
export function readEtcd(layout: MachineLayout): ReturnType<typeof planEtcd> | undefined {
  const file = etcdConfigFile(layout);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** What a server is told of its store: the member beside it first. */
export function etcdServerSettings(
  layout: MachineLayout,
  node: Pick<NodeSettings, 'nodeName' | 'address'>,
  others: readonly string[] = [],
) {
  const file = (name: string): string => join(layout.pkiDir, name);
  const urls = [clientUrl(node.address), ...others.filter((one) => one !== clientUrl(node.address))];
  return {
    store: `etcd:${urls.join(',')}`,
    etcdTls: {
      ca: file('etcd/ca.crt'),
      cert: file('apiserver-etcd-client.crt'),
      key: file('apiserver-etcd-client.key'),
    },
    etcdMember: { names: [node.nodeName], addresses: [node.address] },
  };
}

/** The membership, with this machine's certificates. */
export async function openMembers(
  layout: MachineLayout,
  options: { readonly addresses: readonly string[]; readonly clock: Clock },
): Promise<StoreMembers> {
  const read = (name: string): string => readFileSync(join(layout.pkiDir, name), 'utf8');
  const { openEtcdMembers } = await loadEtcdMembers();
  return openEtcdMembers({
    urls: options.addresses.map(clientUrl),
    tls: {
      ca: read('etcd/ca.crt'),
      cert: read('apiserver-etcd-client.crt'),
      key: read('apiserver-etcd-client.key'),
    },
    clock: options.clock,
  });
}

/** Takes this machine's member out of the cluster while it still runs. The last member stays: it is the cluster. */
export async function leaveEtcd(
  layout: MachineLayout,
  { address, clock }: { readonly address: string; readonly clock: Clock },
): Promise<void> {
  const own = await openMembers(layout, { addresses: [address], clock });
  try {
    const members = await own.list();
    const mine = members.find((one) => one.peerUrls.includes(peerUrl(address)));
    if (mine === undefined || members.length === 1) return;
    const others = members.filter((one) => one !== mine).flatMap((one) => one.clientUrls);
    const addresses = others.map((url) => new URL(url).hostname);
    const rest = await openMembers(layout, { addresses, clock });
    try {
      await rest.remove(mine.id);
    } finally {
      rest.close();
    }
  } finally {
    own.close();
  }
}

/** Throws CodedError `EtcdMissing` when the machine has no etcd. */
export function requireEtcd(path: string): void {
  if (path.split(':').some((folder) => existsSync(join(folder, 'etcd')))) return;
  throw new CodedError(
    'EtcdMissing',
    'this machine has no etcd: install it (Debian: apt-get install etcd-server), or use one elsewhere with --etcd-servers',
  );
}
