import type { Entry } from '../contract.ts';
import { Corrupt, LeaseNotFound, StoreFull } from '../errors.ts';
import type { History, Version } from './history.ts';
import type { Journal, JournalBatch, JournalRecord } from './journal.ts';

/** One write of a commit in the making. */
export interface PlannedRecord extends JournalRecord {
  readonly cost: number;
  /** The entry it replaces; absent for a creation. */
  readonly previous: Entry | undefined;
  /** The lease of the entry it replaces, 0 for none. */
  readonly previousLease: number;
}

export interface DraftOptions {
  readonly history: History;
  readonly journal: Journal;
  readonly leases: ReadonlyMap<number, unknown>;
  /** Bytes that puts may fill; 0: no limit. */
  readonly quotaBytes: number;
  /** Told of a stored value that cannot be read when it is replaced. */
  readonly onCorrupt: (error: Corrupt) => void;
}

/** A commit in the making: requests are decided one after the other against what is committed and what was planned before. */
export class Draft implements JournalBatch {
  readonly records: PlannedRecord[] = [];
  readonly drop: number[] = [];
  compacted: number | undefined;
  readonly leases = new Map<number, number | undefined>();
  times: ReadonlyMap<number, number | undefined> | undefined;
  readonly #options: DraftOptions;
  readonly #planned = new Map<string, PlannedRecord>();
  #cost = 0;

  constructor(options: DraftOptions) {
    this.#options = options;
  }

  get empty(): boolean {
    return (
      this.records.length === 0 && this.drop.length === 0 && this.compacted === undefined && this.leases.size === 0
    );
  }

  /** The newest revision, the planned ones counted. */
  get revision(): number {
    return this.#options.history.revision + this.records.length;
  }

  /** The key's mod revision, 0 when it is absent. */
  modRevision(key: string): number {
    const planned = this.#planned.get(key);
    if (planned !== undefined) return planned.deleted ? 0 : planned.revision;
    const newest = this.#options.history.newest(key);
    return newest === undefined || newest.deleted ? 0 : newest.revision;
  }

  /** The key's lease, 0 when it has none. */
  leaseOf(key: string): number {
    const newest = this.#planned.get(key) ?? this.#options.history.newest(key);
    return newest === undefined || newest.deleted ? 0 : newest.lease;
  }

  /** The entry that is there; throws Corrupt. */
  entry(key: string): Entry | undefined {
    const planned = this.#planned.get(key);
    if (planned !== undefined) return planned.deleted ? undefined : entryOf(planned, planned.value);
    const newest = this.#options.history.newest(key);
    if (newest === undefined || newest.deleted) return undefined;
    return entryOf(newest, this.#options.journal.read(newest.revision, key));
  }

  /** Whether writes may still name the lease. */
  leaseLives(lease: number): boolean {
    return this.leases.has(lease) ? this.leases.get(lease) !== undefined : this.#options.leases.has(lease);
  }

  /** Keys that records planned here attach to `lease`. */
  keysPlannedOn(lease: number): string[] {
    return this.records.filter((record) => record.lease === lease).map((record) => record.key);
  }

  put(key: string, value: Uint8Array, lease: number): PlannedRecord {
    const { history, journal, quotaBytes } = this.#options;
    if (lease !== 0 && !this.leaseLives(lease)) throw new LeaseNotFound(String(lease));
    const cost = journal.cost(key, value.length);
    const used = history.cost + this.#cost + cost;
    if (quotaBytes > 0 && used > quotaBytes) throw new StoreFull(`its limit is ${quotaBytes} bytes`);
    const previous = this.#replaced(key);
    const createRevision = previous?.createRevision ?? this.revision + 1;
    return this.#plan({
      key,
      value,
      lease,
      deleted: false,
      createRevision,
      version: (previous?.version ?? 0) + 1,
      cost,
    });
  }

  /** Plans the delete of a key that is there. */
  delete(key: string): PlannedRecord {
    const cost = this.#options.journal.cost(key, 0);
    return this.#plan({ key, value: nothing, lease: 0, deleted: true, createRevision: 0, version: 0, cost });
  }

  #plan(record: Omit<PlannedRecord, 'revision' | 'previous' | 'previousLease'>): PlannedRecord {
    const previous = this.#readReplaced(record.key);
    const planned = { ...record, revision: this.revision + 1, previous, previousLease: this.leaseOf(record.key) };
    this.records.push(planned);
    this.#planned.set(record.key, planned);
    this.#cost += record.cost;
    return planned;
  }

  #replaced(key: string): { readonly createRevision: number; readonly version: number } | undefined {
    const newest: PlannedRecord | Version | undefined = this.#planned.get(key) ?? this.#options.history.newest(key);
    return newest === undefined || newest.deleted ? undefined : newest;
  }

  /** A damaged value can be replaced and deleted, only not read. */
  #readReplaced(key: string): Entry | undefined {
    try {
      return this.entry(key);
    } catch (error) {
      if (!(error instanceof Corrupt)) throw error;
      this.#options.onCorrupt(error);
      return undefined;
    }
  }
}

export const nothing: Uint8Array = new Uint8Array(0);

export function entryOf(
  at: { key: string; revision: number; createRevision: number; version: number; lease: number },
  value: Uint8Array,
): Entry {
  const { key, revision: modRevision, createRevision, version, lease } = at;
  if (lease === 0) return { key, value, modRevision, createRevision, version };
  return { key, value, modRevision, createRevision, version, lease: String(lease) };
}
