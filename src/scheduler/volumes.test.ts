import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CSIDriver, CSIStorageCapacity, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#api';
import { testState } from './test-cluster.ts';
import { claimsOf, planVolumes, type VolumeCatalogue } from './volumes.ts';

const onNode = (name: string): object => ({
  required: {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [name] }] }],
  },
});

function catalogue(parts: {
  claims?: object[];
  volumes?: object[];
  classes?: object[];
  capacities?: object[];
  drivers?: object[];
  promised?: Readonly<Record<string, number>>;
  limits?: Readonly<Record<string, number>>;
}): VolumeCatalogue {
  const named = <T extends { metadata: { name: string } }>(list: object[] | undefined, name: string): T | undefined =>
    (list as T[] | undefined)?.find((one) => one.metadata.name === name);
  return {
    claim: (_, name) => named<PersistentVolumeClaim>(parts.claims, name),
    volume: (name) => named<PersistentVolume>(parts.volumes, name),
    volumes: () => (parts.volumes ?? []) as PersistentVolume[],
    storageClass: (name) => named<StorageClass>(parts.classes, name),
    driver: (name) => named<CSIDriver>(parts.drivers, name),
    capacities: (name) =>
      ((parts.capacities ?? []) as CSIStorageCapacity[]).filter((one) => one.storageClassName === name),
    volumeLimit: (node) => parts.limits?.[node],
    promised: (_, node) => parts.promised?.[node] ?? 0,
  };
}

