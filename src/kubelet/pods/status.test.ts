import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec, PodStatus } from '#api';
import type { ObservedContainer, PodRuntime } from './runtime-state.ts';
import { podStatus } from './status.ts';
import { statusPatch } from './status-writer.ts';

const nowMs = Date.UTC(2026, 10, 22, 12, 0, 0);
const now = '2026-11-22T12:00:00Z';

function podOf(spec: Partial<PodSpec> = {}, status: PodStatus = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns', uid: 'u', generation: 2 },
    spec: { restartPolicy: 'Always', containers: [{ name: 'a', image: 'i' }], ...spec },
    status,
  } as unknown as Pod;
}

const run = (name: string, extra: Partial<ObservedContainer>): ObservedContainer => ({
  ...{
    id: `${name}-id`,
    sandboxId: 's',
    name,
    attempt: 0,
    state: 'running',
    hash: '',
    createdAtMs: nowMs,
    startedAtMs: nowMs,
    finishedAtMs: nowMs,
  },
  ...{
    exitCode: 0,
    reason: '',
    message: '',
    image: 'docker.io/i:1',
    imageRef: 'sha256:1',
    logPath: '',
    annotations: {},
  },
  ...extra,
});

interface Options {
  readonly ready?: boolean;
  readonly waiting?: Readonly<Record<string, { reason: string; message?: string }>>;
  readonly ending?: boolean;
  readonly verdict?: { reason: string; message: string };
}

const sandbox = { id: 's', attempt: 0, ready: true, createdAtMs: 0, ips: ['10.0.0.9'] };

function statusOf(pod: Pod, containers: readonly ObservedContainer[], options: Options = {}): PodStatus {
  const runtime: PodRuntime = { sandboxes: [sandbox], containers };
  return podStatus({
    ...{ pod, runtime, nowMs, nodeIps: ['192.168.0.1'], runtimeName: 'containerd' },
    health: () => ({ started: true, ready: options.ready ?? true }),
    waiting: new Map(Object.entries(options.waiting ?? {})),
    terminationMessage: () => '',
    ending: options.ending ?? false,
    ...(options.verdict === undefined ? {} : { verdict: options.verdict }),
  });
}

const condition = (status: PodStatus, type: string) => status.conditions?.find((one) => one.type === type);

test('a running pod, whole', () => {
  assert.deepEqual(statusOf(podOf(), [run('a', {})]), {
    observedGeneration: 2,
    phase: 'Running',
    conditions: ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(
      (type) => ({
        ...{ type, status: 'True', lastTransitionTime: now, observedGeneration: 2 },
      }),
    ),
    startTime: now,
    hostIP: '192.168.0.1',
    hostIPs: [{ ip: '192.168.0.1' }],
    podIP: '10.0.0.9',
    podIPs: [{ ip: '10.0.0.9' }],
    qosClass: 'BestEffort',
    containerStatuses: [
      {
        ...{
          name: 'a',
          image: 'docker.io/i:1',
          imageID: 'sha256:1',
          containerID: 'containerd://a-id',
          restartCount: 0,
          ready: true,
          started: true,
        },
        ...{ state: { running: { startedAt: now } }, lastState: {}, resources: {} },
      },
    ],
  });
});

test('phases', () => {
  const ended = (exitCode: number): ObservedContainer[] => [run('a', { state: 'exited', exitCode })];
  const phase = (restartPolicy: string, runs: ObservedContainer[], options: Options = {}): string | undefined =>
    statusOf(podOf({ restartPolicy }), runs, options).phase;
  assert.equal(phase('Always', []), 'Pending');
  assert.equal(phase('Always', ended(0)), 'Running');
  assert.equal(phase('OnFailure', ended(1)), 'Running');
  assert.equal(phase('OnFailure', ended(0)), 'Succeeded');
  assert.equal(phase('Never', ended(1)), 'Failed');
  assert.equal(phase('Always', ended(0), { ending: true }), 'Succeeded');
  assert.equal(phase('Always', ended(1), { ending: true }), 'Failed');
  assert.equal(phase('Always', [], { ending: true }), 'Failed');
  assert.equal(phase('Always', [run('a', {})], { verdict: { reason: 'DeadlineExceeded', message: 'm' } }), 'Failed');
  assert.equal(phase('Always', ended(1), { waiting: { a: { reason: 'CrashLoopBackOff' } } }), 'Running');
});

