import { rm } from 'node:fs/promises';
import { messageOf, type Timer } from '#base';
import { type Pod, resource } from '#api';
import { deepEqual, isConflict, isNotFound, parseTimeMs } from '#machinery';
import { isRuntimeDown, isRuntimeNotFound } from '../cri/errors.ts';
import { PodProbes } from '../probes/pod-probes.ts';
import type { WaitingReason } from './container-status.ts';
import { allContainers, findContainer, isSidecar, podText } from './containers.ts';
import type { PodContext } from './context.ts';
import { type ContainerHealth, type PlannedKill, type PodPlan, planPod } from './plan.ts';
import { planResizes } from './resize.ts';
import { RestartBackoff } from './restart-backoff.ts';
import { currentSandbox, latestOf, type ObservedContainer, PodObserver, type PodRuntime } from './runtime-state.ts';
import { podLogDirectory } from './sandbox-config.ts';
import { factsOf, StartError, startPlanned, unlinkLog } from './starter.ts';
import { podStatus } from './status.ts';
import { Terminator } from './terminator.ts';
import { terminationMessage } from './termination-message.ts';

const pods = resource('v1', 'pods');
const defaultGraceSeconds = 30;
const errorRetryMs = 1000;
const lookWhileStartingMs = 1000;
const longestVolumeRetryMs = 30_000;
const resizeRetryMs = 10_000;
/** Dead runs of a container that are kept beside its newest one: the previous, for `logs --previous`. */
const keptRuns = 1;

interface Verdict {
  readonly reason: string;
  readonly message: string;
  /** Shortens the grace that the pod's containers have. */
  readonly graceSeconds?: number;
}

/**
 * Brings one pod to what the API asks of it and keeps it there.
 *
 *   living ──► ending (deleted, done, failed for good) ──► ended (nothing runs, volumes gone) ──► forgotten
 *
 * Every wake looks at the runtime, plans, and acts. Looks never overlap; starting containers and killing them go on beside, one
 * start and any number of kills at a time.
 */
export class PodWorker {
  readonly uid: string;
  readonly #context: PodContext;
  readonly #onGone: () => void;
  readonly #observer: PodObserver;
  readonly #probes: PodProbes;
  readonly #terminator: Terminator;
  readonly #backoff = new RestartBackoff();
  readonly #waiting = new Map<string, WaitingReason>();
  readonly #hooks = new Map<string, 'running' | 'passed' | 'failed'>();
  readonly #messages = new Map<string, string>();
  /** Resources last given to a running container, by its id. */
  readonly #applied = new Map<string, string>();
  #pod: Pod;
  #removed = false;
  #verdict: Verdict | undefined;
  #starting: AbortController | undefined;
  #startFailures = 0;
  #notBeforeMs = 0;
  #ended = false;
  #gone = false;
  #closed = false;
  #looking = false;
  #again = false;
  #timer: { readonly handle: Timer; readonly dueMs: number } | undefined;
  /** When the volumes are next set up, Unix ms. At once for a pod found running: what changed meanwhile is not known. */
  #volumesAtMs = 0;
  /** Counts changes told to `refreshVolumes`: one that comes while the volumes are being set up is not covered by that set-up. */
  #volumeChanges = 0;
  #volumesSeen: { readonly labels: unknown; readonly annotations: unknown } | undefined;

