import type {
  MatchCondition,
  MutatingWebhook,
  MutatingWebhookConfiguration,
  RuleWithOperations,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
} from '#api';
import { type FieldError, validateDns1035Label, validateDns1123Subdomain, validateQualifiedName } from '#machinery';
import { Findings } from '../findings.ts';
import { validateClientConfig } from './client-config-validation.ts';

const operations: readonly string[] = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const scopes: readonly string[] = ['*', 'Cluster', 'Namespaced'];
const reviewVersions: readonly string[] = ['v1', 'v1beta1'];
const maxConditions = 64;

export function validateWebhookConfiguration(
  configuration: MutatingWebhookConfiguration | ValidatingWebhookConfiguration,
): FieldError[] {
  const found = new Findings();
  const names = new Set<string>();
  for (const [index, webhook] of (configuration.webhooks ?? []).entries()) {
    const field = `webhooks[${index}]`;
    validateWebhook(webhook, field, found);
    if (names.has(webhook.name)) found.duplicate(`${field}.name`, webhook.name);
    names.add(webhook.name);
  }
  return found.list;
}

function validateWebhook(webhook: MutatingWebhook | ValidatingWebhook, field: string, found: Findings): void {
  validateFullName(webhook.name ?? '', `${field}.name`, found);
  for (const [index, rule] of (webhook.rules ?? []).entries())
    validateRule(rule, true, `${field}.rules[${index}]`, found);
  found.presentOneOf(`${field}.failurePolicy`, webhook.failurePolicy, ['Fail', 'Ignore']);
  found.presentOneOf(`${field}.matchPolicy`, webhook.matchPolicy, ['Equivalent', 'Exact']);
  if (webhook.sideEffects == null) found.required(`${field}.sideEffects`, 'must specify one of None, NoneOnDryRun');
  found.presentOneOf(`${field}.sideEffects`, webhook.sideEffects, ['None', 'NoneOnDryRun']);
  if (webhook.timeoutSeconds != null && (webhook.timeoutSeconds > 30 || webhook.timeoutSeconds < 1))
    found.invalid(
      `${field}.timeoutSeconds`,
      webhook.timeoutSeconds,
      'the timeout value must be between 1 and 30 seconds',
    );
  found.selector(`${field}.namespaceSelector`, webhook.namespaceSelector);
  found.selector(`${field}.objectSelector`, webhook.objectSelector);
  validateClientConfig(webhook.clientConfig, `${field}.clientConfig`, found);
  const reinvocation = (webhook as MutatingWebhook).reinvocationPolicy;
  found.presentOneOf(`${field}.reinvocationPolicy`, reinvocation, ['IfNeeded', 'Never']);
  validateMatchConditions(webhook.matchConditions, `${field}.matchConditions`, found);
  validateReviewVersions(webhook.admissionReviewVersions, `${field}.admissionReviewVersions`, found);
}

/** At least three labels: `name.example.com`. */
function validateFullName(name: string, field: string, found: Findings): void {
  if (name === '') return found.required(field);
  const messages = validateDns1123Subdomain(name);
  if (messages.length > 0) return found.invalid(field, name, messages.join(','));
  if (name.split('.').length < 3)
    found.invalid(field, name, 'should be a domain with at least three segments separated by dots');
}

export function validateReviewVersions(versions: readonly string[] | undefined, field: string, found: Findings): void {
  if (!versions?.length) return found.required(field, `must specify one of ${reviewVersions.join(', ')}`);
  const seen = new Set<string>();
  for (const [index, version] of versions.entries()) {
    if (seen.has(version)) found.invalid(`${field}[${index}]`, version, 'duplicate version');
    else found.each(`${field}[${index}]`, version, validateDns1035Label(version));
    seen.add(version);
  }
  if (!versions.some((version) => reviewVersions.includes(version)))
    found.invalid(field, versions, `must include at least one of ${reviewVersions.join(', ')}`);
}

/** Which requests a webhook or policy sees. */
export function validateRule(rule: RuleWithOperations, subresources: boolean, field: string, found: Findings): void {
  if (!rule.operations?.length) found.required(`${field}.operations`);
  else if (rule.operations.length > 1 && rule.operations.includes('*'))
    found.invalid(`${field}.operations`, rule.operations, "if '*' is present, must not specify other operations");
  for (const [index, operation] of (rule.operations ?? []).entries())
    if (!operations.includes(operation)) found.notSupported(`${field}.operations[${index}]`, operation, operations);
  validateWildcardList(rule.apiGroups, `${field}.apiGroups`, 'API groups', true, found);
  validateWildcardList(rule.apiVersions, `${field}.apiVersions`, 'API versions', false, found);
  const resources = rule.resources ?? [];
  if (resources.length === 0) found.required(`${field}.resources`);
  for (const [index, name] of resources.entries()) {
    if (name === '') found.required(`${field}.resources[${index}]`);
    if (!subresources && name.includes('/'))
      found.invalid(`${field}.resources[${index}]`, name, 'must not specify subresources');
  }
  if (resources.length > 1 && resources.includes('*/*'))
    found.invalid(`${field}.resources`, resources, "if '*/*' is present, must not specify other resources");
  if (resources.includes('*') && resources.some((name) => name !== '*' && !name.includes('/')))
    found.invalid(
      `${field}.resources`,
      resources,
      "if '*' is present, must not specify other resources without subresources",
    );
  if (rule.scope != null && !scopes.includes(rule.scope)) found.notSupported(`${field}.scope`, rule.scope, scopes);
}

function validateWildcardList(
  values: readonly string[] | undefined,
  field: string,
  words: string,
  emptyAllowed: boolean,
  found: Findings,
): void {
  if (!values?.length) return found.required(field);
  if (values.length > 1 && values.includes('*'))
    found.invalid(field, values, `if '*' is present, must not specify other ${words}`);
  for (const [index, value] of values.entries())
    if (value === '' && !emptyAllowed) found.required(`${field}[${index}]`);
}

export function validateMatchConditions(
  conditions: readonly MatchCondition[] | undefined,
  field: string,
  found: Findings,
): void {
  if ((conditions ?? []).length > maxConditions) found.tooMany(field, conditions?.length ?? 0, maxConditions);
  const names = new Set<string>();
  for (const [index, { name, expression }] of (conditions ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (!expression?.trim()) found.required(`${at}.expression`);
    if (!name) found.required(`${at}.name`);
    else {
      found.each(`${at}.name`, name, validateQualifiedName(name));
      if (names.has(name)) found.duplicate(`${at}.name`, name);
      names.add(name);
    }
  }
}
