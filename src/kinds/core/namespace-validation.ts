import type { Namespace } from '#api';
import { type FieldError, validateQualifiedName } from '#machinery';
import { Findings } from '../findings.ts';

/** Upstream tells the place of a finalizer only where they are changed. */
export function validateNamespace(namespace: Namespace, old?: Namespace): FieldError[] {
  const found = new Findings();
  for (const [index, name] of (namespace.spec?.finalizers ?? []).entries()) {
    const field = old === undefined ? 'spec.finalizers' : `spec.finalizers[${index}]`;
    found.each(field, name, validateQualifiedName(name));
    if (!name.includes('/') && name !== 'kubernetes')
      found.invalid(field, name, 'name is neither a standard finalizer name nor is it fully qualified');
  }
  return found.list;
}

export function validateNamespaceStatusUpdate(namespace: Namespace): FieldError[] {
  const found = new Findings();
  const phase = namespace.status?.phase ?? '';
  if (!namespace.metadata.deletionTimestamp) {
    if (phase !== 'Active')
      found.invalid('status.Phase', phase, "may only be 'Active' if `deletionTimestamp` is empty");
  } else if (phase !== 'Terminating')
    found.invalid('status.Phase', phase, "may only be 'Terminating' if `deletionTimestamp` is not empty");
  return found.list;
}
