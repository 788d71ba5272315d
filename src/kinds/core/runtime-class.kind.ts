import { type RuntimeClass, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';

export const runtimeClassKind = defineKind<RuntimeClass>({
  resource: resource('node.k8s.io/v1', 'runtimeclasses'),
  columns: [
    nameColumn,
    textColumn('Handler', 'Configuration of the runtime on the node.', (object) => object.handler ?? ''),
    ageColumn,
  ],
});
