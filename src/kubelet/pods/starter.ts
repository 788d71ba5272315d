import { symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, messageOf, makeDirectory } from '#base';
import type { Pod } from '#api';
import type { SandboxConfig } from '../cri/contract.ts';
import { CriError, isNameReserved } from '../cri/errors.ts';
import { ImageError } from '../images/puller.ts';
import type { MountedVolume } from '../volumes/pod-volumes.ts';
import { containerConfig, containerLogPath } from './container-config.ts';
import { containerMounts } from './container-mounts.ts';
import type { WaitingReason } from './container-status.ts';
import { podText } from './containers.ts';
import type { PodContext } from './context.ts';
import { ContainerConfigError, containerEnvironment } from './environment.ts';
import type { PodFacts } from './field-values.ts';
import { runHook } from './lifecycle-hooks.ts';
import type { PlannedStart, PodPlan } from './plan.ts';
import { currentSandbox, type PodRuntime } from './runtime-state.ts';
import { podLogDirectory, sandboxConfig } from './sandbox-config.ts';
import { containerSecurity } from './security.ts';

/** A step did not succeed; the pod is looked at again after `retryInMs`. */
export class StartError extends CodedError {
  readonly retryInMs: number;
  constructor(code: string, message: string, options: ErrorOptions & { readonly retryInMs: number }) {
    super(code, message, options);
    this.retryInMs = options.retryInMs;
  }
}

export interface StartInput {
  readonly pod: Pod;
  readonly plan: PodPlan;
  readonly runtime: PodRuntime;
  readonly signal: AbortSignal;
  /** Why a container is not running, told as soon as it is known; undefined once it runs. */
  readonly waiting: (name: string, reason: WaitingReason | undefined) => void;
  /** A container runs now, but its postStart hook has not ended. */
  readonly hookStarted: (containerId: string) => void;
  readonly hookEnded: (containerId: string, failure: string | undefined) => void;
  /** Something changed that the pod's status should show. */
  readonly progress: () => void;
  /** Remembers that a container is restarted, for its back-off. */
  readonly restarted: (start: PlannedStart) => void;
}

interface Placed {
  readonly id: string;
  readonly config: SandboxConfig;
  readonly podIps: readonly string[];
}

const volumeRetryMs = 500;
const sandboxRetryMs = 1000;
const configRetryMs = 5000;

/** Does what a plan says: volumes, sandbox, then its containers one after the other. Throws StartError when it must stop half way. */
export async function startPlanned(context: PodContext, input: StartInput): Promise<void> {
  const { pod, plan, runtime, signal } = input;
  const volumes = await setUpVolumes(context, input);
  signal.throwIfAborted();
  const current = currentSandbox(runtime);
  const placed =
    plan.createSandbox === undefined && current !== undefined
      ? { id: current.id, podIps: current.ips, config: configOf(context, pod, current.attempt) }
      : await makeSandbox(context, input);
  signal.throwIfAborted();
  if (plan.start.length > 0) await networkReady(context, input, placed);
  signal.throwIfAborted();
  let retryInMs = Number.POSITIVE_INFINITY;
  for (const start of plan.start) {
    signal.throwIfAborted();
    try {
      await startContainer(context, input, { start, placed, volumes });
    } catch (error) {
      signal.throwIfAborted();
      retryInMs = Math.min(retryInMs, noteFailure(context, input, { start, error }));
      if (start.container.kind === 'init') break;
    }
  }
  if (retryInMs !== Number.POSITIVE_INFINITY)
    throw new StartError('ContainersFailed', 'some containers were not started', { retryInMs });
}

async function setUpVolumes(context: PodContext, { pod }: StartInput): Promise<ReadonlyMap<string, MountedVolume>> {
  try {
    return await context.volumes.setUp(pod, factsOf(context, pod, []));
  } catch (error) {
    context.events.pod(pod, 'Warning', 'FailedMount', messageOf(error));
    throw new StartError('FailedMount', messageOf(error), { cause: error, retryInMs: volumeRetryMs });
  }
}

async function networkReady(context: PodContext, { pod, signal }: StartInput, { podIps }: Placed): Promise<void> {
  if (context.beforeContainers === undefined || pod.spec?.hostNetwork === true) return;
  try {
    await unlessAborted(signal, context.beforeContainers(pod, podIps));
  } catch (error) {
    signal.throwIfAborted();
    context.events.pod(pod, 'Warning', 'NetworkNotReady', messageOf(error));
    throw new StartError('NetworkNotReady', messageOf(error), { cause: error, retryInMs: sandboxRetryMs });
  }
}

