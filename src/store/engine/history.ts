import { CodedError, invariant } from '#base';
import { KeyIndex } from './key-index.ts';
import type { RecordHead } from './journal.ts';

/** One write of one key. Those of a key are chained from the newest back. */
export interface Version {
  readonly key: string;
  readonly revision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: number;
  readonly deleted: boolean;
  /** Bytes the journal spends on it. */
  readonly cost: number;
  older: Version | undefined;
  dropped: boolean;
}

interface KeyState {
  readonly key: string;
  newest: Version;
}

/**
 * All revisions that can still be named: every key's chain, and the log of versions by revision.
 *
 * What compaction at C keeps: every record from C on; of each key the newest before C unless it is a delete; and the record
 * that the one at C replaced. So reads and watches at C and later lack nothing, and the newest revision is never forgotten.
 */
export class History {
  readonly #keys = new Map<string, KeyState>();
  readonly #index = new KeyIndex<KeyState>();
  /** The version of revision `#logStart + i`; without a gap. */
  readonly #log: Version[] = [];
  #logStart = 2;
  #revision = 1;
  #compacted = 1;
  #cost = 0;

  get revision(): number {
    return this.#revision;
  }

  get compacted(): number {
    return this.#compacted;
  }

  /** Bytes the journal spends on everything kept. */
  get cost(): number {
    return this.#cost;
  }

  /** The newest version of a key, deletes included. */
  newest(key: string): Version | undefined {
    return this.#keys.get(key)?.newest;
  }

  /** What a read of `key` at `revision` finds. */
  at(key: string, revision: number): Version | undefined {
    const state = this.#keys.get(key);
    return state === undefined ? undefined : versionAt(state.newest, revision);
  }

  /** The version written at `revision`, which must be in [compacted, revision]. */
  logged(revision: number): Version | undefined {
    return this.#log[revision - this.#logStart];
  }

  /** Versions in [start, end) at `revision`, at most `limit` of them, and how many there are in all. */
  range(start: string, end: string, options: { revision: number; limit: number }): { found: Version[]; count: number } {
    const { revision, limit } = options;
    const found: Version[] = [];
    let count = 0;
    this.#index.visit(start, end, (state) => {
      const version = versionAt(state.newest, revision);
      if (version === undefined) return;
      count++;
      if (found.length < limit) found.push(version);
    });
    return { found, count };
  }

  /** The newest version of every key that hangs on a lease. */
  leased(): Version[] {
    const all: Version[] = [];
    for (const { newest } of this.#keys.values()) if (newest.lease !== 0 && !newest.deleted) all.push(newest);
    return all;
  }

  /** Adds the write of the next revision. */
  append(version: Version): void {
    invariant(version.revision === this.#revision + 1, `revision ${version.revision} follows ${this.#revision}`);
    this.#log.push(version);
    this.#link(version);
  }

  /** Rebuilds from the records of a journal. Returns the revisions that an interrupted compaction left behind. */
  load(compacted: number, records: Iterable<RecordHead>, cost: (head: RecordHead) => number): number[] {
    const leftovers: number[] = [];
    this.#compacted = compacted;
    this.#logStart = Math.max(2, compacted);
    for (const head of records) {
      const version = versionOf(head, cost(head));
      if (version.revision >= this.#logStart) {
        if (version.revision !== this.#logStart + this.#log.length) throw gap(this.#logStart + this.#log.length);
        this.#log.push(version);
      }
      this.#link(version);
      if (version.revision < compacted) this.#forgetBefore(version, leftovers);
    }
    if (compacted > 1 && this.#log.length === 0) throw gap(compacted);
    return leftovers;
  }

  /** From now on nothing below `revision` can be named; `prune` then frees the room. */
  compact(revision: number): void {
    this.#compacted = revision;
  }

  /** Whether nothing is left that `prune` could forget. */
  get pruned(): boolean {
    return this.#logStart >= this.#compacted;
  }

  /** Forgets what compaction allows to, examining at most `limit` revisions. Gives the revisions to drop from the journal. */
  prune(limit: number): number[] {
    const drop: number[] = [];
    const count = Math.max(0, Math.min(limit, this.#compacted - this.#logStart, this.#log.length));
    for (let i = 0; i < count; i++) this.#forgetBefore(this.#log[i] as Version, drop);
    this.#log.splice(0, count);
    this.#logStart += count;
    return drop;
  }

  #link(version: Version): void {
    this.#revision = version.revision;
    this.#cost += version.cost;
    const state = this.#keys.get(version.key);
    if (state === undefined) {
      const fresh = { key: version.key, newest: version };
      this.#keys.set(version.key, fresh);
      this.#index.add(fresh);
      return;
    }
    version.older = state.newest;
    state.newest = version;
  }

  /** `version` lies before the compacted revision: what it replaced goes, and itself when it is a delete. */
  #forgetBefore(version: Version, drop: number[]): void {
    const { older } = version;
    version.older = undefined;
    if (older !== undefined && !older.dropped) this.#drop(older, drop);
    if (!version.deleted) return;
    this.#drop(version, drop);
    if (this.#keys.get(version.key)?.newest !== version) return;
    this.#keys.delete(version.key);
    this.#index.remove(version.key);
  }

  #drop(version: Version, drop: number[]): void {
    version.dropped = true;
    this.#cost -= version.cost;
    drop.push(version.revision);
  }
}

/** A version with nothing older yet. */
export function versionOf(record: Omit<RecordHead, 'valueLength'>, cost: number): Version {
  const { key, revision, createRevision, version, lease, deleted } = record;
  return { key, revision, createRevision, version, lease, deleted, cost, older: undefined, dropped: false };
}

function versionAt(newest: Version, revision: number): Version | undefined {
  let version: Version | undefined = newest;
  while (version !== undefined && version.revision > revision) version = version.older;
  return version === undefined || version.deleted ? undefined : version;
}

function gap(revision: number): CodedError {
  return new CodedError(
    'Corrupt',
    `revision ${revision} is missing from the store's history: restore the store from a backup`,
  );
}
