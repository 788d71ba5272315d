import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CSIStorageCapacity,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  resource,
  type StatefulSet,
  type StorageClass,
} from '#api';
import { quantityValue } from '#machinery';
import { startCluster } from '#testkit';

const pods = resource('v1', 'pods');
const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const classes = resource('storage.k8s.io/v1', 'storageclasses');
const statefulSets = resource('apps/v1', 'statefulsets');
const capacities = resource('storage.k8s.io/v1', 'csistoragecapacities');

const meta = (name: string) => ({ namespace: 'default', name });
const localClass = {
  metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'k8ts.io/local',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
} as never;
const spec = (storage: string) => ({ accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } });
const podOf = (name: string, ...claimNames: string[]) =>
  ({
    metadata: meta(name),
    spec: {
      containers: [{ name: 'c', image: 'i:1' }],
      volumes: claimNames.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
    },
  }) as never;

test('claims of a StatefulSet get volumes on the nodes of their pods, keep them, and take them along', async () => {
  await using cluster = await startCluster({ nodes: 2 });
  const { client } = cluster;
  await client.create<StorageClass>(classes, localClass);
  await client.create<StatefulSet>(statefulSets, {
    metadata: meta('db'),
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'x' } },
      template: { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i:1' }] } },
      volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: spec('1Gi') }],
    },
  } as never);
  await cluster.waitForOne<StatefulSet>(statefulSets, 'db', ({ status }) => status?.readyReplicas === 3);
  const pod = await client.get<Pod>(pods, 'db-1', { namespace: 'default' });
  const claim = await client.get<PersistentVolumeClaim>(claims, 'data-db-1', { namespace: 'default' });
  const volume = await client.get<PersistentVolume>(volumes, claim.spec.volumeName as string);
  const [term] = volume.spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  assert.deepEqual(term?.matchExpressions?.[0]?.values, [pod.spec.nodeName]);
  await client.delete(pods, 'db-1', { namespace: 'default' });
  const again = await cluster.waitForOne<Pod>(
    pods,
    'db-1',
    ({ metadata, status }) => metadata.uid !== pod.metadata.uid && status?.phase === 'Running',
  );
  assert.equal(again.spec.nodeName, pod.spec.nodeName, 'the pod goes where its data are');

  const bigger = { type: 'merge' as const, body: { spec: { resources: { requests: { storage: '2Gi' } } } } };
  await client.patch(claims, 'data-db-1', bigger, { namespace: 'default' });
  await cluster.waitForOne<PersistentVolumeClaim>(
    claims,
    'data-db-1',
    ({ status }) => status?.capacity?.storage === '2Gi',
  );

  await client.delete(statefulSets, 'db', { namespace: 'default' });
  await cluster.waitFor(pods, (left) => left.length === 0);
  for (const name of ['data-db-0', 'data-db-1', 'data-db-2'])
    await client.delete(claims, name, { namespace: 'default' });
  await cluster.waitFor(volumes, (left) => left.length === 0);
});

test("a pod waits for a node with room, and an administrator's volume is nobody's to delete", async () => {
  await using cluster = await startCluster({ nodes: 1 });
  const { client } = cluster;
  await client.create<StorageClass>(classes, localClass);
  for (const [name, size] of [
    ['most', '900Gi'],
    ['more', '900Gi'],
  ] as const)
    await client.create<PersistentVolumeClaim>(claims, { metadata: meta(name), spec: spec(size) } as never);
  await client.create<Pod>(pods, podOf('most', 'most'));
  await cluster.waitForOne<Pod>(pods, 'most', ({ status }) => status?.phase === 'Running');
  await cluster.waitFor<CSIStorageCapacity>(capacities, (all) =>
    all.some(({ capacity = '' }) => quantityValue(capacity) < 200 * 2 ** 30),
  );
  await client.create<Pod>(pods, podOf('more', 'more'));
  const refused = await cluster.waitForOne<Pod>(pods, 'more', ({ status }) =>
    (status?.conditions ?? []).some(({ message = '' }) => message.includes('did not have enough free storage')),
  );
  assert.equal(refused.spec.nodeName, undefined);
  await client.delete(pods, 'most', { namespace: 'default' });
  await client.delete(claims, 'most', { namespace: 'default' });
  await cluster.waitForOne<Pod>(pods, 'more', ({ status }) => status?.phase === 'Running');

  await client.create<PersistentVolume>(volumes, {
    metadata: { name: 'by-hand' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      hostPath: { path: '/x' },
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: 'none',
    },
  } as never);
  await client.create<PersistentVolumeClaim>(claims, {
    metadata: meta('hand'),
    spec: { ...spec('1Gi'), storageClassName: 'none' },
  } as never);
  await cluster.waitForOne<PersistentVolumeClaim>(claims, 'hand', ({ status }) => status?.phase === 'Bound');
  await client.delete(claims, 'hand', { namespace: 'default' });
  const failed = await cluster.waitForOne<PersistentVolume>(
    volumes,
    'by-hand',
    ({ status }) => status?.phase === 'Failed',
  );
  assert.match(failed.status?.message ?? '', /no deletable volume plugin matched/);
});
