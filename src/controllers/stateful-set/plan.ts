import type { Pod, StatefulSet, StatefulSetStatus } from '#api';
import { isPodAvailable, isPodReady } from '#kinds';
import { deepEqual, resolveIntOrPercent } from '#machinery';
import { hashOf } from '../revisions/revisions.ts';
import { firstOrdinal, ordinalOf, replicasOf } from './identity.ts';

export interface StatefulView {
  readonly set: StatefulSet;
  /** Claimed pods. */
  readonly pods: readonly Pod[];
  readonly isGoing: (pod: Pod) => boolean;
  /** Names of the revision that pods are moving from, and the one they are moving to: pods' revision label has the whole name. */
  readonly current: string;
  readonly update: string;
  readonly nowMs: number;
}

export interface StatefulPlan {
  readonly create: readonly { readonly ordinal: number; readonly revision: 'current' | 'update' }[];
  readonly remove: readonly { readonly pod: Pod; readonly why: 'failed' | 'scaled' | 'updated' }[];
}

const isTerminating = (view: StatefulView, pod: Pod): boolean =>
  pod.metadata.deletionTimestamp !== undefined || view.isGoing(pod);
const isEnded = (pod: Pod): boolean => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
const isUp = (view: StatefulView, pod: Pod): boolean =>
  pod.status?.phase === 'Running' &&
  isPodReady(pod) &&
  isPodAvailable(pod, view.set.spec.minReadySeconds ?? 0, view.nowMs);
const isHealthy = (view: StatefulView, pod: Pod): boolean => isUp(view, pod) && !isTerminating(view, pod);

interface Sorted {
  readonly slots: ReadonlyMap<number, Pod>;
  /** Beyond the wanted ordinals, highest first. */
  readonly condemned: readonly Pod[];
}

function sortPods({ set, pods }: StatefulView): Sorted {
  const first = firstOrdinal(set);
  const slots = new Map<number, Pod>();
  const condemned: { ordinal: number; pod: Pod }[] = [];
  for (const pod of pods) {
    const ordinal = ordinalOf(set, pod);
    if (ordinal === undefined) continue;
    if (ordinal >= first && ordinal < first + replicasOf(set)) slots.set(ordinal, pod);
    else condemned.push({ ordinal, pod });
  }
  return { slots, condemned: condemned.toSorted((a, b) => b.ordinal - a.ordinal).map((one) => one.pod) };
}

const ordinalsOf = (set: StatefulSet): number[] =>
  Array.from({ length: replicasOf(set) }, (_, i) => firstOrdinal(set) + i);

/** Pods one by one in order of their ordinals (or all at once when Parallel), each only when those before it are up. */
export function planStatefulSet(view: StatefulView): StatefulPlan {
  const { set } = view;
  const plan = { create: [] as StatefulPlan['create'][number][], remove: [] as StatefulPlan['remove'][number][] };
  if (set.metadata.deletionTimestamp !== undefined) return plan;
  const sorted = sortPods(view);
  const ordered = set.spec.podManagementPolicy !== 'Parallel';
  if (!planSlots(view, sorted, ordered, plan)) return plan;
  if (!planCondemned(view, sorted, ordered, plan)) return plan;
  if (set.spec.updateStrategy?.type !== 'OnDelete') planUpdate(view, sorted, plan);
  return plan;
}

type Draft = { create: StatefulPlan['create'][number][]; remove: StatefulPlan['remove'][number][] };

/** Returns whether to go on. */
function planSlots(view: StatefulView, { slots }: Sorted, ordered: boolean, plan: Draft): boolean {
  for (const ordinal of ordinalsOf(view.set)) {
    const pod = slots.get(ordinal);
    if (pod === undefined) plan.create.push({ ordinal, revision: revisionFor(view, ordinal) });
    else if (isTerminating(view, pod)) {
      if (ordered) return false;
      continue;
    } else if (isEnded(pod)) plan.remove.push({ pod, why: 'failed' });
    else if (isUp(view, pod) || !ordered) continue;
    if (ordered) return false;
  }
  return plan.create.length + plan.remove.length === 0 || !ordered;
}

