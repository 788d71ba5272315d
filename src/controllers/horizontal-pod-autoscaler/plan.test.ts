import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '#api';
import { limitScale, type ScaleHistory } from './behavior.ts';
import { groupPods, type PodMetric } from './pod-groups.ts';
import { proposeFromPods, proposeFromRatio } from './proposal.ts';

const tolerances = { up: 0.1, down: 0.1 };
const metric = (milli: number, atMs = 1_000_000): PodMetric => ({ milli, atMs, windowMs: 10_000 });

function propose(
  values: readonly (number | 'unready' | 'missing')[],
  {
    current = values.length,
    percent = 50,
    request = 1000,
  }: { current?: number; percent?: number; request?: number } = {},
): number | string {
  const names = values.map((_, index) => `p${index}`);
  const of = (wanted: 'unready' | 'missing'): string[] => names.filter((_, index) => values[index] === wanted);
  const metrics = new Map(
    values.flatMap((one, index) => (typeof one === 'number' ? [[`p${index}`, metric(one)] as const] : [])),
  );
  const proposal = proposeFromPods({
    currentReplicas: current,
    groups: { ready: [...metrics.keys()], unready: of('unready'), missing: of('missing') },
    metrics,
    targetMilli: 0,
    utilization: { requests: new Map(names.map((name) => [name, request])), percent },
    tolerances,
  });
  return typeof proposal === 'string' ? proposal : proposal.replicas;
}

test('a size by utilization', () => {
  const rows: [what: string, got: number | string, wanted: number | string][] = [
    ['twice the target doubles', propose([1000, 1000, 1000]), 6],
    ['half of it halves', propose([250, 250, 250, 250]), 2],
    ['a tenth off is near enough', propose([549, 549]), 2],
    ['and just above is not', propose([560, 560]), 3],
    ['exactly thrice is thrice', propose([300, 300, 300], { percent: 10 }), 9],
    ['a missing one counts as idle when use is high', propose([1000, 1000, 'missing']), 4],
    ['a missing one counts as full when use is low', propose([100, 100, 'missing']), 3],
    ['an unready one counts as idle when use is high', propose([1000, 1000, 'unready']), 4],
    ['an unready one does not count when use is low', propose([250, 250, 'unready']), 1],
    ['what is missing never turns the direction', propose([600, 'missing', 'missing']), 3],
    [
      'nothing to go by',
      propose(['unready', 'unready']),
      'did not receive metrics for targeted pods (pods might be unready)',
    ],
  ];
  for (const [what, got, wanted] of rows) assert.equal(got, wanted, what);
});

test('a size by one value for all', () => {
  assert.equal(proposeFromRatio({ currentReplicas: 3, ratio: 2, pods: 2, tolerances }), 4);
  assert.equal(proposeFromRatio({ currentReplicas: 3, ratio: 1.05, pods: 3, tolerances }), 3);
  assert.equal(proposeFromRatio({ currentReplicas: 0, ratio: 2.5, pods: 0, tolerances }), 3);
});

const nowMs = Date.parse('2026-01-01T00:10:00Z');
function pod(
  name: string,
  state: { phase?: string; startedAgoS?: number; ready?: boolean; changedAgoS?: number; ending?: boolean },
): Pod {
  const time = (agoS: number): string => new Date(nowMs - agoS * 1000).toISOString();
  const { phase = 'Running', startedAgoS = 600, ready = true, changedAgoS = 590, ending = false } = state;
  return {
    metadata: { name, ...(ending ? { deletionTimestamp: time(1) } : {}) },
    status: {
      phase,
      startTime: time(startedAgoS),
      conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: time(changedAgoS) }],
    },
  } as unknown as Pod;
}

