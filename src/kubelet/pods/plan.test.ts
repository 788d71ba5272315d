import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod, PodSpec } from '#api';
import { containerHash } from './containers.ts';
import { type ContainerHealth, planPod } from './plan.ts';
import type { ObservedContainer, ObservedSandbox, PodRuntime } from './runtime-state.ts';

const podOf = (spec: Partial<PodSpec>): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'ns', uid: 'u' },
    spec: { restartPolicy: 'Always', containers: [{ name: 'a' }, { name: 'b' }], ...spec },
  }) as unknown as Pod;

const sandbox = (attempt = 0, extra: Partial<ObservedSandbox> = {}): ObservedSandbox => ({
  ...{ id: `s${attempt}`, attempt, ready: true, createdAtMs: attempt, ips: ['10.0.0.1'] },
  ...extra,
});

const run = (
  name: string,
  state: ObservedContainer['state'],
  extra: Partial<ObservedContainer> = {},
): ObservedContainer => ({
  ...{
    id: `${name}0`,
    sandboxId: 's0',
    name,
    attempt: 0,
    state,
    hash: '',
    createdAtMs: 0,
    startedAtMs: 0,
    finishedAtMs: 0,
    exitCode: 0,
  },
  ...{ reason: '', message: '', image: '', imageRef: '', logPath: '', annotations: {} },
  ...extra,
});

interface Case {
  readonly title: string;
  readonly spec?: Partial<PodSpec>;
  readonly runtime: PodRuntime;
  readonly health?: Readonly<Record<string, Partial<ContainerHealth>>>;
  readonly backoff?: Readonly<Record<string, number>>;
  /** `sandbox N`, `stop S`, `start NAME ATTEMPT`, `kill ID because`, `wait NAME`, `finished`. */
  readonly plan: readonly string[];
}

const init = { initContainers: [{ name: 'i' }, { name: 'j' }] } as Partial<PodSpec>;
const sidecar = { initContainers: [{ name: 'side', restartPolicy: 'Always' }, { name: 'i' }] } as Partial<PodSpec>;
const never = { restartPolicy: 'Never' };

