import type { RuntimeClass } from '#api';
import { type FieldError, validateDns1123Label } from '#machinery';
import { Findings, sameValue } from '../findings.ts';
import { validateTolerations } from './affinity-validation.ts';
import { validateOverhead } from './resource-validation.ts';

export function validateRuntimeClass(runtimeClass: RuntimeClass): FieldError[] {
  const found = new Findings();
  found.each('handler', runtimeClass.handler ?? '', validateDns1123Label(runtimeClass.handler ?? ''));
  validateOverhead(runtimeClass.overhead?.podFixed, 'overhead', found);
  found.labels('scheduling.nodeSelector', runtimeClass.scheduling?.nodeSelector);
  const tolerations = runtimeClass.scheduling?.tolerations ?? [];
  validateTolerations(tolerations, 'scheduling.tolerations.tolerations', found);
  for (const [index, one] of tolerations.entries())
    if (tolerations.slice(0, index).some((before) => sameValue(before, one)))
      found.duplicate(`scheduling.tolerations[${index}]`, one);
  return found.list;
}

export function validateRuntimeClassUpdate(runtimeClass: RuntimeClass, old: RuntimeClass): FieldError[] {
  const found = new Findings();
  found.immutable('handler', runtimeClass.handler, old.handler);
  return found.list;
}
