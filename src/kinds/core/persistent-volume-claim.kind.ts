import { type PersistentVolumeClaim, resource } from '#api';
import { ageColumn, nameColumn, textColumn, wide } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { accessModesText, storageClassName } from './volume-columns.ts';
import { applyClaimSpecDefaults } from './volume-defaults.ts';
import { Findings } from '../findings.ts';
import { validateClaimSpec, validateClaimUpdate } from './claim-validation.ts';

const whenBound = (claim: PersistentVolumeClaim, text: string): string => (claim.spec?.volumeName ? text : '');

export const persistentVolumeClaimKind = defineKind<PersistentVolumeClaim>({
  resource: resource('v1', 'persistentvolumeclaims'),
  status: true,
  initialStatus: { phase: 'Pending' },
  applyDefaults: (draft) => {
    draft.spec ??= {};
    applyClaimSpecDefaults(draft.spec);
    draft.status ??= {};
    if (!draft.status.phase) draft.status.phase = 'Pending';
  },
  validate: (claim) => {
    const found = new Findings();
    validateClaimSpec(claim.spec, 'spec', found);
    return found.list;
  },
  validateUpdate: (claim, old) => {
    const found = new Findings();
    validateClaimUpdate(claim, old, found);
    return found.list;
  },
  columns: [
    nameColumn,
    textColumn('Status', 'Phase of the claim.', (claim) =>
      claim.metadata.deletionTimestamp ? 'Terminating' : (claim.status?.phase ?? ''),
    ),
    textColumn('Volume', 'Volume that the claim is bound to.', (claim) => claim.spec?.volumeName ?? ''),
    textColumn('Capacity', 'Actual size of the bound volume.', (claim) =>
      whenBound(claim, String(claim.status?.capacity?.['storage'] ?? '0')),
    ),
    textColumn('Access Modes', 'Access modes of the bound volume.', (claim) =>
      whenBound(claim, accessModesText(claim.status?.accessModes)),
    ),
    textColumn('StorageClass', 'Storage class asked for.', (claim) => storageClassName(claim) ?? ''),
    textColumn(
      'VolumeAttributesClass',
      'Volume attributes class asked for.',
      (claim) => claim.spec?.volumeAttributesClassName ?? '<unset>',
    ),
    ageColumn,
    wide(textColumn('VolumeMode', 'Filesystem or Block.', (claim) => claim.spec?.volumeMode ?? '<unset>')),
  ],
});
