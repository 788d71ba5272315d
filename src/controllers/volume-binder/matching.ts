import type { PersistentVolume, PersistentVolumeClaim } from '#api';
import { compareQuantities, labelSelectorOf } from '#machinery';

/** The volume says it is for this claim, by uid where it names one. */
export function isReservedFor({ spec }: PersistentVolume, { metadata }: PersistentVolumeClaim): boolean {
  const { claimRef } = spec;
  if (claimRef === undefined || claimRef.name !== metadata.name || claimRef.namespace !== metadata.namespace)
    return false;
  return !claimRef.uid || claimRef.uid === metadata.uid;
}

function fits({ spec, metadata }: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const wanted = claim.spec;
  if ((spec.storageClassName ?? '') !== (wanted.storageClassName ?? '')) return false;
  if ((spec.volumeMode ?? 'Filesystem') !== (wanted.volumeMode ?? 'Filesystem')) return false;
  if (!(wanted.accessModes ?? []).every((mode) => spec.accessModes?.includes(mode))) return false;
  if (compareQuantities(spec.capacity?.storage ?? '0', wanted.resources?.requests?.storage ?? '0') < 0) return false;
  if ((spec.volumeAttributesClassName ?? '') !== (wanted.volumeAttributesClassName ?? '')) return false;
  return wanted.selector === undefined || labelSelectorOf(wanted.selector).matches(metadata.labels);
}

/** The volume to bind: the one reserved for the claim, else the smallest free one that fits. */
export function findVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
): PersistentVolume | undefined {
  const alive = volumes.filter((one) => one.metadata.deletionTimestamp === undefined);
  const reserved = alive.find((one) => isReservedFor(one, claim));
  if (reserved !== undefined) return reserved;
  const size = (one: PersistentVolume): string => one.spec.capacity?.storage ?? '0';
  return alive
    .filter((one) => one.spec.claimRef === undefined && one.status?.phase === 'Available' && fits(one, claim))
    .toSorted((a, b) => compareQuantities(size(a), size(b)) || (a.metadata.name < b.metadata.name ? -1 : 1))[0];
}