const claim = (name: string, spec: object = {}, annotations: object = {}): object => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}`, annotations },
  spec: {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '1Gi' } },
    storageClassName: 'local',
    ...spec,
  },
});
const volume = (name: string, spec: object = {}, phase = 'Available'): object => ({
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, storageClassName: 'local', ...spec },
  status: { phase },
});
const bound = { 'pv.kubernetes.io/bind-completed': 'yes' };
const waits = {
  metadata: { name: 'local' },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
};
const makes = {
  metadata: { name: 'local' },
  provisioner: 'example.com/disk',
  volumeBindingMode: 'WaitForFirstConsumer',
};
const using = (claimName: string): object => ({
  spec: { containers: [{ name: 'c' }], volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }] },
});

function fits(parts: Parameters<typeof catalogue>[0], claimName = 'data'): unknown {
  const state = testState({ volumes: catalogue(parts) });
  state.node('a');
  state.node('b');
  return state.fits(state.pod('p', using(claimName)));
}

test('claims decide where a pod may go', () => {
  assert.equal(fits({}), '0/2 nodes are available: persistentvolumeclaim "data" not found.');
  assert.equal(
    fits({ claims: [claim('data')] }),
    '0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.',
  );
  const data = claim('data', { volumeName: 'pv' }, bound);
  assert.deepEqual(fits({ claims: [data], volumes: [volume('pv', { nodeAffinity: onNode('b') })] }), ['b']);
  assert.deepEqual(fits({ claims: [data], volumes: [volume('pv')] }), ['a', 'b']);
  assert.match(
    fits({ claims: [data], volumes: [volume('pv', { nodeAffinity: onNode('c') })] }) as string,
    /2 node\(s\) didn't match PersistentVolume's node affinity/,
  );
  assert.match(fits({ claims: [data] }) as string, /bound to non-existent pv/);
});

test('a claim that waits for its consumer takes the smallest volume that fits, or has one made', () => {
  const volumes = [
    volume('big', { capacity: { storage: '9Gi' } }),
    volume('tiny', { capacity: { storage: '1Mi' } }),
    volume('local-b', { nodeAffinity: onNode('b') }),
    volume('used', {}, 'Bound'),
  ];
  const parts = { claims: [claim('data')], volumes, classes: [waits] };
  assert.deepEqual(fits(parts), ['a', 'b']);
  assert.match(
    fits({ ...parts, volumes: [] }) as string,
    /2 node\(s\) didn't find available persistent volumes to bind/,
  );
  assert.deepEqual(fits({ ...parts, volumes: [], classes: [makes] }), ['a', 'b']);
  const selected = claim('data', {}, { 'volume.kubernetes.io/selected-node': 'b' });
  assert.deepEqual(fits({ claims: [selected], classes: [makes] }), ['b']);

  const all = catalogue(parts);
  const state = testState({ volumes: all });
  state.node('a');
  state.node('b');
  const claims = claimsOf(state.pod('p', using('data')), all);
  assert.ok(typeof claims !== 'string');
  const plan = (node: string, taken: string[] = []): string | undefined => {
    const found = state.cluster.nodes.get(node);
    assert.ok(found);
    const planned = planVolumes(claims, found, all, new Set(taken));
    return typeof planned === 'string' ? undefined : planned.bind.map((one) => one.volume.metadata.name).join();
  };
  assert.equal(plan('a'), 'big');
  assert.equal(plan('b'), 'local-b');
  assert.equal(plan('b', ['local-b']), 'big');
  assert.equal(plan('a', ['big']), undefined);
});

test('a claim for one pod is not given to a second; zones of volumes are kept to', () => {
  const alone = claim('data', { volumeName: 'pv', accessModes: ['ReadWriteOncePod'] }, bound);
  const state = testState({ volumes: catalogue({ claims: [alone], volumes: [volume('pv')] }) });
  state.node('a');
  assert.deepEqual(state.fits(state.pod('p', using('data'))), ['a']);
  state.on('a', 'first', using('data'));
  assert.match(
    state.fits(state.pod('p', using('data'))) as string,
    /with the same name and ReadWriteOncePod access mode/,
  );

  const zoned = { ...volume('pv'), metadata: { name: 'pv', labels: { 'topology.kubernetes.io/zone': 'z1__z2' } } };
  const zones = testState({
    volumes: catalogue({ claims: [claim('data', { volumeName: 'pv' }, bound)], volumes: [zoned] }),
  });
  for (const zone of ['z1', 'z2', 'z3']) zones.node(zone, { labels: { 'topology.kubernetes.io/zone': zone } });
  zones.node('none');
  assert.deepEqual(zones.fits(zones.pod('p', using('data'))), ['none', 'z1', 'z2']);
});

test('a volume is only asked for where there is room for it', () => {
  const room = (node: string, capacity: string, more: object = {}): object => ({
    storageClassName: 'local',
    nodeTopology: { matchLabels: { 'kubernetes.io/hostname': node } },
    capacity,
    ...more,
  });
  const own = { ...makes, provisioner: 'k8ts.io/local' };
  const full = /2 node\(s\) did not have enough free storage/;
  const parts = { claims: [claim('data')], classes: [own] };
  assert.deepEqual(fits(parts), ['a', 'b'], 'nothing is known yet: the node refuses by itself');
  assert.deepEqual(fits({ ...parts, capacities: [room('a', '1023Mi'), room('b', '1Gi')] }), ['b']);
  const both = [room('a', '2Gi'), room('b', '2Gi')];
  assert.deepEqual(fits({ ...parts, capacities: both, promised: { a: 1.5 * 2 ** 30 } }), ['b']);
  assert.match(fits({ ...parts, capacities: both.map((one) => ({ ...one, capacity: '0' })) }) as string, full);
  assert.deepEqual(fits({ ...parts, capacities: [room('a', '9Gi', { maximumVolumeSize: '1Mi' }), room('b', '9Gi')] }), [
    'b',
  ]);

  const driver = (storageCapacity: boolean): object => ({
    metadata: { name: 'example.com' },
    spec: { storageCapacity },
  });
  const disks = { claims: [claim('data')], classes: [{ ...makes, provisioner: 'example.com' }] };
  assert.deepEqual(fits({ ...disks, drivers: [driver(false)] }), ['a', 'b'], 'the driver does not tell');
  assert.match(fits({ ...disks, drivers: [driver(true)] }) as string, full);

  const two = {
    claims: [claim('one'), claim('two')],
    classes: [own],
    capacities: [room('a', '1536Mi'), room('b', '2Gi')],
  };
  const state = testState({ volumes: catalogue(two) });
  state.node('a');
  state.node('b');
  const volumes = ['one', 'two'].map((name) => ({ name, persistentVolumeClaim: { claimName: name } }));
  assert.deepEqual(state.fits(state.pod('p', { spec: { containers: [{ name: 'c' }], volumes } })), ['b']);
});

test('a node takes no more volumes of a driver than it may have', () => {
  const disk = (name: string): object => volume(name, { csi: { driver: 'example.com', volumeHandle: name } }, 'Bound');
  const held = (name: string): object => claim(name, { volumeName: name }, bound);
  const claims = ['one', 'two', 'three'].map(held);
  const volumes = ['one', 'two', 'three'].map(disk);
  const state = testState({ volumes: catalogue({ claims, volumes, limits: { a: 1, b: 2 } }) });
  state.node('a');
  state.node('b');
  state.node('free');
  assert.deepEqual(state.fits(state.pod('p', using('one'))), ['a', 'b', 'free']);
  state.on('a', 'first', using('one'));
  state.on('b', 'second', using('two'));
  assert.deepEqual(state.fits(state.pod('p', using('one'))), ['a', 'b', 'free'], 'it is there already');
  assert.deepEqual(state.fits(state.pod('p', using('three'))), ['b', 'free']);
  state.on('b', 'third', using('one'));
  assert.deepEqual(state.fits(state.pod('p', using('three'))), ['free']);
});
