import { DynamicTable, staticTable } from './header-table.ts';
import { decodeHuffman } from './huffman.ts';

/** The block is not well formed, or the table says otherwise: the connection must end. */
export class CompressionFailed extends Error {}
/** The list is larger than allowed. The block was still read to its end, so that the table stays in step. */
export const tooLarge = Symbol('header list too large');

const tableBytes = 4096;
/** Values this long are credentials: clients send them again with every request, never indexed. */
const longBytes = 128;

/** Reads header blocks (RFC 7541). Values are latin-1 text. */
export class HeaderDecoder {
  readonly #table = new DynamicTable(tableBytes);
  readonly #largestBytes: number;
  readonly #mostFields: number;
  #at = 0;
  #lastBlock: Buffer | undefined;
  #lastGeneration = -1;
  #lastFields: readonly string[] = [];
  #lastCoded: Buffer | undefined;
  #lastLong = '';

  constructor(limits: { readonly largestBytes: number; readonly mostFields: number }) {
    this.#largestBytes = limits.largestBytes;
    this.#mostFields = limits.mostFields;
  }

  /** Names and values in turn. The same array may come again for the same block: not to be changed. */
  decode(block: Buffer): readonly string[] | typeof tooLarge {
    if (
      this.#lastBlock !== undefined &&
      this.#lastGeneration === this.#table.generation &&
      this.#lastBlock.equals(block)
    ) {
      return this.#lastFields;
    }
    const before = this.#table.generation;
    const fields: string[] = [];
    let bytes = 0;
    let within = true;
    this.#at = 0;
    let started = false;
    while (this.#at < block.length) {
      const byte = block[this.#at] as number;
      let name: string;
      let value: string;
      if ((byte & 0x80) !== 0) {
        const index = this.#integer(block, 7);
        [name, value] = this.#entry(index);
      } else if ((byte & 0xe0) === 0x20) {
        if (started) throw new CompressionFailed('a size update after the first field');
        const size = this.#integer(block, 5);
        if (size > tableBytes) throw new CompressionFailed('a table larger than agreed');
        this.#table.resize(size);
        continue;
      } else {
        const indexed = (byte & 0x40) !== 0;
        const index = this.#integer(block, indexed ? 6 : 4);
        name = index === 0 ? this.#text(block) : this.#entry(index)[0];
        value = this.#text(block);
        if (indexed) this.#table.add(name, value);
      }
      started = true;
      bytes += name.length + value.length + 32;
      if (bytes > this.#largestBytes || fields.length >= this.#mostFields * 2) within = false;
      else fields.push(name, value);
    }
    if (!within) return tooLarge;
    if (before === this.#table.generation && block.length <= 256) {
      this.#lastBlock = Buffer.from(block);
      this.#lastGeneration = before;
      this.#lastFields = fields;
    }
    return fields;
  }

  #entry(index: number): readonly [string, string] {
    const entry =
      index === 0
        ? undefined
        : index <= staticTable.length
          ? staticTable[index - 1]
          : this.#table.at(index - staticTable.length - 1);
    if (entry === undefined) throw new CompressionFailed('an index beyond the table');
    return entry;
  }

  #integer(block: Buffer, prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = (block[this.#at++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      const byte = block[this.#at++];
      if (byte === undefined || shift > 21) throw new CompressionFailed('an integer that does not end');
      value += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0) return value;
    }
  }

  #text(block: Buffer): string {
    const first = block[this.#at];
    if (first === undefined) throw new CompressionFailed('a string is missing');
    const length = this.#integer(block, 7);
    const start = this.#at;
    const end = start + length;
    if (end > block.length) throw new CompressionFailed('a string beyond the block');
    this.#at = end;
    if ((first & 0x80) === 0) return block.toString('latin1', start, end);
    const isLong = length >= longBytes;
    if (isLong && this.#lastCoded?.length === length && this.#lastCoded.compare(block, start, end) === 0)
      return this.#lastLong;
    const text = decodeHuffman(block, start, end);
    if (text === undefined) throw new CompressionFailed('a string with a bad code');
    if (isLong) {
      this.#lastCoded = Buffer.from(block.subarray(start, end));
      this.#lastLong = text;
    }
    return text;
  }
}
