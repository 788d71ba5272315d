import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aPod, testStart } from '../../testkit/builders.ts';
import { nextAvailableMs, planReplicaStatus, planReplicas } from './plan.ts';
import { podsToDelete } from './ranking.ts';

const startMs = Date.parse(testStart);
const nowMs = startMs + 3_600_000;
const at = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');
const now = { ms: nowMs, text: at(nowMs) };
const readyFor = (seconds: number) => ({
  conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(nowMs - seconds * 1000) }],
});

test('too few pods: the missing ones are created, 500 at most', () => {
  const pods = [aPod('a'), aPod('b')];
  assert.deepEqual(planReplicas({ replicas: 5, pods, related: () => [], nowMs }), { create: 3, remove: [] });
  assert.deepEqual(planReplicas({ replicas: 5000, pods, related: () => [], nowMs }), { create: 500, remove: [] });
  assert.deepEqual(planReplicas({ replicas: 2, pods, related: () => assert.fail(), nowMs }), { create: 0, remove: [] });
});

test('deletion order: unassigned, pending, unready, cheap, crowded, freshly ready, restarted, young', () => {
  const unassigned = aPod('unassigned', { node: '', status: { phase: 'Pending', conditions: [] } });
  const pending = aPod('pending', { node: 'n2', status: { phase: 'Pending', conditions: [] } });
  const unready = aPod('unready', { node: 'n2', ready: false });
  const cheap = aPod('cheap', {
    node: 'n2',
    metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-5' } },
  });
  const crowded = aPod('crowded', { node: 'n1' });
  const fresh = aPod('fresh', { node: 'n2', status: readyFor(10) });
  const restarted = aPod('restarted', {
    node: 'n3',
    status: { containerStatuses: [{ name: 'web', image: '', imageID: '', ready: true, restartCount: 3 }] },
  });
  const young = aPod('young', { node: 'n3', metadata: { creationTimestamp: at(nowMs - 1000) } });
  const old = aPod('old', { node: 'n3' });
  const pods = [old, young, restarted, fresh, crowded, cheap, unready, pending, unassigned];
  const related = ['x', 'y', 'z', 'w', 'v'].map((name) => aPod(name, { node: 'n1' }));
  const order = podsToDelete(pods, 8, [...pods, ...related], nowMs).map((pod) => pod.metadata.name);
  assert.deepEqual(order.slice(0, 5), ['unassigned', 'pending', 'unready', 'cheap', 'crowded']);
  assert.ok(order.indexOf('fresh') < order.indexOf('restarted'));
  assert.ok(!order.includes('old'), order.join());
});

test('pods of about one age are told apart by uid, not by seconds', () => {
  const a = aPod('a', { metadata: { uid: 'a' }, status: readyFor(3500) });
  const b = aPod('b', { metadata: { uid: 'b' }, status: readyFor(3400) });
  assert.equal(podsToDelete([b, a], 1, [], nowMs)[0]?.metadata.name, 'a');
});

test('status counts, and is not written when nothing changed', () => {
  const pods = [
    aPod('a'),
    aPod('b', { ready: false }),
    aPod('c', { status: readyFor(5) }),
    aPod('d', { metadata: { deletionTimestamp: testStart } }),
  ];
  const input = {
    generation: 4,
    replicas: 3,
    minReadySeconds: 10,
    templateLabels: { app: 'web' },
    pods,
    old: undefined,
    now,
  };
  const status = planReplicaStatus(input);
  assert.deepEqual(status, {
    replicas: 3,
    fullyLabeledReplicas: 3,
    readyReplicas: 2,
    availableReplicas: 1,
    observedGeneration: 4,
  });
  assert.equal(planReplicaStatus({ ...input, old: status }), undefined);
  assert.equal(nextAvailableMs(pods, 10, nowMs), 5000);
});

test('a failure shows as a condition and goes when it is over', () => {
  const input = { generation: 1, replicas: 1, minReadySeconds: 0, templateLabels: {}, pods: [], now };
  const failed = planReplicaStatus({
    ...input,
    old: { replicas: 0 },
    failure: { reason: 'FailedCreate', message: 'quota' },
  });
  assert.deepEqual(failed?.conditions, [
    { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'quota', lastTransitionTime: now.text },
  ]);
  assert.equal(planReplicaStatus({ ...input, old: failed })?.conditions, undefined);
});
