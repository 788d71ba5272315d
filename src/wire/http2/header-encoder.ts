import { DynamicTable, staticTable } from './header-table.ts';

const statusIndexes = new Map<number, number>();
const nameIndexes = new Map<string, number>();
for (const [index, [name, value]] of staticTable.entries()) {
  if (name === ':status') statusIndexes.set(Number(value), index + 1);
  else if (!nameIndexes.has(name)) nameIndexes.set(name, index + 1);
}
const statusName = 8;
/** Fields whose values repeat from answer to answer: worth a place in the table. */
const repeating = new Set([
  'content-type',
  'cache-control',
  'vary',
  'content-encoding',
  'x-content-type-options',
  'www-authenticate',
]);
const mostTableBytes = 4096;
const longestRepeating = 200;

/** Writes header blocks of answers (RFC 7541), without Huffman codes: they cost more than they save on a local link. */
export class HeaderEncoder {
  #table = new DynamicTable(mostTableBytes);
  #indexes = new Map<string, number>();
  #added = 0;
  #limit = mostTableBytes;
  #announce: number | undefined;

  /** The receiver's SETTINGS_HEADER_TABLE_SIZE. */
  setLimit(bytes: number): void {
    const limit = Math.min(bytes, mostTableBytes);
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#announce = limit;
    this.#table = new DynamicTable(limit);
    this.#indexes = new Map();
    this.#added = 0;
  }

  /** Writes into `out` from `start`; returns the end. Without a status: trailers. `out` must be large enough: see `largest`. */
  encode(
    out: Buffer,
    start: number,
    status: number | undefined,
    headers: Readonly<Record<string, string | readonly string[]>>,
    length: number | undefined,
  ): number {
    let at = start;
    if (this.#announce !== undefined) {
      // The table was emptied: to zero first, then to its new size.
      at = writeInteger(out, at, 0x20, 5, 0);
      if (this.#announce > 0) at = writeInteger(out, at, 0x20, 5, this.#announce);
      this.#announce = undefined;
    }
    const known = status === undefined ? undefined : statusIndexes.get(status);
    if (known !== undefined) out[at++] = 0x80 | known;
    else if (status !== undefined) {
      at = writeInteger(out, at, 0x00, 4, statusName);
      at = writeText(out, at, String(status));
    }
    for (const name in headers) {
      const value = headers[name] as string | readonly string[];
      if (typeof value === 'string') at = this.#field(out, at, name, value);
      else for (const one of value) at = this.#field(out, at, name, one);
    }
    if (length !== undefined) at = this.#field(out, at, 'content-length', String(length));
    return at;
  }

  /** An upper bound of the bytes that `encode` writes. */
  static largest(headers: Readonly<Record<string, string | readonly string[]>>): number {
    let bytes = 64;
    for (const name in headers) {
      const value = headers[name] as string | readonly string[];
      if (typeof value === 'string') bytes += name.length + value.length * 2 + 16;
      else for (const one of value) bytes += name.length + one.length * 2 + 16;
    }
    return bytes;
  }

  #field(out: Buffer, start: number, name: string, value: string): number {
    let at = start;
    const nameIndex = nameIndexes.get(name) ?? 0;
    if (repeating.has(name) && value.length <= longestRepeating && this.#limit >= 1024) {
      const key = `${name}\n${value}`;
      const place = this.#indexes.get(key);
      if (place !== undefined && this.#added - place < this.#table.length) {
        return writeInteger(out, at, 0x80, 7, staticTable.length + this.#added - place + 1);
      }
      at = writeInteger(out, at, 0x40, 6, nameIndex);
      this.#table.add(name, value);
      this.#added++;
      this.#indexes.set(key, this.#added);
      if (this.#indexes.size > 500) this.#indexes.clear();
    } else at = writeInteger(out, at, 0x00, 4, nameIndex);
    if (nameIndex === 0) at = writeText(out, at, name);
    return writeText(out, at, value);
  }
}

function writeInteger(out: Buffer, start: number, flags: number, prefix: number, value: number): number {
  const mask = (1 << prefix) - 1;
  let at = start;
  if (value < mask) {
    out[at++] = flags | value;
    return at;
  }
  out[at++] = flags | mask;
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) out[at++] = (rest & 0x7f) | 0x80;
  out[at++] = rest;
  return at;
}

function writeText(out: Buffer, start: number, text: string): number {
  const at = writeInteger(out, start, 0, 7, text.length);
  return at + out.write(text, at, 'latin1');
}
