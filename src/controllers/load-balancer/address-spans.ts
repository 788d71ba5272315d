import { CodedError } from '#base';
import { type Ipv4Range, ipv4Range } from '#machinery';

/**
 * Reads `192.168.1.240-192.168.1.250`, `192.168.1.0/28` (without its first and last address) and single addresses, separated by commas
 * or white space. Throws CodedError `BadAddressRange` that names the part it cannot read.
 */
export function parseAddressSpans(text: string): Ipv4Range[] {
  const parts = text.split(/[\s,]+/).filter((one) => one !== '');
  return parts.map((part) => {
    const span = parseOne(part);
    if (span !== undefined) return span;
    throw new CodedError(
      'BadAddressRange',
      `"${part}" is no range of IPv4 addresses: write it as FIRST-LAST, as a network like 192.168.1.0/28, or as one address`,
    );
  });
}

function parseOne(part: string): Ipv4Range | undefined {
  const [from = '', to] = part.split('-');
  const range = ipv4Range(from);
  if (range === undefined) return undefined;
  if (to !== undefined) {
    const last = addressNumber(to);
    return !from.includes('/') && last !== undefined && last >= range.first ? { first: range.first, last } : undefined;
  }
  return range.last - range.first < 2 ? range : { first: range.first + 1, last: range.last - 1 };
}

/** The number of an IPv4 address; undefined when the text is none. */
export function addressNumber(text: string): number | undefined {
  return text.includes('/') ? undefined : ipv4Range(text)?.first;
}
