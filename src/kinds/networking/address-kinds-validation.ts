import { isIPv6 } from 'node:net';
import type { IPAddress, ServiceCIDR } from '#api';
import {
  type FieldError,
  validateCidr,
  validateDns1123Subdomain,
  validateIpAddress,
  validatePathSegmentName,
} from '#machinery';
import { sameFamilyTwice } from '../core/address-validation.ts';
import { Findings } from '../findings.ts';

/** The name is the address, in its one canonical spelling. */
export function validateAddressName(name: string): string[] {
  const messages = validateIpAddress(name);
  if (messages.length > 0) return messages;
  const canonical = isIPv6(name) ? canonicalIpv6(name) : name.split('.').map(Number).join('.');
  return canonical === name ? [] : [`not a valid ip in canonical form (e.g. "${canonical}")`];
}

function canonicalIpv6(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

export function validateAddress(address: IPAddress): FieldError[] {
  const found = new Findings();
  const parent = address.spec?.parentRef;
  if (parent == null) {
    found.required('spec.parentRef');
    return found.list;
  }
  if (parent.group) found.each('spec.parentRef.group', parent.group, validateDns1123Subdomain(parent.group));
  if (!parent.resource) found.required('spec.parentRef.resource');
  else found.each('spec.parentRef.resource', parent.resource, validatePathSegmentName(parent.resource));
  if (!parent.name) found.required('spec.parentRef.name');
  else found.each('spec.parentRef.name', parent.name, validatePathSegmentName(parent.name));
  if (parent.namespace)
    found.each('spec.parentRef.namespace', parent.namespace, validatePathSegmentName(parent.namespace));
  return found.list;
}

export function validateAddressUpdate(address: IPAddress, old: IPAddress): FieldError[] {
  const found = new Findings();
  found.immutable('spec.parentRef', address.spec?.parentRef, old.spec?.parentRef);
  return found.list;
}

export function validateServiceCidr(cidr: ServiceCIDR): FieldError[] {
  const found = new Findings();
  const ranges = cidr.spec?.cidrs ?? [];
  if (ranges.length === 0) found.required('spec.cidrs', 'at least one CIDR required');
  if (ranges.length > 2) found.invalid('spec', cidr.spec, 'may only hold up to 2 values');
  for (const [index, range] of ranges.entries()) found.each(`spec.cidrs[${index}]`, range, validateCidr(range));
  if (ranges.length === 2 && sameFamilyTwice(ranges))
    found.invalid(
      'spec',
      cidr.spec,
      'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    );
  return found.list;
}

export function validateServiceCidrUpdate(cidr: ServiceCIDR, old: ServiceCIDR): FieldError[] {
  const found = new Findings();
  const before = old.spec?.cidrs ?? [];
  const after = cidr.spec?.cidrs ?? [];
  if (before.some((range, index) => after[index] !== range)) found.invalid('spec.cidrs', after, 'field is immutable');
  return found.list;
}
