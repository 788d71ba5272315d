import type { FlowSchema, PriorityLevelConfiguration } from '#api';
import { type FieldError, validateDns1123Label, validateDns1123Subdomain } from '#machinery';
import { Findings } from '../findings.ts';

type FlowSubject = NonNullable<NonNullable<NonNullable<FlowSchema['spec']>['rules']>[number]['subjects']>[number];

const subjectKinds: readonly string[] = ['Group', 'ServiceAccount', 'User'];

export function validateFlowSchema({ metadata, spec }: FlowSchema): FieldError[] {
  const found = new Findings();
  const precedence = spec?.matchingPrecedence ?? 0;
  if (precedence <= 0) found.invalid('spec.matchingPrecedence', precedence, 'must be a positive value');
  if (precedence > 10000) found.invalid('spec.matchingPrecedence', precedence, 'must not be greater than 10000');
  if (precedence === 1 && metadata.name !== 'exempt')
    found.invalid(
      'spec.matchingPrecedence',
      precedence,
      "only the schema named 'exempt' may have matchingPrecedence 1",
    );
  const methods = ['ByNamespace', 'ByUser'];
  if (spec?.distinguisherMethod != null && !methods.includes(spec.distinguisherMethod.type ?? ''))
    found.notSupported('spec.distinguisherMethod.type', { Type: spec.distinguisherMethod.type ?? '' }, methods);
  const level = spec?.priorityLevelConfiguration?.name ?? '';
  if (level === '') found.required('spec.priorityLevelConfiguration.name', 'must reference a priority level');
  else found.each('spec.priorityLevelConfiguration.name', level, validateDns1123Subdomain(level));
  for (const [index, rule] of (spec?.rules ?? []).entries()) {
    const field = `spec.rules[${index}]`;
    if (!rule.subjects?.length) found.required(`${field}.subjects`, 'subjects must contain at least one value');
    for (const [position, subject] of (rule.subjects ?? []).entries())
      validateSubject(subject, `${field}.subjects[${position}]`, found);
    if (!rule.resourceRules?.length && !rule.nonResourceRules?.length)
      found.required(field, 'at least one of resourceRules and nonResourceRules has to be non-empty');
    for (const [position, one] of (rule.resourceRules ?? []).entries()) {
      const at = `${field}.resourceRules[${position}]`;
      validateVerbs(one.verbs, `${at}.verbs`, found);
      if (!one.apiGroups?.length)
        found.required(`${at}.apiGroups`, 'resource rules must supply at least one api group');
      else validateLoneWildcard(one.apiGroups, 'api groups', `${at}.apiGroups`, found);
      if (!one.resources?.length) found.required(`${at}.resources`, 'resource rules must supply at least one resource');
      else validateLoneWildcard(one.resources, 'resources', `${at}.resources`, found);
      const namespaces = one.namespaces ?? [];
      if (namespaces.length === 0 && !one.clusterScope)
        found.required(
          `${at}.namespaces`,
          'resource rules that are not cluster scoped must supply at least one namespace',
        );
      else if (!validateLoneWildcard(namespaces, 'namespaces', `${at}.namespaces`, found))
        for (const [place, name] of namespaces.entries())
          for (const message of validateDns1123Label(name))
            found.invalid(
              `${at}.namespaces[${place}]`,
              name,
              `each member of this list must be '*' or a DNS-1123 label; ${message}`,
            );
    }
    for (const [position, one] of (rule.nonResourceRules ?? []).entries()) {
      const at = `${field}.nonResourceRules[${position}]`;
      validateVerbs(one.verbs, `${at}.verbs`, found);
      const urls = one.nonResourceURLs ?? [];
      if (urls.length === 0) found.required(`${at}.nonResourceURLs`, 'nonResourceURLs must contain at least one value');
      else if (!validateLoneWildcard(urls, 'non-resource URLs', `${at}.nonResourceURLs`, found))
        for (const [place, url] of urls.entries()) validateUrlPath(url, `${at}.nonResourceURLs[${place}]`, found);
    }
  }
  return found.list;
}

const subjectFields = [
  ['user', 'User'],
  ['group', 'Group'],
  ['serviceAccount', 'ServiceAccount'],
] as const;

