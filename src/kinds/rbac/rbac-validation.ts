import type { ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject } from '#api';
import { type FieldError, validateDns1123Subdomain, validatePathSegmentName } from '#machinery';
import { Findings, sameValue } from '../findings.ts';

const group = 'rbac.authorization.k8s.io';
const subjectKinds: readonly string[] = ['ServiceAccount', 'User', 'Group'];

export function validateRole(role: Role): FieldError[] {
  const found = new Findings();
  validateRules(role.rules, true, found);
  return found.list;
}

export function validateClusterRole(role: ClusterRole): FieldError[] {
  const found = new Findings();
  validateRules(role.rules, false, found);
  if (role.aggregationRule != null) {
    const field = 'aggregationRule.clusterRoleSelectors';
    const selectors = role.aggregationRule.clusterRoleSelectors ?? [];
    if (selectors.length === 0)
      found.required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil');
    for (const [index, selector] of selectors.entries()) {
      const before = found.list.length;
      found.selector(`${field}[${index}]`, selector);
      if (found.list.length > before) found.invalid(`${field}[${index}]`, null, 'invalid label selector.');
    }
  }
  return found.list;
}

function validateRules(rules: readonly PolicyRule[] | undefined, namespaced: boolean, found: Findings): void {
  for (const [index, rule] of (rules ?? []).entries()) {
    const field = `rules[${index}]`;
    if (!rule.verbs?.length) found.required(`${field}.verbs`, 'verbs must contain at least one value');
    const urls = rule.nonResourceURLs ?? [];
    if (urls.length > 0) {
      if (namespaced)
        found.invalid(`${field}.nonResourceURLs`, urls, 'namespaced rules cannot apply to non-resource URLs');
      if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length)
        found.invalid(
          `${field}.nonResourceURLs`,
          urls,
          'rules cannot apply to both regular resources and non-resource URLs',
        );
      continue;
    }
    if (!rule.apiGroups?.length)
      found.required(`${field}.apiGroups`, 'resource rules must supply at least one api group');
    if (!rule.resources?.length)
      found.required(`${field}.resources`, 'resource rules must supply at least one resource');
  }
}

/** `namespaced`: a RoleBinding, that may name Roles too, and whose service accounts default to its namespace. */
export function validateBinding(binding: RoleBinding | ClusterRoleBinding, namespaced: boolean): FieldError[] {
  const found = new Findings();
  const { roleRef, subjects } = binding;
  if (roleRef?.apiGroup !== group) found.notSupported('roleRef.apiGroup', roleRef?.apiGroup ?? '', [group]);
  const kinds = namespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  if (!kinds.includes(roleRef?.kind ?? '')) found.notSupported('roleRef.kind', roleRef?.kind ?? '', kinds);
  if (found.present('roleRef.name', roleRef?.name))
    found.each('roleRef.name', roleRef.name, validatePathSegmentName(roleRef.name));
  for (const [index, subject] of (subjects ?? []).entries())
    validateSubject(subject, namespaced, `subjects[${index}]`, found);
  return found.list;
}

function validateSubject(subject: Subject, namespaced: boolean, field: string, found: Findings): void {
  found.present(`${field}.name`, subject.name);
  if (subject.kind === 'ServiceAccount') {
    if (subject.name) found.each(`${field}.name`, subject.name, validateDns1123Subdomain(subject.name));
    if (subject.apiGroup) found.notSupported(`${field}.apiGroup`, subject.apiGroup, ['']);
    if (!namespaced && !subject.namespace) found.required(`${field}.namespace`);
  } else if (subject.kind === 'User' || subject.kind === 'Group') {
    if (subject.apiGroup !== group) found.notSupported(`${field}.apiGroup`, subject.apiGroup ?? '', [group]);
  } else found.notSupported(`${field}.kind`, subject.kind ?? '', subjectKinds);
}

export function validateBindingUpdate(
  binding: RoleBinding | ClusterRoleBinding,
  old: RoleBinding | ClusterRoleBinding,
): FieldError[] {
  const found = new Findings();
  if (!sameValue(binding.roleRef, old.roleRef)) found.invalid('roleRef', binding.roleRef, 'cannot change roleRef');
  return found.list;
}
