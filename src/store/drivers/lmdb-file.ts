import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { CodedError } from '#base';

/*
 * What LMDB puts into its file (data version 2, little-endian), as far as it is checked here:
 *
 *   page     number (8), transaction (8), pad (2), flags (2), lower (2), upper (2), then offsets of nodes (2 each)
 *   meta     in pages 0 and 1 after that: magic (4), version (4), address (8), map size (8), two trees (48 each), last page (8),
 *            transaction (8)
 *   tree     page size (4), flags (2), depth (2), branch, leaf and overflow pages (8 each), entries (8), root (8)
 *   node     low and high half of the data's size or of the child's page (2 each), flags (2), size of the key (2), key, data
 *
 *   large    a node of a large value holds: first page (8), transaction (8), pages (8); the first page's head counts them at 20 (4)
 *   free     values of the free tree: count of numbers (8), numbers (8 each): a page; 0, nothing; -n, n pages from the next one on
 *
 * Offsets count from the end of the page's head.
 */
const pageHead = 24;
const nodeHead = 8;
const magic = 0xbeefc0de;
const dataVersion = 2;
const flags = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const;
const bigData = 0x01;
const freeTree = pageHead + 24;
const mainTree = freeTree + 48;
const lastPageAt = mainTree + 48;
const transactionAt = lastPageAt + 8;
const overflowNodeBytes = 24;
const integerKeys = 0x08;
const noPage = 0xffffffffffffffffn;

/** The store's file is not what LMDB wrote: opening it would end the process instead of telling so. */
export class DamagedFile extends CodedError {
  constructor(path: string, detail: string) {
    super('Corrupt', `${path} is damaged (${detail}): restore the store from a backup`);
  }
}

/**
 * Walks both trees of an LMDB file and throws DamagedFile (code Corrupt) when something in it would lead LMDB astray: a page that
 * is none, an offset that points nowhere, a page with two uses. Values are not looked at: they have checksums. A file that is shorter than its pages is made longer, which
 * costs no room: what is missing then reads as zeros, instead of killing the process.
 */
export function checkLmdbFile(path: string): void {
  const file = openSync(path, 'r+');
  try {
    new Walk(path, file).all();
  } finally {
    closeSync(file);
  }
}

class Walk {
  readonly #path: string;
  readonly #file: number;
  #pageBytes = 4096;
  #lastPage = 0;
  #transaction = 0n;
  #depth = 0;
  #seen = new Uint8Array();

  constructor(path: string, file: number) {
    this.#path = path;
    this.#file = file;
  }

