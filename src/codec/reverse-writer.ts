import { EncodeError } from './errors.ts';

/** Deeper messages than this are refused on both ways. */
export const maxMessageDepth = 1000;

const initialBytes = 1 << 16;
const keptBytes = 1 << 20;

/**
 * Protobuf bytes written from the last to the first, so that a nested message's length is known when its header is
 * written and nothing is measured beforehand. Call `varint`, `tag` and the rest in the reverse of wire order.
 */
export class ReverseWriter {
  #buffer: Buffer;
  #at: number;
  depth = 0;

  constructor(bytes = initialBytes) {
    this.#buffer = Buffer.allocUnsafeSlow(bytes);
    this.#at = bytes;
  }

  /** Distance from the end: the difference of two of them is a length. */
  get written(): number {
    return this.#buffer.length - this.#at;
  }

  /** A copy of all that was written, and the writer empty again. */
  take(): Buffer {
    const bytes = Buffer.from(this.#buffer.subarray(this.#at));
    this.reset();
    return bytes;
  }

  reset(): void {
    if (this.#buffer.length > keptBytes) this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
    this.#at = this.#buffer.length;
    this.depth = 0;
  }

  enter(): void {
    if (++this.depth > maxMessageDepth) throw new EncodeError('exceeded max depth');
  }

  #reserve(length: number): void {
    if (this.#at >= length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.written + length));
    this.#buffer.copy(grown, grown.length - this.written, this.#at);
    this.#at = grown.length - this.written;
    this.#buffer = grown;
  }

  /** A whole number in [0, 2^53). */
  varint(value: number): void {
    this.#reserve(8);
    if (value < 0x80) {
      this.#buffer[--this.#at] = value;
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
    let at = this.#at - size;
    this.#at = at;
    for (let rest = value; size > 1; size--) {
      this.#buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
      if (size === 2) this.#buffer[at] = rest;
    }
  }

  /** Two's complement in 64 bits, as protobuf's int32 and int64. */
  int64(value: number | bigint): void {
    if (typeof value === 'number' && value >= 0) return this.varint(value);
    let rest = BigInt.asUintN(64, BigInt(value));
    const bytes: number[] = [];
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    this.bytes(Uint8Array.from(bytes));
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at -= 8;
    this.#buffer.writeDoubleLE(value, this.#at);
  }

  bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#at -= bytes.length;
    this.#buffer.set(bytes, this.#at);
  }

  /** The text in UTF-8 with its length before it. */
  string(text: string): void {
    const length = text.length;
    if (length <= 40) {
      this.#reserve(length + 1);
      let at = this.#at;
      let index = length;
      while (index > 0) {
        const code = text.charCodeAt(--index);
        if (code > 0x7f) break;
        this.#buffer[--at] = code;
        if (index === 0) {
          this.#buffer[--at] = length;
          this.#at = at;
          return;
        }
      }
      if (length === 0) {
        this.#buffer[--this.#at] = 0;
        return;
      }
    }
    const size = Buffer.byteLength(text);
    this.#reserve(size);
    this.#at -= size;
    this.#buffer.write(text, this.#at, size, 'utf8');
    this.varint(size);
  }

  /** Base64 text as bytes with their length before them. */
  base64(text: string): void {
    const bytes = Buffer.from(text, 'base64');
    this.bytes(bytes);
    this.varint(bytes.length);
  }
}
