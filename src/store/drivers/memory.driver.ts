import { type Clock, type Log, silentLog } from '#base';
import type { RevisionTime, Store } from '../contract.ts';
import { Engine } from '../engine/engine.ts';
import type { Journal, JournalBatch, JournalRecord, JournalState, RecordHead } from '../engine/journal.ts';
import type { WatchLimits } from '../engine/watcher.ts';
import { Corrupt } from '../errors.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly log?: Log;
  /** Bytes that puts may fill; absent: no limit. */
  readonly maxBytes?: number;
  readonly watchLimits?: WatchLimits;
  /** A journal that outlives the store: opening it again is a restart. Absent: a new one. */
  readonly journal?: MemoryJournal;
}

/** A store that forgets everything when the process ends: for tests. */
export async function openMemoryStore(options: MemoryStoreOptions): Promise<Store> {
  const { clock, log = silentLog, maxBytes, watchLimits, journal = new MemoryJournal() } = options;
  return new Engine({ journal, clock, log, quotaBytes: maxBytes, watchLimits });
}

const recordOverheadBytes = 64;

/** The log of writes as a map. */
export class MemoryJournal implements Journal {
  readonly #records = new Map<number, JournalRecord>();
  readonly #leases = new Map<number, number>();
  readonly #times = new Map<number, number>();
  #compacted = 1;

  load(): JournalState {
    return {
      compacted: this.#compacted,
      leases: new Map(this.#leases),
      times: this.#timesKept(),
      records: this.#heads(),
    };
  }

  async commit(batch: JournalBatch): Promise<void> {
    for (const record of batch.records) this.#records.set(record.revision, plain(record));
    for (const revision of batch.drop) this.#records.delete(revision);
    if (batch.compacted !== undefined) this.#compacted = batch.compacted;
    for (const [id, ttlSeconds] of batch.leases) {
      if (ttlSeconds === undefined) this.#leases.delete(id);
      else this.#leases.set(id, ttlSeconds);
    }
    for (const [revision, atMs] of batch.times ?? []) {
      if (atMs === undefined) this.#times.delete(revision);
      else this.#times.set(revision, atMs);
    }
  }

  read(revision: number, key: string): Uint8Array {
    const record = this.#records.get(revision);
    if (record?.key !== key) throw new Corrupt(key);
    return record.value;
  }

  cost(key: string, valueLength: number): number {
    return key.length + valueLength + recordOverheadBytes;
  }

  gather(run: () => void): void {
    queueMicrotask(run);
  }

  async close(): Promise<void> {}

  #timesKept(): RevisionTime[] {
    return [...this.#times].map(([revision, atMs]) => ({ revision, atMs }));
  }

  *#heads(): Iterable<RecordHead> {
    for (const record of this.#records.values()) yield { ...record, valueLength: record.value.length };
  }
}

function plain(record: JournalRecord): JournalRecord {
  const { revision, key, deleted, createRevision, version, lease } = record;
  // Memory of its own: a value may be a small part of a block that it would keep.
  const value = new Uint8Array(record.value);
  return { revision, key, deleted, createRevision, version, lease, value };
}
