import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { systemClock } from '#base';
import { kubeconfigOf, openClusterPki } from '#pki';
import { etcdMissing } from '../../src/testkit/etcd.ts';
import { eventually, run, whyNoContainers } from './harness.ts';
import { Machines } from './machines.ts';

const skip = whyNoContainers() ?? etcdMissing();
const machines = new Machines('k8c');
const repository = new URL('../..', import.meta.url).pathname;
const names = ['cp1', 'cp2', 'cp3'] as const;
/** How long others wait for a silent leader of controllers and scheduler here; upstream's default is 15 s. */
const leaseMs = 6000;
const longestPauseMs = 15_000;

interface Acknowledged {
  readonly name: string;
  readonly resourceVersion: string;
  readonly uid: string;
  readonly server: number;
  readonly atMs: number;
}

const processes = new Map<string, ChildProcess>();
const acknowledged = new Map<string, Acknowledged[]>();
const folder = machines.folder;
const addressOf = (name: string): string => machines.of(name).address;
const server = (name: string): string => `https://${addressOf(name)}:6443`;

/** Runs a program in the background on a machine. */
function start(name: string, what: string, program: string, args: readonly string[]): ChildProcess {
  const log = openSync(join(folder, `${name}-${what}.log`), 'a');
  const { netns } = machines.of(name);
  const child = spawn('nsenter', [`--net=/run/netns/${netns}`, 'unshare', '--uts', program, ...args], {
    stdio: ['ignore', what === 'writer' ? 'pipe' : log, log],
    cwd: repository,
  });
  processes.set(`${name} ${what}`, child);
  return child;
}

/** SIGKILL; resolves when the process is gone. */
async function kill(name: string, what: string): Promise<void> {
  const child = processes.get(`${name} ${what}`);
  processes.delete(`${name} ${what}`);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await gone;
}

function startEtcd(name: string): void {
  const url = (port: number, of = name): string => `https://${addressOf(of)}:${port}`;
  const pki = join(folder, name, 'pki/etcd');
  const tls = (kind: string, file: string): string[] => [
    `--${kind}cert-file=${pki}/${file}.crt`,
    `--${kind}key-file=${pki}/${file}.key`,
    `--${kind}trusted-ca-file=${pki}/ca.crt`,
    `--${kind}client-cert-auth`,
  ];
  start(name, 'etcd', 'etcd', [
    ...[`--name=${name}`, `--data-dir=${join(folder, name, 'etcd')}`],
    ...[`--listen-client-urls=${url(2379)}`, `--advertise-client-urls=${url(2379)}`],
    ...[`--listen-peer-urls=${url(2380)}`, `--initial-advertise-peer-urls=${url(2380)}`],
    `--initial-cluster=${names.map((one) => `${one}=${url(2380, one)}`).join(',')}`,
    ...['--logger=zap', '--log-level=warn'],
    ...tls('', 'server'),
    ...tls('peer-', 'peer'),
  ]);
}

function startServer(name: string): void {
  start(name, 'server', process.execPath, ['src/cli/main.js', 'server', '--config', join(folder, name, 'server.json')]);
}

function startWriter(name: string): void {
  const child = start('client', 'writer', process.execPath, [
    'test/e2e/control-planes/writer.ts',
    join(folder, 'admin.json'),
    name,
  ]);
  processes.set(`client ${name}`, child);
  const lines: Acknowledged[] = [];
  acknowledged.set(name, lines);
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => lines.push(JSON.parse(line)));
}

const kubectl = (name: string, script: string) =>
  machines.shell('client', `kubectl --kubeconfig ${folder}/${name}.conf --request-timeout=10s ${script}`);
const mustKubectl = async (name: string, script: string): Promise<string> => {
  const { code, stdout, stderr } = await kubectl(name, script);
  assert.equal(code, 0, stderr);
  return stdout;
};
const isReady = async (name: string): Promise<boolean> => (await kubectl(name, 'get --raw /readyz')).stdout === 'ok';
const holderOf = async (name: string, lease: string): Promise<string> =>
  mustKubectl(name, `-n kube-system get lease ${lease} -o jsonpath='{.spec.holderIdentity}'`);

