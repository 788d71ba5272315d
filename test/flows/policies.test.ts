import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CertificateSigningRequest,
  type ClusterRole,
  type EndpointSlice,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type ReplicaSet,
  type ReplicationController,
  type ResourceQuota,
  resource,
} from '#api';
import { createAuthority, createCertificateRequest, parseCertificate } from '#pki';
import { startCluster } from '#testkit';

const pods = resource('v1', 'pods');
const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const meta = (name: string) => ({ namespace: 'default', name });

test('a quota counts what is there, and again when it goes', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const quotas = resource('v1', 'resourcequotas');
  await client.create(quotas, {
    metadata: meta('limit'),
    spec: {
      hard: {
        pods: '10',
        'requests.cpu': '4',
        'limits.memory': '1Gi',
        'count/replicasets.apps': '5',
        configmaps: '9',
        services: '3',
      },
    },
  } as never);
  await cluster.waitForOne<ResourceQuota>(quotas, 'limit', (one) => one.status?.hard !== undefined);
  const resources = { requests: { cpu: '250m' }, limits: { memory: '64Mi' } };
  await client.create(resource('apps/v1', 'replicasets'), {
    metadata: meta('web'),
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'x' } },
      template: { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i', resources }] } },
    },
  } as never);
  const used =
    (expected: object) =>
    (quota: ResourceQuota): boolean =>
      Object.entries(expected).every(([name, amount]) => quota.status?.used?.[name] === amount);
  await cluster.waitForOne<ResourceQuota>(
    quotas,
    'limit',
    used({
      pods: '3',
      'requests.cpu': '750m',
      'limits.memory': '192Mi',
      'count/replicasets.apps': '1',
      configmaps: '1',
      services: '0',
    }),
  );
  await client.delete(resource('apps/v1', 'replicasets'), 'web', { namespace: 'default' });
  await cluster.waitForOne<ResourceQuota>(
    quotas,
    'limit',
    used({ pods: '0', 'requests.cpu': '0', 'count/replicasets.apps': '0' }),
  );
});

test('a claim is bound to the smallest volume that fits; deleting it releases the volume', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const volume = (name: string, storage: string) =>
    ({
      metadata: { name },
      spec: {
        capacity: { storage },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path: `/data/${name}` },
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: 'manual',
      },
    }) as never;
  for (const [name, storage] of [
    ['big', '10Gi'],
    ['fit', '2Gi'],
    ['small', '500Mi'],
  ] as const)
    await client.create(volumes, volume(name, storage));
  await cluster.waitFor<PersistentVolume>(
    volumes,
    (all) => all.length === 3 && all.every((one) => one.status?.phase === 'Available'),
  );
  await client.create(claims, {
    metadata: meta('data'),
    spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'manual', resources: { requests: { storage: '1Gi' } } },
  } as never);
  const bound = await cluster.waitForOne<PersistentVolumeClaim>(claims, 'data', (one) => one.status?.phase === 'Bound');
  assert.deepEqual([bound.spec.volumeName, bound.status?.capacity?.storage], ['fit', '2Gi']);
  await cluster.waitForOne<PersistentVolume>(
    volumes,
    'fit',
    (one) => one.status?.phase === 'Bound' && one.spec.claimRef?.uid === bound.metadata.uid,
  );
  await client.create<Pod>(pods, {
    metadata: meta('user'),
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }],
    },
  } as never);
  await cluster.waitForOne<Pod>(pods, 'user', (one) => one.status?.phase === 'Running');
  await client.delete(claims, 'data', { namespace: 'default' });
  const held = await client.get<PersistentVolumeClaim>(claims, 'data', { namespace: 'default' });
  assert.ok(held.metadata.deletionTimestamp && held.metadata.finalizers?.includes('kubernetes.io/pvc-protection'));
  await client.delete(pods, 'user', { namespace: 'default' });
  await cluster.waitFor<PersistentVolumeClaim>(claims, (all) => all.length === 0);
  await cluster.waitForOne<PersistentVolume>(volumes, 'fit', (one) => one.status?.phase === 'Released');
});

test('an approved request of a kubelet is signed, one that asks for more is not', async () => {
  const signer = createAuthority({ commonName: 'ca', days: 10, nowMs: Date.now() });
  await using cluster = await startCluster({ settings: { signer } });
  const requests = resource('certificates.k8s.io/v1', 'certificatesigningrequests');
  const ask = (name: string, commonName: string, dnsNames: string[] = []) => {
    const { requestPem } = createCertificateRequest({ commonName, organizations: ['system:nodes'], dnsNames });
    const spec = {
      request: Buffer.from(requestPem).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
      usages: ['client auth', 'digital signature'],
    };
    return cluster.client.create<CertificateSigningRequest>(requests, { metadata: { name }, spec } as never);
  };
  const approve = async (csr: CertificateSigningRequest): Promise<void> => {
    const condition = { type: 'Approved', status: 'True', reason: 'Test', message: '' };
    const live = await cluster.client.get<CertificateSigningRequest>(requests, csr.metadata.name);
    if (live.status?.conditions?.some((one) => one.type === 'Approved')) return;
    await cluster.client
      .update(requests, { ...live, status: { ...live.status, conditions: [condition] } }, { subresource: 'approval' })
      .catch(() => {});
  };
  await approve(await ask('fine', 'system:node:n1'));
  await approve(await ask('greedy', 'system:node:n1', ['example.com']));
  const signed = await cluster.waitForOne<CertificateSigningRequest>(requests, 'fine', (one) =>
    Boolean(one.status?.certificate),
  );
  const certificate = parseCertificate(Buffer.from(signed.status?.certificate ?? '', 'base64').toString());
  assert.equal(certificate.subject.commonName, 'system:node:n1');
  const failed = await cluster.waitForOne<CertificateSigningRequest>(
    requests,
    'greedy',
    (one) => one.status?.conditions?.some((c) => c.type === 'Failed') ?? false,
  );
  assert.equal(failed.status?.certificate, undefined);
});

