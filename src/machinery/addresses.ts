import { isIPv6 } from 'node:net';

const ipv4 = (text: string): boolean => {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((one) => /^[0-9]{1,20}$/.test(one) && Number(one) <= 255);
};

const ipv6 = (text: string): boolean => !text.includes('%') && isIPv6(text);

/** Decimal dotted IPv4 (leading zeros are read as decimal, as upstream) or IPv6 without a zone. */
export function validateIpAddress(value: string): string[] {
  return ipv4(value) || ipv6(value) ? [] : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'];
}

/** `address/bits`. */
export function validateCidr(value: string): string[] {
  const slash = value.indexOf('/');
  const address = value.slice(0, slash);
  const bits = value.slice(slash + 1);
  const fine =
    slash > 0 &&
    /^[0-9]{1,3}$/.test(bits) &&
    ((ipv4(address) && Number(bits) <= 32) || (ipv6(address) && Number(bits) <= 128));
  return fine ? [] : ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'];
}