  all(): void {
    const { size } = fstatSync(this.#file);
    // A process that was killed before its first write leaves an empty file.
    if (size === 0) return;
    const first = this.#meta(0, size);
    this.#pageBytes = first.readUInt32LE(freeTree);
    const { length: pages } = sizesAllowed.filter((one) => one === this.#pageBytes);
    if (pages === 0) this.#fail(`its pages have ${this.#pageBytes} bytes`);
    const second = this.#meta(this.#pageBytes, size);
    const meta = first.readBigUInt64LE(transactionAt) >= second.readBigUInt64LE(transactionAt) ? first : second;
    const lastPage = meta.readBigUInt64LE(lastPageAt);
    if (lastPage < 1n || lastPage > 0xffffffffn) this.#fail(`its last page is ${lastPage}`);
    this.#lastPage = Number(lastPage);
    const neededBytes = (this.#lastPage + 1) * this.#pageBytes;
    if (size < neededBytes) ftruncateSync(this.#file, neededBytes);
    this.#seen = new Uint8Array((this.#lastPage >> 3) + 1);
    this.#transaction = meta.readBigUInt64LE(transactionAt);
    if ((meta.readUInt16LE(freeTree + 4) & 0xff) !== integerKeys || meta.readUInt16LE(mainTree + 4) !== 0)
      this.#fail('its trees have unknown flags');
    for (const tree of [mainTree, freeTree]) {
      const root = meta.readBigUInt64LE(tree + 40);
      this.#depth = meta.readUInt16LE(tree + 6);
      if (root !== noPage) this.#tree(root, tree === freeTree);
      else if (this.#depth !== 0) this.#fail('a tree has no root');
    }
  }

  #meta(at: number, size: number): Buffer {
    const bytes = Buffer.alloc(transactionAt + 8);
    if (size < at + bytes.length) this.#fail(`it has only ${size} bytes`);
    readSync(this.#file, bytes, 0, bytes.length, at);
    const fine =
      (bytes.readUInt16LE(18) & flags.meta) !== 0 &&
      bytes.readUInt32LE(pageHead) === magic &&
      bytes.readUInt32LE(pageHead + 4) === dataVersion;
    if (!fine) this.#fail('it does not begin as a store does');
    return bytes;
  }

  #tree(root: bigint, isFree: boolean): void {
    const waiting: { readonly page: bigint; readonly depth: number }[] = [{ page: root, depth: 1 }];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { page, depth } = next;
      const bytes = this.#page(page);
      const kind = bytes.readUInt16LE(18);
      if (kind !== flags.branch && kind !== flags.leaf) this.#fail(`page ${page} is no part of a tree`);
      if ((kind === flags.leaf) !== (depth === this.#depth)) this.#fail(`page ${page} is too deep or not deep enough`);
      for (const node of this.#nodes(page, bytes)) {
        if (kind === flags.branch) waiting.push({ page: childOf(bytes, node), depth: depth + 1 });
        else this.#leaf({ page, bytes, node, isFree });
      }
    }
  }

  #page(page: bigint): Buffer {
    this.#use(page, 1n);
    return this.#read(page, this.#pageBytes);
  }

  #read(page: bigint, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    readSync(this.#file, bytes, 0, length, Number(page) * this.#pageBytes);
    if (bytes.readBigUInt64LE(0) !== page || bytes.readBigUInt64LE(8) > this.#transaction)
      this.#fail(`page ${page} is missing`);
    return bytes;
  }

  /** Notes what pages are used for: one thing each. */
  #use(first: bigint, count: bigint): void {
    if (first < 2n || count < 1n || first + count - 1n > BigInt(this.#lastPage))
      this.#fail(`it names a page ${first} that it does not have`);
    const end = Number(first + count);
    for (let page = Number(first); page < end; page++) {
      const mark = 1 << (page & 7);
      if (((this.#seen[page >> 3] as number) & mark) !== 0) this.#fail(`page ${page} has two uses`);
      this.#seen[page >> 3] = (this.#seen[page >> 3] as number) | mark;
    }
  }

  /** Where the nodes of a page are. */
  #nodes(page: bigint, bytes: Buffer): number[] {
    const lower = bytes.readUInt16LE(20);
    const upper = bytes.readUInt16LE(22);
    const room = this.#pageBytes - pageHead;
    if (lower > upper || upper > room || (lower & 1) !== 0) this.#fail(`the offsets of page ${page}`);
    const nodes: number[] = [];
    for (let at = pageHead; at < pageHead + lower; at += 2) {
      const node = bytes.readUInt16LE(at);
      const fits = node >= upper && node + nodeHead <= room;
      if (!fits || node + nodeHead + bytes.readUInt16LE(pageHead + node + 6) > room)
        this.#fail(`a node of page ${page}`);
      nodes.push(pageHead + node);
    }
    return nodes;
  }

  #leaf({ page, bytes, node, isFree }: { page: bigint; bytes: Buffer; node: number; isFree: boolean }): void {
    const dataBytes = bytes.readUInt32LE(node);
    const data = node + nodeHead + bytes.readUInt16LE(node + 6);
    const nodeFlags = bytes.readUInt16LE(node + 4);
    const big = nodeFlags === bigData;
    const fits = data + (big ? overflowNodeBytes : dataBytes) <= this.#pageBytes;
    if (!fits || (!big && nodeFlags !== 0)) this.#fail(`a value in page ${page}`);
    const list = big ? this.#large({ page, bytes, data, dataBytes }) : undefined;
    if (isFree) this.#free(page, list?.() ?? bytes.subarray(data, data + dataBytes));
  }

  /** Checks the pages of a large value; the result reads it. */
  #large(at: { page: bigint; bytes: Buffer; data: number; dataBytes: number }): () => Buffer {
    const { page, bytes, data, dataBytes } = at;
    const first = bytes.readBigUInt64LE(data);
    const count = bytes.readBigUInt64LE(data + 16);
    this.#use(first, count);
    const head = this.#read(first, pageHead);
    const fits = BigInt(pageHead + dataBytes) <= count * BigInt(this.#pageBytes);
    if (!fits || head.readUInt16LE(18) !== flags.overflow || BigInt(head.readUInt32LE(20)) !== count)
      this.#fail(`a large value in page ${page}`);
    return () => this.#read(first, pageHead + dataBytes).subarray(pageHead);
  }

  #free(page: bigint, list: Buffer): void {
    const count = list.length < 8 ? -1n : list.readBigUInt64LE(0);
    if (count < 0n || count * 8n + 8n > BigInt(list.length)) this.#fail(`the list of free pages in page ${page}`);
    for (let index = 1; index <= Number(count); index++) {
      const number = list.readBigInt64LE(index * 8);
      if (number > 0n) this.#use(number, 1n);
      if (number >= 0n) continue;
      index++;
      if (index > Number(count)) this.#fail(`the list of free pages in page ${page}`);
      this.#use(list.readBigInt64LE(index * 8), -number);
    }
  }

  #fail(detail: string): never {
    throw new DamagedFile(this.#path, detail);
  }
}

const sizesAllowed = [4096, 8192, 16_384, 32_768, 65_536];

function childOf(bytes: Buffer, node: number): bigint {
  return BigInt(bytes.readUInt32LE(node)) | (BigInt(bytes.readUInt16LE(node + 4)) << 32n);
}
