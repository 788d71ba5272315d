import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Deployment, type EndpointSlice, type Node, type Pod, resource } from '#api';
import { startCluster } from '#testkit';

const deployments = resource('apps/v1', 'deployments');
const pods = resource('v1', 'pods');
const nodes = resource('v1', 'nodes');
const slices = resource('discovery.k8s.io/v1', 'endpointslices');

const web = (replicas: number) => ({
  metadata: { namespace: 'default', name: 'web' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'web:1' }] } },
  },
});
const service = {
  metadata: { namespace: 'default', name: 'web' },
  spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
};
const readyOn = (all: readonly EndpointSlice[]): string[] =>
  all
    .filter((one) => one.metadata.labels?.['kubernetes.io/service-name'] === 'web')
    .flatMap((one) => (one.endpoints ?? []).filter((e) => e.conditions?.ready).map((e) => e.nodeName ?? ''));
const alive = (all: readonly Pod[]): Pod[] =>
  all.filter((one) => one.metadata.deletionTimestamp === undefined && one.status?.phase === 'Running');

test('a node loses its power: NotReady after 40 s, out of Services at once, its pods replaced after 5 minutes', async () => {
  await using cluster = await startCluster({ nodes: 3, clock: 'manual' });
  const { client, manual } = cluster;
  await client.create(resource('v1', 'services'), service as never);
  await client.create<Deployment>(deployments, web(6));
  await cluster.waitFor<EndpointSlice>(slices, (all) => readyOn(all).length === 6 && readyOn(all).includes('sim-1'));
  const cutMs = manual.monotonicMs();
  cluster.nodes.stop('sim-1');
  const lost = await cluster.waitForOne<Node>(
    nodes,
    'sim-1',
    (one) => one.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'Unknown') ?? false,
  );
  const afterMs = manual.monotonicMs() - cutMs;
  assert.ok(afterMs > 30_000 && afterMs <= 56_000, `${afterMs} ms`);
  assert.equal(
    lost.status?.conditions?.find((c) => c.type === 'Ready')?.message,
    'Kubelet stopped posting node status.',
  );
  await cluster.waitFor<EndpointSlice>(slices, (all) => readyOn(all).length === 4 && !readyOn(all).includes('sim-1'));
  await cluster.waitForOne<Node>(nodes, 'sim-1', (one) =>
    ['NoSchedule', 'NoExecute'].every((effect) =>
      one.spec.taints?.some((t) => t.key === 'node.kubernetes.io/unreachable' && t.effect === effect),
    ),
  );
  await cluster.waitFor<Pod>(
    pods,
    (all) => alive(all).length === 6 && alive(all).every((one) => one.spec.nodeName !== 'sim-1'),
  );
  const replacedMs = manual.monotonicMs() - cutMs;
  assert.ok(replacedMs >= 330_000 && replacedMs < 400_000, `${replacedMs} ms`);
  assert.equal(readyOn((await client.list<EndpointSlice>(slices)).items).length, 6);
  await cluster.nodes.start('sim-1');
  const back = await cluster.waitForOne<Node>(
    nodes,
    'sim-1',
    (one) => one.spec.taints === undefined || one.spec.taints.length === 0,
  );
  assert.equal(back.status?.conditions?.find((c) => c.type === 'Ready')?.status, 'True');
  await cluster.waitFor<Pod>(pods, (all) => all.length === 6);
});

test('every node silent: nothing is evicted, the fault may be here', async () => {
  await using cluster = await startCluster({ nodes: 2, clock: 'manual' });
  await cluster.client.create<Deployment>(deployments, web(2));
  const before = (await cluster.waitFor<Pod>(pods, (all) => alive(all).length === 2)).map((one) => one.metadata.uid);
  for (const name of cluster.nodes.names) cluster.nodes.stop(name);
  await cluster.waitFor<Node>(nodes, (all) =>
    all.every((one) => one.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'Unknown')),
  );
  await cluster.manual.advance(900_000);
  const now = (await cluster.client.list<Pod>(pods)).items;
  assert.deepEqual(now.map((one) => one.metadata.uid).toSorted(), before.toSorted());
  assert.ok(
    (await cluster.client.list<Node>(nodes)).items.every(
      (one) => !one.spec.taints?.some((t) => t.effect === 'NoExecute'),
    ),
  );
});

test('a deleted Node: its pods go, its range is given again', async () => {
  await using cluster = await startCluster({ nodes: 2, clock: 'manual' });
  const { client } = cluster;
  const [first, second] = await cluster.waitFor<Node>(nodes, (all) =>
    all.every((one) => one.spec.podCIDR !== undefined),
  );
  assert.notEqual(first?.spec.podCIDR, second?.spec.podCIDR);
  assert.match(first?.spec.podCIDR ?? '', /^10\.244\.\d+\.0\/24$/);
  await client.create<Deployment>(deployments, web(4));
  await cluster.waitFor<Pod>(pods, (all) => alive(all).length === 4);
  cluster.nodes.stop('sim-1');
  await client.delete(nodes, 'sim-1');
  await cluster.waitFor<Pod>(
    pods,
    (all) => all.length === 4 && alive(all).every((one) => one.spec.nodeName === 'sim-0') && alive(all).length === 4,
  );
});

test('two clusters in one process know nothing of each other', async () => {
  await using one = await startCluster({ seed: 1 });
  await using two = await startCluster({ seed: 2 });
  await one.client.create<Deployment>(deployments, web(1));
  await one.waitFor<Pod>(pods, (all) => alive(all).length === 1);
  assert.deepEqual((await two.client.list(deployments)).items, []);
  assert.deepEqual((await two.client.list(pods)).items, []);
});
