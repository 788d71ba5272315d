import { type CustomResourceDefinition, resource } from '#api';
import { plainColumns } from '../columns.ts';
import { defineKind } from '../definition.ts';

export const customResourceDefinitionKind = defineKind<CustomResourceDefinition>({
  resource: resource('apiextensions.k8s.io/v1', 'customresourcedefinitions'),
  storageSegment: 'apiextensions.k8s.io/customresourcedefinitions',
  status: true,
  generation: true,
  columns: plainColumns,
});
