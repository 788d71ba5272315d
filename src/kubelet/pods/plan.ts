import type { Pod } from '#api';
import { allContainers, containerHash, isSidecar, type PodContainer, restartsAfter } from './containers.ts';
import { currentSandbox, latestOf, type ObservedContainer, type PodRuntime } from './runtime-state.ts';

/** What is known of a running container beside the runtime: filled in by probes and hooks, by container id. */
export interface ContainerHealth {
  /** Its startup probe passed (or it has none) and its postStart hook ended. */
  readonly started: boolean;
  readonly failed?: 'liveness' | 'startup' | 'postStart';
}

export interface PlanInput {
  readonly pod: Pod;
  readonly runtime: PodRuntime;
  readonly health: (container: ObservedContainer) => ContainerHealth;
  /** Remaining back-off of a container whose last run ended then; 0 when it may start. */
  readonly backoffMs: (name: string, finishedAtMs: number) => number;
}

export interface PlannedStart {
  readonly container: PodContainer;
  /** 0 for the first start, then counted up: restartCount. */
  readonly attempt: number;
  /** The run it follows, when it is a restart. */
  readonly after?: ObservedContainer;
}

export interface PlannedKill {
  readonly container: ObservedContainer;
  /** Upstream's text of the Killing event. */
  readonly message: string;
  readonly because: 'liveness' | 'startup' | 'postStart' | 'changed' | 'obsolete';
}

/** What to do next for a pod that is to live. Plain data: the worker does it, looks again and plans again. */
export interface PodPlan {
  /** Nothing will ever run again: stop what is left (sandbox, sidecars). The phase says how it ended. */
  readonly finished: boolean;
  /** Sandboxes to stop before anything is started. */
  readonly stopSandboxes: readonly string[];
  readonly createSandbox?: { readonly attempt: number };
  readonly kill: readonly PlannedKill[];
  /** In this order, one after the other. */
  readonly start: readonly PlannedStart[];
  /** Containers held back, by name, with the time left. */
  readonly backoff: ReadonlyMap<string, number>;
}

/** Decides the next step of a pod from what was observed. Pure. */
export function planPod(input: PlanInput): PodPlan {
  const { pod, runtime } = input;
  const sandbox = currentSandbox(runtime);
  const hostNetwork = pod.spec?.hostNetwork === true;
  const usable = sandbox?.ready === true && (hostNetwork || sandbox.ips.length > 0);
  const stopSandboxes = runtime.sandboxes
    .filter((one) => one.ready && (!usable || one !== sandbox))
    .map(({ id }) => id);
  return usable ? planInSandbox(input, sandbox.id, stopSandboxes) : planNewSandbox(input, stopSandboxes);
}

function planNewSandbox(input: PlanInput, stopSandboxes: readonly string[]): PodPlan {
  const { pod, runtime } = input;
  const backoff = new Map<string, number>();
  const attempt = runtime.sandboxes.reduce((highest, one) => Math.max(highest, one.attempt + 1), 0);
  const regular = allContainers(pod).filter(({ kind }) => kind === 'regular');
  const ranBefore = runtime.containers.length > 0;
  const pending = regular.filter((one) => mayRun(input, one));
  const anyRestartable =
    (pod.spec?.restartPolicy ?? 'Always') !== 'Never' || regular.some((one) => one.spec.restartPolicy !== undefined);
  if ((!anyRestartable && attempt !== 0 && ranBefore) || pending.length === 0) {
    return { finished: true, stopSandboxes, kill: [], start: [], backoff };
  }
  const initial = allContainers(pod).filter(({ kind }) => kind === 'init');
  const first = initial[0];
  const start =
    first !== undefined
      ? startOf(input, first, backoff)
      : pending.flatMap((container) => startOf(input, container, backoff));
  return { finished: false, stopSandboxes, createSandbox: { attempt }, kill: [], start, backoff };
}

/** Whether a regular container has something left to do: it never ran, or ended in a way that restarts it. */
function mayRun(input: PlanInput, container: PodContainer): boolean {
  const last = latestOf(input.runtime, container.spec.name);
  return last === undefined || last.state !== 'exited' || restartsAfter(input.pod, container, last.exitCode);
}

