import { type ClusterRoleBinding, type RoleBinding, resource, type Subject } from '#api';
import { ageColumn, nameColumn, textColumn, wide } from '../columns.ts';
import { defineKind, type TypedColumn } from '../definition.ts';
import { pathSegmentName } from '../names.ts';
import { validateBinding, validateBindingUpdate } from './rbac-validation.ts';

type AnyBinding = RoleBinding | ClusterRoleBinding;

const subjectsText = (binding: AnyBinding, kind: string, text: (subject: Subject) => string): string =>
  (binding.subjects ?? [])
    .filter((one) => one.kind === kind)
    .map(text)
    .join(', ');

const columns: readonly TypedColumn<AnyBinding>[] = [
  nameColumn,
  textColumn('Role', 'Role that it grants.', ({ roleRef }) => `${roleRef?.kind ?? ''}/${roleRef?.name ?? ''}`),
  ageColumn,
  wide(textColumn('Users', 'Users who get the role.', (binding) => subjectsText(binding, 'User', (one) => one.name))),
  wide(
    textColumn('Groups', 'Groups that get the role.', (binding) => subjectsText(binding, 'Group', (one) => one.name)),
  ),
  wide(
    textColumn('ServiceAccounts', 'Service accounts that get the role.', (binding) =>
      subjectsText(binding, 'ServiceAccount', (one) => `${one.namespace ?? ''}/${one.name}`),
    ),
  ),
];

const group = 'rbac.authorization.k8s.io';

function applyBindingDefaults(draft: AnyBinding): void {
  if (draft.roleRef != null && !draft.roleRef.apiGroup) draft.roleRef.apiGroup = group;
  for (const subject of draft.subjects ?? [])
    if (!subject.apiGroup && (subject.kind === 'User' || subject.kind === 'Group')) subject.apiGroup = group;
}

export const roleBindingKind = defineKind<RoleBinding>({
  resource: resource('rbac.authorization.k8s.io/v1', 'rolebindings'),
  storageSegment: 'rolebindings',
  allowCreateOnUpdate: true,
  applyDefaults: applyBindingDefaults,
  validateName: pathSegmentName,
  validate: (binding) => validateBinding(binding, true),
  validateUpdate: validateBindingUpdate,
  columns,
});

export const clusterRoleBindingKind = defineKind<ClusterRoleBinding>({
  resource: resource('rbac.authorization.k8s.io/v1', 'clusterrolebindings'),
  storageSegment: 'clusterrolebindings',
  allowCreateOnUpdate: true,
  applyDefaults: applyBindingDefaults,
  validateName: pathSegmentName,
  validate: (binding) => validateBinding(binding, false),
  validateUpdate: validateBindingUpdate,
  columns,
});
