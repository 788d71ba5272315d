import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from '#api';
import { compareQuantities, isQuantity, validateDns1123Subdomain } from '#machinery';
import { changesText, type Findings, sameValue } from '../findings.ts';

export const accessModes: readonly string[] = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
export const volumeModes: readonly string[] = ['Block', 'Filesystem'];

const betaClass = 'volume.beta.kubernetes.io/storage-class';

/** Spec of a claim, as itself, of a StatefulSet or of an ephemeral volume. */
export function validateClaimSpec(spec: PersistentVolumeClaimSpec | undefined, field: string, found: Findings): void {
  const modes = spec?.accessModes ?? [];
  if (modes.length === 0) found.required(`${field}.accessModes`, 'at least 1 access mode is required');
  found.selector(`${field}.selector`, spec?.selector);
  for (const mode of modes)
    if (!accessModes.includes(mode)) found.notSupported(`${field}.accessModes`, mode, accessModes);
  if (
    modes.includes('ReadWriteOncePod') &&
    modes.some((one) => one !== 'ReadWriteOncePod' && accessModes.includes(one))
  )
    found.forbidden(`${field}.accessModes`, 'may not use ReadWriteOncePod with other access modes');
  const storage = spec?.resources?.requests?.['storage'];
  if (storage === undefined) found.required(`${field}.resources[storage]`);
  else if (isQuantity(String(storage)) && compareQuantities(storage, '0') <= 0)
    found.invalid(`${field}.resources[storage]`, storage, 'must be greater than zero');
  if (spec?.storageClassName)
    found.each(`${field}.storageClassName`, spec.storageClassName, validateDns1123Subdomain(spec.storageClassName));
  if (spec?.volumeMode != null && !volumeModes.includes(spec.volumeMode))
    found.notSupported(`${field}.volumeMode`, spec.volumeMode, volumeModes);
  validateDataSource(spec?.dataSource, `${field}.dataSource`, found);
  validateDataSource(spec?.dataSourceRef, `${field}.dataSourceRef`, found);
  const { dataSource, dataSourceRef } = spec ?? {};
  if (dataSource != null && dataSourceRef?.namespace)
    found.invalid(field, {}, 'may not be specified when dataSourceRef.namespace is specified');
  else if (dataSource != null && dataSourceRef != null && !sameReference(dataSource, dataSourceRef))
    found.invalid(field, {}, 'must match dataSourceRef');
  if (spec?.volumeAttributesClassName)
    found.each(
      `${field}.volumeAttributesClassName`,
      spec.volumeAttributesClassName,
      validateDns1123Subdomain(spec.volumeAttributesClassName),
    );
}

const sameReference = (one: Reference, other: Reference): boolean =>
  one.apiGroup === other.apiGroup && one.kind === other.kind && one.name === other.name;

interface Reference {
  apiGroup?: string;
  kind: string;
  name: string;
}

function validateDataSource(
  source: { apiGroup?: string; kind: string; name: string; namespace?: string } | undefined,
  field: string,
  found: Findings,
): void {
  if (source == null) return;
  found.present(`${field}.name`, source.name);
  found.present(`${field}.kind`, source.kind);
  if (!source.apiGroup && source.kind !== 'PersistentVolumeClaim')
    found.invalid(field, source.kind ?? '', "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
  if (source.apiGroup) found.subdomain(`${field}.apiGroup`, source.apiGroup);
  if (source.namespace) found.label(`${field}.namespace`, source.namespace);
}

/** After creation: the volume's name may be set once, a bound claim may grow, its attributes class may change. */
export function validateClaimUpdate(claim: PersistentVolumeClaim, old: PersistentVolumeClaim, found: Findings): void {
  const before = old.spec ?? {};
  const after = { ...claim.spec };
  if (!before.volumeName) after.volumeName = before.volumeName;
  if (
    !sameValue(claimClass(claim), claimClass(old)) &&
    before.storageClassName == null &&
    old.status?.phase === 'Pending'
  )
    after.storageClassName = before.storageClassName;
  const bound = old.status?.phase === 'Bound' || old.status?.phase === 'Pending';
  const size = claim.spec?.resources?.requests?.['storage'];
  const oldSize = before.resources?.requests?.['storage'];
  if (old.status?.phase === 'Bound') after.resources = before.resources;
  if (bound) after.volumeAttributesClassName = before.volumeAttributesClassName;
  if (!sameValue(after, before))
    found.forbidden(
      'spec',
      `spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n${changesText(after, before)}`,
    );
  else if (size !== undefined && oldSize !== undefined && compareQuantities(size, oldSize) < 0) {
    const real = old.status?.capacity?.['storage'];
    if (real === undefined || compareQuantities(size, real) <= 0)
      found.forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity');
  }
  if (claim.metadata.annotations?.[betaClass] !== old.metadata.annotations?.[betaClass])
    found.immutable(
      `metadata.annotations.${betaClass}`,
      claim.metadata.annotations?.[betaClass] ?? '',
      old.metadata.annotations?.[betaClass] ?? '',
    );
  if (before.volumeAttributesClassName != null && claim.spec?.volumeAttributesClassName == null)
    found.forbidden('spec.volumeAttributesClassName', 'update from non-nil value to nil is forbidden');
}

const claimClass = (claim: PersistentVolumeClaim): string | undefined =>
  claim.metadata.annotations?.[betaClass] ?? claim.spec?.storageClassName;
