import type {
  AutoscalingV1HorizontalPodAutoscaler,
  CrossVersionObjectReference,
  HorizontalPodAutoscaler,
  HPAScalingRules,
  MetricIdentifier,
  MetricSpec,
  MetricTarget,
} from '#api';
import { compareQuantities, type FieldError, isQuantity, validatePathSegmentName } from '#machinery';
import { Findings } from '../findings.ts';

const sourceFields: ReadonlyMap<string, keyof MetricSpec> = new Map([
  ['ContainerResource', 'containerResource'],
  ['External', 'external'],
  ['Object', 'object'],
  ['Pods', 'pods'],
  ['Resource', 'resource'],
]);
const noMetricForZero = 'must specify at least one Object or External metric to support scaling to zero replicas';
const maxWindowSeconds = 3600;
const maxPeriodSeconds = 1800;

export function validateAutoscaler({ spec }: HorizontalPodAutoscaler): FieldError[] {
  const found = new Findings();
  validateBounds(spec, found);
  validateReference(spec?.scaleTargetRef, 'spec.scaleTargetRef', found);
  for (const [index, metric] of (spec?.metrics ?? []).entries())
    validateMetric(metric, `spec.metrics[${index}]`, found);
  if (spec?.minReplicas === 0 && !spec.metrics?.some(({ type }) => type === 'Object' || type === 'External'))
    found.forbidden('spec.metrics', noMetricForZero);
  for (const side of ['scaleUp', 'scaleDown'] as const)
    validateRules(spec?.behavior?.[side], `spec.behavior.${side}`, found);
  return found.list;
}

/** autoscaling/v1 has no metrics but CPU. */
export function validateAutoscalerV1({ spec }: AutoscalingV1HorizontalPodAutoscaler): FieldError[] {
  const found = new Findings();
  validateBounds(spec, found);
  validateReference(spec?.scaleTargetRef, 'spec.scaleTargetRef', found);
  const percentage = spec?.targetCPUUtilizationPercentage;
  if (percentage != null && percentage < 1)
    found.invalid('spec.metrics[0].resource.target.averageUtilization', percentage, 'must be greater than 0');
  if (spec?.minReplicas === 0) found.forbidden('spec.metrics', noMetricForZero);
  return found.list;
}

