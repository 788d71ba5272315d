import { MalformedError } from './errors.ts';

/** Universal tags of X.690 that certificates use. */
export const tag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element of given tag around its content. */
export function der(tagByte: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const header = lengthBytes(length);
  const out = new Uint8Array(1 + header.length + length);
  out[0] = tagByte;
  out.set(header, 1);
  let at = 1 + header.length;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

export const sequence = (...parts: readonly Uint8Array[]): Uint8Array => der(tag.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]): Uint8Array => der(tag.set, ...parts);
/** Context-specific and constructed: `[n] EXPLICIT`. */
export const explicit = (number: number, ...parts: readonly Uint8Array[]): Uint8Array => der(0xa0 | number, ...parts);
/** Context-specific and primitive: `[n] IMPLICIT`. */
export const implicit = (number: number, content: Uint8Array): Uint8Array => der(0x80 | number, content);
export const utf8String = (text: string): Uint8Array => der(tag.utf8String, Buffer.from(text, 'utf8'));
export const printableString = (text: string): Uint8Array => der(tag.printableString, Buffer.from(text, 'latin1'));
export const octetString = (content: Uint8Array): Uint8Array => der(tag.octetString, content);
export const derNull = Uint8Array.of(tag.null, 0);
export const derTrue = Uint8Array.of(tag.boolean, 1, 0xff);

/** Whole bytes, no unused bits unless said. */
export function bitString(content: Uint8Array, unusedBits = 0): Uint8Array {
  return der(tag.bitString, Uint8Array.of(unusedBits), content);
}

/** A non-negative integer from its big-endian bytes. */
export function unsignedInteger(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  return (trimmed[0] ?? 0) >= 0x80
    ? der(tag.integer, Uint8Array.of(0), trimmed)
    : der(tag.integer, trimmed.length === 0 ? Uint8Array.of(0) : trimmed);
}

/** `1.2.840.10045.2.1` as an OBJECT IDENTIFIER. */
export function oid(dotted: string): Uint8Array {
  const arcs = dotted.split('.').map(Number);
  const bytes: number[] = [];
  const push = (arc: number): void => {
    const groups = [arc % 128];
    for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) groups.unshift((rest % 128) | 0x80);
    bytes.push(...groups);
  };
  push((arcs[0] ?? 0) * 40 + (arcs[1] ?? 0));
  for (const arc of arcs.slice(2)) push(arc);
  return der(tag.oid, Uint8Array.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5). Whole seconds. */
export function time(ms: number): Uint8Array {
  const text = new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const year = Number(text.slice(0, 4));
  return year >= 1950 && year < 2050
    ? der(tag.utcTime, Buffer.from(`${text.slice(2)}Z`, 'latin1'))
    : der(tag.generalizedTime, Buffer.from(`${text}Z`, 'latin1'));
}

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** The element with its header, exactly as it came. */
  readonly raw: Uint8Array;
}

/** Reads elements one after the other; definite, minimal lengths only. Throws MalformedError. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  peekTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next element, which must have the tag when one is given. */
  read(expected?: number): DerElement {
    const start = this.#at;
    const bytes = this.#bytes;
    const tagByte = bytes[this.#at++];
    if (tagByte === undefined) throw new MalformedError('DER ends too early');
    if ((tagByte & 0x1f) === 0x1f) throw new MalformedError('DER with a multi-byte tag');
    if (expected !== undefined && tagByte !== expected) {
      throw new MalformedError(`DER element 0x${tagByte.toString(16)} where 0x${expected.toString(16)} is due`);
    }
    const length = this.#length();
    const end = this.#at + length;
    if (end > bytes.length) throw new MalformedError('DER element longer than what holds it');
    const content = bytes.subarray(this.#at, end);
    this.#at = end;
    return { tag: tagByte, content, raw: bytes.subarray(start, end) };
  }

  /** A reader over the content of the next element. */
  enter(expected: number): DerReader {
    return new DerReader(this.read(expected).content);
  }

  end(): void {
    if (!this.atEnd) throw new MalformedError('DER with bytes left over');
  }

  #length(): number {
    const first = this.#bytes[this.#at++];
    if (first === undefined) throw new MalformedError('DER ends too early');
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new MalformedError('DER length of a form that is not allowed');
    let length = 0;
    for (let i = 0; i < count; i++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new MalformedError('DER ends too early');
      length = length * 256 + byte;
    }
    if (length < 0x80 || length < 256 ** (count - 1)) throw new MalformedError('DER length that is not minimal');
    return length;
  }
}

/** The dotted form of an OBJECT IDENTIFIER's content. */
export function oidText(content: Uint8Array): string {
  const arcs: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) throw new MalformedError('OBJECT IDENTIFIER with too large an arc');
    if (byte < 0x80) {
      arcs.push(value);
      value = 0;
    }
  }
  const first = arcs.shift();
  if (first === undefined) throw new MalformedError('empty OBJECT IDENTIFIER');
  const top = Math.min(2, Math.floor(first / 40));
  return [top, first - top * 40, ...arcs].join('.');
}

const fatalUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Text of a DirectoryString or IA5String; undefined for types that carry no text. Throws on bytes that are not that type. */
export function directoryText(element: DerElement): string {
  switch (element.tag) {
    case tag.utf8String:
      try {
        return fatalUtf8.decode(element.content);
      } catch {
        throw new MalformedError('UTF8String that is not UTF-8');
      }
    case tag.printableString:
    case tag.ia5String:
      if (element.content.some((byte) => byte >= 0x80)) throw new MalformedError('ASCII string with other bytes');
      return Buffer.from(element.content).toString('latin1');
    case tag.t61String:
      return Buffer.from(element.content).toString('latin1');
    case tag.bmpString:
      if (element.content.length % 2 !== 0) throw new MalformedError('BMPString of odd length');
      return Buffer.from(element.content).swap16().toString('utf16le');
    default:
      throw new MalformedError(`name with a value of type 0x${element.tag.toString(16)}`);
  }
}

/** UTCTime or GeneralizedTime as Unix milliseconds. */
export function timeMs(element: DerElement): number {
  const text = Buffer.from(element.content).toString('latin1');
  const match = (
    element.tag === tag.utcTime ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
  ).exec(text);
  if (match === null || (element.tag !== tag.utcTime && element.tag !== tag.generalizedTime))
    throw new MalformedError('time of a form that is not allowed');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = element.tag === tag.utcTime ? (year < 50 ? 2000 + year : 1900 + year) : year;
  const parts = new Date(0);
  parts.setUTCFullYear(fullYear, month - 1, day);
  parts.setUTCHours(hour, minute, second);
  return parts.getTime();
}
