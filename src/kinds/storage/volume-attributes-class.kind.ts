import { resource, type VolumeAttributesClass } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateVolumeAttributesClass, validateVolumeAttributesClassUpdate } from './storage-validation.ts';

const defaultAnnotation = 'storageclass.kubernetes.io/is-default-class';

export const volumeAttributesClassKind = defineKind<VolumeAttributesClass>({
  resource: resource('storage.k8s.io/v1', 'volumeattributesclasses'),
  storageSegment: 'volumeattributesclasses',
  validate: validateVolumeAttributesClass,
  validateUpdate: validateVolumeAttributesClassUpdate,
  columns: [
    {
      ...nameColumn,
      value: ({ metadata }) =>
        metadata.annotations?.[defaultAnnotation] === 'true' ? `${metadata.name} (default)` : metadata.name,
    },
    textColumn('DriverName', 'Driver that knows the parameters.', (object) => object.driverName ?? ''),
    ageColumn,
  ],
});
