import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { eventually, Machine, whyNoContainers } from './harness.ts';

const skip = whyNoContainers() ?? false;
const machine = new Machine('e2e-nodes');

interface PodJson {
  metadata: { name: string; deletionTimestamp?: string };
  spec: { nodeName: string };
  status: { phase: string; podIP: string; conditions?: { type: string; status: string }[] };
}
interface NodeJson {
  metadata: { name: string };
  spec: { taints?: { key: string; effect: string }[]; podCIDR?: string };
  status: { conditions: { type: string; status: string; reason: string }[]; addresses: { address: string }[] };
}
interface StatusJson {
  status: string;
  nodes: { name: string; address: string; status: string }[];
  processes: { name: string; node: string; pid: number; residentBytes: number }[];
}

const podsOf = async (app: string): Promise<PodJson[]> =>
  (await machine.json<{ items: PodJson[] }>('pods', '-l', `app=${app}`)).items;
const node = (name: string): Promise<NodeJson> => machine.json<NodeJson>('node', name);
const readiness = async (name: string): Promise<string | undefined> =>
  (await node(name)).status.conditions.find((one) => one.type === 'Ready')?.status;
const status = async (): Promise<StatusJson> =>
  JSON.parse((await machine.k8ts('status', '--name', machine.name, '-o', 'json')).stdout) as StatusJson;
const isReady = (pod: PodJson): boolean =>
  pod.metadata.deletionTimestamp === undefined &&
  pod.status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
const runningOn = async (app: string, name: string): Promise<PodJson[]> =>
  (await podsOf(app)).filter((one) => one.spec.nodeName === name && isReady(one));

async function get(url: string, timeoutMs = 2_000): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), headers: { connection: 'close' } });
  return response.text();
}