/** Just the part that the kind names. */
function validateSubject(subject: FlowSubject, field: string, found: Findings): void {
  const own = subjectFields.find(([, kind]) => kind === subject.kind)?.[0];
  if (own === undefined) return found.notSupported(`${field}.kind`, subject.kind ?? '', subjectKinds);
  const part = subject[own];
  if (part == null) found.required(`${field}.${own}`, `${own} is required when subject kind is '${subject.kind}'`);
  else {
    found.present(`${field}.${own}.name`, part.name);
    if (own === 'serviceAccount') {
      if (part.name && part.name !== '*') found.subdomain(`${field}.${own}.name`, part.name);
      const namespace = subject.serviceAccount?.namespace;
      if (namespace) found.label(`${field}.${own}.namespace`, namespace);
      else found.required(`${field}.${own}.namespace`, 'must specify namespace for service account');
    }
  }
  for (const [name, kind] of [...subjectFields].sort(([a], [b]) => subjectOrder.indexOf(a) - subjectOrder.indexOf(b)))
    if (name !== own && subject[name] != null)
      found.forbidden(`${field}.${name}`, `${name} is forbidden when subject kind is not '${kind}'`);
}

const subjectOrder: readonly string[] = ['serviceAccount', 'user', 'group'];
const verbs: readonly string[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'proxy',
  'update',
  'watch',
];

function validateVerbs(list: readonly string[] | undefined, field: string, found: Findings): void {
  if (!list?.length) return found.required(field, 'verbs must contain at least one value');
  if (!validateLoneWildcard(list, 'verbs', field, found) && list.some((verb) => !verbs.includes(verb)))
    found.notSupported(field, list, verbs);
}

/** True when everything is meant; then nothing else may be named. */
function validateLoneWildcard(list: readonly string[], words: string, field: string, found: Findings): boolean {
  if (!list.includes('*')) return false;
  if (list.length > 1) found.invalid(field, list, `if '*' is present, must not specify other ${words}`);
  return true;
}

function validateUrlPath(path: string, field: string, found: Findings): void {
  if (path === '') return found.invalid(field, path, 'must not be empty');
  if (path === '/') return;
  if (!path.startsWith('/')) return found.invalid(field, path, 'must start with slash');
  if (path.includes(' ')) return found.invalid(field, path, 'must not contain white-space');
  if (path.includes('//')) return found.invalid(field, path, 'must not contain double slash');
  const star = path.indexOf('*');
  if (star >= 0 && (!path.endsWith('/*') || star !== path.length - 1))
    found.invalid(field, path, 'wildcard can only do suffix matching');
}

export function validatePriorityLevel({ spec }: PriorityLevelConfiguration): FieldError[] {
  const found = new Findings();
  if (spec?.type === 'Exempt') {
    if (spec.limited != null) found.forbidden('spec.limited', 'must be nil if the type is not Limited');
  } else if (spec?.type === 'Limited') {
    if (spec.exempt != null) found.forbidden('spec.exempt', 'must be nil if the type is Limited');
    const limited = spec.limited;
    if (limited == null) found.required('spec.limited', 'must not be empty when type is Limited');
    else {
      found.nonNegative('spec.limited.nominalConcurrencyShares', limited.nominalConcurrencyShares);
      found.range('spec.limited.lendablePercent', limited.lendablePercent, 0, 100);
      found.nonNegative('spec.limited.borrowingLimitPercent', limited.borrowingLimitPercent);
      const response = limited.limitResponse;
      if (response?.type === 'Reject') {
        if (response.queuing != null)
          found.forbidden(
            'spec.limited.limitResponse.queuing',
            'must be nil if limited.limitResponse.type is not Limited',
          );
      } else if (response?.type === 'Queue') {
        if (response.queuing == null)
          found.required(
            'spec.limited.limitResponse.queuing',
            'must not be empty if limited.limitResponse.type is Limited',
          );
        else if (
          response.queuing.handSize !== undefined &&
          response.queuing.queues !== undefined &&
          response.queuing.handSize > response.queuing.queues
        )
          found.invalid(
            'spec.limited.limitResponse.queuing.handSize',
            response.queuing.handSize,
            `should not be greater than queues (${response.queuing.queues})`,
          );
      } else found.oneOf('spec.limited.limitResponse.type', response?.type, ['Queue', 'Reject']);
    }
  } else found.oneOf('spec.type', spec?.type, ['Exempt', 'Limited']);
  return found.list;
}
