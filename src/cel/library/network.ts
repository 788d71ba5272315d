import { isIPv4, isIPv6 } from 'node:net';
import { CelError } from '../errors.ts';
import { define, type Overload } from '../function.ts';
import { ArrayList, EntryMap, Opaque, type Value } from '../values.ts';

/** An address, 4 or 16 bytes. */
export class Ip extends Opaque {
  readonly typeName = 'net.IP';
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.bytes = bytes;
  }

  override get size(): number {
    return this.bytes.length;
  }

  equals(other: Opaque): boolean {
    return other instanceof Ip && Buffer.compare(this.bytes, other.bytes) === 0;
  }

  override toString(): string {
    return this.bytes.length === 4 ? this.bytes.join('.') : ipv6Text(this.bytes);
  }
}

/** An address with a prefix length. */
export class Cidr extends Opaque {
  readonly typeName = 'net.CIDR';
  readonly ip: Ip;
  readonly bits: number;

  constructor(ip: Ip, bits: number) {
    super();
    this.ip = ip;
    this.bits = bits;
  }

  override get size(): number {
    return Math.ceil(this.bits / 8);
  }

  equals(other: Opaque): boolean {
    return other instanceof Cidr && this.bits === other.bits && this.ip.equals(other.ip);
  }

  masked(): Cidr {
    const bytes = this.ip.bytes.map(
      (byte, index) => byte & (0xff << Math.max(0, 8 - Math.max(0, this.bits - index * 8))),
    );
    return new Cidr(new Ip(bytes), this.bits);
  }

  contains(ip: Ip): boolean {
    return ip.bytes.length === this.ip.bytes.length && new Cidr(ip, this.bits).masked().equals(this.masked());
  }

  override toString(): string {
    return `${this.ip}/${this.bits}`;
  }
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((one) => Number.parseInt(one, 16));
}