function planInSandbox(input: PlanInput, sandboxId: string, stopSandboxes: readonly string[]): PodPlan {
  const { pod, runtime } = input;
  const backoff = new Map<string, number>();
  const kill: PlannedKill[] = [];
  const start: PlannedStart[] = [];
  const containers = allContainers(pod);
  const regular = containers.filter(({ kind }) => kind === 'regular');
  const inSandbox = (name: string): ObservedContainer | undefined =>
    runtime.containers.find((one) => one.name === name && one.sandboxId === sandboxId);

  for (const one of runtime.containers) {
    const obsolete = one.state === 'running' && one !== latestOf(runtime, one.name);
    if (obsolete || one.state === 'unknown')
      kill.push({ container: one, because: 'obsolete', message: `Stopping container ${one.name}` });
  }
  for (const container of containers.filter(({ kind }) => kind === 'ephemeral')) {
    if (latestOf(runtime, container.spec.name) === undefined) start.push({ container, attempt: 0 });
  }

  const initialized = regular.some(({ spec }) => inSandbox(spec.name) !== undefined);
  const init = planInit(input, { initialized, inSandbox, backoff, kill });
  start.push(...init.start);
  if (init.outcome === 'failed') return { finished: true, stopSandboxes, kill, start: [], backoff };
  if (init.outcome === 'busy') return { finished: false, stopSandboxes, kill, start, backoff };

  let unfinished = 0;
  for (const container of regular) {
    const last = latestOf(runtime, container.spec.name);
    if (last?.state === 'running' || last?.state === 'created') {
      unfinished++;
      if (last.state === 'running') kill.push(...unhealthy(input, container, last));
      // A container that was made but not started belongs to an attempt that was cut short: it is replaced.
      else start.push(...startOf(input, container, backoff));
    } else if (mayRun(input, container)) {
      unfinished++;
      start.push(...startOf(input, container, backoff));
    }
  }
  return { finished: unfinished === 0, stopSandboxes, kill, start: unfinished === 0 ? [] : start, backoff };
}

interface InitState {
  readonly initialized: boolean;
  readonly inSandbox: (name: string) => ObservedContainer | undefined;
  readonly backoff: Map<string, number>;
  readonly kill: PlannedKill[];
}

interface InitPlan {
  readonly outcome: 'done' | 'busy' | 'failed';
  readonly start: readonly PlannedStart[];
}

/** Init containers run one by one; a sidecar counts as done once it has started, and is kept running ever after. */
function planInit(input: PlanInput, state: InitState): InitPlan {
  const start: PlannedStart[] = [];
  for (const container of allContainers(input.pod)) {
    if (container.kind !== 'init') break;
    const last = state.inSandbox(container.spec.name);
    if (isSidecar(container)) {
      if (last === undefined || last.state === 'exited' || last.state === 'created') {
        const sidecar = startOf(input, container, state.backoff);
        start.push(...sidecar);
        if (!state.initialized) return { outcome: 'busy', start };
      } else if (last.state === 'running') {
        state.kill.push(...unhealthy(input, container, last));
        if (!state.initialized && !input.health(last).started) return { outcome: 'busy', start };
      }
      continue;
    }
    if (state.initialized) continue;
    if (last === undefined || last.state === 'created')
      return { outcome: 'busy', start: [...start, ...startOf(input, container, state.backoff)] };
    if (last.state !== 'exited') return { outcome: 'busy', start };
    if (last.exitCode === 0) continue;
    if (!restartsAfter(input.pod, container, last.exitCode)) return { outcome: 'failed', start };
    return { outcome: 'busy', start: [...start, ...startOf(input, container, state.backoff)] };
  }
  return { outcome: 'done', start };
}

/** The start of a container, or nothing while it is held back (then noted in `backoff`). */
function startOf(input: PlanInput, container: PodContainer, backoff: Map<string, number>): PlannedStart[] {
  const name = container.spec.name;
  const last = latestOf(input.runtime, name);
  if (last === undefined) return [{ container, attempt: lostRestarts(input.pod, name) }];
  if (last.state === 'exited') {
    const waitMs = input.backoffMs(name, last.finishedAtMs);
    if (waitMs > 0) {
      backoff.set(name, waitMs);
      return [];
    }
  }
  return [{ container, attempt: last.attempt + 1, after: last }];
}

/** A container that the API says ran, but of which the runtime has lost every trace, goes on counting. */
function lostRestarts(pod: Pod, name: string): number {
  const { status } = pod;
  for (const list of [status?.containerStatuses, status?.initContainerStatuses]) {
    const known = list?.find((one) => one.name === name);
    if (known?.containerID) return (known.restartCount ?? 0) + 1;
  }
  return 0;
}

function unhealthy(input: PlanInput, container: PodContainer, running: ObservedContainer): PlannedKill[] {
  const { name } = container.spec;
  if (running.hash !== '' && running.hash !== containerHash(container.spec)) {
    return [
      { container: running, because: 'changed', message: `Container ${name} definition changed, will be restarted` },
    ];
  }
  const { failed } = input.health(running);
  if (failed === undefined) return [];
  if (failed === 'postStart') return [{ container: running, because: failed, message: 'FailedPostStartHook' }];
  const restarted = restartsAfter(input.pod, container, 137) ? ', will be restarted' : '';
  return [{ container: running, because: failed, message: `Container ${name} failed ${failed} probe${restarted}` }];
}
