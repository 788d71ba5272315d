import type { PersistentVolume } from '#api';
import { compareQuantities, type FieldError, isQuantity, quantityMilli, validateDns1123Subdomain } from '#machinery';
import { changesText, Findings, sameValue } from '../findings.ts';
import { validateNodeSelector } from './affinity-validation.ts';
import { accessModes, volumeModes } from './claim-validation.ts';
import { excessField, persistentSourceOrder, sourceField, validateSource } from './volume-source-validation.ts';

const reclaimPolicies: readonly string[] = ['Delete', 'Recycle', 'Retain'];
const ownFields: ReadonlySet<string> = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
]);

const sourcesOf = (spec: object): Record<string, Record<string, unknown>> =>
  Object.fromEntries(Object.entries(spec).filter(([name, value]) => value != null && !ownFields.has(name)));

export function validatePersistentVolume(volume: PersistentVolume): FieldError[] {
  const found = new Findings();
  const spec = volume.spec ?? {};
  const modes = spec.accessModes ?? [];
  if (modes.length === 0) found.required('spec.accessModes');
  for (const mode of modes) if (!accessModes.includes(mode)) found.notSupported('spec.accessModes', mode, accessModes);
  if (
    modes.includes('ReadWriteOncePod') &&
    modes.some((one) => one !== 'ReadWriteOncePod' && accessModes.includes(one))
  )
    found.forbidden('spec.accessModes', 'may not use ReadWriteOncePod with other access modes');
  const capacity = spec.capacity ?? {};
  if (Object.keys(capacity).length === 0) found.required('spec.capacity');
  if (!Object.hasOwn(capacity, 'storage') || Object.keys(capacity).length > 1)
    found.notSupported('spec.capacity', capacity, ['storage']);
  for (const [name, amount] of Object.entries(capacity)) {
    if (!isQuantity(String(amount)) || compareQuantities(amount, '0') > 0) continue;
    if (compareQuantities(amount, '0') < 0)
      found.invalid(
        `spec.capacity[${name}]`,
        Math.ceil(quantityMilli(amount) / 1000),
        'must be a valid resource quantity',
      );
    found.invalid(`spec.capacity[${name}]`, amount, 'must be greater than zero');
  }
  found.optionalOneOf('spec.persistentVolumeReclaimPolicy', spec.persistentVolumeReclaimPolicy, reclaimPolicies);
  if (spec.nodeAffinity != null) {
    if (spec.nodeAffinity.required == null)
      found.required('spec.nodeAffinity.required', 'must specify required node constraints');
    else validateNodeSelector(spec.nodeAffinity.required, 'spec.nodeAffinity.required', found);
  }
  validateSources(volume, found);
  if (spec.hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
    found.forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'");
  if (spec.storageClassName)
    found.each('spec.storageClassName', spec.storageClassName, validateDns1123Subdomain(spec.storageClassName));
  if (spec.volumeMode != null && !volumeModes.includes(spec.volumeMode))
    found.notSupported('spec.volumeMode', spec.volumeMode, volumeModes);
  if (spec.volumeAttributesClassName != null) {
    if (spec.volumeAttributesClassName === '')
      found.required('spec.volumeAttributesClassName', 'an empty string is disallowed');
    if (spec.csi == null) found.required('spec.csi', 'has to be specified when using volumeAttributesClassName');
  }
  return found.list;
}

function validateSources(volume: PersistentVolume, found: Findings): void {
  const spec = volume.spec ?? {};
  const sources = sourcesOf(spec);
  const names = persistentSourceOrder.filter((name) => Object.hasOwn(sources, name));
  if (names.length === 0) return found.required('spec', 'must specify a volume type');
  for (const [index, name] of names.entries()) {
    if (index > 0) {
      found.forbidden(excessField('spec', name), 'may not specify more than 1 volume type');
      continue;
    }
    validateSource(name, sources[name] ?? {}, sourceField('spec', name), found, true);
    if (
      name === 'iscsi' &&
      spec.iscsi?.initiatorName != null &&
      longIscsiName(volume.metadata.name, spec.iscsi.targetPortal)
    )
      found.invalid(
        'spec.iscsi.targetportal',
        spec.iscsi.targetPortal,
        'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.',
      );
    if (name === 'local' && spec.nodeAffinity?.required == null)
      found.required('spec.nodeAffinity', 'Local volume requires node affinity');
  }
}

const longIscsiName = (name: string, portal: string | undefined): boolean => `${name}:${portal ?? ''}`.length > 64;

/** The source, and node affinity once set, stay as they were made. */
export function validatePersistentVolumeUpdate(volume: PersistentVolume, old: PersistentVolume): FieldError[] {
  const found = new Findings();
  const after = sourcesOf(volume.spec ?? {});
  const before = sourcesOf(old.spec ?? {});
  if (!sameValue(after, before))
    found.forbidden(
      'spec.persistentvolumesource',
      `spec.persistentvolumesource is immutable after creation\n${changesText(after, before)}`,
    );
  found.immutable('volumeMode', volume.spec?.volumeMode, old.spec?.volumeMode);
  if (old.spec?.nodeAffinity != null) found.immutable('nodeAffinity', volume.spec?.nodeAffinity, old.spec.nodeAffinity);
  return found.list;
}
