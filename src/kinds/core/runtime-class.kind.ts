import { type RuntimeClass, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateRuntimeClass, validateRuntimeClassUpdate } from './runtime-class-validation.ts';

export const runtimeClassKind = defineKind<RuntimeClass>({
  resource: resource('node.k8s.io/v1', 'runtimeclasses'),
  allowUnconditionalUpdate: false,
  validate: validateRuntimeClass,
  validateUpdate: validateRuntimeClassUpdate,
  columns: [
    nameColumn,
    textColumn('Handler', 'Configuration of the runtime on the node.', (object) => object.handler ?? ''),
    ageColumn,
  ],
});
