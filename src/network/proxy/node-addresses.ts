import { networkInterfaces } from 'node:os';
import ipaddr from 'ipaddr.js';

/**
 * The IPv4 addresses of this machine at which NodePorts answer: every one that is not loopback, link-local or in `except` (pods',
 * Services' and load balancers' ranges), the node's own ones first.
 */
export function nodePortAddresses(own: readonly string[], except: readonly string[]): string[] {
  const ranges = except.map((one) => ipaddr.IPv4.parseCIDR(one));
  const found = new Set<string>();
  for (const [name, addresses] of Object.entries(networkInterfaces()))
    for (const { family, address, internal } of addresses ?? []) {
      if (family !== 'IPv4' || internal || name === 'lo' || address.startsWith('169.254.')) continue;
      const parsed = ipaddr.IPv4.parse(address);
      if (!ranges.some((range) => parsed.match(range))) found.add(address);
    }
  for (const one of own) found.delete(one);
  return [...own, ...[...found].sort()];
}
