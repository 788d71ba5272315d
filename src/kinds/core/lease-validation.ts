import type { Lease } from '#api';
import { type FieldError, validateQualifiedName } from '#machinery';
import { Findings } from '../findings.ts';

export function validateLease({ spec }: Lease): FieldError[] {
  const found = new Findings();
  if (spec?.leaseDurationSeconds != null && spec.leaseDurationSeconds <= 0)
    found.invalid('spec.leaseDurationSeconds', spec.leaseDurationSeconds, 'must be greater than 0');
  if (spec?.leaseTransitions != null && spec.leaseTransitions < 0)
    found.invalid('spec.leaseTransitions', spec.leaseTransitions, 'must be greater than or equal to 0');
  if (spec?.strategy) found.each('spec.strategy', spec.strategy, validateQualifiedName(spec.strategy));
  if (spec?.preferredHolder && !spec.strategy)
    found.forbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined');
  return found.list;
}