test('pods by what their metrics are worth', () => {
  const pods = [
    pod('old', {}),
    pod('pending', { phase: 'Pending' }),
    pod('failed', { phase: 'Failed' }),
    pod('ending', { ending: true }),
    pod('silent', {}),
    pod('starting', { startedAgoS: 60, ready: false, changedAgoS: 60 }),
    pod('fresh', { startedAgoS: 60, changedAgoS: 3 }),
    pod('started', { startedAgoS: 60, changedAgoS: 50 }),
    pod('never-ready', { startedAgoS: 600, ready: false, changedAgoS: 590 }),
    pod('lost-readiness', { startedAgoS: 600, ready: false, changedAgoS: 10 }),
  ];
  const metrics = new Map(
    pods.filter((one) => one.metadata.name !== 'silent').map((one) => [one.metadata.name, metric(1, nowMs)]),
  );
  assert.deepEqual(groupPods(pods, metrics, { resource: 'cpu', nowMs }), {
    ready: ['old', 'started', 'lost-readiness'],
    unready: ['pending', 'starting', 'fresh', 'never-ready'],
    missing: ['silent'],
  });
  assert.deepEqual(groupPods(pods, metrics, { resource: 'memory', nowMs }).unready, ['pending']);
});

const empty: ScaleHistory = { recommendations: [], events: [] };
const limit = (
  current: number,
  wanted: number,
  more: Partial<Parameters<typeof limitScale>[0]> = {},
): [number, string, string] => {
  const { replicas, ableToScale, scalingLimited } = limitScale({
    ...{
      currentReplicas: current,
      wanted,
      minReplicas: 2,
      maxReplicas: 20,
      behavior: undefined,
      history: empty,
      nowMs: 1_000_000,
    },
    ...more,
  });
  return [replicas, ableToScale.reason, scalingLimited.reason];
};

test('rules of scaling', () => {
  assert.deepEqual(limit(3, 5), [5, 'ReadyForNewScale', 'DesiredWithinRange']);
  assert.deepEqual(limit(3, 30), [7, 'ReadyForNewScale', 'ScaleUpLimit'], 'four more, or twice as many');
  assert.deepEqual(limit(10, 30), [20, 'ReadyForNewScale', 'TooManyReplicas']);
  assert.deepEqual(
    limit(10, 3),
    [10, 'ScaleDownStabilized', 'DesiredWithinRange'],
    'the first look takes nothing away',
  );
  const wish = (replicas: number, agoS: number) => ({ replicas, atMs: 1_000_000 - agoS * 1000 });
  const past = (...recommendations: { replicas: number; atMs: number }[]): ScaleHistory => ({
    recommendations,
    events: [],
  });
  assert.deepEqual(limit(10, 3, { history: past(wish(6, 100), wish(9, 301)) }), [
    6,
    'ScaleDownStabilized',
    'DesiredWithinRange',
  ]);
  assert.deepEqual(limit(10, 1, { history: past(wish(9, 301)) }), [2, 'ReadyForNewScale', 'TooFewReplicas']);
  const events = [{ atMs: 1_000_000 - 10_000, change: 4 }];
  assert.deepEqual(
    limit(8, 20, { history: { recommendations: [], events } }),
    [8, 'ReadyForNewScale', 'ScaleUpLimit'],
    'used up in this period',
  );
  const scaleUp = { selectPolicy: 'Disabled' };
  assert.deepEqual(limit(3, 5, { behavior: { scaleUp } }), [3, 'ReadyForNewScale', 'ScaleUpLimit']);
  const slow = { stabilizationWindowSeconds: 60, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] };
  const calm = past(wish(3, 30));
  assert.deepEqual(limit(3, 9, { behavior: { scaleUp: slow }, history: calm }), [
    3,
    'ScaleUpStabilized',
    'DesiredWithinRange',
  ]);
  const scaleDown = {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Min',
    policies: [
      { type: 'Pods', value: 1, periodSeconds: 60 },
      { type: 'Percent', value: 50, periodSeconds: 60 },
    ],
  };
  assert.deepEqual(limit(10, 3, { behavior: { scaleDown } }), [9, 'ReadyForNewScale', 'ScaleDownLimit']);
});