/** Asks again and again, each time on a new connection, and keeps when each request that failed began. */
function hammer(url: string) {
  const failures: { atMs: number; why: string }[] = [];
  let asked = 0;
  let slowest = { atMs: 0, tookMs: 0 };
  let ended = false;
  const done = (async () => {
    while (!ended) {
      const atMs = performance.now();
      try {
        await get(url, 3_000);
      } catch (error) {
        failures.push({ atMs, why: `${url}: ${String(error)}` });
      }
      asked++;
      const tookMs = performance.now() - atMs;
      if (tookMs > slowest.tookMs) slowest = { atMs, tookMs };
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    failures,
    asked: () => asked,
    slowest: () => slowest,
    async stop() {
      ended = true;
      await done;
    },
  };
}

describe('a cluster of three nodes', { skip }, () => {
  let addresses: Record<string, string> = {};
  let nodePort = 0;

  before(async () => {
    await machine.prepare();
    await machine.up('--nodes', '3', '--image', machine.images);
    addresses = Object.fromEntries((await status()).nodes.map((one) => [one.name, one.address]));
  });
  after(() => machine.remove());

  test('master is reserved for the control plane; each node has its own pod range', async () => {
    assert.deepEqual((await node('master')).spec.taints, [
      { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' },
    ]);
    assert.match(await machine.must('get', 'nodes'), /^master +Ready +control-plane /m);
    const ranges = await Promise.all(['master', 'worker1', 'worker2'].map(async (name) => (await node(name)).spec));
    assert.equal(new Set(ranges.map((one) => one.podCIDR)).size, 3);
    assert.deepEqual(
      ranges.slice(1).map((one) => one.taints),
      [undefined, undefined],
    );
    const report = await status();
    assert.equal(report.status, 'running');
    assert.deepEqual(
      report.nodes.map((one) => [one.name, one.status]),
      [
        ['master', 'running'],
        ['worker1', 'running'],
        ['worker2', 'running'],
      ],
    );
    assert.deepEqual(report.processes.map((one) => `${one.node}/${one.name}`).sort(), [
      'master/agent',
      'master/containerd',
      'master/server',
      'master/supervisor',
      'worker1/agent',
      'worker1/containerd',
      'worker2/agent',
      'worker2/containerd',
    ]);
    assert.ok(report.processes.every((one) => one.residentBytes > 0));
  });

  test('replicas spread over both workers', async () => {
    await machine.must('create', 'deployment', 'web', '--image=k8ts.test/web:1', '--replicas=4');
    await machine.must('rollout', 'status', 'deployment/web', '--timeout=60s');
    const where = (await podsOf('web')).map((one) => one.spec.nodeName).sort();
    assert.deepEqual(where, ['worker1', 'worker1', 'worker2', 'worker2']);
  });

  test('a control plane and an agent that are killed come back by themselves, in the control group of their node', async () => {
    for (const [name, of] of [
      ['server', 'master'],
      ['agent', 'worker1'],
    ] as const) {
      const running = async () => (await status()).processes.find((one) => one.name === name && one.node === of);
      const killed = await running();
      assert.ok(killed);
      process.kill(killed.pid, 'SIGKILL');
      const next = await eventually(`another ${name}`, async () => {
        const found = await running();
        return found !== undefined && found.pid !== killed.pid && found;
      });
      assert.match(readFileSync(`/proc/${next.pid}/cgroup`, 'utf8'), new RegExp(`/k8ts/${machine.name}/${of}/system`));
    }
    await eventually('the API answers', async () => (await machine.kubectl('get', 'nodes')).code === 0);
  });

  test('any address of a node answers a NodePort', async () => {
    await machine.must('expose', 'deployment', 'web', '--port=80', '--target-port=8080', '--type=NodePort');
    nodePort = Number(await machine.must('get', 'service', 'web', '-o', 'jsonpath={.spec.ports[0].nodePort}'));
    for (const address of Object.values(addresses)) {
      const url = `http://${address}:${nodePort}/`;
      await eventually(`${url} answers`, async () => (await get(url)).startsWith('one web-'), 60_000);
      const seen = new Set<string>();
      await eventually(`every pod answers through ${url}`, async () => seen.add(await get(url)).size === 4, 60_000);
    }
  });

  test('a pod reaches pods of the other worker, Services, and host ports', async () => {
    await machine.apply(
      ['worker1', 'worker2']
        .map(
          (name) => `
apiVersion: v1
kind: Pod
metadata: {name: on-${name}, labels: {app: "on-${name}"}}
spec:
  nodeSelector: {kubernetes.io/hostname: ${name}}
  containers:
  - {name: main, image: "k8ts.test/web:2", ports: [{containerPort: 8080, hostPort: 18080}]}
`,
        )
        .join('---'),
    );
    await machine.must('wait', '--for=condition=Ready', 'pod/on-worker1', 'pod/on-worker2', '--timeout=90s');
    const fetchFrom = (pod: string, url: string): Promise<string> =>
      eventually(`${pod} gets ${url}`, () => machine.must('exec', pod, '--', 'fetch', url), 60_000);
    for (const [from, to] of [
      ['worker1', 'worker2'],
      ['worker2', 'worker1'],
    ] as const) {
      for (const one of [...(await runningOn('web', to)), ...(await runningOn('web', from))]) {
        assert.equal(await fetchFrom(`on-${from}`, `http://${one.status.podIP}:8080/`), `one ${one.metadata.name}\n`);
      }
      assert.match(await fetchFrom(`on-${from}`, 'http://web/'), /^one web-/);
      assert.match(await fetchFrom(`on-${from}`, `http://${addresses.master}:${nodePort}/`), /^one web-/);
      assert.equal(await fetchFrom(`on-${from}`, `http://${addresses[to]}:18080/`), `two on-${to}\n`);
      const url = `http://${addresses[to]}:18080/`;
      assert.equal(await eventually(`${url} answers`, () => get(url), 60_000), `two on-${to}\n`);
    }
    await machine.must('delete', 'pod', 'on-worker1', 'on-worker2', '--now');
  });

  test('node stop: NotReady, no Service sends there any more, its pods are replaced on the other worker', async (t) => {
    const stopMs = performance.now();
    const stopped = await machine.k8ts('node', 'stop', 'worker1', '--name', machine.name);
    assert.equal(stopped.code, 0, stopped.stderr);
    const clients = ['master', 'worker2'].map((name) => hammer(`http://${addresses[name]}:${nodePort}/`));
    t.after(() => Promise.all(clients.map((one) => one.stop())));
    const report = await status();
    assert.equal(report.status, 'partly');
    assert.equal(report.nodes.find((one) => one.name === 'worker1')?.status, 'stopped');

    await eventually('worker1 is NotReady', async () => (await readiness('worker1')) === 'Unknown', 60_000);
    const notReadyMs = performance.now();
    t.diagnostic(`NotReady ${((notReadyMs - stopMs) / 1000).toFixed(1)} s after the power cut`);
    assert.match(await machine.must('get', 'node', 'worker1'), /^worker1 +NotReady /m);
    await eventually('its taints say so', async () => {
      const taints = ((await node('worker1')).spec.taints ?? []).map((one) => `${one.key}:${one.effect}`).sort();
      return taints.join() === 'node.kubernetes.io/unreachable:NoExecute,node.kubernetes.io/unreachable:NoSchedule';
    });

    await eventually('four pods run on worker2', async () => (await runningOn('web', 'worker2')).length === 4, 90_000);
    t.diagnostic(`replaced ${((performance.now() - notReadyMs) / 1000).toFixed(1)} s after NotReady`);
    for (const one of clients) await one.stop();
    for (const { failures, asked, slowest } of clients) {
      const { atMs, tookMs } = slowest();
      t.diagnostic(
        `${asked()} requests, the slowest ${tookMs.toFixed(0)} ms, ${((atMs - notReadyMs) / 1000).toFixed(1)} s after NotReady`,
      );
      assert.ok(asked() > 50, `${asked()} requests`);
      assert.deepEqual(
        failures
          .filter(({ atMs }) => atMs > notReadyMs + 1_000)
          .map(({ atMs, why }) => `${((atMs - notReadyMs) / 1000).toFixed(2)} s after NotReady: ${why}`),
        [],
      );
    }
  });

  test('node start: it is Ready again, its old pods are gone, and it takes new ones', async () => {
    const started = await machine.k8ts('node', 'start', 'worker1', '--name', machine.name);
    assert.equal(started.code, 0, started.stderr);
    assert.equal(await readiness('worker1'), 'True');
    await eventually('its taints are gone', async () => (await node('worker1')).spec.taints === undefined);
    await eventually('only four pods are left', async () => (await podsOf('web')).length === 4);
    await machine.must('scale', 'deployment/web', '--replicas=8');
    await machine.must('rollout', 'status', 'deployment/web', '--timeout=60s');
    await eventually('four on each', async () => (await runningOn('web', 'worker1')).length === 4);
    const url = `http://${addresses.worker1}:${nodePort}/`;
    const seen = new Set<string>();
    await eventually('all eight answer through it', async () => seen.add(await get(url)).size === 8, 60_000);
    assert.equal((await status()).status, 'running');
  });

  test('node add and node delete', async () => {
    const added = await machine.k8ts('node', 'add', 'worker3', '--name', machine.name);
    assert.equal(added.code, 0, added.stderr);
    assert.equal(await readiness('worker3'), 'True');
    const loaded = await machine.k8ts('image', 'load', machine.images, '--name', machine.name);
    assert.equal(loaded.code, 0, loaded.stderr);
    await machine.must('scale', 'deployment/web', '--replicas=12');
    await machine.must('rollout', 'status', 'deployment/web', '--timeout=60s');
    await eventually('it takes pods', async () => (await runningOn('web', 'worker3')).length === 4);
    const [pod] = await runningOn('web', 'worker3');
    const address = (await status()).nodes.find((one) => one.name === 'worker3')?.address;
    const url = `http://${address}:${nodePort}/`;
    assert.match(await eventually(`${url} answers`, () => get(url), 60_000), /^one web-/);

    const again = await machine.k8ts('node', 'add', 'worker3', '--name', machine.name);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /^k8ts: cluster e2e-nodes-\d+ has a node worker3 already: choose another name$/m);

    const deleted = await machine.k8ts('node', 'delete', 'worker3', '--name', machine.name);
    assert.equal(deleted.code, 0, deleted.stderr);
    assert.match((await machine.kubectl('get', 'node', 'worker3')).stderr, /nodes "worker3" not found/);
    assert.deepEqual(
      (await status()).nodes.map((one) => one.name),
      ['master', 'worker1', 'worker2'],
    );
    assert.equal(existsSync(`/run/netns/k8ts-${machine.name}-worker3`), false);
    await eventually(
      'its pods are replaced',
      async () => {
        const now = await podsOf('web');
        return now.length === 12 && now.every((one) => isReady(one) && one.metadata.name !== pod?.metadata.name);
      },
      30_000,
    );
    const master = await machine.k8ts('node', 'delete', 'master', '--name', machine.name);
    assert.equal(master.code, 1);
    assert.match(master.stderr, /master is the control plane of cluster e2e-nodes-/);
    const unknown = await machine.k8ts('node', 'stop', 'worker9', '--name', machine.name);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /^k8ts: .*worker9/);
  });
});
