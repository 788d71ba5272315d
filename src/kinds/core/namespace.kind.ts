import { type Namespace, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';

export const namespaceKind = defineKind<Namespace>({
  resource: resource('v1', 'namespaces'),
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  status: true,
  subresources: [{ name: 'finalize', verbs: ['update'] }],
  columns: [
    nameColumn,
    textColumn('Status', 'The status of the namespace.', (object) => object.status?.phase ?? ''),
    ageColumn,
  ],
  fieldSelectors: { 'status.phase': (object) => object.status?.phase ?? '', name: (object) => object.metadata.name },
});
