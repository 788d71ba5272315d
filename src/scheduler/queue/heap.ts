/** A binary heap: `pop` gives the item that comes before all others. */
export class Heap<T> {
  readonly #before: (a: T, b: T) => boolean;
  readonly #items: T[] = [];
  readonly #places = new Map<T, number>();

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): T | undefined {
    return this.#items[0];
  }

  values(): readonly T[] {
    return this.#items;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#places.set(item, this.#items.length - 1);
    this.#up(this.#items.length - 1);
  }

  pop(): T | undefined {
    const first = this.#items[0];
    if (first !== undefined) this.delete(first);
    return first;
  }

  delete(item: T): boolean {
    const place = this.#places.get(item);
    if (place === undefined) return false;
    this.#places.delete(item);
    const last = this.#items.pop() as T;
    if (place < this.#items.length) {
      this.#put(last, place);
      this.#up(place);
      this.#down(this.#places.get(last) as number);
    }
    return true;
  }

  #put(item: T, place: number): void {
    this.#items[place] = item;
    this.#places.set(item, place);
  }

  #up(start: number): void {
    const item = this.#items[start] as T;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const other = this.#items[parent] as T;
      if (!this.#before(item, other)) break;
      this.#put(other, place);
      place = parent;
    }
    this.#put(item, place);
  }

  #down(start: number): void {
    const item = this.#items[start] as T;
    let place = start;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= this.#items.length) break;
      if (child + 1 < this.#items.length && this.#before(this.#items[child + 1] as T, this.#items[child] as T)) child++;
      const other = this.#items[child] as T;
      if (!this.#before(other, item)) break;
      this.#put(other, place);
      place = child;
    }
    this.#put(item, place);
  }
}