const cases: readonly Case[] = [
  { title: 'a new pod', runtime: { sandboxes: [], containers: [] }, plan: ['sandbox 0', 'start a 0', 'start b 0'] },
  {
    title: 'a new pod with init containers starts only the first',
    spec: init,
    runtime: { sandboxes: [], containers: [] },
    plan: ['sandbox 0', 'start i 0'],
  },
  {
    title: 'everything runs',
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'running'), run('b', 'running')] },
    plan: [],
  },
  {
    title: 'a sandbox without address is replaced',
    runtime: { sandboxes: [sandbox(0, { ips: [] })], containers: [] },
    plan: ['stop s0', 'sandbox 1', 'start a 0', 'start b 0'],
  },
  {
    title: 'on the host network it needs none',
    spec: { hostNetwork: true },
    runtime: { sandboxes: [sandbox(0, { ips: [] })], containers: [] },
    plan: ['start a 0', 'start b 0'],
  },
  {
    title: 'an older ready sandbox is stopped',
    runtime: {
      sandboxes: [sandbox(1), sandbox(0)],
      containers: [run('a', 'running', { sandboxId: 's1' }), run('b', 'running', { sandboxId: 's1' })],
    },
    plan: ['stop s0'],
  },
  {
    title: 'a dead sandbox: all start again, counting on',
    runtime: {
      sandboxes: [sandbox(0, { ready: false })],
      containers: [run('a', 'exited', { exitCode: 137, attempt: 2 }), run('b', 'exited')],
    },
    plan: ['sandbox 1', 'start a 3', 'start b 1'],
  },
  {
    title: 'a dead sandbox of a pod that never restarts',
    spec: never,
    runtime: {
      sandboxes: [sandbox(0, { ready: false })],
      containers: [run('a', 'exited', { exitCode: 137 }), run('b', 'exited')],
    },
    plan: ['finished'],
  },
  {
    title: 'one container ended',
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'exited', { exitCode: 1 }), run('b', 'running')] },
    plan: ['start a 1'],
  },
  {
    title: 'one container ended and waits',
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'exited', { exitCode: 1 }), run('b', 'running')] },
    backoff: { a: 5000 },
    plan: ['wait a'],
  },
  {
    title: 'OnFailure leaves success alone',
    spec: { restartPolicy: 'OnFailure' },
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'exited'), run('b', 'exited', { exitCode: 2 })] },
    plan: ['start b 1'],
  },
  {
    title: 'OnFailure is finished when all succeeded',
    spec: { restartPolicy: 'OnFailure' },
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'exited'), run('b', 'exited')] },
    plan: ['finished'],
  },
  {
    title: 'Never is finished when all ended',
    spec: never,
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'exited', { exitCode: 1 }), run('b', 'exited')] },
    plan: ['finished'],
  },
  {
    title: 'Never goes on while one runs',
    spec: never,
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'exited', { exitCode: 1 }), run('b', 'running')] },
    plan: [],
  },
  {
    title: 'the first init container runs',
    spec: init,
    runtime: { sandboxes: [sandbox()], containers: [run('i', 'running')] },
    plan: [],
  },
  {
    title: 'the second follows the first',
    spec: init,
    runtime: { sandboxes: [sandbox()], containers: [run('i', 'exited')] },
    plan: ['start j 0'],
  },
  {
    title: 'the rest follow the last',
    spec: init,
    runtime: { sandboxes: [sandbox()], containers: [run('i', 'exited'), run('j', 'exited')] },
    plan: ['start a 0', 'start b 0'],
  },
  {
    title: 'a failed init container is tried again',
    spec: init,
    runtime: { sandboxes: [sandbox()], containers: [run('i', 'exited', { exitCode: 1 })] },
    plan: ['start i 1'],
  },
  {
    title: 'a failed init container of a Never pod ends it',
    spec: { ...init, ...never },
    runtime: { sandboxes: [sandbox()], containers: [run('i', 'exited', { exitCode: 1 })] },
    plan: ['finished'],
  },
  {
    title: 'init containers of an initialised pod are not run again',
    spec: init,
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'running'), run('b', 'exited', { exitCode: 1 })] },
    plan: ['start b 1'],
  },
  {
    title: 'in a new sandbox init containers run again',
    spec: init,
    runtime: {
      sandboxes: [sandbox(1)],
      containers: [run('i', 'exited'), run('j', 'exited'), run('a', 'exited', { exitCode: 1 })],
    },
    plan: ['start i 1'],
  },
  {
    title: 'what follows a sidecar waits until it has started',
    spec: sidecar,
    runtime: { sandboxes: [sandbox()], containers: [run('side', 'running')] },
    health: { side0: { started: false } },
    plan: [],
  },
  {
    title: 'what follows a started sidecar starts',
    spec: sidecar,
    runtime: { sandboxes: [sandbox()], containers: [run('side', 'running')] },
    plan: ['start i 0'],
  },
  {
    title: 'a sidecar that ended is started beside running containers',
    spec: sidecar,
    runtime: {
      sandboxes: [sandbox()],
      containers: [run('side', 'exited'), run('i', 'exited'), run('a', 'running'), run('b', 'running')],
    },
    plan: ['start side 1'],
  },
  {
    title: 'a sidecar does not keep a finished pod',
    spec: { ...sidecar, ...never },
    runtime: {
      sandboxes: [sandbox()],
      containers: [run('side', 'running'), run('i', 'exited'), run('a', 'exited'), run('b', 'exited')],
    },
    plan: ['finished'],
  },
  {
    title: 'a failed liveness probe kills',
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'running'), run('b', 'running')] },
    health: { a0: { failed: 'liveness' } },
    plan: ['kill a0 liveness'],
  },
  {
    title: 'a changed image restarts in place',
    spec: { containers: [{ name: 'a', image: 'new' }] },
    runtime: {
      sandboxes: [sandbox()],
      containers: [run('a', 'running', { hash: containerHash({ name: 'a', image: 'old' }) })],
    },
    plan: ['kill a0 changed'],
  },
  {
    title: 'an unchanged image does not',
    spec: { containers: [{ name: 'a', image: 'old' }] },
    runtime: {
      sandboxes: [sandbox()],
      containers: [run('a', 'running', { hash: containerHash({ name: 'a', image: 'old' }) })],
    },
    plan: [],
  },
  {
    title: 'an older run still going is stopped',
    runtime: {
      sandboxes: [sandbox()],
      containers: [run('a', 'running', { id: 'a1', attempt: 1 }), run('a', 'running'), run('b', 'running')],
    },
    plan: ['kill a0 obsolete'],
  },
  {
    title: 'a half-made container is replaced',
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'created'), run('b', 'running')] },
    plan: ['start a 1'],
  },
  {
    title: 'an ephemeral container starts once',
    spec: { ephemeralContainers: [{ name: 'e' }] },
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'running'), run('b', 'running')] },
    plan: ['start e 0'],
  },
  {
    title: 'and never again',
    spec: { ephemeralContainers: [{ name: 'e' }] },
    runtime: {
      sandboxes: [sandbox()],
      containers: [run('e', 'exited', { exitCode: 1 }), run('a', 'running'), run('b', 'running')],
    },
    plan: [],
  },
  {
    title: 'a rule of the container restarts it in a Never pod',
    spec: {
      ...never,
      containers: [
        {
          name: 'a',
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }],
        },
      ],
    },
    runtime: { sandboxes: [sandbox()], containers: [run('a', 'exited', { exitCode: 42 })] },
    plan: ['start a 1'],
  },
];

for (const { title, spec = {}, runtime, health = {}, backoff = {}, plan } of cases) {
  test(title, () => {
    const made = planPod({
      pod: podOf(spec),
      runtime,
      health: ({ id }) => ({ started: true, ...health[id] }),
      backoffMs: (name) => backoff[name] ?? 0,
    });
    const text = [
      ...made.stopSandboxes.map((id) => `stop ${id}`),
      ...(made.createSandbox === undefined ? [] : [`sandbox ${made.createSandbox.attempt}`]),
      ...made.kill.map(({ container, because }) => `kill ${container.id} ${because}`),
      ...made.start.map(({ container, attempt }) => `start ${container.spec.name} ${attempt}`),
      ...[...made.backoff.keys()].map((name) => `wait ${name}`),
      ...(made.finished ? ['finished'] : []),
    ];
    assert.deepEqual(text, plan);
  });
}

test('a container of which only the API knows goes on counting', () => {
  const pod = podOf({ containers: [{ name: 'a' }] });
  pod.status = {
    containerStatuses: [
      { name: 'a', image: '', imageID: '', ready: true, restartCount: 4, containerID: 'containerd://x' },
    ],
  };
  const made = planPod({
    pod,
    runtime: { sandboxes: [], containers: [] },
    health: () => ({ started: true }),
    backoffMs: () => 0,
  });
  assert.equal(made.start[0]?.attempt, 5);
});
