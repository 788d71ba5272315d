import type { ContainerStatus, Pod, PodCondition, PodStatus } from '#api';

/** Annotations by which a pod says how it is to be played. Durations as `500ms`, `2s`, `1m`. */
export const simulationAnnotations = {
  /** From scheduled to running. Default: the nodes' `startDelayMs`. */
  startAfter: 'simulation.k8ts.io/start-after',
  /** From running to ready. */
  readyAfter: 'simulation.k8ts.io/ready-after',
  /** `true`: runs and never becomes ready. */
  neverReady: 'simulation.k8ts.io/never-ready',
  /** From running to finished. Pods of a Job finish by themselves; others only with this. */
  completeAfter: 'simulation.k8ts.io/complete-after',
  /** Exit code of the containers when it finishes; default 0. */
  exitCode: 'simulation.k8ts.io/exit-code',
  /** From deletion asked for to gone. */
  terminateAfter: 'simulation.k8ts.io/terminate-after',
} as const;

export interface StageContext {
  readonly now: string;
  readonly podIp: () => string;
  readonly hostIp: string;
}

/** One step of a pod's life: the first stage whose `when` holds is played, `delayMs` after it began to hold. */
export interface Stage {
  readonly name: string;
  readonly when: (pod: Pod) => boolean;
  readonly delay: { readonly annotation: string; readonly fallback: 'start' | 'none' };
  /** The status to write; absent: the pod is removed. */
  readonly status?: (pod: Pod, context: StageContext) => PodStatus;
}

const note = (pod: Pod, key: string): string | undefined => pod.metadata.annotations?.[key];
const phaseOf = (pod: Pod): string => pod.status?.phase ?? 'Pending';
const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;

function finishes(pod: Pod): boolean {
  if (note(pod, simulationAnnotations.completeAfter) !== undefined) return true;
  return pod.metadata.ownerReferences?.some((one) => one.controller === true && one.kind === 'Job') ?? false;
}

/** A pod's readiness gates are conditions that somebody else sets. */
function gatesOpen(pod: Pod): boolean {
  return (pod.spec.readinessGates ?? []).every(({ conditionType }) =>
    pod.status?.conditions?.some((one) => one.type === conditionType && one.status === 'True'),
  );
}

/** The kubelet's life of a pod, played: Pending → Running → Ready → (finished) → gone. */
export const podStages: readonly Stage[] = [
  {
    name: 'remove',
    when: (pod) => pod.metadata.deletionTimestamp !== undefined,
    delay: { annotation: simulationAnnotations.terminateAfter, fallback: 'none' },
  },
  {
    name: 'run',
    when: (pod) => phaseOf(pod) === 'Pending',
    delay: { annotation: simulationAnnotations.startAfter, fallback: 'start' },
    status: (pod, context) => runningStatus(pod, context, startsReady(pod)),
  },
  {
    name: 'finish',
    when: (pod) => phaseOf(pod) === 'Running' && finishes(pod),
    delay: { annotation: simulationAnnotations.completeAfter, fallback: 'none' },
    status: finishedStatus,
  },
  {
    name: 'ready',
    when: (pod) =>
      phaseOf(pod) === 'Running' &&
      !isReady(pod) &&
      note(pod, simulationAnnotations.neverReady) !== 'true' &&
      gatesOpen(pod),
    delay: { annotation: simulationAnnotations.readyAfter, fallback: 'none' },
    status: (pod, context) => runningStatus(pod, context, true),
  },
];

function startsReady(pod: Pod): boolean {
  const { readyAfter, neverReady } = simulationAnnotations;
  return note(pod, readyAfter) === undefined && note(pod, neverReady) !== 'true' && gatesOpen(pod);
}

function withConditions(
  pod: Pod,
  now: string,
  wanted: Readonly<Record<string, { status: string; reason?: string }>>,
): PodCondition[] {
  const conditions = [...(pod.status?.conditions ?? [])];
  for (const [type, { status, reason }] of Object.entries(wanted)) {
    const at = conditions.findIndex((one) => one.type === type);
    const transition = conditions[at]?.status === status ? conditions[at]?.lastTransitionTime : now;
    const condition = {
      type,
      status,
      lastTransitionTime: transition ?? now,
      ...(reason === undefined ? {} : { reason }),
    };
    if (at === -1) conditions.push(condition);
    else conditions[at] = condition;
  }
  return conditions;
}

function runningStatus(pod: Pod, { now, podIp, hostIp }: StageContext, ready: boolean): PodStatus {
  const flag = ready ? { status: 'True' } : { status: 'False', reason: 'ContainersNotReady' };
  const ip = pod.spec.hostNetwork ? hostIp : podIp();
  const startTime = pod.status?.startTime ?? now;
  const container = (name: string, image: string): ContainerStatus => ({
    name,
    image,
    imageID: `sim://${image}`,
    containerID: `sim://${pod.metadata.uid}/${name}`,
    ready,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: startTime } },
  });
  return {
    ...pod.status,
    phase: 'Running',
    conditions: withConditions(pod, now, {
      PodReadyToStartContainers: { status: 'True' },
      Initialized: { status: 'True' },
      ContainersReady: flag,
      Ready: flag,
      PodScheduled: { status: 'True' },
    }),
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    podIP: ip,
    podIPs: [{ ip }],
    startTime,
    ...(pod.spec.initContainers === undefined
      ? {}
      : {
          initContainerStatuses: pod.spec.initContainers.map(({ name, image = '', restartPolicy }) =>
            restartPolicy === 'Always'
              ? container(name, image)
              : {
                  ...container(name, image),
                  ready: true,
                  state: { terminated: { exitCode: 0, reason: 'Completed', startedAt: startTime, finishedAt: now } },
                },
          ),
        }),
    containerStatuses: pod.spec.containers.map(({ name, image = '' }) => container(name, image)),
  };
}

function finishedStatus(pod: Pod, { now }: StageContext): PodStatus {
  const exitCode = Number(note(pod, simulationAnnotations.exitCode) ?? 0);
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  const flag = exitCode === 0 ? { status: 'False', reason: 'PodCompleted' } : { status: 'False', reason: 'PodFailed' };
  const startedAt = pod.status?.startTime ?? now;
  return {
    ...pod.status,
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    conditions: withConditions(pod, now, {
      ...(exitCode === 0 ? { Initialized: { status: 'True', reason: 'PodCompleted' } } : {}),
      Ready: flag,
      ContainersReady: flag,
    }),
    containerStatuses: (pod.status?.containerStatuses ?? []).map((one) => ({
      ...one,
      ready: false,
      started: false,
      state: {
        terminated: {
          exitCode,
          reason,
          startedAt,
          finishedAt: now,
          ...(one.containerID ? { containerID: one.containerID } : {}),
        },
      },
    })),
  };
}
