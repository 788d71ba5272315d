/**
 * The store's contract, in etcd's terms. One global revision; every committed write takes the next one.
 *
 * Promises, each checked by the contract suite on every driver:
 * - Durable before acknowledged, durable before visible: a write's promise resolves, and any reader or watcher sees it, only
 *   after it is on disk. Concurrent writes share a flush.
 * - Reads without a revision see every acknowledged write (linearizable).
 * - A watch from revision R delivers every change with revision >= R that touches its range: in order, once, without a gap,
 *   or fails with Compacted. A batch never splits one revision.
 * - An I/O error on commit ends the store (`failed` rejects); nothing is acknowledged afterwards.
 *
 * Keys are UTF-8 strings ordered by their bytes; values are opaque bytes of at most 1.5 MiB (drivers keep a checksum). Bytes
 * handed in or out are shared, not copied: nobody changes them. What a store cannot hold is refused with InvalidWrite.
 */
export interface Store {
  /** The newest committed revision; 1 for a new store (etcd starts at 1). */
  revision(): number;
  /**
   * The newest revision of a store that other processes write to as well, asked of it: every write acknowledged before the call is in
   * it. Rejects with StoreUnavailable when the store has no majority. Absent: `revision` says it.
   */
  newestRevision?(): Promise<number>;
  /** The oldest revision that reads and watches may still name. */
  compactedRevision(): number;
  /** Whether a put found no room since the last compaction: then history is worth less than the room that it takes. */
  isFull?(): boolean;
  get(key: string, options?: { readonly revision?: number }): Promise<Entry | undefined>;
  range(query: RangeQuery): Promise<RangeResult>;
  /** Applies one write at the next revision, or none: see `Compare`. */
  write(write: Write): Promise<WriteResult>;
  watch(options: WatchOptions): StoreWatch;
  /**
   * Forgets history before `revision`: reads and watches below it fail with Compacted. A revision that is forgotten already
   * changes nothing; one above the newest fails with FutureRevision. Resolves when the room is free.
   */
  compact(revision: number): Promise<void>;
  /** Grants a lease: its keys are deleted when it expires (one revision a key; etcd: one for all). Times in seconds. */
  grantLease(ttlSeconds: number): Promise<Lease>;
  /** Rejects when the store can no longer keep its promises; the process must then stop. */
  readonly failed: Promise<never>;
  /**
   * When revisions were committed, oldest first: each entry stands for its revision and those up to the next entry's. Absent: the
   * driver knows no times.
   */
  revisionTimes?(): readonly RevisionTime[];
  close(): Promise<void>;
}

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  /** Revision of the last write of this key. */
  readonly modRevision: number;
  /** Revision of the write that created it. */
  readonly createRevision: number;
  /** 1 for a new key, then counted up by each write. */
  readonly version: number;
  /** The lease it hangs on; absent: none. */
  readonly lease?: string;
}

/** What the clock said when a revision was committed. The clock may have been set since: times need not ascend. */
export interface RevisionTime {
  readonly revision: number;
  readonly atMs: number;
}

export interface RangeQuery {
  /** Keys in [start, end); an end of '' is no end. Use `prefixEnd(prefix)` for all keys with a prefix. */
  readonly start: string;
  readonly end: string;
  /** 0 or absent: no limit. */
  readonly limit?: number;
  /** Absent: the newest. Below the compacted one: Compacted. Above the newest: FutureRevision. */
  readonly revision?: number;
  readonly countOnly?: boolean;
}

export interface RangeResult {
  readonly entries: readonly Entry[];
  /** All keys in the range, the limit not counted. */
  readonly count: number;
  readonly more: boolean;
  /** The revision that was read. */
  readonly revision: number;
}

/** A put when `value` is there, else a delete. */
export interface Write {
  readonly key: string;
  readonly value?: Uint8Array;
  /** The write happens only if the key's modRevision is this; 0: only if the key is absent. Absent: no condition. */
  readonly ifModRevision?: number;
  readonly lease?: Lease;
}

export interface WriteResult {
  /** False when `ifModRevision` did not hold: nothing was written, and `current` says what is there. */
  readonly applied: boolean;
  /** The revision of the write; when not applied, the newest revision. Deleting an absent key takes no revision. */
  readonly revision: number;
  /** When not applied: the entry that is there. When applied: the entry that was there before. Absent: none. */
  readonly current?: Entry;
}

export interface WatchOptions {
  readonly start: string;
  readonly end: string;
  /** First revision wanted. Absent: the next one. May lie in the past (the compacted one is the oldest) or the future. */
  readonly fromRevision?: number;
  /**
   * Deliver an empty batch with the newest revision when the watch is idle and nothing in its range led there (progress):
   * soon after each commit, never before an event of that revision. Default false.
   */
  readonly progress?: boolean;
}

export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  /** For a delete: empty value, modRevision = revision of the delete. */
  readonly entry: Entry;
  /** The entry before this change, absent for a creation. */
  readonly previous?: Entry;
}

export interface StoreBatch {
  /** Everything up to and including this revision was delivered to this watch. */
  readonly revision: number;
  readonly events: readonly StoreEvent[];
}

/** Iterating delivers batches; a consumer that falls too far behind gets a SlowWatcher error instead of endless memory. */
export interface StoreWatch extends AsyncIterable<StoreBatch> {
  close(): void;
}

export interface Lease {
  readonly id: string;
  readonly ttlSeconds: number;
  keepAlive(): Promise<void>;
  revoke(): Promise<void>;
}
