import type { Deployment, ReplicaSet } from '#api';
import {
  byCreation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  mostReplicas,
  replicasOf,
  rollingBounds,
  sumOf,
  wantedReplicas,
} from './replica-sets.ts';

/** One set and the number of replicas it should have. */
export interface Scaling {
  readonly set: ReplicaSet;
  readonly replicas: number;
}

const available = (set: ReplicaSet): number => set.status?.availableReplicas ?? 0;
export const isActiveSet = (set: ReplicaSet): boolean => replicasOf(set) > 0;

/** The deployment's size was changed since its sets were last scaled. */
export function isScalingEvent(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  const active = sets.filter(isActiveSet);
  if (active.length > 1 && deployment.spec.strategy?.type === 'Recreate') return false;
  return active.some((set) => {
    const desired = set.metadata.annotations?.[desiredReplicasAnnotation];
    return desired !== undefined && Number(desired) !== wantedReplicas(deployment);
  });
}

/** How far the newest set may grow now. */
export function newSetReplicas(deployment: Deployment, sets: readonly ReplicaSet[], current: number): number {
  const wanted = wantedReplicas(deployment);
  if (deployment.spec.strategy?.type === 'Recreate') return wanted;
  const room = mostReplicas(deployment) - sumOf(sets, replicasOf);
  if (room <= 0) return current;
  return current + Math.min(room, wanted - current);
}

/** A rolling update's step: the newest set first; once it cannot move, the old ones shrink as availability allows. */
export function planRollingStep(deployment: Deployment, newSet: ReplicaSet, oldSets: readonly ReplicaSet[]): Scaling[] {
  const wanted = wantedReplicas(deployment);
  const current = replicasOf(newSet);
  if (current > wanted) return [{ set: newSet, replicas: wanted }];
  if (current < wanted) {
    const replicas = newSetReplicas(deployment, [...oldSets, newSet], current);
    if (replicas !== current) return [{ set: newSet, replicas }];
  }
  return planShrink(deployment, newSet, oldSets);
}

function planShrink(deployment: Deployment, newSet: ReplicaSet, oldSets: readonly ReplicaSet[]): Scaling[] {
  const active = oldSets.filter(isActiveSet).toSorted(byCreation);
  if (active.length === 0) return [];
  const least = wantedReplicas(deployment) - rollingBounds(deployment).unavailable;
  const all = sumOf([...active, newSet], replicasOf);
  const newUnavailable = replicasOf(newSet) - available(newSet);
  let mayGo = all - least - newUnavailable;
  if (mayGo <= 0) return [];
  const sizes = new Map(active.map((set) => [set, replicasOf(set)]));
  const shrink = (set: ReplicaSet, by: number): void => void sizes.set(set, (sizes.get(set) ?? 0) - by);
  for (const set of active) {
    const unhealthy = Math.min(mayGo, replicasOf(set) - available(set));
    if (unhealthy <= 0) continue;
    shrink(set, unhealthy);
    mayGo -= unhealthy;
  }
  let surplus = sumOf([...active, newSet], available) - least;
  for (const set of active) {
    const healthy = Math.min(surplus, sizes.get(set) ?? 0);
    if (healthy <= 0) continue;
    shrink(set, healthy);
    surplus -= healthy;
  }
  return changesOfSize(sizes);
}

/** A change of the deployment's size (or a paused one): no rollout, the replicas are shared out among the sets that have some. */
export function planResize(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
): Scaling[] {
  const wanted = wantedReplicas(deployment);
  const all = newSet === undefined ? [...oldSets] : [...oldSets, newSet];
  const active = all.filter(isActiveSet);
  if (active.length <= 1) {
    const only = active[0] ?? newSet ?? oldSets.toSorted(byCreation).at(-1);
    return only === undefined ? [] : [{ set: only, replicas: wanted }];
  }
  if (newSet !== undefined && isSaturated(deployment, newSet)) {
    return oldSets.filter(isActiveSet).map((set) => ({ set, replicas: 0 }));
  }
  if (deployment.spec.strategy?.type === 'Recreate') return [];
  return shareOut(deployment, active);
}

function isSaturated(deployment: Deployment, set: ReplicaSet): boolean {
  const wanted = wantedReplicas(deployment);
  const desired = Number(set.metadata.annotations?.[desiredReplicasAnnotation]);
  return replicasOf(set) === wanted && desired === wanted && available(set) === wanted;
}

/** Each set grows or shrinks in proportion to its size; what rounding leaves goes to the biggest. */
function shareOut(deployment: Deployment, active: readonly ReplicaSet[]): Scaling[] {
  const total = sumOf(active, replicasOf);
  const allowed = wantedReplicas(deployment) > 0 ? mostReplicas(deployment) : 0;
  const toAdd = allowed - total;
  const newerFirst = toAdd > 0 ? -1 : 1;
  const ordered = active.toSorted((a, b) => replicasOf(b) - replicasOf(a) || newerFirst * byCreation(a, b));
  const sizes = new Map<ReplicaSet, number>();
  let added = 0;
  for (const set of ordered) {
    const share = toAdd === 0 ? 0 : proportion(set, deployment, toAdd, added);
    sizes.set(set, replicasOf(set) + share);
    added += share;
  }
  const biggest = ordered[0] as ReplicaSet;
  sizes.set(biggest, Math.max(0, (sizes.get(biggest) ?? 0) + toAdd - added));
  return ordered.map((set) => ({ set, replicas: sizes.get(set) ?? 0 }));
}

function proportion(set: ReplicaSet, deployment: Deployment, toAdd: number, added: number): number {
  const left = toAdd - added;
  if (replicasOf(set) === 0 || left === 0) return 0;
  const fraction = ownFraction(set, deployment);
  return toAdd > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
}

function ownFraction(set: ReplicaSet, deployment: Deployment): number {
  if (wantedReplicas(deployment) === 0) return -replicasOf(set);
  const annotation = Number(set.metadata.annotations?.[maxReplicasAnnotation] ?? 0);
  const before = annotation > 0 ? annotation : (deployment.status?.replicas ?? 0);
  if (before === 0) return 0;
  return Math.round((replicasOf(set) * mostReplicas(deployment)) / before) - replicasOf(set);
}

function changesOfSize(sizes: ReadonlyMap<ReplicaSet, number>): Scaling[] {
  const changes: Scaling[] = [];
  for (const [set, replicas] of sizes) if (replicas !== replicasOf(set)) changes.push({ set, replicas });
  return changes;
}