async function configure(): Promise<void> {
  const addresses = names.map(addressOf);
  const shared = join(folder, 'pki');
  const pki = openClusterPki({
    dir: shared,
    clock: systemClock,
    apiServerAddresses: [...addresses, '10.96.0.1'],
    etcd: { names: [], addresses },
  });
  writeFileSync(join(shared, 'encryption.key'), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const admin = pki.issue({ commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
  const { certificatePem: cert, keyPem: key } = admin;
  const ca = pki.ca.certificatePem;
  writeFileSync(join(folder, 'admin.json'), JSON.stringify({ servers: names.map(server), ca, cert, key }));
  for (const name of names) {
    const own = join(folder, name);
    mkdirSync(own, { recursive: true });
    cpSync(shared, join(own, 'pki'), { recursive: true });
    writeFileSync(
      join(folder, `${name}.conf`),
      kubeconfigOf({ server: server(name), ca, clientCert: cert, clientKey: key }),
    );
    // Each prefers the member on its own machine.
    const urls = [name, ...names.filter((one) => one !== name)].map((one) => `https://${addressOf(one)}:2379`);
    const etcd = (file: string): string => join(own, 'pki', file);
    const configuration = {
      ...{ clusterName: 'kubernetes', pkiDir: join(own, 'pki'), store: `etcd:${urls.join(',')}` },
      etcdTls: {
        ca: etcd('etcd/ca.crt'),
        cert: etcd('apiserver-etcd-client.crt'),
        key: etcd('apiserver-etcd-client.key'),
      },
      election: { leaseDurationMs: leaseMs, renewDeadlineMs: 4000, retryPeriodMs: 1000 },
      ...{ listen: ['0.0.0.0'], port: 6443, advertiseAddress: addressOf(name) },
      certificateAddresses: addresses,
      ...{ podCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12', clusterDomain: 'cluster.local' },
      ...{ clusterDns: '10.96.0.10', simulate: 2, adminKubeconfig: '', version: '0.0.0' },
    };
    writeFileSync(join(own, 'server.json'), JSON.stringify(configuration));
  }
}

before(async () => {
  if (skip !== false) return;
  await machines.make([...names, 'client']);
  await configure();
  for (const name of names) startEtcd(name);
  for (const name of names) startServer(name);
});
after(async () => {
  if (skip !== false) return;
  for (const one of [...processes.keys()]) {
    const [name = '', what = ''] = one.split(' ');
    await kill(name, what);
  }
  for (const { netns } of machines.all) await run('ip', ['netns', 'delete', netns]);
  await machines.remove();
});

describe('three control planes on an etcd cluster', { skip }, () => {
  const living = (but: string): string[] => names.filter((one) => one !== but);
  const count = (): number => [...acknowledged.values()].reduce((sum, list) => sum + list.length, 0);

  /** Writes go on without `gone`: the writers get new acknowledgements, a Deployment its pods, from those who live. */
  async function goesOnWithout(gone: string): Promise<void> {
    const [other = ''] = living(gone);
    const before = count();
    await eventually('writes go on', async () => count() > before + 40, 30_000);
    await mustKubectl(other, `create deployment after-${gone} --image=x --replicas=2`);
    await eventually(`controllers and scheduler act without ${gone}`, async () => {
      const { stdout } = await kubectl(
        other,
        `get pods -l app=after-${gone} -o jsonpath='{range .items[*]}{.status.phase} {end}'`,
      );
      return stdout.trim() === 'Running Running';
    });
  }

  test('one leader of controllers and one of the scheduler, three servers under the Service kubernetes', async () => {
    for (const name of names) await eventually(`${name} is ready`, () => isReady(name));
    await eventually('the endpoints list all', async () => {
      const { stdout } = await kubectl('cp1', "get endpoints kubernetes -o jsonpath='{.subsets[*].addresses[*].ip}'");
      return stdout.split(' ').length === 3;
    });
    await eventually('leaders', async () => (await holderOf('cp2', 'kube-controller-manager')) !== '');
    await eventually(
      'nodes',
      async () => (await mustKubectl('cp3', 'get nodes --no-headers')).match(/ Ready /g)?.length === 2,
    );
    for (const writer of ['w1', 'w2', 'w3']) startWriter(writer);
    await eventually('writes', async () => count() > 100);
  });

  test('one after the other is killed with its member of etcd, and comes back', async () => {
    for (const name of names.slice(0, 2)) {
      await Promise.all([kill(name, 'etcd'), kill(name, 'server')]);
      await goesOnWithout(name);
      startEtcd(name);
      startServer(name);
      await eventually(`${name} is ready again`, () => isReady(name));
    }
  });

  test('one is cut off: it says why it cannot write, and still reads; the others go on', async () => {
    const { netns } = machines.of('cp3');
    await run('ip', ['-n', netns, 'link', 'set', 'eth0', 'down']);
    await goesOnWithout('cp3');
    const inside = (script: string) =>
      machines.shell(
        'cp3',
        `kubectl --kubeconfig ${folder}/cp3.conf --server=https://127.0.0.1:6443 --request-timeout=20s ${script}`,
      );
    const read = await eventually('reads are answered', async () => {
      const answer = await inside('get configmap kube-root-ca.crt -o name');
      return answer.code === 0 && answer.stderr.includes('does not answer') ? answer : undefined;
    });
    assert.match(read.stderr, /Warning: the store does not answer: this was known at resourceVersion \d+/);
    const written = await inside('create configmap lost');
    assert.notEqual(written.code, 0);
    assert.match(written.stderr, /the store (does not answer|did not answer a write) \(.+\)/);
    await run('ip', ['-n', netns, 'link', 'set', 'eth0', 'up']);
    await eventually('cp3 is ready again', () => isReady('cp3'));
  });

  test('every acknowledged write is there, on every server, and none waited longer than a lease', async () => {
    for (const [name, child] of processes) if (name.startsWith('client w')) child.kill('SIGKILL');
    for (const name of names) {
      const { items } = JSON.parse(await mustKubectl(name, 'get configmaps -o json')) as {
        items: { metadata: { name: string; resourceVersion: string; uid: string } }[];
      };
      const there = new Map(items.map(({ metadata }) => [metadata.name, metadata]));
      for (const [writer, list] of acknowledged) {
        assert.ok(list.length > 100, `${writer} wrote ${list.length}`);
        for (const one of list) {
          const found = there.get(one.name);
          assert.deepEqual(
            [found?.resourceVersion, found?.uid],
            [one.resourceVersion, one.uid],
            `${one.name} at ${name}`,
          );
        }
      }
    }
    for (const [writer, list] of acknowledged) {
      const pauses = list.slice(1).map((one, i) => one.atMs - (list[i] as Acknowledged).atMs);
      const longest = Math.max(...pauses);
      assert.ok(longest < longestPauseMs, `${writer} waited ${longest} ms`);
      const revisions = list.map((one) => Number(one.resourceVersion));
      assert.deepEqual(
        revisions,
        revisions.toSorted((a, b) => a - b),
      );
    }
    const all = [...acknowledged.values()].flat().map((one) => one.resourceVersion);
    assert.equal(new Set(all).size, all.length, 'a revision was given twice');
  });
});
