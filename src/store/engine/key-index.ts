import { compareKeys } from '../keys.ts';

const longestChunk = 512;
const surrogate = /[\ud800-\udfff]/;

/**
 * Keys in the order of their UTF-8 bytes, each with a value: a sorted array of sorted chunks. Insertion and removal move at
 * most one chunk; a walk is a walk over arrays.
 *
 *   chunks  [ [a b c] [d e] [f g h] ]      a chunk that grows past 512 keys is cut in two, an empty one is removed
 */
export class KeyIndex<T extends { readonly key: string }> {
  readonly #chunks: T[][] = [];
  #size = 0;
  #surrogates = false;

  get size(): number {
    return this.#size;
  }

  /** Adds `item`, whose key must not be there. */
  add(item: T): void {
    this.#look(item.key);
    this.#size++;
    if (this.#chunks.length === 0) {
      this.#chunks.push([item]);
      return;
    }
    const at = Math.max(0, this.#chunkAfter(item.key) - 1);
    const chunk = this.#chunks[at] as T[];
    chunk.splice(this.#lowerBound(chunk, item.key), 0, item);
    if (chunk.length <= longestChunk) return;
    const appending = at === this.#chunks.length - 1 && chunk[chunk.length - 1] === item;
    this.#chunks.splice(at + 1, 0, chunk.splice(appending ? longestChunk : longestChunk >> 1));
  }

  remove(key: string): boolean {
    this.#look(key);
    const at = this.#chunkAfter(key) - 1;
    const chunk = this.#chunks[at];
    if (chunk === undefined) return false;
    const index = this.#lowerBound(chunk, key);
    if (chunk[index]?.key !== key) return false;
    chunk.splice(index, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
    this.#size--;
    return true;
  }

  /** Calls `visit` for each item with a key in [start, end), in order; '' as end is no end. */
  visit(start: string, end: string, visit: (item: T) => void): void {
    this.#look(start);
    this.#look(end);
    for (let at = Math.max(0, this.#chunkAfter(start) - 1); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] as T[];
      const from = this.#before((chunk[0] as T).key, start) ? this.#lowerBound(chunk, start) : 0;
      const whole = end === '' || this.#before((chunk[chunk.length - 1] as T).key, end);
      const until = whole ? chunk.length : this.#lowerBound(chunk, end);
      for (let i = from; i < until; i++) visit(chunk[i] as T);
      if (!whole) return;
    }
  }

  /** The language's own comparison is the right one until a surrogate is seen. */
  #look(key: string): void {
    if (!this.#surrogates && surrogate.test(key)) this.#surrogates = true;
  }

  #before(a: string, b: string): boolean {
    return this.#surrogates ? compareKeys(a, b) < 0 : a < b;
  }

  /** How many chunks begin at or before `key`. */
  #chunkAfter(key: string): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#before(key, ((this.#chunks[middle] as T[])[0] as T).key)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #lowerBound(chunk: readonly T[], key: string): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#before((chunk[middle] as T).key, key)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