/** Strict: no leading zeros, no zone, no IPv4 written as IPv6. Undefined for anything else. */
export function parseIp(text: string): Ip | undefined {
  if (text.length > 60) return undefined;
  if (isIPv4(text)) return /(^|\.)0\d/.test(text) ? undefined : new Ip(Uint8Array.from(text.split('.'), Number));
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  let plain = text;
  if (dotted !== null) {
    const [, head, a, b, c, d] = dotted;
    plain = `${head}${((Number(a) << 8) | Number(b)).toString(16)}:${((Number(c) << 8) | Number(d)).toString(16)}`;
  }
  const [left = '', right] = plain.split('::');
  const before = groupsOf(left);
  const after = right === undefined ? [] : groupsOf(right);
  const groups = [...before, ...new Array<number>(Math.max(0, 8 - before.length - after.length)).fill(0), ...after];
  const bytes = Uint8Array.from(groups.flatMap((one) => [one >> 8, one & 0xff]));
  const mapped = bytes.slice(0, 10).every((one) => one === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? undefined : new Ip(bytes);
}

function ipv6Text(bytes: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, index) => ((bytes[index * 2] as number) << 8) | (bytes[index * 2 + 1] as number),
  );
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const text = (part: number[]): string => part.map((one) => one.toString(16)).join(':');
  if (best.start < 0) return text(groups);
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`;
}

export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/');
  const ip = slash < 0 ? undefined : parseIp(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (ip === undefined || !/^(0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > ip.bytes.length * 8) return undefined;
  return new Cidr(ip, Number(bits));
}

function needIp(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined)
    throw new CelError(
      `IP Address ${JSON.stringify(text.slice(0, 100))} parse error during conversion from string: unable to parse IP`,
    );
  return ip;
}

function needCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined)
    throw new CelError(
      `network address parse error during conversion from string: invalid CIDR address ${JSON.stringify(text.slice(0, 100))}`,
    );
  return cidr;
}

const isUnspecified = ({ bytes }: Ip): boolean => bytes.every((one) => one === 0);
const isLoopback = ({ bytes }: Ip): boolean =>
  bytes.length === 4 ? bytes[0] === 127 : bytes[15] === 1 && bytes.slice(0, 15).every((one) => one === 0);
const isLinkLocalMulticast = ({ bytes }: Ip): boolean =>
  bytes.length === 4
    ? bytes[0] === 224 && bytes[1] === 0 && bytes[2] === 0
    : bytes[0] === 0xff && ((bytes[1] as number) & 0x0f) === 2;
const isLinkLocalUnicast = ({ bytes }: Ip): boolean =>
  bytes.length === 4
    ? bytes[0] === 169 && bytes[1] === 254
    : bytes[0] === 0xfe && ((bytes[1] as number) & 0xc0) === 0x80;
const isMulticast = ({ bytes }: Ip): boolean =>
  bytes.length === 4 ? ((bytes[0] as number) & 0xf0) === 0xe0 : bytes[0] === 0xff;
const isGlobalUnicast = (ip: Ip): boolean =>
  !isUnspecified(ip) &&
  !isLoopback(ip) &&
  !isMulticast(ip) &&
  !isLinkLocalUnicast(ip) &&
  !(ip.bytes.length === 4 && ip.bytes.every((one) => one === 255));

/** Addresses and networks. */
export function networkFunctions(): Overload[] {
  const test = (name: string, check: (ip: Ip) => boolean): Overload =>
    define(name, `ip_${name}`, 'net.IP.(): bool', (_, ip) => check(ip as Ip));
  return [
    define('isIP', 'is_ip', '(string): bool', (_, text) => parseIp(text as string) !== undefined),
    define('ip', 'string_to_ip', '(string): net.IP', (_, text) => needIp(text as string)),
    define(
      'ip.isCanonical',
      'ip_is_canonical',
      '(string): bool',
      (_, text) => needIp(text as string).toString() === text,
    ),
    define('string', 'ip_to_string', '(net.IP): string', (_, ip) => String(ip)),
    define('family', 'ip_family', 'net.IP.(): int', (_, ip) => ((ip as Ip).bytes.length === 4 ? 4n : 6n)),
    test('isUnspecified', isUnspecified),
    test('isLoopback', isLoopback),
    test('isLinkLocalMulticast', isLinkLocalMulticast),
    test('isLinkLocalUnicast', isLinkLocalUnicast),
    test('isGlobalUnicast', isGlobalUnicast),
    define('isCIDR', 'is_cidr', '(string): bool', (_, text) => parseCidr(text as string) !== undefined),
    define('cidr', 'string_to_cidr', '(string): net.CIDR', (_, text) => needCidr(text as string)),
    define('string', 'cidr_to_string', '(net.CIDR): string', (_, cidr) => String(cidr)),
    define('containsIP', 'cidr_contains_ip_string', 'net.CIDR.(string): bool', (_, cidr, text) =>
      (cidr as Cidr).contains(needIp(text as string)),
    ),
    define('containsIP', 'cidr_contains_ip_ip', 'net.CIDR.(net.IP): bool', (_, cidr, ip) =>
      (cidr as Cidr).contains(ip as Ip),
    ),
    define('containsCIDR', 'cidr_contains_cidr_string', 'net.CIDR.(string): bool', (_, cidr, text) =>
      containsCidr(cidr as Cidr, needCidr(text as string)),
    ),
    define('containsCIDR', 'cidr_contains_cidr', 'net.CIDR.(net.CIDR): bool', (_, cidr, other) =>
      containsCidr(cidr as Cidr, other as Cidr),
    ),
    define('ip', 'cidr_ip', 'net.CIDR.(): net.IP', (_, cidr) => (cidr as Cidr).ip),
    define('masked', 'cidr_masked', 'net.CIDR.(): net.CIDR', (_, cidr) => (cidr as Cidr).masked()),
    define('prefixLength', 'cidr_prefix_length', 'net.CIDR.(): int', (_, cidr) => BigInt((cidr as Cidr).bits)),
  ];
}

const containsCidr = (cidr: Cidr, other: Cidr): boolean => other.bits >= cidr.bits && cidr.contains(other.ip);

/** A URL in its parts. */
class Url extends Opaque {
  readonly typeName = 'kubernetes.URL';
  readonly text: string;
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;

  constructor(text: string, parts: { scheme: string; host: string; path: string; query: string }) {
    super();
    this.text = text;
    this.scheme = parts.scheme;
    this.host = parts.host;
    this.path = parts.path;
    this.query = parts.query;
  }

  equals(other: Opaque): boolean {
    return other instanceof Url && other.text === this.text;
  }
}

const hostShape = /^(?:\[[0-9a-fA-F:.%]*\]|[^[\]:\s"<>^`{|}\\]*)(?::\d*)?$/;

