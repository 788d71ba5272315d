import { resource, type StorageClass } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateStorageClass, validateStorageClassUpdate } from './storage-validation.ts';

const defaultAnnotations = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
];

/** Claims that name no class get this one. */
export function isDefaultStorageClass(object: StorageClass): boolean {
  return defaultAnnotations.some((name) => object.metadata.annotations?.[name] === 'true');
}

export const storageClassKind = defineKind<StorageClass>({
  resource: resource('storage.k8s.io/v1', 'storageclasses'),
  storageSegment: 'storageclasses',
  applyDefaults: (draft) => {
    draft.reclaimPolicy ??= 'Delete';
    draft.volumeBindingMode ??= 'Immediate';
  },
  validate: validateStorageClass,
  validateUpdate: validateStorageClassUpdate,
  columns: [
    {
      ...nameColumn,
      value: (object) => (isDefaultStorageClass(object) ? `${object.metadata.name} (default)` : object.metadata.name),
    },
    textColumn('Provisioner', 'Who makes the volumes.', (object) => object.provisioner ?? ''),
    textColumn('ReclaimPolicy', 'What happens to released volumes.', (object) => object.reclaimPolicy ?? 'Delete'),
    textColumn(
      'VolumeBindingMode',
      'When volumes are made and bound.',
      (object) => object.volumeBindingMode ?? 'Immediate',
    ),
    textColumn('AllowVolumeExpansion', 'Whether volumes can grow.', (object) => object.allowVolumeExpansion ?? false),
    ageColumn,
  ],
});
