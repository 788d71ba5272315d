import { isUtf8 } from 'node:buffer';
import { DecodeError } from './errors.ts';
import { maxMessageDepth } from './reverse-writer.ts';

export function invalidProtobuf(why: string): DecodeError {
  return new DecodeError('InvalidProtobuf', `invalid protobuf: ${why}`);
}

const internedSlots = 1 << 12;
const longestInterned = 48;
/** Short texts met lately, by hash of their bytes: the same few thousand names fill every object, and need one copy. */
const interned: (string | undefined)[] = new Array<string | undefined>(internedSlots).fill(undefined);

/** Reads protobuf bytes forward. Every read is checked against `end`, the end of the message that is being read. */
export class WireReader {
  readonly buffer: Buffer;
  at: number;
  end: number;
  depth = 0;

  constructor(bytes: Uint8Array) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.end = this.buffer.length;
  }

  enter(): void {
    if (++this.depth > maxMessageDepth) throw new DecodeError('TooDeep', 'exceeded max depth');
  }

  #byte(): number {
    if (this.at >= this.end) throw invalidProtobuf('unexpected EOF');
    return this.buffer[this.at++] as number;
  }

  /** The low 32 bits of a varint, unsigned: tags, lengths, booleans. */
  uint32(): number {
    let byte = this.#byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    for (let shift = 7; shift < 70; shift += 7) {
      byte = this.#byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw invalidProtobuf('integer overflow');
  }

  int32(): number {
    return this.uint32() | 0;
  }

  /** A number where it is exact, else a BigInt. */
  int64(): number | bigint {
    const start = this.at;
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= 10; count++) {
      const byte = this.#byte();
      if (count <= 7) {
        value += (byte & 0x7f) * scale;
        scale *= 0x80;
      }
      if (byte < 0x80) return count <= 7 ? value : this.#wide(start);
    }
    throw invalidProtobuf('integer overflow');
  }

  #wide(start: number): number | bigint {
    let wide = 0n;
    for (let at = this.at - 1; at >= start; at--) wide = (wide << 7n) | BigInt((this.buffer[at] as number) & 0x7f);
    wide = BigInt.asIntN(64, wide);
    const number = Number(wide);
    return Number.isSafeInteger(number) ? number : wide;
  }

  double(): number {
    if (this.at + 8 > this.end) throw invalidProtobuf('unexpected EOF');
    this.at += 8;
    return this.buffer.readDoubleLE(this.at - 8);
  }

  /** A length that the rest of the message can hold; `at` stands behind it. */
  length(): number {
    const length = this.uint32();
    if (length > this.end - this.at) throw invalidProtobuf('unexpected EOF');
    return length;
  }

  string(): string {
    const length = this.length();
    if (length === 0) return '';
    const start = this.at;
    this.at += length;
    return length <= longestInterned ? this.#short(start, length) : this.#text(start);
  }

  #short(start: number, length: number): string {
    const buffer = this.buffer;
    let hash = length;
    for (let at = start; at < this.at; at++) hash = (Math.imul(hash, 31) + (buffer[at] as number)) | 0;
    const slot = (hash ^ (hash >>> 12)) & (internedSlots - 1);
    const known = interned[slot];
    if (known !== undefined && known.length === length) {
      let index = 0;
      while (index < length && known.charCodeAt(index) === buffer[start + index]) index++;
      if (index === length) return known;
    }
    const text = this.#text(start);
    if (text.length === length) interned[slot] = text;
    return text;
  }

  #text(start: number): string {
    const text = this.buffer.toString('utf8', start, this.at);
    if (text.includes('\ufffd') && !isUtf8(this.buffer.subarray(start, this.at)))
      throw invalidProtobuf('string is not UTF-8');
    return text;
  }

  bytes(): Buffer {
    const length = this.length();
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }

  base64(): string {
    const length = this.length();
    this.at += length;
    return this.buffer.toString('base64', this.at - length, this.at);
  }

  skip(wireType: number): void {
    if (wireType === 0) this.int64();
    else if (wireType === 2) this.bytes();
    else if (wireType === 1 || wireType === 5) {
      this.at += wireType === 1 ? 8 : 4;
      if (this.at > this.end) throw invalidProtobuf('unexpected EOF');
    } else throw invalidProtobuf(`illegal wire type ${wireType}`);
  }

  /** Runs `field` on each field of the message of `length` bytes that starts here. It must consume the field. */
  message(length: number, field: (number: number, wireType: number) => void): void {
    const outer = this.end;
    this.end = this.at + length;
    while (this.at < this.end) {
      const tag = this.uint32();
      field(tag >>> 3, tag & 7);
    }
    this.end = outer;
  }
}