/** An absolute URL or an absolute path, without looking for a fragment. */
function parseUrl(text: string): Url | undefined {
  if (text === '' || /[\x00-\x1f\x7f]/.test(text) || /%(?![0-9a-fA-F]{2})/.test(text.split('?', 1)[0] as string))
    return undefined;
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text);
  let rest = scheme === null ? text : text.slice(scheme[0].length);
  const question = rest.indexOf('?');
  const query = question < 0 ? '' : rest.slice(question + 1);
  if (question >= 0) rest = rest.slice(0, question);
  let host = '';
  if (rest.startsWith('//') && (scheme !== null || !rest.startsWith('///'))) {
    const end = rest.indexOf('/', 2);
    const authority = rest.slice(2, end < 0 ? undefined : end);
    rest = end < 0 ? '' : rest.slice(end);
    host = authority.slice(authority.lastIndexOf('@') + 1);
    if (!hostShape.test(host)) return undefined;
  } else if (!rest.startsWith('/'))
    return scheme === null ? undefined : new Url(text, { scheme: scheme[1] as string, host, path: '', query });
  return new Url(text, { scheme: (scheme?.[1] ?? '').toLowerCase(), host, path: rest, query });
}

function needUrl(text: string): Url {
  const url = parseUrl(text);
  if (url === undefined)
    throw new CelError(
      `URL parse error during conversion from string: parse ${JSON.stringify(text.slice(0, 100))}: invalid URI for request`,
    );
  return url;
}

const portOf = (host: string): string => /:(\d*)$/.exec(host)?.[1] ?? '';

function hostnameOf(host: string): string {
  const bracketed = /^\[(.*)\]/.exec(host);
  return bracketed === null ? host.replace(/:\d*$/, '') : (bracketed[1] as string);
}

function queryOf(query: string): Value {
  const map = new EntryMap();
  const lists = new Map<string, Value[]>();
  for (const pair of query === '' ? [] : query.split('&')) {
    if (pair === '' || pair.includes(';')) continue;
    const equals = pair.indexOf('=');
    const name = decoded(equals < 0 ? pair : pair.slice(0, equals));
    const value = decoded(equals < 0 ? '' : pair.slice(equals + 1));
    if (name === undefined || value === undefined) continue;
    const list = lists.get(name);
    if (list === undefined) lists.set(name, [value]);
    else list.push(value);
  }
  for (const [name, values] of lists) map.set(name, new ArrayList(values));
  return map;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** URLs. */
export function urlFunctions(): Overload[] {
  const read = (name: string, value: (url: Url) => string): Overload =>
    define(name, `url_${name}`, 'kubernetes.URL.(): string', (_, url) => value(url as Url));
  return [
    define('url', 'string_to_url', '(string): kubernetes.URL', (_, text) => needUrl(text as string)),
    define('isURL', 'is_url_string', '(string): bool', (_, text) => parseUrl(text as string) !== undefined),
    read('getScheme', ({ scheme }) => scheme),
    read('getHost', ({ host }) => host),
    read('getHostname', ({ host }) => hostnameOf(host)),
    read('getPort', ({ host }) => portOf(host)),
    read('getEscapedPath', ({ path }) => path.replace(/[^\x21-\x7e]/gu, encodeURIComponent)),
    define('getQuery', 'url_get_query', 'kubernetes.URL.(): map<string, list<string>>', (_, url) =>
      queryOf((url as Url).query),
    ),
  ];
}
