import { type DeviceClass, resource } from '#api';
import { ageColumn, nameColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateDeviceClass } from './resource-validation.ts';

export const deviceClassKind = defineKind<DeviceClass>({
  resource: resource('resource.k8s.io/v1', 'deviceclasses'),
  storageSegment: 'deviceclasses',
  generation: true,
  validate: validateDeviceClass,
  columns: [nameColumn, ageColumn],
});
