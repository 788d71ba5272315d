import { type CSINode, resource } from '#api';
import { ageColumn, integerColumn, nameColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateCsiNode } from './storage-validation.ts';

export const csiNodeKind = defineKind<CSINode>({
  resource: resource('storage.k8s.io/v1', 'csinodes'),
  storageSegment: 'csinodes',
  allowUnconditionalUpdate: false,
  validate: validateCsiNode,
  columns: [
    nameColumn,
    integerColumn('Drivers', 'Number of drivers on the node.', (object) => (object.spec?.drivers ?? []).length),
    ageColumn,
  ],
});
