import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '#base';
import { kubeconfigOf, openClusterPki } from '#pki';
import { etcdMissing } from '../../src/testkit/etcd.ts';
import { eventually, whyNoContainers } from './harness.ts';
import { Machines } from './machines.ts';

const skip = whyNoContainers() ?? etcdMissing();
const machines = new Machines('k8o');
const { folder } = machines;
const repository = new URL('../..', import.meta.url).pathname;
const pkiDir = join(folder, 'pki');
const running = new Map<string, ChildProcess>();

function start(name: string, program: string, ...args: string[]): void {
  const log = openSync(join(folder, `${name}.log`), 'a');
  const { netns } = machines.of('one');
  const command = [`--net=/run/netns/${netns}`, program, ...args];
  running.set(name, spawn('nsenter', command, { stdio: ['ignore', log, log], cwd: repository }));
}
const k8ts = (name: string, ...args: string[]): void => start(name, process.execPath, 'src/cli/main.js', ...args);

async function stop(name: string): Promise<void> {
  const child = running.get(name);
  running.delete(name);
  if (child === undefined || child.exitCode !== null) return;
  const gone = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  await gone;
}

const kubeconfig = (name: string): string => join(folder, `${name}.conf`);
const kubectl = (script: string): Promise<string> =>
  machines.must('one', `kubectl --kubeconfig ${kubeconfig('admin')} ${script}`);

function apiserver(...store: string[]): void {
  const { address } = machines.of('one');
  k8ts('apiserver', 'apiserver', ...store, '--cert-dir', pkiDir, '--advertise-address', address);
}
const controllers = (name: string): void =>
  k8ts(
    ...([name, 'controller-manager', '--kubeconfig', kubeconfig('cm'), '--root-ca-file', `${pkiDir}/ca.crt`] as const),
    ...['--cluster-signing-cert-file', `${pkiDir}/ca.crt`, '--cluster-signing-key-file', `${pkiDir}/ca.key`],
  );

before(async () => {
  if (skip !== false) return;
  await machines.make(['one']);
  const { address } = machines.of('one');
  const pki = openClusterPki({ dir: pkiDir, clock: systemClock, apiServerAddresses: [address, '10.96.0.1'] });
  for (const [name, user, organizations] of [
    ['admin', 'admin', ['system:masters']],
    ['cm', 'system:kube-controller-manager', []],
    ['scheduler', 'system:kube-scheduler', []],
    ['proxy', 'system:kube-proxy', []],
  ] as const) {
    const credential = pki.issue({ commonName: user, organizations, usages: ['client'] });
    const { certificatePem: clientCert, keyPem: clientKey } = credential;
    const server = `https://${address}:6443`;
    writeFileSync(kubeconfig(name), kubeconfigOf({ server, ca: pki.ca.certificatePem, clientCert, clientKey, user }));
  }
});
after(async () => {
  if (skip !== false) return;
  for (const name of [...running.keys()].reverse()) await stop(name);
  await machines.remove();
});

describe('parts of a cluster, each alone', { skip }, () => {
  const holder = (): Promise<string> =>
    kubectl(`-n kube-system get lease kube-controller-manager -o jsonpath='{.spec.holderIdentity}'`);

  test('API server, controllers, scheduler and proxy work together, over the API alone', async () => {
    apiserver('--store', `lmdb:${join(folder, 'store')}`);
    await eventually('the API is ready', async () => (await kubectl('get --raw /readyz')) === 'ok');
    controllers('cm1');
    k8ts('scheduler', 'scheduler', '--kubeconfig', kubeconfig('scheduler'), '--leader-elect=false');
    const { address } = machines.of('one');
    k8ts('proxy', 'proxy', '--kubeconfig', kubeconfig('proxy'), '--hostname-override=n1', `--bind-address=${address}`);
    const node = {
      ...{ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } },
      status: {
        allocatable: { cpu: '4', memory: '4Gi', pods: '50' },
        conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date().toISOString() }],
      },
    };
    writeFileSync(join(folder, 'node.json'), JSON.stringify(node));
    await eventually('there is a leader', async () => (await holder()) !== '');
    await kubectl(`create -f ${join(folder, 'node.json')}`);
    await kubectl('create deployment web --image=x --replicas=2');
    await kubectl('create service nodeport web --tcp=80');
    await eventually('the pods have a node', async () => {
      const nodes = await kubectl(`get pods -l app=web -o jsonpath='{.items[*].spec.nodeName}'`);
      return nodes === 'n1 n1';
    });
    await eventually('the proxy made rules', async () =>
      (await machines.must('one', 'nft list table ip k8ts')).includes('10.96.0.1'),
    );
    await stop('proxy');
  });

  test('a second controller manager waits, and takes over when the first ends', async () => {
    controllers('cm2');
    const first = await holder();
    await stop('cm1');
    await eventually('another leads', async () => ![first, ''].includes(await holder()));
    await kubectl('scale deployment web --replicas=3');
    await eventually(
      'it acts',
      async () => (await kubectl('get pods -l app=web -o name')).trim().split('\n').length === 3,
    );
  });

  test('the store moves to etcd, and everything is there', async () => {
    for (const name of ['cm2', 'scheduler', 'apiserver']) await stop(name);
    const url = 'http://127.0.0.1:2379';
    start('etcd', 'etcd', `--data-dir=${join(folder, 'etcd')}`, '--logger=zap', '--log-level=warn');
    const copied = await machines.must(
      'one',
      `k8ts store copy --from lmdb:${join(folder, 'store')} --to etcd:${url} -o json`,
    );
    const { fromRevision, toRevision } = JSON.parse(copied);
    assert.ok(toRevision > fromRevision);
    apiserver('--etcd-servers', url);
    await eventually('the API is ready', async () => (await kubectl('get --raw /readyz')) === 'ok');
    const deployment = JSON.parse(await kubectl('get deployment web -o json'));
    assert.equal(deployment.spec.replicas, 3);
    assert.ok(Number(deployment.metadata.resourceVersion) > fromRevision);
    await kubectl('create configmap moved');
    const again = await machines.shell('one', `k8ts store copy --from lmdb:${join(folder, 'store')} --to etcd:${url}`);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /holds data already/);
  });
});
