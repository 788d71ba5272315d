import type { Change } from './change.ts';

/** The most recent changes of one resource, for watches that resume. Holds at most `limit` changes. */
export class ChangeWindow {
  readonly #limit: number;
  #changes: Change[] = [];
  #first = 0;
  /** Every change after this revision is here. */
  #since: number;

  constructor(since: number, limit = 2048) {
    this.#since = since;
    this.#limit = limit;
  }

  get since(): number {
    return this.#since;
  }

  push(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length - this.#first <= this.#limit) return;
    const dropped = this.#changes[this.#first] as Change;
    this.#since = dropped.revision;
    this.#first++;
    if (this.#first > this.#limit) {
      this.#changes = this.#changes.slice(this.#first);
      this.#first = 0;
    }
  }

  /** Changes after `revision`, in order; undefined when some of them are forgotten. */
  after(revision: number): Change[] | undefined {
    if (revision < this.#since) return undefined;
    let low = this.#first;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle] as Change).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#changes.slice(low);
  }
}
