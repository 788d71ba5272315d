import type { RuntimeClass } from '#api';
import { type FieldError, validateDns1123Label } from '#machinery';
import { Findings } from '../findings.ts';
import { validateTolerations } from './affinity-validation.ts';
import { validateResourceAmount, validateResourceName } from './resource-validation.ts';

export function validateRuntimeClass(runtimeClass: RuntimeClass): FieldError[] {
  const found = new Findings();
  found.each('handler', runtimeClass.handler ?? '', validateDns1123Label(runtimeClass.handler ?? ''));
  for (const [name, amount] of Object.entries(runtimeClass.overhead?.podFixed ?? {})) {
    validateResourceName(name, `overhead.podFixed[${name}]`, found);
    validateResourceAmount(name, amount, `overhead.podFixed[${name}]`, found);
  }
  found.labels('scheduling.nodeSelector', runtimeClass.scheduling?.nodeSelector);
  validateTolerations(runtimeClass.scheduling?.tolerations, 'scheduling.tolerations', found);
  return found.list;
}

export function validateRuntimeClassUpdate(runtimeClass: RuntimeClass, old: RuntimeClass): FieldError[] {
  const found = new Findings();
  found.immutable('handler', runtimeClass.handler, old.handler);
  return found.list;
}
