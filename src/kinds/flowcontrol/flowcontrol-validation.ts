import type { FlowSchema, PriorityLevelConfiguration } from '#api';
import { type FieldError, validateDns1123Subdomain } from '#machinery';
import { Findings } from '../findings.ts';

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
  if (spec?.distinguisherMethod != null)
    found.oneOf('spec.distinguisherMethod.type', spec.distinguisherMethod.type, ['ByNamespace', 'ByUser']);
  const level = spec?.priorityLevelConfiguration?.name ?? '';
  if (found.present('spec.priorityLevelConfiguration.name', level))
    found.each('spec.priorityLevelConfiguration.name', level, validateDns1123Subdomain(level));
  for (const [index, rule] of (spec?.rules ?? []).entries()) {
    const field = `spec.rules[${index}]`;
    if (!rule.subjects?.length) found.required(`${field}.subjects`, 'subjects must contain at least one value');
    for (const [position, subject] of (rule.subjects ?? []).entries())
      if (!subjectKinds.includes(subject.kind))
        found.notSupported(`${field}.subjects[${position}].kind`, subject.kind, subjectKinds);
    if (!rule.resourceRules?.length && !rule.nonResourceRules?.length)
      found.required(field, 'at least one of resourceRules and nonResourceRules has to be non-empty');
    for (const [position, one] of (rule.resourceRules ?? []).entries()) {
      const at = `${field}.resourceRules[${position}]`;
      if (!one.verbs?.length) found.required(`${at}.verbs`);
      if (!one.apiGroups?.length) found.required(`${at}.apiGroups`);
      if (!one.resources?.length) found.required(`${at}.resources`);
      if (!one.namespaces?.length && !one.clusterScope)
        found.required(
          `${at}.namespaces`,
          'resource rules that are not cluster scoped must supply at least one namespace',
        );
    }
    for (const [position, one] of (rule.nonResourceRules ?? []).entries()) {
      const at = `${field}.nonResourceRules[${position}]`;
      if (!one.verbs?.length) found.required(`${at}.verbs`);
      if (!one.nonResourceURLs?.length) found.required(`${at}.nonResourceURLs`);
    }
  }
  return found.list;
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
