import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodDisruptionBudget } from '#api';
import type { Failure } from '../decide.ts';
import { testState, type TestState } from '../test-cluster.ts';
import type { PodInfo } from '../state/pod-info.ts';
import { planPreemption } from './plan-preemption.ts';

function plan(state: TestState, pod: PodInfo, budgets: PodDisruptionBudget[] = []): string {
  const { node, failure } = state.decide(pod);
  assert.equal(node, undefined);
  const found = planPreemption({ pod, failure: failure as Failure, decider: state.decider, budgets, offset: 0 });
  return typeof found === 'string' ? found : `${found.node.name}: ${found.victims.map((one) => one.name).join(' ')}`;
}

const cpu = (amount: string, priority = 0, more: object = {}): object => ({
  requests: { cpu: amount },
  priority,
  ...more,
});

test('the least important pods go, and no more than needed', () => {
  const state = testState();
  state.node('a');
  state.node('b');
  state.on('a', 'a1', cpu('2', 5));
  state.on('a', 'a2', cpu('2', 1));
  state.on('b', 'b1', cpu('2', 3));
  state.on('b', 'b2', cpu('2', 2));
  assert.equal(plan(state, state.pod('p', cpu('2', 10))), 'a: a2');
  assert.equal(plan(state, state.pod('p', cpu('4', 10))), 'b: b1 b2');
  assert.equal(plan(state, state.pod('p', cpu('4', 4))), 'b: b1 b2');
  assert.equal(plan(state, state.pod('p', cpu('2', 2))), 'a: a2');
});

test('why nobody goes', () => {
  const state = testState();
  state.node('a');
  state.node('b', { spec: { unschedulable: true } });
  state.on('a', 'a1', cpu('3', 5));
  const ask = (more: object): string => plan(state, state.pod('p', more));
  assert.equal(
    ask(cpu('2', 5)),
    'preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
  );
  assert.equal(ask(cpu('5', 9)), 'preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.');
  assert.equal(
    ask(
      cpu('2', 9, {
        spec: {
          priority: 9,
          preemptionPolicy: 'Never',
          containers: [{ name: 'c', resources: { requests: { cpu: '2' } } }],
        },
      }),
    ),
    'preemption: not eligible due to preemptionPolicy=Never.',
  );
});

test('budgets are kept when they can be', () => {
  const state = testState();
  state.node('a');
  state.node('b');
  state.on('a', 'a1', cpu('4', 1, { labels: { app: 'guarded' } }));
  state.on('b', 'b1', cpu('4', 2));
  const budget = {
    metadata: { namespace: 'default', name: 'x' },
    spec: { selector: { matchLabels: { app: 'guarded' } } },
    status: { disruptionsAllowed: 0 },
  } as unknown as PodDisruptionBudget;
  assert.equal(plan(state, state.pod('p', cpu('4', 10))), 'a: a1');
  assert.equal(plan(state, state.pod('p', cpu('4', 10)), [budget]), 'b: b1');
});

test('anti-affinity is resolved by removing who is in the way, and trials leave no trace', () => {
  const state = testState();
  state.node('a');
  state.on('a', 'enemy', { priority: 1, labels: { app: 'enemy' }, requests: { cpu: '1' } });
  state.on('a', 'friend', { priority: 1, labels: { app: 'friend' }, requests: { cpu: '1' } });
  const spec = {
    priority: 5,
    containers: [{ name: 'c', resources: {} }],
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'enemy' } } },
        ],
      },
    },
  };
  const before = state.cluster.nodes.get('a')?.generation;
  assert.equal(plan(state, state.pod('p', { priority: 5, spec })), 'a: enemy');
  assert.equal(plan(state, state.pod('p', { priority: 5, spec })), 'a: enemy');
  assert.equal(state.cluster.nodes.get('a')?.generation, before);
});

test('a pod whose victims are still going waits', () => {
  const state = testState();
  state.node('a');
  state.on('a', 'a1', cpu('4', 1, { meta: { deletionTimestamp: 'x' } }));
  const pod = state.pod('p', cpu('4', 10));
  state.cluster.nominate(pod, 'a');
  assert.equal(plan(state, pod), 'preemption: not eligible due to a terminating pod on the nominated node.');
});
