import type { Pod, ReplicaSetCondition, ReplicaSetStatus } from '#api';
import { isPodActive, isPodAvailable, isPodReady } from '#kinds';
import { deepEqual } from '#machinery';
import { availableAtMs } from '../pods/facts.ts';
import { podsToDelete } from './ranking.ts';

/** Most pods created or deleted in one go. */
const burst = 500;

export interface ReplicaPlan {
  readonly create: number;
  readonly remove: readonly Pod[];
}

export interface ReplicaPlanInput {
  readonly replicas: number;
  /** Claimed pods that count: active, and not being deleted by an order of ours still on its way. */
  readonly pods: readonly Pod[];
  /** Active pods of all sets with the same owner, for spreading what remains over nodes. */
  readonly related: () => readonly Pod[];
  readonly nowMs: number;
}

/** How many pods to create, or which to delete. */
export function planReplicas({ replicas, pods, related, nowMs }: ReplicaPlanInput): ReplicaPlan {
  const surplus = pods.length - replicas;
  if (surplus < 0) return { create: Math.min(-surplus, burst), remove: [] };
  if (surplus === 0) return { create: 0, remove: [] };
  return { create: 0, remove: podsToDelete(pods, Math.min(surplus, burst), related(), nowMs) };
}

export interface ReplicaStatusInput {
  readonly generation: number | undefined;
  readonly replicas: number;
  readonly minReadySeconds: number;
  readonly templateLabels: Readonly<Record<string, string>> | undefined;
  /** Claimed pods, finished ones left out. */
  readonly pods: readonly Pod[];
  readonly old: ReplicaSetStatus | undefined;
  /** What went wrong while creating or deleting, if anything. */
  readonly failure?: { readonly reason: 'FailedCreate' | 'FailedDelete'; readonly message: string };
  readonly now: { readonly ms: number; readonly text: string };
}

/** The status to write; undefined when nothing changed. */
export function planReplicaStatus(input: ReplicaStatusInput): ReplicaSetStatus | undefined {
  const { minReadySeconds, templateLabels = {}, old, now } = input;
  const pods = input.pods.filter(isPodActive);
  const labels = Object.entries(templateLabels);
  const status: ReplicaSetStatus = { ...old, replicas: pods.length };
  setCount(
    status,
    'fullyLabeledReplicas',
    pods.filter((pod) => labels.every(([key, value]) => pod.metadata.labels?.[key] === value)).length,
  );
  setCount(status, 'readyReplicas', pods.filter(isPodReady).length);
  setCount(status, 'availableReplicas', pods.filter((pod) => isPodAvailable(pod, minReadySeconds, now.ms)).length);
  if (input.generation !== undefined) status.observedGeneration = input.generation;
  const conditions = failureConditions(old?.conditions, input);
  if (conditions.length > 0) status.conditions = conditions;
  else delete status.conditions;
  return deepEqual(status, old) ? undefined : status;
}

/** Counts of zero are left out, as upstream's omitempty does, so that an unchanged status compares equal. */
function setCount(
  status: ReplicaSetStatus,
  field: 'fullyLabeledReplicas' | 'readyReplicas' | 'availableReplicas',
  count: number,
): void {
  if (count === 0) delete status[field];
  else status[field] = count;
}

function failureConditions(
  old: readonly ReplicaSetCondition[] = [],
  { failure, now }: ReplicaStatusInput,
): ReplicaSetCondition[] {
  const others = old.filter((one) => one.type !== 'ReplicaFailure');
  if (failure === undefined) return others;
  const present = old.find((one) => one.type === 'ReplicaFailure');
  if (present !== undefined && present.status === 'True' && present.reason === failure.reason) return [...old];
  return [...others, { type: 'ReplicaFailure', status: 'True', lastTransitionTime: now.text, ...failure }];
}

/** How long until the next ready pod becomes available; undefined when none is waiting. */
export function nextAvailableMs(pods: readonly Pod[], minReadySeconds: number, nowMs: number): number | undefined {
  if (minReadySeconds === 0) return undefined;
  let next: number | undefined;
  for (const pod of pods) {
    const atMs = availableAtMs(pod, minReadySeconds);
    if (atMs === undefined || atMs <= nowMs) continue;
    next = Math.min(next ?? Number.POSITIVE_INFINITY, atMs - nowMs);
  }
  return next;
}
