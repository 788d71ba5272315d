import type { PodDisruptionBudget, PriorityClass } from '#api';
import type { FieldError } from '#machinery';
import { validateAtMostWhole, validateIntOrPercent } from '../apps/workload-validation.ts';
import { Findings } from '../findings.ts';

export function validateDisruptionBudget({ spec }: PodDisruptionBudget): FieldError[] {
  const found = new Findings();
  if (spec?.minAvailable != null && spec.maxUnavailable != null)
    found.invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set');
  for (const name of ['minAvailable', 'maxUnavailable'] as const) {
    if (spec?.[name] == null) continue;
    validateIntOrPercent(spec[name], `spec.${name}`, found);
    validateAtMostWhole(spec[name], `spec.${name}`, found);
  }
  found.selector('spec.selector', spec?.selector);
  found.presentOneOf('spec.unhealthyPodEvictionPolicy', spec?.unhealthyPodEvictionPolicy, [
    'AlwaysAllow',
    'IfHealthyBudget',
  ]);
  return found.list;
}

export function validateDisruptionBudgetStatus({ status }: PodDisruptionBudget): FieldError[] {
  const found = new Findings();
  for (const name of ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const)
    found.nonNegative(`status.${name}`, status?.[name]);
  return found.list;
}

const highestUserPriority = 1000000000;
const systemPrefix = 'system-';
const systemClasses: ReadonlyMap<string, number> = new Map([
  ['system-node-critical', 2000001000],
  ['system-cluster-critical', 2000000000],
]);

/** Of updates only the rules of updates are asked. */
export function validatePriorityClass(priorityClass: PriorityClass, old?: PriorityClass): FieldError[] {
  const found = new Findings();
  if (old !== undefined) return found.list;
  const { name } = priorityClass.metadata;
  const value = priorityClass.value ?? 0;
  if (name.startsWith(systemPrefix)) {
    const expected = systemClasses.get(name);
    const reserved = `priority class names with '${systemPrefix}' prefix are reserved for system use only. error:`;
    if (expected === undefined)
      found.forbidden('metadata.name', `${reserved} ${name} is not a known system priority class`);
    else if (value !== expected)
      found.forbidden('metadata.name', `${reserved} value of ${name} PriorityClass must be ${expected}`);
    else if (priorityClass.globalDefault)
      found.forbidden('metadata.name', `${reserved} globalDefault of ${name} PriorityClass must be false`);
  } else if (value > highestUserPriority)
    found.forbidden('value', `maximum allowed value of a user defined priority is ${highestUserPriority}`);
  if (priorityClass.preemptionPolicy != null)
    found.oneOf('preemptionPolicy', priorityClass.preemptionPolicy, ['PreemptLowerPriority', 'Never']);
  return found.list;
}

export function validatePriorityClassUpdate(priorityClass: PriorityClass, old: PriorityClass): FieldError[] {
  const found = new Findings();
  if ((priorityClass.value ?? 0) !== (old.value ?? 0)) found.forbidden('Value', 'may not be changed in an update.');
  found.immutable('preemptionPolicy', priorityClass.preemptionPolicy, old.preemptionPolicy);
  return found.list;
}
