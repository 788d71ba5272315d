import type { OwnerReference } from '#api';

/**
 * What an owner turned out to be. `solid`: it exists. `waiting`: it exists, is being deleted and waits for its dependents.
 * `dangling`: it does not exist. `unknown`: it cannot be judged (its kind is not served, or a cluster-scoped object names a
 * namespaced owner), which keeps the dependent.
 */
export type OwnerState = 'solid' | 'waiting' | 'dangling' | 'unknown';

export interface JudgedOwner {
  readonly owner: OwnerReference;
  readonly state: OwnerState;
}

export type CollectPlan =
  | { readonly action: 'keep' }
  /** Owners stay: those that are gone or going are taken off its list. */
  | { readonly action: 'dropOwners'; readonly uids: readonly string[] }
  | { readonly action: 'delete'; readonly propagation: 'Foreground' | 'Background' | 'Orphan' };

/** What becomes of an object with these owners. */
export function planCollect(
  owners: readonly JudgedOwner[],
  object: { hasDependents: boolean; finalizers: readonly string[] },
): CollectPlan {
  const of = (state: OwnerState): string[] => owners.filter((one) => one.state === state).map((one) => one.owner.uid);
  const gone = [...of('dangling'), ...of('waiting')];
  if (owners.length === 0 || of('unknown').length > 0) return { action: 'keep' };
  if (of('solid').length > 0) return gone.length === 0 ? { action: 'keep' } : { action: 'dropOwners', uids: gone };
  if (of('waiting').length > 0 && object.hasDependents) return { action: 'delete', propagation: 'Foreground' };
  if (object.finalizers.includes('orphan')) return { action: 'delete', propagation: 'Orphan' };
  if (object.finalizers.includes('foregroundDeletion')) return { action: 'delete', propagation: 'Foreground' };
  return { action: 'delete', propagation: 'Background' };
}
