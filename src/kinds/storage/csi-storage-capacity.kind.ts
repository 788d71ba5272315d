import { type CSIStorageCapacity, resource } from '#api';
import { nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateStorageCapacity, validateStorageCapacityUpdate } from './storage-validation.ts';

export const csiStorageCapacityKind = defineKind<CSIStorageCapacity>({
  resource: resource('storage.k8s.io/v1', 'csistoragecapacities'),
  storageSegment: 'csistoragecapacities',
  allowUnconditionalUpdate: false,
  validate: validateStorageCapacity,
  validateUpdate: validateStorageCapacityUpdate,
  columns: [
    nameColumn,
    textColumn('StorageClassName', 'Storage class of the capacity.', (object) => object.storageClassName ?? ''),
    textColumn('Capacity', 'Space that is free.', (object) => String(object.capacity ?? '<unset>')),
  ],
});
