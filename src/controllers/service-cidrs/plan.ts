import ipaddr from 'ipaddr.js';
import type { IPAddress, ServiceCIDR } from '#api';

/** Whether one of the CIDR's ranges holds the address. */
export function holdsAddress({ spec }: ServiceCIDR, address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  return (spec?.cidrs ?? []).some((cidr) => {
    if (!ipaddr.isValidCIDR(cidr)) return false;
    const range = ipaddr.parseCIDR(cidr);
    return range[0].kind() === parsed.kind() && parsed.match(range);
  });
}

/**
 * Whether a ServiceCIDR that is deleted must stay: an address in use is in its ranges, and in no other's that stays.
 */
export function isStillNeeded(
  cidr: ServiceCIDR,
  others: readonly ServiceCIDR[],
  addresses: readonly IPAddress[],
): boolean {
  const staying = others.filter(
    ({ metadata }) => metadata.name !== cidr.metadata.name && metadata.deletionTimestamp === undefined,
  );
  return addresses.some(
    ({ metadata: { name } }) => holdsAddress(cidr, name) && !staying.some((other) => holdsAddress(other, name)),
  );
}
