import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { etcdMissing } from '../../src/testkit/etcd.ts';
import { eventually, run, whyNoContainers } from './harness.ts';
import { Machines } from './machines.ts';

const skip = whyNoContainers() ?? etcdMissing();
const machines = new Machines('k8j');
const ignored = '--ignore-preflight-errors=NumCPU,Mem,Swap';
let joinLine = '';

const kubectl = (name: string, script: string): Promise<string> =>
  machines.must(name, `kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s ${script}`);
const readyNodes = async (name: string): Promise<number> =>
  (await kubectl(name, 'get nodes --no-headers')).match(/ Ready +control-plane /g)?.length ?? 0;

before(async () => {
  if (skip === false) await machines.make(['cp1', 'cp2', 'cp3']);
});
after(async () => {
  if (skip === false) await machines.remove();
});

describe('control planes that join', { skip }, () => {
  test('init --etcd=local, then join --control-plane twice: three control planes, three members', async () => {
    const printed = await machines.must(
      'cp1',
      `k8ts init --apiserver-advertise-address=${machines.of('cp1').address} --etcd=local --upload-certs ${ignored}`,
    );
    const join = /k8ts join \S+ --token \S+ --discovery-token-ca-cert-hash \S+/.exec(
      printed.replaceAll(/\\\s+/g, ''),
    )?.[0];
    const key = /--control-plane --certificate-key [0-9a-f]{64}/.exec(printed)?.[0];
    assert.ok(join !== undefined && key !== undefined, printed);
    joinLine = `${join} ${key} ${ignored}`;
    const wrong = await machines.shell('cp2', `${join} --control-plane --certificate-key ${'0'.repeat(64)} ${ignored}`);
    assert.match(wrong.stderr, /certificate key does not open the cluster's certificates/);
    for (const name of ['cp2', 'cp3']) await machines.must(name, `${joinLine} --node-ip=${machines.of(name).address}`);
    await eventually('three are Ready', async () => (await readyNodes('cp3')) === 3);
    const { stdout } = await machines.shell('cp2', 'cat /etc/kubernetes/k8ts/server.json');
    assert.match(stdout, /etcd:https:\/\/192\.168\.60\.11:2379,https:\/\/192\.168\.60\.10:2379/);
    await kubectl('cp1', 'create secret generic shared --from-literal=a=b');
    assert.equal(await kubectl('cp3', `get secret shared -o jsonpath='{.data.a}'`), 'Yg==');
  });

  test('without the first machine the others go on', async () => {
    await run('ip', ['-n', machines.of('cp1').netns, 'link', 'set', 'eth0', 'down']);
    await eventually('writes go on', async () => {
      await kubectl('cp2', 'create configmap without-cp1');
      return true;
    });
    assert.match(await kubectl('cp3', 'get configmap without-cp1 -o name'), /without-cp1/);
    await run('ip', ['-n', machines.of('cp1').netns, 'link', 'set', 'eth0', 'up']);
    await eventually('cp1 knows', async () => (await kubectl('cp1', 'get configmaps -o name')).includes('without-cp1'));
  });

  test('reset takes a control plane out of the cluster of etcd: the other two write on', async () => {
    await eventually('three are Ready', async () => (await readyNodes('cp2')) === 3);
    await machines.must('cp1', 'k8ts reset --force');
    await eventually('the endpoints list two', async () => {
      const addresses = await kubectl('cp2', `get endpoints kubernetes -o jsonpath='{.subsets[*].addresses[*].ip}'`);
      return addresses.trim() === '192.168.60.11 192.168.60.12';
    });
    await machines.must('cp3', 'k8ts reset --force');
    await eventually('the last one writes alone', async () => {
      await kubectl('cp2', 'create configmap alone');
      return true;
    });
  });
});
