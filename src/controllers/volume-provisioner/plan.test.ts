import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CSINode, Node, PersistentVolumeClaim, Pod, StorageClass } from '#api';
import { mayStillRun, runsSidecar, DriverError } from '../storage-drivers/drivers.ts';
import {
  binaryQuantity,
  planCreateRequest,
  planCsiVolume,
  planLocalVolume,
  planTopology,
  secretReference,
  whyNot,
} from './plan.ts';

const claim = (spec: object = {}): PersistentVolumeClaim =>
  ({
    metadata: { name: 'data', namespace: 'ns', uid: 'u', resourceVersion: '7' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  }) as unknown as PersistentVolumeClaim;
const storageClass = (more: object = {}): StorageClass =>
  ({ metadata: { name: 'c' }, provisioner: 'd.example', ...more }) as unknown as StorageClass;

test('what cannot be made is said at once', () => {
  const local = (spec: object): string | undefined => whyNot(claim(spec), { local: true });
  assert.equal(local({}), undefined);
  assert.equal(local({ accessModes: ['ReadWriteOncePod'] }), undefined);
  assert.match(local({ accessModes: ['ReadWriteOnce', 'ReadWriteMany'] }) ?? '', /ReadWriteMany is not possible/);
  assert.match(local({ volumeMode: 'Block' }) ?? '', /volumeMode Block is not possible/);
  assert.match(local({ dataSource: { kind: 'VolumeSnapshot' } }) ?? '', /not supported yet/);
  assert.equal(whyNot(claim({ volumeMode: 'Block', accessModes: ['ReadWriteMany'] }), { local: false }), undefined);
});

test('a directory becomes a local volume of its node', () => {
  const node = { metadata: { name: 'n', labels: { 'kubernetes.io/hostname': 'host' } } } as unknown as Node;
  const made = { volume_id: 'pvc-u', capacity_bytes: 2 ** 30, volume_context: { path: '/p' } };
  assert.deepEqual(planLocalVolume(claim(), storageClass({ reclaimPolicy: 'Retain' }), { made, node }), {
    metadata: {
      name: 'pvc-u',
      annotations: { 'pv.kubernetes.io/provisioned-by': 'd.example' },
      finalizers: ['kubernetes.io/pv-protection', 'external-provisioner.volume.kubernetes.io/finalizer'],
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Gi' },
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: 'ns',
        name: 'data',
        uid: 'u',
        resourceVersion: '7',
      },
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: 'c',
      volumeMode: 'Filesystem',
      local: { path: '/p' },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['host'] }] },
          ],
        },
      },
    },
  });
});

test("a driver's volume carries its size, secrets and place; the class' own parameters do not reach the driver", () => {
  const parameters = {
    kind: 'fast',
    'csi.storage.k8s.io/fstype': 'xfs',
    'csi.storage.k8s.io/node-stage-secret-name': 'key-${pvc.name}',
    'csi.storage.k8s.io/node-stage-secret-namespace': '${pvc.namespace}',
    'csi.storage.k8s.io/provisioner-secret-name': 'root-${pv.name}',
    'csi.storage.k8s.io/provisioner-secret-namespace': 'kube-system',
  };
  const fast = storageClass({ parameters, mountOptions: ['noatime'] });
  const volume = planCsiVolume(claim(), fast, {
    volume_id: 'id',
    capacity_bytes: 3 * 2 ** 30,
    volume_context: { a: 'b' },
    accessible_topology: [{ segments: { zone: 'z' } }],
  });
  assert.deepEqual(volume.spec.csi, {
    driver: 'd.example',
    volumeHandle: 'id',
    fsType: 'xfs',
    volumeAttributes: { a: 'b' },
    nodeStageSecretRef: { name: 'key-data', namespace: 'ns' },
  });
  assert.deepEqual([volume.spec.capacity, volume.spec.mountOptions], [{ storage: '3Gi' }, ['noatime']]);
  assert.deepEqual(volume.spec.nodeAffinity?.required?.nodeSelectorTerms[0]?.matchExpressions?.[0]?.values, ['z']);
  assert.deepEqual(secretReference(parameters, 'provisioner', claim()), {
    name: 'root-pvc-u',
    namespace: 'kube-system',
  });
  assert.deepEqual(planCreateRequest(claim({ accessModes: ['ReadWriteMany'] }), fast, undefined), {
    name: 'pvc-u',
    capacity_range: { required_bytes: 2 ** 30 },
    volume_capabilities: [
      { mount: { fs_type: 'xfs', mount_flags: ['noatime'] }, access_mode: { mode: 'MULTI_NODE_MULTI_WRITER' } },
    ],
    parameters: { kind: 'fast' },
  });
});

test('the place of the chosen node is preferred', () => {
  const csiNode = (name: string, keys: string[]): CSINode =>
    ({
      metadata: { name },
      spec: { drivers: [{ name: 'd', nodeID: name, topologyKeys: keys }] },
    }) as unknown as CSINode;
  const node = (name: string, zone: string): Node => ({ metadata: { name, labels: { zone } } }) as unknown as Node;
  const nodes = [node('a', '1'), node('b', '2'), node('c', '2')];
  const csiNodes = [csiNode('a', ['zone']), csiNode('b', ['zone']), csiNode('c', ['zone'])];
  const segments = (...zones: string[]) => zones.map((zone) => ({ segments: { zone } }));
  assert.deepEqual(planTopology('d', { csiNodes, nodes, chosen: 'c' }), {
    requisite: segments('1', '2'),
    preferred: segments('2', '1'),
  });
  assert.equal(planTopology('d', { csiNodes: [csiNode('a', [])], nodes }), undefined);
});

test('sidecars are known by the name of their image', () => {
  const runs = (image: string, phase = 'Running'): boolean =>
    runsSidecar(
      { metadata: {}, spec: { containers: [{ image }] }, status: { phase } } as unknown as Pod,
      'csi-attacher',
    );
  assert.ok(runs('registry.k8s.io/sig-storage/csi-attacher:v4.8.0'));
  assert.ok(runs('registry:5000/csi-attacher@sha256:0'));
  assert.ok(!runs('registry.k8s.io/sig-storage/csi-attacher:v4', 'Succeeded'));
  assert.ok(!runs('registry.k8s.io/sig-storage/csi-provisioner:v4'));
  assert.ok(!runs('csi-attacher/other'));
});

test('sizes are said in the largest unit, failures as final or not', () => {
  assert.deepEqual([0, 1023, 1024, 3 * 2 ** 30, 2 ** 30 + 1].map(binaryQuantity), [
    '0',
    '1023',
    '1Ki',
    '3Gi',
    '1073741825',
  ]);
  assert.equal(mayStillRun(new DriverError('DEADLINE_EXCEEDED', '')), true);
  assert.equal(mayStillRun(new Error('unreachable')), true);
  assert.equal(mayStillRun(new DriverError('RESOURCE_EXHAUSTED', '')), false);
});