/** Below the partition, and while an update has not come that far, a pod is made again as it was. */
function revisionFor({ set, current, update }: StatefulView, ordinal: number): 'current' | 'update' {
  if (current === update) return 'update';
  if (set.spec.updateStrategy?.type === 'OnDelete') return 'update';
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const boundary = partition > 0 ? partition : (set.status?.currentReplicas ?? 0);
  return ordinal < firstOrdinal(set) + boundary ? 'current' : 'update';
}

function planCondemned(view: StatefulView, { slots, condemned }: Sorted, ordered: boolean, plan: Draft): boolean {
  const unhealthy = [...ordinalsOf(view.set).map((ordinal) => slots.get(ordinal)), ...condemned.toReversed()].find(
    (pod) => pod !== undefined && !isHealthy(view, pod),
  );
  for (const pod of condemned) {
    if (isTerminating(view, pod)) {
      if (ordered) return false;
      continue;
    }
    if (ordered && unhealthy !== undefined && unhealthy !== pod) return false;
    plan.remove.push({ pod, why: 'scaled' });
    if (ordered) return false;
  }
  return true;
}

/** From the highest ordinal down to the partition, no more than `maxUnavailable` not up at a time. */
function planUpdate(view: StatefulView, { slots }: Sorted, plan: Draft): void {
  const { set, update } = view;
  const { partition = 0, maxUnavailable = 1 } = set.spec.updateStrategy?.rollingUpdate ?? {};
  const most = Math.max(1, resolveIntOrPercent(maxUnavailable, replicasOf(set), false));
  const ordinals = ordinalsOf(set);
  let down = ordinals.filter((ordinal) => {
    const pod = slots.get(ordinal);
    return pod === undefined || !isHealthy(view, pod);
  }).length;
  for (const ordinal of ordinals.slice(partition).toReversed()) {
    const pod = slots.get(ordinal);
    if (pod === undefined || isTerminating(view, pod)) {
      if (down >= most) return;
      continue;
    }
    const healthy = isHealthy(view, pod);
    if (hashOf(pod) !== update) {
      if (healthy && down >= most) return;
      plan.remove.push({ pod, why: 'updated' });
      if (healthy) down++;
      if (plan.remove.filter((one) => one.why === 'updated').length >= most) return;
    } else if (!healthy && down >= most) return;
  }
}

/** The status after a look; undefined when nothing changed. When an update is through, it becomes the current revision. */
export function planStatefulStatus(view: StatefulView, collisionCount?: number): StatefulSetStatus | undefined {
  const { set, pods, current, update, nowMs } = view;
  const mine = pods.filter((pod) => ordinalOf(set, pod) !== undefined);
  const ready = mine.filter((pod) => pod.status?.phase === 'Running' && isPodReady(pod));
  const alive = mine.filter((pod) => !isTerminating(view, pod));
  const counts = {
    replicas: mine.length,
    ready: ready.length,
    available: ready.filter((pod) => isPodAvailable(pod, set.spec.minReadySeconds ?? 0, nowMs)).length,
    current: alive.filter((pod) => hashOf(pod) === current).length,
    updated: alive.filter((pod) => hashOf(pod) === update).length,
  };
  const rolling = set.spec.updateStrategy?.type !== 'OnDelete';
  const through =
    rolling &&
    counts.updated === counts.replicas &&
    counts.ready === counts.replicas &&
    counts.replicas === replicasOf(set);
  const collisions = collisionCount ?? set.status?.collisionCount ?? 0;
  const currentReplicas = through ? counts.updated : counts.current;
  const status: StatefulSetStatus = {
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    replicas: counts.replicas,
    ...(counts.ready > 0 ? { readyReplicas: counts.ready } : {}),
    ...(currentReplicas > 0 ? { currentReplicas } : {}),
    ...(counts.updated > 0 ? { updatedReplicas: counts.updated } : {}),
    currentRevision: through ? update : current,
    updateRevision: update,
    collisionCount: collisions,
    availableReplicas: counts.available,
    ...(set.status?.conditions === undefined ? {} : { conditions: set.status.conditions }),
  };
  return deepEqual(status, set.status) ? undefined : status;
}