test('init containers keep a pod pending, and name what is missing', () => {
  const pod = podOf({ initContainers: [{ name: 'i' }, { name: 'j' }] });
  const status = statusOf(pod, [run('i', { state: 'exited' })]);
  assert.equal(status.phase, 'Pending');
  assert.equal(status.initContainerStatuses?.[0]?.ready, true);
  assert.equal(condition(status, 'Initialized')?.message, 'containers with incomplete status: [j]');
  assert.equal(condition(status, 'ContainersReady')?.message, 'containers with unready status: [a]');
  assert.deepEqual(status.containerStatuses?.[0]?.state, { waiting: { reason: 'PodInitializing' } });
});

test('an init container that still runs is not complete', () => {
  const pod = podOf({ initContainers: [{ name: 'i' }, { name: 'j' }] });
  assert.equal(
    condition(statusOf(pod, [run('i', {})]), 'Initialized')?.message,
    'containers with incomplete status: [i j]',
  );
  const sidecar = podOf({ initContainers: [{ name: 'i', restartPolicy: 'Always' }] });
  assert.equal(condition(statusOf(sidecar, [run('i', {})]), 'Initialized')?.status, 'True');
});

test('a back-off shows the last run', () => {
  const status = statusOf(podOf(), [run('a', { state: 'exited', exitCode: 2, attempt: 3 })], {
    waiting: { a: { reason: 'CrashLoopBackOff', message: 'm' } },
  });
  const container = status.containerStatuses?.[0];
  assert.deepEqual(container?.state, { waiting: { reason: 'CrashLoopBackOff', message: 'm' } });
  assert.equal(container?.lastState?.terminated?.exitCode, 2);
  assert.equal(container?.lastState?.terminated?.reason, 'Error');
  assert.equal(container?.restartCount, 3);
});

test('transition times stay while the status does', () => {
  const before = '2026-11-22T11:00:00Z';
  const conditions = [
    { type: 'Ready', status: 'False', lastTransitionTime: before },
    { type: 'Initialized', status: 'True', lastTransitionTime: before },
  ];
  const status = statusOf(podOf({}, { conditions, startTime: before }), [run('a', {})]);
  assert.equal(condition(status, 'Ready')?.lastTransitionTime, now);
  assert.equal(condition(status, 'Initialized')?.lastTransitionTime, before);
  assert.equal(status.startTime, before);
});

test('readiness gates hold Ready back, not ContainersReady', () => {
  const pod = podOf({ readinessGates: [{ conditionType: 'x/y' }] });
  const status = statusOf(pod, [run('a', {})]);
  assert.equal(condition(status, 'ContainersReady')?.status, 'True');
  assert.equal(condition(status, 'Ready')?.reason, 'ReadinessGatesNotReady');
  assert.equal(
    condition(status, 'Ready')?.message,
    'corresponding condition of pod readiness gate "x/y" does not exist.',
  );
});

test('a pod that was refused has no containers', () => {
  const pod = podOf();
  const status = podStatus({
    ...{
      pod,
      runtime: { sandboxes: [{ ...sandbox, ready: false }], containers: [] },
      nowMs,
      nodeIps: ['1.1.1.1'],
      runtimeName: 'containerd',
      ending: true,
    },
    health: () => ({ started: true, ready: true }),
    waiting: new Map(),
    terminationMessage: () => '',
    verdict: { reason: 'OutOfcpu', message: 'm' },
  });
  assert.equal(status.phase, 'Failed');
  assert.equal(status.reason, 'OutOfcpu');
  assert.equal(status.containerStatuses, undefined);
});

test('a patch carries only what differs', () => {
  const pod = podOf();
  const from = statusOf(pod, [run('a', {})]);
  assert.equal(statusPatch(pod, from, structuredClone(from)), undefined);
  const to: PodStatus = { ...from, podIP: '10.0.0.10', podIPs: [{ ip: '10.0.0.10' }] };
  assert.deepEqual(statusPatch(pod, from, to), {
    metadata: { uid: 'u' },
    status: { podIP: '10.0.0.10', podIPs: [{ ip: '10.0.0.10' }, { $patch: 'replace' }] },
  });
  const { podIP: _, podIPs: __, ...without } = from;
  assert.deepEqual(statusPatch(pod, from, without), {
    metadata: { uid: 'u' },
    status: { podIP: null, podIPs: [{ $patch: 'replace' }] },
  });
  const first = statusPatch(pod, {}, from) as { status: PodStatus };
  assert.deepEqual(Object.keys(first.status).sort(), Object.keys(from).sort());
});
