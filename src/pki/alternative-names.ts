import { isIPv4, isIPv6 } from 'node:net';
import { DerReader, implicit, sequence } from './der.ts';
import { MalformedError } from './errors.ts';

export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
}

export const noAlternativeNames: AlternativeNames = { dnsNames: [], ipAddresses: [], emailAddresses: [], uris: [] };

/** The value of a subjectAltName extension. */
export function encodeAlternativeNames(dnsNames: readonly string[], ipAddresses: readonly string[]): Uint8Array {
  return sequence(
    ...dnsNames.map((name) => implicit(2, Buffer.from(name, 'latin1'))),
    ...ipAddresses.map((address) => implicit(7, addressBytes(address))),
  );
}

export function parseAlternativeNames(value: Uint8Array): AlternativeNames {
  const outer = new DerReader(value);
  const names = outer.enter(0x30);
  outer.end();
  const found = {
    dnsNames: [] as string[],
    ipAddresses: [] as string[],
    emailAddresses: [] as string[],
    uris: [] as string[],
  };
  while (!names.atEnd) {
    const { tag, content } = names.read();
    const text = (): string => {
      if (content.some((byte) => byte >= 0x80 || byte === 0))
        throw new MalformedError('alternative name that is not ASCII');
      return Buffer.from(content).toString('latin1');
    };
    if (tag === 0x81) found.emailAddresses.push(text());
    else if (tag === 0x82) found.dnsNames.push(text());
    else if (tag === 0x86) found.uris.push(text());
    else if (tag === 0x87) found.ipAddresses.push(addressText(content));
  }
  return found;
}

/** Four or sixteen bytes of a textual address. */
export function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split('.').map(Number));
  if (!isIPv6(address)) throw new MalformedError(`${JSON.stringify(address)} is not an IP address`);
  const bytes = new Uint8Array(16);
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const groups = (part: string | undefined): number[] =>
    part === undefined || part === ''
      ? []
      : part.split(':').flatMap((group) => {
          if (!group.includes('.')) return [Number.parseInt(group, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const before = groups(head);
  const after = groups(tail);
  const all =
    tail === undefined ? before : [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
  for (const [index, group] of all.entries()) {
    bytes[index * 2] = group >> 8;
    bytes[index * 2 + 1] = group & 0xff;
  }
  return bytes;
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new MalformedError('IP address of a length that does not exist');
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[index * 2] ?? 0) * 256 + (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  if (best.start < 0) return groups.join(':');
  return `${groups.slice(0, best.start).join(':')}::${groups.slice(best.start + best.length).join(':')}`;
}

/** Whether the names cover all that is asked: addresses by their bytes, DNS names without regard to case, `*.x` one label deep. */
export function coversNames(
  names: AlternativeNames,
  asked: { readonly dnsNames?: readonly string[]; readonly ipAddresses?: readonly string[] },
): boolean {
  const addresses = new Set(names.ipAddresses.map((one) => addressBytes(one).join()));
  const dns = new Set(names.dnsNames.map((one) => one.toLowerCase()));
  return (
    (asked.ipAddresses ?? []).every((one) => addresses.has(addressBytes(one).join())) &&
    (asked.dnsNames ?? []).every((one) => {
      const name = one.toLowerCase();
      const dot = name.indexOf('.');
      return dns.has(name) || (dot > 0 && dns.has(`*${name.slice(dot)}`));
    })
  );
}
