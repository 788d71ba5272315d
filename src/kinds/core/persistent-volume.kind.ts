import { type PersistentVolume, resource } from '#api';
import { ageColumn, nameColumn, textColumn, wide } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { accessModesText, storageClassName } from './volume-columns.ts';
import { applyLegacyDefaults } from './volume-defaults.ts';
import { validatePersistentVolume, validatePersistentVolumeUpdate } from './persistent-volume-validation.ts';

export const persistentVolumeKind = defineKind<PersistentVolume>({
  resource: resource('v1', 'persistentvolumes'),
  status: true,
  initialStatus: { phase: 'Pending' },
  applyDefaults: (draft) => {
    const spec = (draft.spec ??= {});
    if (!spec.persistentVolumeReclaimPolicy) spec.persistentVolumeReclaimPolicy = 'Retain';
    spec.volumeMode ??= 'Filesystem';
    if (spec.hostPath != null) spec.hostPath.type ??= '';
    applyLegacyDefaults(spec);
    draft.status ??= {};
    if (!draft.status.phase) draft.status.phase = 'Pending';
  },
  validate: validatePersistentVolume,
  validateUpdate: validatePersistentVolumeUpdate,
  columns: [
    nameColumn,
    textColumn('Capacity', 'Size of the volume.', (volume) => String(volume.spec?.capacity?.['storage'] ?? '0')),
    textColumn('Access Modes', 'Ways in which it can be mounted.', (volume) =>
      accessModesText(volume.spec?.accessModes),
    ),
    textColumn(
      'Reclaim Policy',
      'What happens to it when its claim is gone.',
      (volume) => volume.spec?.persistentVolumeReclaimPolicy ?? '',
    ),
    textColumn('Status', 'Phase of the volume.', (volume) =>
      volume.metadata.deletionTimestamp ? 'Terminating' : (volume.status?.phase ?? ''),
    ),
    textColumn('Claim', 'Claim that it is bound to.', (volume) => {
      const claim = volume.spec?.claimRef;
      return claim == null ? '' : `${claim.namespace ?? ''}/${claim.name ?? ''}`;
    }),
    textColumn('StorageClass', 'Storage class it belongs to.', (volume) => storageClassName(volume) ?? ''),
    textColumn(
      'VolumeAttributesClass',
      'Volume attributes class it belongs to.',
      (volume) => volume.spec?.volumeAttributesClassName ?? '<unset>',
    ),
    textColumn('Reason', 'Why it is in this phase.', (volume) => volume.status?.reason ?? ''),
    ageColumn,
    wide(textColumn('VolumeMode', 'Filesystem or Block.', (volume) => volume.spec?.volumeMode ?? '<unset>')),
  ],
});
