import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lease } from '#api';
import { aNode, aPod, testStart } from '../../testkit/builders.ts';
import { RangePool } from '../node-ipam/ranges.ts';
import { planPodCollection } from '../pod-garbage-collector/plan.ts';
import { evictionTimeMs, tolerates } from '../taint-eviction/plan.ts';
import { observeHealth, planUnknown } from './health.ts';
import { evictionTaintOf, planNoExecute, planNoSchedule } from './taints.ts';
import { EvictionLimiter, evictionRate, stateOfZone } from './zones.ts';

const lease = (renewTime: string) => ({ spec: { renewTime } }) as Lease;

test('a node is heard when its lease or heartbeat moves, and only then', () => {
  const node = aNode('n1');
  const first = observeHealth(undefined, node, lease('a'), 1000);
  assert.equal(observeHealth(first, node, lease('a'), 9000).heardMs, 1000);
  assert.equal(observeHealth(first, node, lease('b'), 9000).heardMs, 9000);
  assert.equal(observeHealth(first, node, undefined, 9000).heardMs, 1000, 'losing the lease is no sign of life');
});

test('a silent node: all conditions unknown, once', () => {
  const node = aNode('n1', {
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'DiskPressure', status: 'False' },
        { type: 'Custom', status: 'True' },
      ],
    },
  });
  const conditions = planUnknown(node, 'now');
  assert.deepEqual(
    conditions?.map((one) => [one.type, one.status, one.reason]),
    [
      ['Ready', 'Unknown', 'NodeStatusUnknown'],
      ['DiskPressure', 'Unknown', 'NodeStatusUnknown'],
      ['Custom', 'True', undefined],
      ['MemoryPressure', 'Unknown', 'NodeStatusNeverUpdated'],
      ['PIDPressure', 'Unknown', 'NodeStatusNeverUpdated'],
    ],
  );
  assert.equal(planUnknown(aNode('n1', { status: { conditions: conditions ?? [] } }), 'now'), undefined);
});

test('taints follow conditions; those of others stay', () => {
  const foreign = { key: 'mine', effect: 'NoSchedule' };
  const unready = aNode('n1', { ready: 'False', spec: { taints: [foreign], unschedulable: true } });
  const taints = planNoSchedule(unready, 'now');
  assert.deepEqual(taints, [
    foreign,
    { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule', timeAdded: 'now' },
    { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule', timeAdded: 'now' },
  ]);
  assert.deepEqual(planNoSchedule(aNode('n1', { spec: { taints: taints ?? [] } }), 'now'), [foreign]);
  const lost = aNode('n1', {
    ready: 'Unknown',
    spec: { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' }] },
  });
  assert.deepEqual(planNoExecute(lost, evictionTaintOf(lost), 'now'), [
    { key: 'node.kubernetes.io/unreachable', effect: 'NoExecute', timeAdded: 'now' },
  ]);
  assert.equal(planNoExecute(aNode('n1'), undefined, 'now'), undefined);
});

test('zones: normal, partly and wholly down; the pace of evictions follows', () => {
  const zone = (ready: number, lost: number) => [
    ...Array(ready).fill(aNode('a')),
    ...Array(lost).fill(aNode('b', { ready: 'Unknown' })),
  ];
  assert.deepEqual(
    [stateOfZone(zone(1, 1)), stateOfZone(zone(2, 3)), stateOfZone(zone(0, 1))],
    ['normal', 'partial', 'full'],
  );
  assert.deepEqual(
    [evictionRate('normal', 5, 0.1), evictionRate('partial', 5, 0.1), evictionRate('partial', 60, 0.1)],
    [0.1, 0, 0.01],
  );
  const limiter = new EvictionLimiter(0);
  assert.deepEqual(
    [limiter.take(0.1, 0), limiter.take(0.1, 5000), limiter.take(0.1, 10_000), limiter.take(0, 99_000)],
    [true, false, true, false],
  );
});

test('when a pod must leave', () => {
  const taint = { key: 'gone', effect: 'NoExecute', timeAdded: testStart };
  const nowMs = Date.parse(testStart) + 1000;
  assert.equal(evictionTimeMs([taint], [], nowMs), nowMs);
  assert.equal(evictionTimeMs([taint], [{ operator: 'Exists' }], nowMs), undefined);
  assert.equal(
    evictionTimeMs([taint], [{ key: 'gone', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }], nowMs),
    Date.parse(testStart) + 300_000,
  );
  assert.equal(evictionTimeMs([{ ...taint, effect: 'NoSchedule' }], [], nowMs), undefined);
  assert.ok(tolerates({ key: 'gone', value: 'x' }, { ...taint, value: 'x' }));
  assert.ok(!tolerates({ key: 'gone', value: 'x' }, taint));
  assert.ok(!tolerates({ operator: 'Exists', effect: 'NoSchedule' }, taint));
});

test('pods nobody will finish off', () => {
  const dead = aNode('dead', {
    ready: 'Unknown',
    spec: { taints: [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }] },
  });
  const nodeOf = (name: string) => (name === 'n1' ? aNode('n1') : name === 'dead' ? dead : undefined);
  const deleted = { deletionTimestamp: testStart };
  const ended = (name: string, creationTimestamp: string) =>
    aPod(name, { metadata: { creationTimestamp }, status: { phase: 'Succeeded' } });
  const pods = [
    aPod('fine'),
    aPod('lost', { node: 'gone' }),
    aPod('stuck', { node: 'dead', metadata: deleted }),
    aPod('never', { node: '', metadata: deleted }),
    ended('newer', '2026-01-02T00:00:00Z'),
    ended('older', '2026-01-01T00:00:00Z'),
  ];
  const found = planPodCollection({ pods, nodeOf, terminatedThreshold: 1 }).map((one) => [
    one.pod.metadata.name,
    one.why,
  ]);
  assert.deepEqual(found, [
    ['lost', 'orphaned'],
    ['stuck', 'outOfService'],
    ['never', 'unscheduledTerminating'],
    ['older', 'terminated'],
  ]);
});

test('ranges are handed out once, go round, and come back', () => {
  const pool = new RangePool('10.244.0.0/22', 24);
  pool.occupy('10.244.1.0/24');
  assert.deepEqual(
    [pool.take(), pool.take(), pool.take(), pool.take()],
    ['10.244.0.0/24', '10.244.2.0/24', '10.244.3.0/24', undefined],
  );
  pool.release('10.244.2.0/24');
  assert.equal(pool.take(), '10.244.2.0/24');
  assert.equal(new RangePool('fd00:1::/48', 64).take(), 'fd00:1::/64');
});
