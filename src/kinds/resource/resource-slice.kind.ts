import { type ResourceSlice, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateResourceSlice, validateResourceSliceUpdate } from './resource-validation.ts';

export const resourceSliceKind = defineKind<ResourceSlice>({
  resource: resource('resource.k8s.io/v1', 'resourceslices'),
  storageSegment: 'resourceslices',
  generation: true,
  validate: validateResourceSlice,
  validateUpdate: validateResourceSliceUpdate,
  columns: [
    nameColumn,
    textColumn('Node', 'Node of its devices.', ({ spec }) => spec?.nodeName ?? '<unset>'),
    textColumn('Driver', 'Driver of its devices.', ({ spec }) => spec?.driver ?? ''),
    textColumn('Pool', 'Pool of its devices.', ({ spec }) => spec?.pool?.name ?? ''),
    ageColumn,
  ],
  fieldSelectors: {
    'spec.nodeName': ({ spec }) => spec?.nodeName ?? '',
    'spec.driver': ({ spec }) => spec?.driver ?? '',
  },
});
