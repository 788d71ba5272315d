import { compareKeys } from '../keys.ts';

/** Members that want the same range of keys. */
export interface RangeGroup<M> {
  readonly start: string;
  readonly end: string;
  readonly members: Set<M>;
}

/**
 * Finds the groups whose range holds a key: sorted by start, with the farthest end so far beside each. Ranges of resources do
 * not overlap, so a look-up is a binary search and one or two steps back.
 */
export class RangeGroups<M> {
  #groups: RangeGroup<M>[] = [];
  /** The farthest end of the groups up to here; '' is no end and farther than all. */
  #reach: string[] = [];

  get groups(): readonly RangeGroup<M>[] {
    return this.#groups;
  }

  add(start: string, end: string, member: M): void {
    const same = this.#groups.find((group) => group.start === start && group.end === end);
    if (same !== undefined) {
      same.members.add(member);
      return;
    }
    this.#set([...this.#groups, { start, end, members: new Set([member]) }]);
  }

  remove(start: string, end: string, member: M): void {
    const group = this.#groups.find((one) => one.start === start && one.end === end);
    if (group?.members.delete(member) !== true || group.members.size > 0) return;
    this.#set(this.#groups.filter((one) => one !== group));
  }

  visit(key: string, visit: (group: RangeGroup<M>) => void): void {
    let low = 0;
    let high = this.#groups.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys((this.#groups[middle] as RangeGroup<M>).start, key) <= 0) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0 && reaches(this.#reach[i] as string, key); i--) {
      const group = this.#groups[i] as RangeGroup<M>;
      if (reaches(group.end, key)) visit(group);
    }
  }

  #set(groups: RangeGroup<M>[]): void {
    this.#groups = groups.sort((a, b) => compareKeys(a.start, b.start));
    let reach: string | undefined;
    this.#reach = this.#groups.map(({ end }) => {
      if (reach === undefined || (reach !== '' && (end === '' || compareKeys(end, reach) > 0))) reach = end;
      return reach;
    });
  }
}

function reaches(end: string, key: string): boolean {
  return end === '' || compareKeys(key, end) < 0;
}
