import type {
  MatchResources,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ParamKind,
  ParamRef,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from '#api';
import { type FieldError, validateCIdentifier, validateDns1035Label, validateDns1123Subdomain } from '#machinery';
import { Findings } from '../findings.ts';
import { validateMatchConditions, validateRule } from './webhook-validation.ts';

export function validateValidatingPolicy({ spec }: ValidatingAdmissionPolicy): FieldError[] {
  const found = new Findings();
  validateCommon(spec, found);
  if (!spec?.validations?.length && !spec?.auditAnnotations?.length)
    found.required('spec.validations', 'validations or auditAnnotations must contain at least one item');
  for (const [index, one] of (spec?.validations ?? []).entries()) {
    const field = `spec.validations[${index}]`;
    if (!one.expression?.trim()) found.required(`${field}.expression`, 'expression is not specified');
    if (one.message?.includes('\n'))
      found.invalid(`${field}.message`, one.message, 'message must not contain line breaks');
    if (one.reason != null && !reasons.includes(one.reason)) found.notSupported(`${field}.reason`, one.reason, reasons);
  }
  const keys = new Set<string>();
  for (const [index, one] of (spec?.auditAnnotations ?? []).entries()) {
    const field = `spec.auditAnnotations[${index}]`;
    if (!one.key) found.required(`${field}.key`);
    if (keys.has(one.key)) found.duplicate(`${field}.key`, one.key);
    keys.add(one.key);
    if (!one.valueExpression?.trim()) found.required(`${field}.valueExpression`, 'valueExpression is not specified');
  }
  return found.list;
}

const reasons: readonly string[] = ['Forbidden', 'Invalid', 'RequestEntityTooLarge', 'Unauthorized'];

export function validateMutatingPolicy({ spec }: MutatingAdmissionPolicy): FieldError[] {
  const found = new Findings();
  validateCommon(spec, found);
  if (!spec?.mutations?.length) found.required('spec.mutations', 'mutations must contain at least one item');
  for (const [index, one] of (spec?.mutations ?? []).entries()) {
    const field = `spec.mutations[${index}]`;
    found.oneOf(`${field}.patchType`, one.patchType, ['ApplyConfiguration', 'JSONPatch']);
    if (one.patchType === 'ApplyConfiguration' && !one.applyConfiguration?.expression?.trim())
      found.required(`${field}.applyConfiguration.expression`, 'expression is not specified');
    if (one.patchType === 'JSONPatch' && !one.jsonPatch?.expression?.trim())
      found.required(`${field}.jsonPatch.expression`, 'expression is not specified');
  }
  if (!spec?.reinvocationPolicy) found.required('spec.reinvocationPolicy');
  else found.oneOf('spec.reinvocationPolicy', spec.reinvocationPolicy, ['IfNeeded', 'Never']);
  return found.list;
}

function validateCommon(
  spec: ValidatingAdmissionPolicy['spec'] | MutatingAdmissionPolicy['spec'] | undefined,
  found: Findings,
): void {
  if (spec?.failurePolicy == null) found.required('spec.failurePolicy');
  else found.oneOf('spec.failurePolicy', spec.failurePolicy, ['Fail', 'Ignore']);
  if (spec?.paramKind != null) validateParamKind(spec.paramKind, 'spec.paramKind', found);
  if (spec?.matchConstraints == null) found.required('spec.matchConstraints');
  else {
    validateMatch(spec.matchConstraints, 'spec.matchConstraints', found);
    if (!spec.matchConstraints.resourceRules?.length) found.required('spec.matchConstraints.resourceRules');
  }
  validateMatchConditions(spec?.matchConditions, 'spec.matchConditions', found);
  for (const [index, variable] of (spec?.variables ?? []).entries()) {
    const field = `spec.variables[${index}]`;
    if (!variable.name) found.required(`${field}.name`, 'name is not specified');
    else found.each(`${field}.name`, variable.name, validateCIdentifier(variable.name));
    if (!variable.expression?.trim()) found.required(`${field}.expression`, 'expression is not specified');
  }
}

function validateParamKind(kind: ParamKind, field: string, found: Findings): void {
  if (!kind.apiVersion) found.required(`${field}.apiVersion`);
  if (!kind.kind) found.required(`${field}.kind`);
  else {
    const messages = validateDns1035Label(kind.kind.toLowerCase());
    if (messages.length > 0)
      found.invalid(
        `${field}.kind`,
        kind.kind,
        `may have mixed case, but should otherwise match: ${messages.join(',')}`,
      );
  }
}

function validateMatch(match: MatchResources, field: string, found: Findings): void {
  if (match.matchPolicy == null) found.required(`${field}.matchPolicy`);
  else found.oneOf(`${field}.matchPolicy`, match.matchPolicy, ['Equivalent', 'Exact']);
  found.selector(`${field}.namespaceSelector`, match.namespaceSelector);
  found.selector(`${field}.objectSelector`, match.objectSelector);
  for (const list of ['resourceRules', 'excludeResourceRules'] as const)
    for (const [index, rule] of (match[list] ?? []).entries())
      validateRule(rule, true, `${field}.${list}[${index}]`, found);
}

function validateBindingCommon(
  spec: { policyName?: string; paramRef?: ParamRef; matchResources?: MatchResources } | undefined,
  found: Findings,
): void {
  if (!spec?.policyName) found.required('spec.policyName');
  else found.each('spec.policyName', spec.policyName, validateDns1123Subdomain(spec.policyName));
  const reference = spec?.paramRef;
  if (reference != null) {
    const field = 'spec.paramRef';
    if (reference.name && reference.selector != null)
      found.forbidden(`${field}.name`, 'name and selector are mutually exclusive');
    else if (!reference.name && reference.selector == null)
      found.required(field, 'one of name or selector must be specified');
    if (reference.parameterNotFoundAction == null) found.required(`${field}.parameterNotFoundAction`, '');
    else found.oneOf(`${field}.parameterNotFoundAction`, reference.parameterNotFoundAction, ['Deny', 'Allow']);
  }
  if (spec?.matchResources != null) validateMatch(spec.matchResources, 'spec.matchResources', found);
}

export function validateMutatingPolicyBinding({ spec }: MutatingAdmissionPolicyBinding): FieldError[] {
  const found = new Findings();
  validateBindingCommon(spec, found);
  return found.list;
}

export function validateValidatingPolicyBinding({ spec }: ValidatingAdmissionPolicyBinding): FieldError[] {
  const found = new Findings();
  validateBindingCommon(spec, found);
  const actions = spec?.validationActions ?? [];
  if (actions.length === 0) found.required('spec.validationActions', 'at least one validation action is required');
  const seen = new Set<string>();
  for (const [index, action] of actions.entries()) {
    const field = `spec.validationActions[${index}]`;
    if (!['Audit', 'Deny', 'Warn'].includes(action)) found.notSupported(field, action, ['Audit', 'Deny', 'Warn']);
    if (seen.has(action)) found.duplicate(field, action);
    seen.add(action);
  }
  if (seen.has('Deny') && seen.has('Warn'))
    found.invalid(
      'spec.validationActions',
      actions,
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
    );
  return found.list;
}
