import type { LimitRange, LimitRangeItem, ResourceQuota } from '#api';
import { compareQuantities, type FieldError, isQuantity, quantityMilli, validateQualifiedName } from '#machinery';
import { Findings } from '../findings.ts';
import {
  isOvercommitAllowed,
  validateContainerResourceName,
  validateResourceAmount,
  validateResourceName,
} from './resource-validation.ts';

const scopes: ReadonlySet<string> = new Set([
  'Terminating',
  'NotTerminating',
  'BestEffort',
  'NotBestEffort',
  'PriorityClass',
  'CrossNamespacePodAffinity',
  'VolumeAttributesClass',
]);
const existsOnly: ReadonlySet<string> = new Set([
  'Terminating',
  'NotTerminating',
  'BestEffort',
  'NotBestEffort',
  'CrossNamespacePodAffinity',
]);
const counted: readonly string[] = [
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
];

const measured: readonly string[] = ['cpu', 'memory', 'ephemeral-storage'];

const isQuotaResource = (name: string): boolean =>
  counted.includes(name) ||
  name === 'requests.storage' ||
  measured.includes(name.replace(/^(requests|limits)\./, '')) ||
  /^(requests\.)?hugepages-/.test(name);

const compute: readonly string[] = ['cpu', 'memory'];

/** Whether a scope says something of a resource: those of pods of their number, most also of what they compute with. */
function appliesTo(scope: string, name: string): boolean {
  switch (scope) {
    case 'BestEffort':
      return name === 'pods';
    case 'Terminating':
    case 'NotTerminating':
    case 'NotBestEffort':
    case 'PriorityClass':
    case 'CrossNamespacePodAffinity':
      return name === 'pods' || compute.includes(name.replace(/^(requests|limits)\./, ''));
    case 'VolumeAttributesClass':
      return name.endsWith('persistentvolumeclaims') || name.endsWith('requests.storage');
    default:
      return true;
  }
}

export function validateResourceQuota(quota: ResourceQuota): FieldError[] {
  const found = new Findings();
  validateAmounts(quota.spec?.hard, 'spec.hard', found);
  const named = new Set<string>();
  for (const scope of quota.spec?.scopes ?? []) {
    named.add(scope);
    if (!scopes.has(scope)) found.invalid('spec.scopes', quota.spec?.scopes, 'unsupported scope');
    for (const name of Object.keys(quota.spec?.hard ?? {}))
      if (!appliesTo(scope, name))
        found.invalid('spec.scopes', quota.spec?.scopes, 'unsupported scope applied to resource');
  }
  for (const [a, b] of [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ] as const)
    if (named.has(a) && named.has(b)) found.invalid('spec.scopes', quota.spec?.scopes, 'conflicting scopes');
  for (const one of quota.spec?.scopeSelector?.matchExpressions ?? []) {
    const field = 'spec.scopeSelector.matchExpressions';
    if (!scopes.has(one.scopeName)) found.invalid(`${field}.scopeName`, one.scopeName, 'unsupported scope');
    for (const name of Object.keys(quota.spec?.hard ?? {}))
      if (!appliesTo(one.scopeName, name))
        found.invalid(field, quota.spec?.scopeSelector, 'unsupported scope applied to resource');
    if (existsOnly.has(one.scopeName) && one.operator !== 'Exists')
      found.invalid(
        `${field}.operator`,
        one.operator,
        "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
      );
    const values = one.values ?? [];
    if (one.operator === 'In' || one.operator === 'NotIn') {
      if (values.length === 0)
        found.required(
          `${field}.values`,
          "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
        );
    } else if (one.operator === 'Exists' || one.operator === 'DoesNotExist') {
      if (values.length > 0)
        found.invalid(
          `${field}.values`,
          values,
          "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector",
        );
    } else found.invalid(`${field}.operator`, one.operator, 'not a valid selector operator');
  }
  return found.list;
}

function validateAmounts(list: Record<string, string> | undefined, field: string, found: Findings): void {
  for (const [name, amount] of Object.entries(list ?? {})) {
    const at = `${field}[${name}]`;
    validateResourceName(name, at, found);
    if (!name.includes('/') && !isQuotaResource(name)) found.invalid(at, name, 'must be a standard resource for quota');
    validateResourceAmount(name, amount, at, found);
    if (isQuantity(String(amount)) && counted.includes(name) && quantityMilli(amount) % 1000 !== 0)
      found.invalid(at, amount, 'must be an integer');
  }
}

export function validateResourceQuotaUpdate(quota: ResourceQuota, old: ResourceQuota): FieldError[] {
  const found = new Findings();
  found.immutable('spec.scopes', [...(quota.spec?.scopes ?? [])].sort(), [...(old.spec?.scopes ?? [])].sort());
  return found.list;
}

