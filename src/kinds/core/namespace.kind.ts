import { type Namespace, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';

const nameLabel = 'kubernetes.io/metadata.name';

export const namespaceKind = defineKind<Namespace>({
  resource: resource('v1', 'namespaces'),
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  status: true,
  subresources: [{ name: 'finalize', verbs: ['update'] }],
  applyDefaults: (draft) => {
    if (draft.metadata.name) draft.metadata.labels = { ...draft.metadata.labels, [nameLabel]: draft.metadata.name };
  },
  prepareForCreate: (draft) => {
    draft.status = { phase: 'Active' };
    draft.spec ??= {};
    const finalizers = draft.spec.finalizers ?? [];
    draft.spec.finalizers = finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
  },
  prepareForUpdate: (draft, old) => {
    draft.spec = { ...draft.spec, finalizers: old.spec?.finalizers ?? [] };
  },
  columns: [
    nameColumn,
    textColumn('Status', 'The status of the namespace.', (object) => object.status?.phase ?? ''),
    ageColumn,
  ],
  fieldSelectors: { 'status.phase': (object) => object.status?.phase ?? '', name: (object) => object.metadata.name },
});
