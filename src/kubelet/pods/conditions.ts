import { rfc3339 } from '#base';
import type { ContainerStatus, Pod, PodCondition } from '#api';
import { allContainers, isSidecar } from './containers.ts';
import type { PodPhase } from './phase.ts';

export interface ConditionsInput {
  readonly pod: Pod;
  readonly phase: PodPhase;
  readonly statuses: ReadonlyMap<string, ContainerStatus>;
  /** The sandbox runs and has its address. */
  readonly sandboxReady: boolean;
  readonly nowMs: number;
}

type Finding = Pick<PodCondition, 'status' | 'reason' | 'message'>;

const holds: Finding = { status: 'True' };

/** The conditions that the kubelet owns, in upstream's order. A transition time moves only when the status does. */
export function podConditions(input: ConditionsInput): PodCondition[] {
  const containersReady = containersReadyFinding(input);
  const found: [string, Finding][] = [
    ['PodReadyToStartContainers', { status: input.sandboxReady ? 'True' : 'False' }],
    ['Initialized', initializedFinding(input)],
    ['Ready', readyFinding(input, containersReady)],
    ['ContainersReady', containersReady],
    ['PodScheduled', holds],
  ];
  return found.map(([type, finding]) => condition(input, type, finding));
}

export function condition(input: Pick<ConditionsInput, 'pod' | 'nowMs'>, type: string, finding: Finding): PodCondition {
  const old = input.pod.status?.conditions?.find((one) => one.type === type);
  const lastTransitionTime =
    old !== undefined && old.status === finding.status && old.lastTransitionTime
      ? old.lastTransitionTime
      : rfc3339(input.nowMs);
  const generation = input.pod.metadata.generation;
  return {
    type,
    ...finding,
    lastTransitionTime,
    ...(generation === undefined ? {} : { observedGeneration: generation }),
  };
}

function initializedFinding({ pod, phase, statuses }: ConditionsInput): Finding {
  if (phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' };
  const incomplete: string[] = [];
  let regularStarted = false;
  for (const container of allContainers(pod)) {
    const status = statuses.get(container.spec.name);
    if (container.kind === 'regular') {
      regularStarted ||=
        status?.state?.running !== undefined ||
        status?.state?.terminated !== undefined ||
        status?.lastState?.terminated !== undefined;
    } else if (container.kind === 'init') {
      const done = isSidecar(container) ? status?.started === true : status?.ready === true;
      if (!done) incomplete.push(container.spec.name);
    }
  }
  if (incomplete.length === 0 || regularStarted) return holds;
  return {
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${incomplete.join(' ')}]`,
  };
}

function containersReadyFinding({ pod, phase, statuses }: ConditionsInput): Finding {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  const unready: string[] = [];
  const unknown: string[] = [];
  for (const container of allContainers(pod)) {
    if (container.kind === 'ephemeral' || (container.kind === 'init' && !isSidecar(container))) continue;
    const status = statuses.get(container.spec.name);
    if (status === undefined) unknown.push(container.spec.name);
    else if (!status.ready) unready.push(container.spec.name);
  }
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const messages = [
    ...(unknown.length > 0 ? [`containers with unknown status: [${unknown.join(' ')}]`] : []),
    ...(unready.length > 0 ? [`containers with unready status: [${unready.join(' ')}]`] : []),
  ];
  return messages.length === 0
    ? holds
    : { status: 'False', reason: 'ContainersNotReady', message: messages.join(', ') };
}

function readyFinding({ pod }: ConditionsInput, containersReady: Finding): Finding {
  if (containersReady.status !== 'True') return containersReady;
  const messages: string[] = [];
  for (const { conditionType } of pod.spec?.readinessGates ?? []) {
    const gate = pod.status?.conditions?.find((one) => one.type === conditionType);
    if (gate === undefined)
      messages.push(`corresponding condition of pod readiness gate "${conditionType}" does not exist.`);
    else if (gate.status !== 'True')
      messages.push(`the status of pod readiness gate "${conditionType}" is not "True", but ${gate.status}`);
  }
  return messages.length === 0
    ? holds
    : { status: 'False', reason: 'ReadinessGatesNotReady', message: messages.join(', ') };
}