export function validateResourceQuotaStatus(quota: ResourceQuota): FieldError[] {
  const found = new Findings();
  validateAmounts(quota.status?.hard, 'status.hard', found);
  validateAmounts(quota.status?.used, 'status.used', found);
  return found.list;
}

const limitTypes: readonly string[] = ['Pod', 'Container', 'PersistentVolumeClaim'];

export function validateLimitRange(range: LimitRange): FieldError[] {
  const found = new Findings();
  const types = new Set<string>();
  for (const [index, item] of (range.spec?.limits ?? []).entries()) {
    const field = `spec.limits[${index}]`;
    const typeErrors = validateQualifiedName(item.type ?? '');
    found.each(`${field}.type`, item.type ?? '', typeErrors);
    if (typeErrors.length === 0 && !item.type.includes('/') && !limitTypes.includes(item.type))
      found.invalid(`${field}.type`, item.type, 'must be a standard limit type or fully qualified');
    if (types.has(item.type)) found.duplicate(`${field}.type`, item.type);
    types.add(item.type);
    validateItem(item, field, found);
  }
  return found.list;
}

function validateItem(item: LimitRangeItem, field: string, found: Findings): void {
  validateNames(item, ['max', 'min'], field, found);
  if (item.type === 'Pod') {
    if (Object.keys(item.default ?? {}).length > 0)
      found.forbidden(`${field}.default`, "may not be specified when `type` is 'Pod'");
    if (Object.keys(item.defaultRequest ?? {}).length > 0)
      found.forbidden(`${field}.defaultRequest`, "may not be specified when `type` is 'Pod'");
  } else validateNames(item, ['default', 'defaultRequest'], field, found);
  if (
    item.type === 'PersistentVolumeClaim' &&
    item.min?.['storage'] === undefined &&
    item.max?.['storage'] === undefined
  )
    found.required(`${field}.limits`, 'either minimum or maximum storage value is required, but neither was provided');
  validateNames(item, ['maxLimitRequestRatio'], field, found);
  const names = new Set(
    [item.max, item.min, item.default, item.defaultRequest, item.maxLimitRequestRatio].flatMap((list) =>
      Object.keys(list ?? {}),
    ),
  );
  for (const name of names) validateOrder(item, name, field, found);
}

type AmountLists = 'max' | 'min' | 'default' | 'defaultRequest' | 'maxLimitRequestRatio';

function validateNames(item: LimitRangeItem, lists: readonly AmountLists[], field: string, found: Findings): void {
  const validate =
    item.type === 'Pod' || item.type === 'Container' ? validateContainerResourceName : validateResourceName;
  for (const list of lists)
    for (const name of Object.keys(item[list] ?? {})) validate(name, `${field}.${list}[${name}]`, found);
}

function validateOrder(item: LimitRangeItem, name: string, field: string, found: Findings): void {
  const of = (list: Record<string, string> | undefined) =>
    list !== undefined && Object.hasOwn(list, name) ? list[name] : undefined;
  const more = (a: string | undefined, b: string | undefined): boolean =>
    a !== undefined && b !== undefined && isQuantity(String(a)) && isQuantity(String(b)) && compareQuantities(a, b) > 0;
  const [min, max] = [of(item.min), of(item.max)];
  const [limit, request] = item.type === 'Pod' ? [] : [of(item.default), of(item.defaultRequest)];
  const ratio = of(item.maxLimitRequestRatio);
  const at = (list: string) => `${field}.${list}[${name}]`;
  if (more(min, max)) found.invalid(at('min'), min, `min value ${min} is greater than max value ${max}`);
  if (more(min, request))
    found.invalid(at('defaultRequest'), request, `min value ${min} is greater than default request value ${request}`);
  if (more(request, max))
    found.invalid(at('defaultRequest'), request, `default request value ${request} is greater than max value ${max}`);
  if (more(request, limit))
    found.invalid(
      at('defaultRequest'),
      request,
      `default request value ${request} is greater than default limit value ${limit}`,
    );
  if (more(min, limit)) found.invalid(at('default'), min, `min value ${min} is greater than default value ${limit}`);
  if (more(limit, max)) found.invalid(at('default'), max, `default value ${limit} is greater than max value ${max}`);
  if (more('1', ratio)) found.invalid(at('maxLimitRequestRatio'), ratio, `ratio ${ratio} is less than 1`);
  if (ratio !== undefined && min !== undefined && max !== undefined) {
    const most = quantityMilli(max) / quantityMilli(min);
    if (quantityMilli(ratio) / 1000 > most)
      found.invalid(at('maxLimitRequestRatio'), ratio, `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`);
  }
  if (
    !isOvercommitAllowed(name) &&
    limit !== undefined &&
    request !== undefined &&
    compareQuantities(limit, request) !== 0
  )
    found.invalid(
      at('defaultRequest'),
      request,
      `default value ${limit} must equal to defaultRequest value ${request} in ${name}`,
    );
}