test('an aggregated role gathers the rules of those its selector matches', async () => {
  await using cluster = await startCluster();
  const roles = resource('rbac.authorization.k8s.io/v1', 'clusterroles');
  const rule = { apiGroups: ['x'], resources: ['ys'], verbs: ['get'] };
  await cluster.client.create(roles, {
    metadata: { name: 'all' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { gather: 'yes' } }] },
  } as never);
  await cluster.client.create(roles, { metadata: { name: 'part', labels: { gather: 'yes' } }, rules: [rule] } as never);
  const all = await cluster.waitForOne<ClusterRole>(roles, 'all', (one) => one.rules?.length === 1);
  assert.deepEqual(all.rules, [rule]);
});

test('Endpoints kept by hand are mirrored; a replication controller keeps its pods', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(resource('v1', 'services'), {
    metadata: meta('outside'),
    spec: { ports: [{ port: 80 }] },
  } as never);
  await client.create(resource('v1', 'endpoints'), {
    metadata: meta('outside'),
    subsets: [{ addresses: [{ ip: '192.0.2.7' }], ports: [{ port: 8080 }] }],
  } as never);
  const slices = resource('discovery.k8s.io/v1', 'endpointslices');
  const mirrored = (all: readonly EndpointSlice[]): EndpointSlice[] =>
    all.filter(
      (one) =>
        one.metadata.labels?.['endpointslice.kubernetes.io/managed-by'] === 'endpointslicemirroring-controller.k8s.io',
    );
  const [slice] = mirrored(await cluster.waitFor<EndpointSlice>(slices, (all) => mirrored(all).length === 1));
  assert.deepEqual([slice?.endpoints?.[0]?.addresses, slice?.ports?.[0]?.port], [['192.0.2.7'], 8080]);
  await client.delete(resource('v1', 'endpoints'), 'outside', { namespace: 'default' });
  await cluster.waitFor<EndpointSlice>(slices, (all) => mirrored(all).length === 0);
  const controllers = resource('v1', 'replicationcontrollers');
  await client.create(controllers, {
    metadata: meta('rc'),
    spec: {
      replicas: 2,
      selector: { app: 'rc' },
      template: { metadata: { labels: { app: 'rc' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  } as never);
  await cluster.waitForOne<ReplicationController>(controllers, 'rc', (one) => one.status?.readyReplicas === 2);
});

test('a pod that loses its label is let go and replaced; one that gains it is taken in', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const sets = resource('apps/v1', 'replicasets');
  await client.create(sets, {
    metadata: meta('web'),
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'x' } },
      template: { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  } as never);
  await cluster.waitForOne<ReplicaSet>(sets, 'web', (one) => one.status?.readyReplicas === 2);
  const [first] = (await client.list<Pod>(pods)).items as [Pod];
  await client.patch(
    pods,
    first.metadata.name,
    { type: 'merge', body: { metadata: { labels: { app: 'y' } } } },
    { namespace: 'default' },
  );
  await cluster.waitFor<Pod>(
    pods,
    (all) =>
      all.length === 3 &&
      all.every((one) => one.status?.phase === 'Running') &&
      all.some((one) => one.metadata.name === first.metadata.name && one.metadata.ownerReferences === undefined),
  );
  await client.patch(sets, 'web', { type: 'merge', body: { spec: { replicas: 3 } } }, { namespace: 'default' });
  await cluster.waitForOne<ReplicaSet>(sets, 'web', (one) => one.status?.readyReplicas === 3);
  await client.patch(
    pods,
    first.metadata.name,
    { type: 'merge', body: { metadata: { labels: { app: 'x' } } } },
    { namespace: 'default' },
  );
  await cluster.waitFor<Pod>(
    pods,
    (all) => all.filter((one) => one.metadata.deletionTimestamp === undefined).length === 3,
  );
});

test('a namespace made a moment ago takes pods at once, and its quota holds from the first', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const quotas = resource('v1', 'resourcequotas');
  for (let i = 0; i < 5; i++) {
    const namespace = `fresh-${i}`;
    await client.create(resource('v1', 'namespaces'), { metadata: { name: namespace } } as never);
    await client.create<Pod>(pods, {
      metadata: { namespace, name: 'first' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    } as never);
    await client.create(quotas, { metadata: { namespace, name: 'few' }, spec: { hard: { pods: '3' } } } as never);
    await cluster.waitForOne<ResourceQuota>(quotas, 'few', (one) => one.status?.used?.pods === '1', { namespace });
    const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
    await client.create(resource('apps/v1', 'replicasets'), {
      metadata: { namespace, name: 'web' },
      spec: { replicas: 5, selector: { matchLabels: { app: 'x' } }, template },
    } as never);
    await cluster.waitForOne<ReplicaSet>(
      resource('apps/v1', 'replicasets'),
      'web',
      (one) => one.status?.conditions?.[0]?.reason === 'FailedCreate',
      { namespace },
    );
    assert.equal((await client.list<Pod>(pods, { namespace })).items.length, 3);
  }
});
