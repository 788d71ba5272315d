import { type Namespace, resource } from '#api';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateNamespace, validateNamespaceStatusUpdate } from './namespace-validation.ts';
import { labelName } from '../names.ts';

const nameLabel = 'kubernetes.io/metadata.name';

function labelWithName({ metadata }: Namespace): void {
  if (metadata.name) metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name };
}

export const namespaceKind = defineKind<Namespace>({
  resource: resource('v1', 'namespaces'),
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  status: true,
  subresources: [{ name: 'finalize', verbs: ['update'] }],
  applyDefaults: labelWithName,
  prepareForCreate: (draft) => {
    labelWithName(draft);
    draft.status = { phase: 'Active' };
    draft.spec ??= {};
    const finalizers = draft.spec.finalizers ?? [];
    draft.spec.finalizers = finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'];
  },
  prepareForUpdate: (draft, old) => {
    draft.spec = { ...draft.spec, finalizers: old.spec?.finalizers ?? [] };
  },
  validateName: labelName,
  validate: validateNamespace,
  validateStatusUpdate: validateNamespaceStatusUpdate,
  columns: [
    nameColumn,
    textColumn('Status', 'The status of the namespace.', (object) => object.status?.phase ?? ''),
    ageColumn,
  ],
  fieldSelectors: { 'status.phase': (object) => object.status?.phase ?? '' },
});