  constructor(context: PodContext, pod: Pod, onGone: () => void) {
    this.uid = pod.metadata.uid;
    this.#context = context;
    this.#pod = pod;
    this.#onGone = onGone;
    this.#observer = new PodObserver(context.cri, this.uid);
    this.#terminator = new Terminator(context, () => this.wake());
    this.#probes = new PodProbes({
      cri: context.cri,
      clock: context.clock,
      runtimeName: context.runtimeName,
      onChange: () => this.wake(),
      onUnhealthy: (container, kind, { output, result, warning }) => {
        const name = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} probe`;
        const how = result === 'unknown' ? 'errored and resulted in unknown state' : 'failed';
        const [reason, text] = warning
          ? ['ProbeWarning', `${name} warning: ${output}`]
          : ['Unhealthy', `${name} ${how}: ${output}`];
        context.events.container(this.#pod, container, 'Warning', reason, text);
      },
    });
  }

  get pod(): Pod {
    return this.#pod;
  }

  /** The newest copy from the API. */
  update(pod: Pod): void {
    const before = this.#pod;
    this.#pod = pod;
    if (onlyStatusDiffers(before, pod)) this.#stirred();
    else this.wake();
  }

  /** The API has no such pod any more: what runs of it is ended. */
  remove(last: Pod): void {
    this.#pod = last;
    this.#removed = true;
    this.wake();
  }

  /** The pod fails for a reason of the node's own (eviction, no room). */
  fail(verdict: Verdict): void {
    this.#verdict ??= verdict;
    this.wake();
  }

  /** An object that the pod's volumes show has changed. */
  refreshVolumes(): void {
    this.#volumeChanges++;
    this.#volumesAtMs = 0;
    this.#notBeforeMs = 0;
    this.wake();
  }

  /** Something of the pod changed in the runtime. */
  runtimeChanged(): void {
    this.#stirred();
  }

  /** Wakes it; but while a start is under way what stirs is mostly its own doing, and it ends with a look: until then one a second will do. */
  #stirred(): void {
    if (this.#starting === undefined) this.wake();
    else if (!this.#closed && !this.#gone) this.#wakeIn(lookWhileStartingMs);
  }

  wake(): void {
    if (this.#closed || this.#gone) return;
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    void this.#lookUntilQuiet();
  }

  /** Stops working on the pod; whatever runs goes on running. */
  close(): void {
    this.#closed = true;
    this.#starting?.abort();
    this.#probes.close();
    this.#timer?.handle.cancel();
  }

  async #lookUntilQuiet(): Promise<void> {
    do {
      this.#again = false;
      try {
        await this.#look();
      } catch (error) {
        if (!isRuntimeDown(error))
          this.#context.log.warn({ pod: podText(this.#pod), error: messageOf(error) }, 'a pod was not synced');
        this.#wakeIn(errorRetryMs);
      }
    } while (this.#again && !this.#closed && !this.#gone);
    this.#looking = false;
  }

  async #look(): Promise<void> {
    const runtime = await this.#observer.observe();
    if (this.#closed) return;
    const pod = this.#currentPod();
    this.#checkDeadline(pod);
    await this.#readMessages(runtime);
    const sandbox = currentSandbox(runtime);
    const podIp = pod.spec?.hostNetwork ? (this.#context.nodeIps[0] ?? '') : (sandbox?.ips[0] ?? '');
    this.#probes.follow(pod, runtime, podIp);
    const settled = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
    if (
      this.#removed ||
      pod.metadata.deletionTimestamp !== undefined ||
      this.#verdict !== undefined ||
      settled ||
      this.#ended
    ) {
      return this.#end(pod, runtime, podIp);
    }
    const plan = planPod({
      pod,
      runtime,
      health: (container) => this.#health(container),
      backoffMs: (name, finishedAtMs) => this.#backoff.waitMs(name, finishedAtMs, this.#context.clock.nowMs()),
    });
    if (plan.finished) return this.#end(pod, runtime, podIp);
    this.#noteBackoff(pod, plan);
    this.#kill(pod, plan.kill, podIp);
    this.#writeStatus(pod, runtime, false);
    this.#start(pod, plan, runtime);
    if (this.#starting === undefined) {
      await this.#refreshVolumes(pod, sandbox?.ips ?? []);
      await this.#resize(pod, runtime, podIp);
      await this.#collect(pod, runtime);
    }
  }

  /** The API's copy, with the status that was written last but has not come back yet. */
  #currentPod(): Pod {
    const latest = this.#context.statusWriter.latest(this.uid);
    if (latest === undefined) return this.#pod;
    const own = new Set(latest.conditions?.map(({ type }) => type));
    const foreign = (this.#pod.status?.conditions ?? []).filter(({ type }) => !own.has(type));
    return {
      ...this.#pod,
      status: { ...this.#pod.status, ...latest, conditions: [...(latest.conditions ?? []), ...foreign] },
    };
  }

  #checkDeadline(pod: Pod): void {
    const seconds = pod.spec?.activeDeadlineSeconds;
    const { startTime, phase } = pod.status ?? {};
    if (seconds === undefined || startTime === undefined || phase === 'Failed' || phase === 'Succeeded') return;
    const leftMs = parseTimeMs(startTime) + seconds * 1000 - this.#context.clock.nowMs();
    if (leftMs > 0) return this.#wakeIn(leftMs);
    if (this.#verdict !== undefined) return;
    this.#verdict = {
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
    this.#context.events.pod(pod, 'Normal', 'DeadlineExceeded', this.#verdict.message);
  }

  async #readMessages(runtime: PodRuntime): Promise<void> {
    const directory = this.#context.volumes.podDirectory(this.uid);
    for (const one of runtime.containers) {
      if (one.state !== 'exited' || this.#messages.has(one.id)) continue;
      this.#messages.set(one.id, await terminationMessage(directory, one).catch(() => ''));
    }
    const present = new Set(runtime.containers.map(({ id }) => id));
    for (const id of this.#messages.keys()) if (!present.has(id)) this.#messages.delete(id);
    for (const map of [this.#hooks, this.#applied]) for (const id of map.keys()) if (!present.has(id)) map.delete(id);
  }

  #health(container: ObservedContainer): ContainerHealth & { readonly ready: boolean } {
    const hook = this.#hooks.get(container.id);
    if (hook === 'failed') return { started: false, ready: false, failed: 'postStart' };
    const prober = this.#probes.of(container.id);
    const started = hook !== 'running' && (prober?.started ?? true);
    const failed = prober?.failed;
    return { started, ready: started && (prober?.ready ?? true), ...(failed === undefined ? {} : { failed }) };
  }

  #noteBackoff(pod: Pod, plan: PodPlan): void {
    for (const [name, reason] of this.#waiting)
      if (reason.reason === 'CrashLoopBackOff' && !plan.backoff.has(name)) this.#waiting.delete(name);
    for (const [name, leftMs] of plan.backoff) {
      const seconds = this.#backoff.delayMs(name) / 1000;
      const text = seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
      const message = `back-off ${text} restarting failed container=${name} pod=${podText(pod)}`;
      const container = findContainer(pod, name);
      if (this.#waiting.get(name)?.message !== message && container !== undefined) {
        this.#context.events.container(
          pod,
          container,
          'Warning',
          'BackOff',
          `Back-off restarting failed container ${name} in pod ${podText(pod)}`,
        );
      }
      this.#waiting.set(name, { reason: 'CrashLoopBackOff', message });
      this.#wakeIn(leftMs);
    }
  }

  #kill(pod: Pod, kills: readonly PlannedKill[], podIp: string): void {
    for (const { container, message, because } of kills) {
      if (this.#terminator.isEnding(container.id)) continue;
      const spec = findContainer(pod, container.name)?.spec;
      const probe =
        because === 'liveness' ? spec?.livenessProbe : because === 'startup' ? spec?.startupProbe : undefined;
      const graceSeconds =
        probe?.terminationGracePeriodSeconds ?? pod.spec?.terminationGracePeriodSeconds ?? defaultGraceSeconds;
      this.#terminator.kill({ pod, container, graceSeconds, message, podIp, withoutHook: because === 'postStart' });
    }
  }

  #start(pod: Pod, plan: PodPlan, runtime: PodRuntime): void {
    const nothing = plan.createSandbox === undefined && plan.start.length === 0;
    if (this.#starting !== undefined || nothing) return;
    const waitMs = this.#notBeforeMs - this.#context.clock.monotonicMs();
    if (waitMs > 0) return this.#wakeIn(waitMs);
    if (plan.start.some(({ after }) => after !== undefined && this.#terminator.isEnding(after.id))) return;
    const starting = new AbortController();
    this.#starting = starting;
    const changes = this.#volumeChanges;
    const run = startPlanned(this.#context, {
      ...{ pod, plan, runtime, signal: starting.signal },
      waiting: (name, reason) => (reason === undefined ? this.#waiting.delete(name) : this.#waiting.set(name, reason)),
      hookStarted: (id) => this.#hooks.set(id, 'running'),
      hookEnded: (id, failure) => this.#hooks.set(id, failure === undefined ? 'passed' : 'failed'),
      progress: () => this.wake(),
      restarted: ({ container, after }) =>
        after !== undefined &&
        this.#backoff.restarted(container.spec.name, after.finishedAtMs, this.#context.clock.nowMs()),
    });
    run
      .then(
        () => {
          this.#startFailures = 0;
          this.#volumesAreOf(changes);
          this.#volumesSeen = { labels: pod.metadata.labels, annotations: pod.metadata.annotations };
        },
        (error: unknown) => this.#startFailed(error, starting.signal),
      )
      .finally(() => {
        this.#starting = undefined;
        this.wake();
      });
  }

  #startFailed(error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#startFailures++;
    let retryMs = error instanceof StartError ? error.retryInMs : errorRetryMs;
    if (error instanceof StartError && error.code !== 'ContainersFailed') {
      retryMs = Math.min(longestVolumeRetryMs, retryMs * 2 ** Math.min(10, this.#startFailures - 1));
    }
    if (!(error instanceof StartError)) {
      this.#context.log.warn({ pod: podText(this.#pod), error: messageOf(error) }, 'a pod was not started');
    }
    this.#notBeforeMs = this.#context.clock.monotonicMs() + retryMs;
  }

  async #refreshVolumes(pod: Pod, podIps: readonly string[]): Promise<void> {
    const { clock, volumes } = this.#context;
    const { labels, annotations } = pod.metadata;
    const relabelled = this.#volumesSeen !== undefined && !deepEqual(this.#volumesSeen, { labels, annotations });
    const due = clock.nowMs() >= this.#volumesAtMs;
    if (!relabelled && !due) {
      const leftMs = this.#volumesAtMs - clock.nowMs();
      if (leftMs !== Number.POSITIVE_INFINITY) this.#wakeIn(leftMs);
      return;
    }
    const changes = this.#volumeChanges;
    try {
      await volumes.setUp(pod, factsOf(this.#context, pod, podIps));
      this.#volumesAreOf(changes);
      this.#volumesSeen = { labels, annotations };
    } catch (error) {
      this.#context.events.pod(pod, 'Warning', 'FailedMount', messageOf(error));
      this.#volumesAtMs = clock.nowMs() + longestVolumeRetryMs;
    }
    if (this.#volumesAtMs !== Number.POSITIVE_INFINITY) this.#wakeIn(this.#volumesAtMs - clock.nowMs());
  }

  /** Gives running containers the resources of the spec, in place where their policy allows. */
  async #resize(pod: Pod, runtime: PodRuntime, podIp: string): Promise<void> {
    const { cri, cgroups, memoryBytes, log } = this.#context;
    const resizes = planResizes(pod, runtime, { applied: this.#applied, memoryBytes });
    if (resizes.length === 0) return;
    await cgroups.prepare(pod);
    for (const { container, resources, text, restart } of resizes) {
      if (restart) {
        if (this.#terminator.isEnding(container.id)) continue;
        const message = `Container ${container.name} resize requires restart`;
        const graceSeconds = pod.spec?.terminationGracePeriodSeconds ?? defaultGraceSeconds;
        this.#terminator.kill({ pod, container, graceSeconds, message, podIp });
        continue;
      }
      try {
        const { oom_score_adj: _, ...changeable } = resources;
        await cri.updateContainerResources(container.id, changeable);
        this.#applied.set(container.id, text);
      } catch (error) {
        log.warn(
          { pod: podText(pod), container: container.name, error: messageOf(error) },
          'a container was not resized',
        );
        this.#wakeIn(resizeRetryMs);
      }
    }
  }

  #volumesAreOf(changes: number): void {
    this.#volumesAtMs = this.#volumeChanges === changes ? this.#context.volumes.refreshAtMs(this.uid) : 0;
  }

  #writeStatus(pod: Pod, runtime: PodRuntime, ending: boolean): void {
    if (this.#removed) return;
    const { clock, nodeIps, runtimeName, statusWriter } = this.#context;
    const status = podStatus({
      ...{ pod, runtime, nodeIps, runtimeName, ending },
      nowMs: clock.nowMs(),
      health: (container) => this.#health(container),
      waiting: this.#waiting,
      terminationMessage: (container) => this.#messages.get(container.id) ?? '',
      ...(this.#verdict === undefined ? {} : { verdict: this.#verdict }),
    });
    statusWriter.set(this.#pod, status);
  }

  /** Ends what runs, then takes away what was made for the pod, and at last the pod itself when the API waits for that. */
  async #end(pod: Pod, runtime: PodRuntime, podIp: string): Promise<void> {
    if (this.#starting !== undefined) {
      this.#starting.abort();
      return;
    }
    const running = runtime.containers.filter(({ state }) => state === 'running' || state === 'unknown');
    if (running.length > 0) {
      this.#endContainers(pod, running, podIp);
      this.#writeStatus(pod, runtime, false);
      return;
    }
    const { cri, volumes, cgroups, statusWriter } = this.#context;
    for (const { id, ready } of runtime.sandboxes) if (ready || !this.#ended) await cri.stopPodSandbox(id);
    this.#probes.close();
    this.#writeStatus(pod, runtime, true);
    if (!this.#ended || this.#volumesAtMs !== Number.POSITIVE_INFINITY) {
      await volumes.tearDown(this.uid);
      await cgroups.remove(this.uid);
      this.#volumesAtMs = Number.POSITIVE_INFINITY;
      this.#ended = true;
    }
    if (!this.#removed && this.#pod.metadata.deletionTimestamp === undefined) return;
    await this.#clear(pod, runtime);
    await statusWriter.flushed(this.uid);
    if (!this.#removed) await this.#deleteFromApi();
    this.#gone = true;
    statusWriter.forget(this.uid);
    this.close();
    this.#onGone();
  }

  /** Regular containers first; sidecars after them, the last one first, within the same grace period. */
  #endContainers(pod: Pod, running: readonly ObservedContainer[], podIp: string): void {
    const graceSeconds = this.#graceSeconds(pod);
    const sidecars = allContainers(pod)
      .filter(isSidecar)
      .map(({ spec }) => spec.name);
    const main = running.filter(({ name }) => !sidecars.includes(name));
    const lastSidecar = sidecars.findLast((name) => running.some((one) => one.name === name));
    const now = main.length > 0 ? main : running.filter(({ name }) => name === lastSidecar);
    for (const container of now) {
      const message = `Stopping container ${container.name}`;
      this.#terminator.kill({
        pod,
        container,
        graceSeconds,
        message,
        podIp,
        withoutHook: this.#removed && pod.spec === undefined,
      });
    }
  }

  #graceSeconds(pod: Pod): number {
    const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
    const asked = pod.spec?.terminationGracePeriodSeconds ?? defaultGraceSeconds;
    const own = Math.min(asked, this.#verdict?.graceSeconds ?? asked);
    if (deletionTimestamp === undefined) return this.#removed ? 1 : own;
    return deletionGracePeriodSeconds ?? own;
  }

  async #clear(pod: Pod, runtime: PodRuntime): Promise<void> {
    const { cri, podLogsDir } = this.#context;
    for (const { id, name } of runtime.containers) {
      await cri.removeContainer(id).catch(ignoreMissing);
      await unlinkLog(this.#context, pod, { name, id });
    }
    for (const { id } of runtime.sandboxes) await cri.removePodSandbox(id).catch(ignoreMissing);
    await rm(podLogDirectory(podLogsDir, pod), { recursive: true, force: true });
  }

  async #deleteFromApi(): Promise<void> {
    const { namespace, name } = this.#pod.metadata;
    try {
      await this.#context.client.delete(pods, name, {
        namespace,
        gracePeriodSeconds: 0,
        preconditions: { uid: this.uid },
      });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  /** Removes dead runs that nobody asks for any more. */
  async #collect(pod: Pod, runtime: PodRuntime): Promise<void> {
    const { cri, podLogsDir } = this.#context;
    const seen = new Map<string, number>();
    for (const one of runtime.containers) {
      const newer = seen.get(one.name) ?? 0;
      seen.set(one.name, newer + 1);
      if (newer <= keptRuns || one.state !== 'exited' || one === latestOf(runtime, one.name)) continue;
      await cri.removeContainer(one.id).catch(ignoreMissing);
      await unlinkLog(this.#context, pod, { name: one.name, id: one.id });
      await rm(`${podLogDirectory(podLogsDir, pod)}/${one.name}/${one.attempt}.log`, { force: true });
    }
    const current = currentSandbox(runtime);
    for (const one of runtime.sandboxes) {
      const used = runtime.containers.some(({ sandboxId }) => sandboxId === one.id);
      if (one !== current && !one.ready && !used) await cri.removePodSandbox(one.id).catch(ignoreMissing);
    }
  }

  #wakeIn(delayMs: number): void {
    const { clock } = this.#context;
    const dueMs = clock.monotonicMs() + delayMs;
    if (this.#timer !== undefined) {
      if (this.#timer.dueMs <= dueMs) return;
      this.#timer.handle.cancel();
    }
    const handle = clock.setTimer(() => {
      this.#timer = undefined;
      this.wake();
    }, delayMs);
    this.#timer = { handle, dueMs };
  }
}

function ignoreMissing(error: unknown): void {
  if (!isRuntimeNotFound(error)) throw error;
}

/** As when a status that was written comes back. */
function onlyStatusDiffers({ metadata: before }: Pod, { metadata: now }: Pod): boolean {
  return (
    before.generation === now.generation &&
    before.deletionTimestamp === now.deletionTimestamp &&
    deepEqual(before.labels, now.labels) &&
    deepEqual(before.annotations, now.annotations)
  );
}
