import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConfigMap,
  type Deployment,
  type EndpointSlice,
  type Event,
  type Namespace,
  type Pod,
  type ReplicaSet,
  resource,
  type ServiceAccount,
} from '#api';
import { startCluster } from '#testkit';

const deployments = resource('apps/v1', 'deployments');
const replicaSets = resource('apps/v1', 'replicasets');
const pods = resource('v1', 'pods');

const web = (replicas: number, image = 'web:1') => ({
  metadata: { namespace: 'default', name: 'web' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image }] } },
  },
});
const available = (count: number) => (one: Deployment) =>
  one.status?.observedGeneration === one.metadata.generation &&
  one.status?.availableReplicas === count &&
  one.status.replicas === count &&
  one.status.updatedReplicas === count;

test('a new cluster: its ServiceAccount and CA are there at once', async () => {
  await using cluster = await startCluster();
  await cluster.waitForOne<ServiceAccount>(
    resource('v1', 'serviceaccounts'),
    'default',
    (one) => one.metadata.namespace === 'default',
  );
  const map = await cluster.waitForOne<ConfigMap>(
    resource('v1', 'configmaps'),
    'kube-root-ca.crt',
    (one) => one.metadata.namespace === 'default',
  );
  assert.equal(map.data?.['ca.crt'], 'test CA');
});

test('a deployment becomes available, rolls out, rolls back and scales', async () => {
  await using cluster = await startCluster({ nodes: 2 });
  const { client } = cluster;
  await client.create<Deployment>(deployments, web(3));
  await cluster.waitForOne<Deployment>(deployments, 'web', available(3));
  await client.patch(deployments, 'web', { type: 'strategic', body: web(3, 'web:2') }, { namespace: 'default' });
  const updated = await cluster.waitForOne<Deployment>(deployments, 'web', available(3));
  assert.equal(updated.metadata.annotations?.['deployment.kubernetes.io/revision'], '2');
  const images = (await client.list<Pod>(pods, { namespace: 'default' })).items
    .filter((one) => !one.metadata.deletionTimestamp)
    .map((one) => one.spec.containers[0]?.image);
  assert.deepEqual(new Set(images), new Set(['web:2']));
  await client.patch(deployments, 'web', { type: 'strategic', body: web(3, 'web:1') }, { namespace: 'default' });
  const back = await cluster.waitForOne<Deployment>(
    deployments,
    'web',
    (one) => available(3)(one) && one.metadata.annotations?.['deployment.kubernetes.io/revision'] === '3',
  );
  assert.equal(back.status?.conditions?.find((one) => one.type === 'Progressing')?.reason, 'NewReplicaSetAvailable');
  const sets = (await client.list<ReplicaSet>(replicaSets, { namespace: 'default' })).items;
  assert.deepEqual(sets.map((one) => one.spec.replicas).toSorted(), [0, 3]);
  await client.patch(deployments, 'web', { type: 'merge', body: { spec: { replicas: 7 } } }, { namespace: 'default' });
  await cluster.waitForOne<Deployment>(deployments, 'web', available(7));
  await client.patch(deployments, 'web', { type: 'merge', body: { spec: { replicas: 0 } } }, { namespace: 'default' });
  await cluster.waitForOne<Deployment>(deployments, 'web', (one) => (one.status?.replicas ?? 0) === 0);
  await cluster.waitFor<Pod>(pods, (all) => all.length === 0);
});

test('a deleted pod is replaced, and the Service follows', async () => {
  await using cluster = await startCluster({ nodes: 2 });
  const { client } = cluster;
  await client.create(resource('v1', 'services'), {
    metadata: { namespace: 'default', name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  } as never);
  await client.create<Deployment>(deployments, web(2));
  const slices = resource('discovery.k8s.io/v1', 'endpointslices');
  const readyNames = (all: readonly EndpointSlice[]): string[] =>
    all
      .filter((one) => one.metadata.labels?.['kubernetes.io/service-name'] === 'web')
      .flatMap((one) => (one.endpoints ?? []).filter((e) => e.conditions?.ready).map((e) => e.targetRef?.name ?? ''))
      .toSorted();
  const before = readyNames(await cluster.waitFor<EndpointSlice>(slices, (all) => readyNames(all).length === 2));
  await client.delete(pods, before[0] as string, { namespace: 'default' });
  const after = readyNames(
    await cluster.waitFor<EndpointSlice>(
      slices,
      (all) => readyNames(all).length === 2 && !readyNames(all).includes(before[0] as string),
    ),
  );
  assert.ok(after.includes(before[1] as string));
  const events = await cluster.waitFor<Event>(resource('v1', 'events'), (all) =>
    all.some((one) => one.reason === 'SuccessfulCreate'),
  );
  assert.ok(
    events.some(
      (one) =>
        one.reason === 'ScalingReplicaSet' &&
        one.message === `Scaled up replica set ${one.message?.split(' ')[4]} from 0 to 2`,
    ),
    events.map((one) => one.message).join('\n'),
  );
});

test('deleting a deployment takes everything along; orphaning leaves its set; foreground waits', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create<Deployment>(deployments, web(2));
  await cluster.waitForOne<Deployment>(deployments, 'web', available(2));
  await client.delete(deployments, 'web', { namespace: 'default', propagationPolicy: 'Orphan' });
  await cluster.waitFor<Deployment>(deployments, (all) => all.length === 0);
  const [orphan] = await cluster.waitFor<ReplicaSet>(
    replicaSets,
    (all) => all.length === 1 && all[0]?.metadata.ownerReferences === undefined,
  );
  await client.create<Deployment>(deployments, web(2));
  await cluster.waitFor<ReplicaSet>(replicaSets, (all) => all[0]?.metadata.ownerReferences?.[0]?.kind === 'Deployment');
  assert.equal(
    (await client.list<ReplicaSet>(replicaSets)).items[0]?.metadata.uid,
    orphan?.metadata.uid,
    'adopted again',
  );
  await client.delete(deployments, 'web', { namespace: 'default', propagationPolicy: 'Foreground' });
  await cluster.waitFor<Deployment>(deployments, (all) => all.length === 0);
  assert.deepEqual(
    (await client.list<Pod>(pods)).items.map((one) => one.metadata.name),
    [],
  );
  assert.deepEqual((await client.list<ReplicaSet>(replicaSets)).items, []);
});

test('a namespace goes with all that is in it', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const namespaces = resource('v1', 'namespaces');
  await client.create<Namespace>(namespaces, { metadata: { name: 'doomed' }, spec: {} });
  await client.create<Deployment>(deployments, { ...web(2), metadata: { namespace: 'doomed', name: 'web' } });
  await cluster.waitForOne<Deployment>(deployments, 'web', available(2));
  await client.delete(namespaces, 'doomed');
  await cluster.waitFor<Namespace>(namespaces, (all) => !all.some((one) => one.metadata.name === 'doomed'));
  for (const one of [pods, deployments, replicaSets, resource('v1', 'serviceaccounts'), resource('v1', 'configmaps')]) {
    assert.deepEqual((await client.list(one, { namespace: 'doomed' })).items, []);
  }
});
