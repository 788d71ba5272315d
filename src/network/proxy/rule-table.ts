import type { Entry, RuleElement } from './rule-entries.ts';

/** Name of a map or set → key → value ('' in a set). */
export type Elements = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What one transaction has to do to the elements. */
export interface ElementChange {
  readonly gone: ReadonlyMap<string, readonly string[]>;
  readonly added: ReadonlyMap<string, readonly (readonly [key: string, value: string])[]>;
}

interface Claim {
  readonly owner: string;
  readonly entry: Entry;
}

/**
 * The elements of all maps and sets, kept in step one owner (a Service, a pod) at a time. Work and the change that comes out are as
 * big as what the owner changed, however many others there are. What the table holds depends on the owners' present entries alone,
 * never on the order in which they came.
 */
export class RuleTable {
  readonly #owners = new Map<string, readonly Entry[]>();
  /** Who wants a key; the first has it. */
  readonly #claims = new Map<string, Claim[]>();
  readonly #elements = new Map<string, Map<string, string>>();
  /** Elements that several entries need (hairpins, owned addresses): how many more than one. */
  readonly #shares = new Map<string, Map<string, number>>();
  /** Values before the first change since `takeChange`; undefined = was absent. */
  #before = new Map<string, Map<string, string | undefined>>();

  get elements(): Elements {
    return this.#elements;
  }

  /** Names of the maps and sets that have an element. */
  names(): string[] {
    return [...this.#elements.keys()];
  }

  owners(): IterableIterator<string> {
    return this.#owners.keys();
  }

  /** Gives an owner its entries, in the place of those it had. No entries: the owner is forgotten. */
  set(owner: string, entries: readonly Entry[]): void {
    const before = this.#owners.get(owner) ?? [];
    // An entry that is the same as before stays the very object that the claims know.
    const kept = entries.map((entry) => before.find((one) => sameEntry(one, entry)) ?? entry);
    for (const entry of before) if (!kept.includes(entry)) this.#withdraw(owner, entry);
    for (const entry of kept) if (!before.includes(entry)) this.#claim(owner, entry);
    if (kept.length === 0) this.#owners.delete(owner);
    else this.#owners.set(owner, kept);
  }

  /** What has changed since the last call. */
  takeChange(): ElementChange {
    const gone = new Map<string, string[]>();
    const added = new Map<string, [string, string][]>();
    for (const [name, keys] of this.#before) {
      const now = this.#elements.get(name);
      const less: string[] = [];
      const more: [string, string][] = [];
      for (const [key, before] of keys) {
        const value = now?.get(key);
        if (value === before) continue;
        if (before !== undefined) less.push(key);
        if (value !== undefined) more.push([key, value]);
      }
      if (less.length > 0) gone.set(name, less);
      if (more.length > 0) added.set(name, more);
    }
    this.#before = new Map();
    return { gone, added };
  }

  #claim(owner: string, entry: Entry): void {
    const claims = this.#claims.get(entry.key);
    if (claims === undefined) {
      this.#claims.set(entry.key, [{ owner, entry }]);
      return this.#put(entry.elements);
    }
    const [holder] = claims;
    claims.push({ owner, entry });
    claims.sort((a, b) => compare(a.entry.rank, b.entry.rank) || compare(a.owner, b.owner));
    if (claims[0] === holder) return;
    if (holder !== undefined) this.#remove(holder.entry.elements);
    this.#put(claims[0]?.entry.elements ?? []);
  }

  #withdraw(owner: string, entry: Entry): void {
    const claims = this.#claims.get(entry.key) ?? [];
    const index = claims.findIndex((one) => one.owner === owner && one.entry === entry);
    if (index < 0) return;
    claims.splice(index, 1);
    if (claims.length === 0) this.#claims.delete(entry.key);
    if (index > 0) return;
    this.#remove(entry.elements);
    this.#put(claims[0]?.entry.elements ?? []);
  }

  #put(elements: readonly RuleElement[]): void {
    for (const [name, key, value] of elements) {
      const held = this.#elements.get(name) ?? new Map<string, string>();
      if (held.has(key)) {
        const shares = this.#shares.get(name) ?? new Map<string, number>();
        shares.set(key, (shares.get(key) ?? 0) + 1);
        this.#shares.set(name, shares);
        continue;
      }
      this.#remember(name, key, undefined);
      held.set(key, value);
      this.#elements.set(name, held);
    }
  }

  #remove(elements: readonly RuleElement[]): void {
    for (const [name, key] of elements) {
      const shares = this.#shares.get(name);
      const more = shares?.get(key) ?? 0;
      if (more > 1) shares?.set(key, more - 1);
      else if (more === 1) shares?.delete(key);
      else {
        const held = this.#elements.get(name);
        this.#remember(name, key, held?.get(key));
        held?.delete(key);
        if (held?.size === 0) this.#elements.delete(name);
      }
    }
  }

  #remember(name: string, key: string, value: string | undefined): void {
    const keys = this.#before.get(name) ?? new Map<string, string | undefined>();
    if (!keys.has(key)) keys.set(key, value);
    this.#before.set(name, keys);
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function sameEntry(a: Entry, b: Entry): boolean {
  if (a === b) return true;
  if (a.key !== b.key || a.rank !== b.rank || a.elements.length !== b.elements.length) return false;
  return a.elements.every((one, i) => {
    const other = b.elements[i];
    return other !== undefined && one[0] === other[0] && one[1] === other[1] && one[2] === other[2];
  });
}
