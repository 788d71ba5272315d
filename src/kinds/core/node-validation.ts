import type { Node, Taint } from '#api';
import { type FieldError, validateCidr, validateLabelValue, validateQualifiedName } from '#machinery';
import { Findings, sameValue } from '../findings.ts';
import { sameFamilyTwice } from './address-validation.ts';
import { validateTaintEffect } from './affinity-validation.ts';
import { validateResourceAmount } from './resource-validation.ts';

export function validateNode(node: Node): FieldError[] {
  const found = new Findings();
  validateTaints(node.spec?.taints, 'metadata.taints', found);
  for (const list of ['capacity', 'allocatable'] as const)
    for (const [name, amount] of Object.entries(node.status?.[list] ?? {}))
      validateResourceAmount(name, amount, `status.${list}.${name}`, found);
  validatePodCidrs(node.spec?.podCIDRs ?? [], found);
  return found.list;
}

function validateTaints(taints: readonly Taint[] | undefined, field: string, found: Findings): void {
  const seen = new Set<string>();
  for (const [index, taint] of (taints ?? []).entries()) {
    const at = `${field}[${index}]`;
    found.each(`${at}.key`, taint.key, validateQualifiedName(taint.key ?? ''));
    const messages = validateLabelValue(taint.value ?? '');
    if (messages.length > 0) found.invalid(`${at}.value`, taint.value, messages.join(';'));
    validateTaintEffect(taint.effect, false, `${at}.effect`, found);
    const key = `${taint.effect} ${taint.key}`;
    const { value = '', effect, timeAdded = null } = taint;
    if (seen.has(key))
      found.duplicate(
        at,
        { Key: taint.key, Value: value, Effect: effect, TimeAdded: timeAdded },
        'taints must be unique by key and effect pair',
      );
    seen.add(key);
  }
}

function validatePodCidrs(ranges: readonly string[], found: Findings): void {
  for (const [index, range] of ranges.entries()) found.each(`spec.podCIDRs[${index}]`, range, validateCidr(range));
  if (ranges.length > 1 && sameFamilyTwice(ranges))
    found.invalid('spec.podCIDRs', ranges, 'may specify no more than one CIDR for each IP family');
}

/** Pod ranges and provider are set once; addresses are unique; the rest of the spec stays. */
export function validateNodeUpdate(node: Node, old: Node): FieldError[] {
  const found = new Findings();
  const addresses = new Set<string>();
  for (const [index, address] of (node.status?.addresses ?? []).entries()) {
    const key = `${address.type} ${address.address}`;
    if (addresses.has(key)) found.duplicate(`status.addresses[${index}]`, address);
    addresses.add(key);
  }
  const before = old.spec ?? {};
  const spec = node.spec ?? {};
  if (before.podCIDRs?.length && !sameValue(spec.podCIDRs, before.podCIDRs))
    found.forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid');
  if (before.providerID && spec.providerID !== before.providerID)
    found.forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid');
  return found.list;
}