function validateBounds(spec: { minReplicas?: number; maxReplicas?: number } | undefined, found: Findings): void {
  const { minReplicas, maxReplicas = 0 } = spec ?? {};
  if (minReplicas != null && minReplicas < 1)
    found.invalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1');
  if (maxReplicas < 1) found.invalid('spec.maxReplicas', maxReplicas, 'must be greater than 0');
  if (minReplicas != null && maxReplicas < minReplicas)
    found.invalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`');
}

function validateReference(reference: CrossVersionObjectReference | undefined, field: string, found: Findings): void {
  for (const name of ['kind', 'name'] as const) {
    const value = reference?.[name];
    if (!value) found.required(`${field}.${name}`);
    else found.each(`${field}.${name}`, value, validatePathSegmentName(value));
  }
}

function validateMetric(metric: MetricSpec, field: string, found: Findings): void {
  const types = [...sourceFields.keys()];
  const expected = sourceFields.get(metric.type ?? '');
  if (!metric.type) found.required(`${field}.type`, 'must specify a metric source type');
  if (expected === undefined) found.notSupported(`${field}.type`, metric.type ?? '', types);
  const present = sourceOrder.filter((name) => metric[name] != null);
  const first = present[0];
  if (first !== undefined) validateMetricSource({ [first]: metric[first] }, field, found);
  if (expected === undefined) found.notSupported(`${field}.type`, metric.type ?? '', types);
  else if (metric[expected] == null)
    found.required(`${field}.${expected}`, 'must populate information for the given metric source');
  if (present.length === 1) return;
  for (const name of present)
    if (name !== expected) found.forbidden(`${field}.${name}`, 'must populate the given metric source only');
}

const sourceOrder = ['object', 'external', 'pods', 'resource', 'containerResource'] as const;

function validateMetricSource(metric: Partial<MetricSpec>, field: string, found: Findings): void {
  const { resource, containerResource, pods, object, external } = metric;
  if (resource != null) validateResource(resource, `${field}.resource`, found);
  if (containerResource != null) {
    if (!containerResource.container)
      found.required(`${field}.containerResource.container`, 'must specify a container');
    validateResource(containerResource, `${field}.containerResource`, found);
  }
  if (pods != null) {
    validateIdentifier(pods.metric, `${field}.pods.metric`, found);
    validateTarget(pods.target, `${field}.pods.target`, found);
    if (!isPositive(pods.target?.averageValue))
      found.required(`${field}.pods.target.averageValue`, 'must specify a positive target averageValue');
  }
  if (object != null) {
    validateReference(object.describedObject, `${field}.object.describedObject`, found);
    validateIdentifier(object.metric, `${field}.object.metric`, found);
    validateTarget(object.target, `${field}.object.target`, found);
    if (object.target?.value == null && object.target?.averageValue == null)
      found.required(`${field}.object.target.averageValue`, 'must set either a target value or averageValue');
  }
  if (external != null) {
    const at = `${field}.external`;
    validateIdentifier(external.metric, `${at}.metric`, found);
    validateTarget(external.target, `${at}.target`, found);
    const { value, averageValue } = external.target ?? {};
    if (value == null && averageValue == null)
      found.required(`${at}.target.averageValue`, 'must set either a target value for metric or a per-pod target');
    if (value != null && averageValue != null)
      found.forbidden(`${at}.target.value`, 'may not set both a target value for metric and a per-pod target');
  }
}

function validateResource(source: { name?: string; target?: MetricTarget }, field: string, found: Findings): void {
  if (!source.name) found.required(`${field}.name`, 'must specify a resource name');
  validateTarget(source.target, `${field}.target`, found);
  const { averageUtilization, averageValue } = source.target ?? {};
  if (averageUtilization == null && averageValue == null)
    found.required(`${field}.target.averageUtilization`, 'must set either a target raw value or a target utilization');
  if (averageUtilization != null && averageValue != null)
    found.forbidden(`${field}.target.averageValue`, 'may not set both a target raw value and a target utilization');
}

function validateIdentifier(metric: MetricIdentifier | undefined, field: string, found: Findings): void {
  if (!metric?.name) found.required(`${field}.name`, 'must specify a metric name');
  else found.each(`${field}.name`, metric.name, validatePathSegmentName(metric.name));
}

const isPositive = (amount: string | undefined): boolean =>
  amount != null && isQuantity(String(amount)) && compareQuantities(amount, '0') > 0;

function validateTarget(target: MetricTarget | undefined, field: string, found: Findings): void {
  if (!target?.type) found.required(`${field}.type`, 'must specify a metric target type');
  if (!['Utilization', 'Value', 'AverageValue'].includes(target?.type ?? ''))
    found.invalid(`${field}.type`, target?.type ?? '', 'must be either Utilization, Value, or AverageValue');
  for (const name of ['value', 'averageValue'] as const)
    if (target?.[name] != null && !isPositive(target[name]))
      found.invalid(`${field}.${name}`, target[name], 'must be positive');
  if (target?.averageUtilization != null && target.averageUtilization < 1)
    found.invalid(`${field}.averageUtilization`, target.averageUtilization, 'must be greater than 0');
}

function validateRules(rules: HPAScalingRules | undefined, field: string, found: Findings): void {
  if (rules == null) return;
  const window = rules.stabilizationWindowSeconds;
  if (window != null && window < 0)
    found.invalid(`${field}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero');
  if (window != null && window > maxWindowSeconds)
    found.invalid(`${field}.stabilizationWindowSeconds`, window, `must be less than or equal to ${maxWindowSeconds}`);
  if (rules.selectPolicy != null && !['Disabled', 'Max', 'Min'].includes(rules.selectPolicy))
    found.notSupported(`${field}.selectPolicy`, rules.selectPolicy, ['Disabled', 'Max', 'Min']);
  if (!rules.policies?.length) found.required(`${field}.policies`, 'must specify at least one Policy');
  for (const [index, policy] of (rules.policies ?? []).entries()) {
    const at = `${field}.policies[${index}]`;
    if (policy.type !== 'Pods' && policy.type !== 'Percent')
      found.notSupported(`${at}.type`, policy.type ?? '', ['Percent', 'Pods']);
    if (!(policy.value > 0)) found.invalid(`${at}.value`, policy.value ?? 0, 'must be greater than zero');
    if (!(policy.periodSeconds > 0))
      found.invalid(`${at}.periodSeconds`, policy.periodSeconds ?? 0, 'must be greater than zero');
    if (policy.periodSeconds > maxPeriodSeconds)
      found.invalid(`${at}.periodSeconds`, policy.periodSeconds, `must be less than or equal to ${maxPeriodSeconds}`);
  }
}

export function validateAutoscalerStatus({
  status,
}: {
  status?: { currentReplicas?: number; desiredReplicas?: number };
}): FieldError[] {
  const found = new Findings();
  found.nonNegative('status.currentReplicas', status?.currentReplicas);
  found.nonNegative('status.desiredReplicas', status?.desiredReplicas);
  return found.list;
}
