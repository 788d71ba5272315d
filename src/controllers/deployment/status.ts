import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from '#api';
import { deepEqual, parseTimeMs } from '#machinery';
import { replicasOf, rollingBounds, sumOf, wantedReplicas } from './replica-sets.ts';

export interface Now {
  readonly ms: number;
  readonly text: string;
}

/** progressDeadlineSeconds of this much means: none. */
const noDeadline = 2 ** 31 - 1;

type Verdict = Pick<DeploymentCondition, 'type' | 'status' | 'reason' | 'message'>;

export function conditionOf(status: DeploymentStatus | undefined, type: string): DeploymentCondition | undefined {
  return status?.conditions?.find((one) => one.type === type);
}

export function hasDeadline(deployment: Deployment): boolean {
  const { progressDeadlineSeconds } = deployment.spec;
  return progressDeadlineSeconds !== undefined && progressDeadlineSeconds !== noDeadline;
}

/** Sets a condition; one of the same status and reason stays as it is, one of the same status keeps its transition time. */
export function setCondition(status: DeploymentStatus, verdict: Verdict, now: Now): void {
  const present = conditionOf(status, verdict.type);
  if (present?.status === verdict.status && present.reason === verdict.reason) return;
  const transition = present?.status === verdict.status ? (present.lastTransitionTime ?? now.text) : now.text;
  const others = status.conditions?.filter((one) => one.type !== verdict.type) ?? [];
  status.conditions = [...others, { ...verdict, lastUpdateTime: now.text, lastTransitionTime: transition }];
}

export function dropCondition(status: DeploymentStatus, type: string): void {
  const left = status.conditions?.filter((one) => one.type !== type) ?? [];
  if (left.length === 0) delete status.conditions;
  else status.conditions = left;
}

/** The counts and the Available condition, from the sets. */
export function countStatus(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  now: Now,
): DeploymentStatus {
  const available = sumOf(sets, (set) => set.status?.availableReplicas ?? 0);
  const counts = {
    replicas: sumOf(sets, (set) => set.status?.replicas ?? 0),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: sumOf(sets, (set) => set.status?.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sumOf(sets, replicasOf) - available),
  };
  const { collisionCount, conditions } = deployment.status ?? {};
  const status: DeploymentStatus = {
    ...(deployment.metadata.generation === undefined ? {} : { observedGeneration: deployment.metadata.generation }),
    ...Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0)),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    ...(conditions === undefined ? {} : { conditions: [...conditions] }),
  };
  const enough = available >= wantedReplicas(deployment) - rollingBounds(deployment).unavailable;
  const verdict: Verdict = enough
    ? {
        type: 'Available',
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      }
    : {
        type: 'Available',
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      };
  setCondition(status, verdict, now);
  return status;
}

export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const wanted = wantedReplicas(deployment);
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function hasProgressed(old: DeploymentStatus, status: DeploymentStatus): boolean {
  const grown = (field: 'updatedReplicas' | 'readyReplicas' | 'availableReplicas'): boolean =>
    (status[field] ?? 0) > (old[field] ?? 0);
  const outdated = ({ replicas = 0, updatedReplicas = 0 }: DeploymentStatus): number => replicas - updatedReplicas;
  return (
    grown('updatedReplicas') || outdated(status) < outdated(old) || grown('readyReplicas') || grown('availableReplicas')
  );
}

/** When the deadline for progress passes; undefined when nothing is being waited for. */
function deadlineMs(deployment: Deployment, status: DeploymentStatus): number | undefined {
  const progressing = conditionOf(status, 'Progressing');
  if (progressing === undefined || !hasDeadline(deployment) || progressing.reason === 'NewReplicaSetAvailable')
    return undefined;
  return parseTimeMs(progressing.lastUpdateTime) + (deployment.spec.progressDeadlineSeconds ?? 0) * 1000;
}

function isTimedOut(deployment: Deployment, status: DeploymentStatus, now: Now): boolean {
  if (conditionOf(status, 'Progressing')?.reason === 'ProgressDeadlineExceeded') return true;
  const atMs = deadlineMs(deployment, status);
  return atMs !== undefined && atMs < now.ms;
}

/** The status of a rollout after a step: counts, Available, Progressing and ReplicaFailure. */
export function rolloutStatus(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  sets: readonly ReplicaSet[],
  now: Now,
): DeploymentStatus {
  const status = countStatus(deployment, newSet, sets, now);
  const old = deployment.status ?? {};
  if (!hasDeadline(deployment)) dropCondition(status, 'Progressing');
  const present = conditionOf(status, 'Progressing');
  const settled =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && present?.reason === 'NewReplicaSetAvailable';
  if (hasDeadline(deployment) && !settled) {
    const subject =
      newSet === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`;
    const verdict = (flag: string, reason: string, message: string): Verdict => ({
      type: 'Progressing',
      status: flag,
      reason,
      message,
    });
    if (isComplete(deployment, status)) {
      setCondition(status, verdict('True', 'NewReplicaSetAvailable', `${subject} has successfully progressed.`), now);
    } else if (hasProgressed(old, status)) {
      const next = verdict('True', 'ReplicaSetUpdated', `${subject} is progressing.`);
      dropCondition(status, 'Progressing');
      const transition = present?.status === 'True' ? (present.lastTransitionTime ?? now.text) : now.text;
      status.conditions = [
        ...(status.conditions ?? []),
        { ...next, lastUpdateTime: now.text, lastTransitionTime: transition },
      ];
    } else if (isTimedOut(deployment, status, now)) {
      setCondition(status, verdict('False', 'ProgressDeadlineExceeded', `${subject} has timed out progressing.`), now);
    }
  }
  const failure = failureOf(newSet) ?? sets.map(failureOf).find((one) => one !== undefined);
  if (failure === undefined) dropCondition(status, 'ReplicaFailure');
  else setCondition(status, failure, now);
  return status;
}

function failureOf(set: ReplicaSet | undefined): Verdict | undefined {
  const found = set?.status?.conditions?.find((one) => one.type === 'ReplicaFailure');
  if (found === undefined) return undefined;
  return {
    type: found.type,
    status: found.status,
    ...(found.reason && { reason: found.reason }),
    ...(found.message && { message: found.message }),
  };
}

/** How long until a rollout that does not move counts as timed out; undefined when it moves, is done or has timed out. */
export function deadlineDelayMs(deployment: Deployment, status: DeploymentStatus, now: Now): number | undefined {
  if (isComplete(deployment, status) || conditionOf(status, 'Progressing')?.reason === 'ProgressDeadlineExceeded')
    return undefined;
  const atMs = deadlineMs(deployment, status);
  return atMs === undefined || Number.isNaN(atMs) ? undefined : Math.max(1_000, atMs - now.ms + 1_000);
}

export const sameStatus = (a: DeploymentStatus | undefined, b: DeploymentStatus): boolean => deepEqual(a ?? {}, b);
