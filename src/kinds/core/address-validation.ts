import { isIPv6 } from 'node:net';
import { validateCidr, validateIpAddress } from '#machinery';
import type { Findings } from '../findings.ts';

/** True for IPv6 text; mapped IPv4 counts as IPv4, as upstream's parser makes of it. */
export function isIpv6(address: string): boolean {
  return address.includes(':') && embeddedIpv4(address) === undefined;
}

/** The IPv4 address that a mapped IPv6 one (`::ffff:1.2.3.4`, in any spelling) stands for, or the address itself if it is IPv4. */
function embeddedIpv4(address: string): number[] | undefined {
  if (!address.includes(':')) return address.split('.').map(Number);
  const bytes = ipv6Bytes(address);
  if (bytes === undefined) return undefined;
  const mapped = bytes.slice(0, 10).every((one) => one === 0) && bytes[10] === 255 && bytes[11] === 255;
  return mapped ? bytes.slice(12) : undefined;
}

/** Sixteen bytes of an IPv6 address, or undefined. */
function ipv6Bytes(address: string): number[] | undefined {
  if (!isIPv6(address)) return undefined;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const hex =
    dotted === null ? address : `${dotted[1]}${hexPair(dotted[2], dotted[3])}:${hexPair(dotted[4], dotted[5])}`;
  const [head = '', tail] = hex.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...middle, ...right].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

const hexPair = (high: string | undefined, low: string | undefined): string =>
  (Number(high) * 256 + Number(low)).toString(16);

/** An address that traffic may be sent to: not unspecified, loopback, link-local or link-local multicast, however spelt. */
export function validateNonSpecialAddress(address: string, field: string, found: Findings): void {
  if (validateIpAddress(address).length > 0) return found.invalid(field, address, 'must be a valid IP address');
  const v4 = embeddedIpv4(address);
  const v6 = v4 === undefined ? (ipv6Bytes(address) ?? []) : [];
  const [a = 0, b = 0, c = 0] = v4 ?? [];
  const zeroHead = v6.length > 0 && v6.slice(0, 15).every((one) => one === 0);
  if (v4?.every((one) => one === 0) || (zeroHead && v6[15] === 0))
    found.invalid(field, address, `may not be unspecified (${v4 === undefined ? '::' : '0.0.0.0'})`);
  if ((v4 !== undefined && a === 127) || (zeroHead && v6[15] === 1))
    found.invalid(field, address, 'may not be in the loopback range (127.0.0.0/8, ::1/128)');
  if ((v4 !== undefined && a === 169 && b === 254) || (v6[0] === 0xfe && ((v6[1] ?? 0) & 0xc0) === 0x80))
    found.invalid(field, address, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)');
  if ((v4 !== undefined && a === 224 && b === 0 && c === 0) || (v6[0] === 0xff && ((v6[1] ?? 0) & 0x0f) === 2))
    found.invalid(field, address, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)');
}

/** At most one address or range a family. */
export function sameFamilyTwice(values: readonly string[]): boolean {
  return values.length > 2 || (values.length === 2 && isIpv6(values[0] ?? '') === isIpv6(values[1] ?? ''));
}

/** Whether `inner` is a range inside `outer` and smaller. Both are valid CIDRs. */
export function isStrictSubset(outer: string, inner: string): boolean {
  if (validateCidr(outer).length > 0 || validateCidr(inner).length > 0) return false;
  const [outerAddress = '', outerBits = ''] = outer.split('/');
  const [innerAddress = '', innerBits = ''] = inner.split('/');
  const bytes = (address: string) =>
    (address.includes(':') ? ipv6Bytes(address) : address.split('.').map(Number)) ?? [];
  const left = bytes(outerAddress);
  const right = bytes(innerAddress);
  if (left.length !== right.length || Number(outerBits) >= Number(innerBits)) return false;
  for (let bit = 0; bit < Number(outerBits); bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((left[bit >> 3] ?? 0) & mask) !== ((right[bit >> 3] ?? 0) & mask)) return false;
  }
  return true;
}
