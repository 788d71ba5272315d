import { rfc3339 } from '#base';
import type { ContainerState, ContainerStateTerminated, ContainerStatus, Pod } from '#api';
import type { PodContainer } from './containers.ts';
import type { ContainerHealth } from './plan.ts';
import type { ObservedContainer, PodRuntime } from './runtime-state.ts';

export interface WaitingReason {
  readonly reason: string;
  readonly message?: string;
}

export interface ContainerStatusInput {
  readonly pod: Pod;
  readonly container: PodContainer;
  readonly runtime: PodRuntime;
  readonly health: (container: ObservedContainer) => ContainerHealth & { readonly ready: boolean };
  /** Why the container is not started, when something stands in its way. */
  readonly waiting: WaitingReason | undefined;
  /** Text that an ended container left behind (its termination message). */
  readonly terminationMessage: (container: ObservedContainer) => string;
  /** The pod is being ended for good: nothing waits any more. */
  readonly ending: boolean;
  /** `containerd`: what container ids start with. */
  readonly runtimeName: string;
}

/** The API's status of one container, as upstream derives it from what ran and what keeps it from running. */
export function containerStatusOf(input: ContainerStatusInput): ContainerStatus {
  const { pod, container, runtime, runtimeName } = input;
  const { name, image = '' } = container.spec;
  const runs = runtime.containers.filter((one) => one.name === name);
  const [latest, previous] = runs;
  const old = oldStatus(pod, container);
  if (latest === undefined) return withoutRuns(input, old);

  const lastRun = previous?.state === 'exited' ? { terminated: terminatedState(input, previous) } : undefined;
  const id = `${runtimeName}://${latest.id}`;
  const status: ContainerStatus = {
    name,
    image: latest.image || image,
    imageID: latest.imageRef,
    containerID: id,
    restartCount: latest.attempt,
    ready: false,
    started: false,
    state: {},
    lastState: {},
    ...resourcesOf(container, latest),
    ...mountsOf(container),
    ...(latest.user === undefined ? {} : { user: { linux: userOf(latest.user) } }),
  };
  if (latest.state === 'running') {
    const { started, ready } = input.health(latest);
    const state: ContainerState = { running: { startedAt: rfc3339(latest.startedAtMs) } };
    const runsToEnd = container.kind === 'init' && container.spec.restartPolicy !== 'Always';
    return { ...status, state, lastState: lastRun ?? {}, started, ready: ready && started && !runsToEnd };
  }
  if (latest.state === 'exited') {
    const terminated = { terminated: terminatedState(input, latest) };
    if (input.waiting !== undefined && !input.ending) {
      return { ...status, state: { waiting: { ...input.waiting } }, lastState: terminated };
    }
    const finishedInit =
      container.kind === 'init' && container.spec.restartPolicy !== 'Always' && latest.exitCode === 0;
    return { ...status, state: terminated, lastState: lastRun ?? {}, ready: finishedInit };
  }
  const waiting = input.waiting ?? defaultWaiting(pod);
  return { ...status, state: { waiting: { ...waiting } }, lastState: lastRun ?? old?.lastState ?? {} };
}

/** Nothing of the container is left in the runtime, or it was never there. */
function withoutRuns(input: ContainerStatusInput, old: ContainerStatus | undefined): ContainerStatus {
  const { container, pod } = input;
  const status: ContainerStatus = {
    name: container.spec.name,
    image: container.spec.image ?? '',
    imageID: '',
    restartCount: old?.restartCount ?? 0,
    ready: false,
    started: false,
    state: { waiting: { ...(input.waiting ?? defaultWaiting(pod)) } },
    lastState: old?.lastState ?? {},
  };
  if (old?.state?.terminated !== undefined) {
    return input.waiting !== undefined && !input.ending
      ? { ...status, lastState: { terminated: old.state.terminated } }
      : { ...status, ...old, ready: container.kind === 'init' && old.state.terminated.exitCode === 0 };
  }
  if (old?.state?.running !== undefined) {
    const lost: ContainerStateTerminated = {
      reason: 'ContainerStatusUnknown',
      message: 'The container could not be located when the pod was deleted.  The container used to be Running',
      exitCode: 137,
    };
    return input.ending ? { ...status, state: { terminated: lost } } : { ...status, lastState: { terminated: lost } };
  }
  return status;
}

export function defaultWaiting(pod: Pod): WaitingReason {
  return { reason: (pod.spec?.initContainers?.length ?? 0) > 0 ? 'PodInitializing' : 'ContainerCreating' };
}

export function oldStatus(pod: Pod, container: PodContainer): ContainerStatus | undefined {
  const { status } = pod;
  const list = {
    init: status?.initContainerStatuses,
    regular: status?.containerStatuses,
    ephemeral: status?.ephemeralContainerStatuses,
  }[container.kind];
  return list?.find((one) => one.name === container.spec.name);
}

function terminatedState(input: ContainerStatusInput, run: ObservedContainer): ContainerStateTerminated {
  const text = input.terminationMessage(run);
  const message = text || run.message;
  return {
    exitCode: run.exitCode,
    reason: run.reason || (run.exitCode === 0 ? 'Completed' : 'Error'),
    ...(message === '' ? {} : { message }),
    startedAt: rfc3339(run.startedAtMs),
    finishedAt: rfc3339(run.finishedAtMs),
    containerID: `${input.runtimeName}://${run.id}`,
  };
}

function resourcesOf(container: PodContainer, latest: ObservedContainer): Partial<ContainerStatus> {
  const { resources } = container.spec;
  if (latest.state !== 'running' || container.kind === 'ephemeral') return {};
  const { requests, limits } = resources ?? {};
  return {
    ...(requests === undefined ? {} : { allocatedResources: requests }),
    resources: { ...(limits === undefined ? {} : { limits }), ...(requests === undefined ? {} : { requests }) },
  };
}

function mountsOf(container: PodContainer): Partial<ContainerStatus> {
  const mounts = container.spec.volumeMounts ?? [];
  if (mounts.length === 0) return {};
  const volumeMounts = mounts.map(({ name, mountPath, readOnly }) => ({
    name,
    mountPath,
    ...(readOnly ? { readOnly, recursiveReadOnly: 'Disabled' } : {}),
  }));
  return { volumeMounts };
}

function userOf(user: NonNullable<ObservedContainer['user']>): {
  uid: number;
  gid: number;
  supplementalGroups?: number[];
} {
  const groups = [...user.supplementalGroups];
  return { uid: user.uid, gid: user.gid, ...(groups.length === 0 ? {} : { supplementalGroups: groups }) };
}