function configOf(context: PodContext, pod: Pod, attempt: number): SandboxConfig {
  return sandboxConfig({
    pod,
    attempt,
    dns: context.dns(),
    podLogsDir: context.podLogsDir,
    cgroupParent: context.cgroups.parentOf(pod),
    seccompDir: context.seccompDir,
    memoryBytes: context.memoryBytes,
    nowMs: context.clock.nowMs(),
  });
}

/** Makes the pod's sandbox. A name still held by a lost attempt of ours is cleared first, so that trying again can succeed. */
async function makeSandbox(context: PodContext, { pod, plan, runtime }: StartInput): Promise<Placed> {
  const { cri } = context;
  for (const id of plan.stopSandboxes) await cri.stopPodSandbox(id);
  const attempt = plan.createSandbox?.attempt ?? 0;
  const config = configOf(context, pod, attempt);
  await Promise.all([context.cgroups.prepare(pod), makeDirectory(config.log_directory)]);
  try {
    const id = await context.limited(async () => cri.runPodSandbox(config, await context.runtimeHandler(pod)));
    const { network } = await cri.podSandboxStatus(id);
    const podIps = pod.spec?.hostNetwork
      ? context.nodeIps
      : [network?.ip ?? '', ...(network?.additional_ips ?? []).map(({ ip }) => ip)].filter((ip) => ip !== '');
    return { id, config, podIps };
  } catch (error) {
    if (isNameReserved(error)) await clearReserved(context, pod, runtime);
    const message = `Failed to create pod sandbox: ${grpcText(error)}`;
    context.events.pod(pod, 'Warning', 'FailedCreatePodSandBox', message);
    throw new StartError('FailedCreatePodSandBox', message, { cause: error, retryInMs: sandboxRetryMs });
  }
}

async function clearReserved({ cri, log }: PodContext, pod: Pod, runtime: PodRuntime): Promise<void> {
  const known = new Set(runtime.sandboxes.map(({ id }) => id));
  for (const { id, state } of await cri.listPodSandboxes({ podUid: pod.metadata.uid })) {
    if (known.has(id) || state === 'SANDBOX_READY') continue;
    await cri
      .stopPodSandbox(id)
      .catch((error) => log.debug({ id, error: messageOf(error) }, 'a half-made sandbox was not stopped'));
    await cri
      .removePodSandbox(id)
      .catch((error) => log.debug({ id, error: messageOf(error) }, 'a half-made sandbox was not removed'));
  }
}

function grpcText(error: unknown): string {
  return error instanceof CriError
    ? `rpc error: code = ${goCodeName(error.code)} desc = ${error.message}`
    : messageOf(error);
}

/** gRPC's status names as Go prints them: `DeadlineExceeded`. */
function goCodeName(code: string): string {
  return code
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
}

export function factsOf(context: PodContext, pod: Pod, podIps: readonly string[]): PodFacts {
  const known = podIps.length > 0 ? podIps : (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  return { podIps: known, nodeIps: context.nodeIps, allocatable: context.allocatable() };
}

interface ContainerStart {
  readonly start: PlannedStart;
  readonly placed: Placed;
  readonly volumes: ReadonlyMap<string, MountedVolume>;
}

async function startContainer(
  context: PodContext,
  input: StartInput,
  { start, placed, volumes }: ContainerStart,
): Promise<void> {
  const { cri, events } = context;
  const { pod, signal } = input;
  const { container, attempt } = start;
  const { spec } = container;
  const event = (type: 'Normal' | 'Warning', reason: string, message: string): void =>
    events.container(pod, container, type, reason, message);
  const facts = factsOf(context, pod, placed.podIps);
  const [image, environment] = await Promise.all([
    unlessAborted(
      signal,
      context.images.ensure({
        pod,
        container: spec,
        sandbox: placed.config,
        pullSecrets: () => context.pullSecrets(pod),
        event,
      }),
    ),
    context.services().then((services) =>
      containerEnvironment({
        pod,
        container: spec,
        services,
        objects: context.objects.forPod(pod.metadata.uid),
        facts,
      }),
    ),
  ]);
  signal.throwIfAborted();
  const { mounts, devices, groups } = await containerMounts(context, {
    ...{ pod, container, attempt, volumes, environment },
    podIps: placed.podIps,
  });
  const target = 'targetContainerName' in spec ? spec.targetContainerName : undefined;
  const targetId = target
    ? input.runtime.containers.find((one) => one.name === target && one.state === 'running')?.id
    : undefined;
  if (target && targetId === undefined) {
    throw new ContainerConfigError('TargetMissing', `unable to find target container "${target}"`);
  }
  const security = containerSecurity({
    ...{ pod, image, container: spec, volumeGroups: groups, seccompDir: context.seccompDir },
    ...(targetId === undefined ? {} : { targetId }),
  });
  const config = containerConfig({
    pod,
    container: spec,
    attempt,
    image,
    environment,
    mounts,
    devices,
    security,
    memoryBytes: context.memoryBytes,
  });
  await makeDirectory(join(placed.config.log_directory, spec.name));

  const id = await context.limited(async () => {
    signal.throwIfAborted();
    const made = await step('CreateContainerError', () => cri.createContainer(placed.id, config, placed.config));
    event('Normal', 'Created', 'Container created');
    await step('RunContainerError', () => cri.startContainer(made));
    event('Normal', 'Started', 'Container started');
    return made;
  });
  input.restarted(start);
  input.waiting(spec.name, undefined);
  void linkLog(context, { pod, name: spec.name, attempt, id });
  const hook = spec.lifecycle?.postStart;
  if (hook === undefined) return;
  input.hookStarted(id);
  input.progress();
  const running = runHook(context, hook, {
    pod,
    container,
    containerId: id,
    podIp: placed.podIps[0] ?? '',
    timeoutMs: 3_600_000,
    signal,
  });
  const failure = await unlessAborted(signal, running);
  if (failure !== undefined) event('Warning', 'FailedPostStartHook', 'PostStartHook failed');
  input.hookEnded(id, failure);
}

/** The answer, unless the start is given up first: what is under way then ends by itself, unheard. */
async function unlessAborted<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
    answer.catch(() => {});
  }
}

/** A failed call of the runtime carries the waiting reason of the step. */
async function step<T>(reason: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw new StartError(reason, messageOf(error), { cause: error, retryInMs: sandboxRetryMs });
  }
}

/** Tells users why a container is not running; returns when to try again. */
function noteFailure(
  { events, log }: PodContext,
  input: StartInput,
  { start, error }: { start: PlannedStart; error: unknown },
): number {
  const { pod, waiting } = input;
  const { name } = start.container.spec;
  const tell = (reason: string, message: string): void => {
    waiting(name, { reason, message });
    input.progress();
  };
  const failed = (message: string): void =>
    events.container(pod, start.container, 'Warning', 'Failed', `Error: ${message}`);
  if (error instanceof ImageError) {
    if (error.code === 'ImagePullBackOff')
      events.container(pod, start.container, 'Warning', 'Failed', 'Error: ImagePullBackOff');
    else failed(error.code);
    tell(error.code, error.message);
    return error.retryInMs;
  }
  if (error instanceof StartError) {
    failed(error.message);
    tell(error.code, error.message);
    input.restarted(start);
    return error.retryInMs;
  }
  log.debug({ pod: podText(pod), container: name, error: messageOf(error) }, 'a container was not started');
  failed(messageOf(error));
  tell('CreateContainerConfigError', messageOf(error));
  return configRetryMs;
}

/** The flat name under which collectors of logs look for it. */
async function linkLog(
  context: PodContext,
  { pod, name, attempt, id }: { pod: Pod; name: string; attempt: number; id: string },
): Promise<void> {
  const target = join(podLogDirectory(context.podLogsDir, pod), containerLogPath(name, attempt));
  const link = join(context.containerLogsDir, `${pod.metadata.name}_${pod.metadata.namespace}_${name}-${id}.log`);
  await symlink(target, link).catch(() => {});
}

export async function unlinkLog(
  context: PodContext,
  pod: Pod,
  options: { readonly name: string; readonly id: string },
): Promise<void> {
  const link = `${pod.metadata.name}_${pod.metadata.namespace}_${options.name}-${options.id}.log`;
  await unlink(join(context.containerLogsDir, link)).catch(() => {});
}
