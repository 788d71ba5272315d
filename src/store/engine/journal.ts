import type { RevisionTime } from '../contract.ts';

/**
 * What a driver provides: a durable log of writes, one record a revision. Everything else (index, compare, history, watches,
 * compaction, leases) is the engine's and the same for every driver.
 *
 *   commit(batch) resolves ──► on disk ──► the engine shows it to readers and watchers ──► the writers get their answers
 *
 * At most one commit is under way. It takes all of its batch or nothing.
 */
export interface Journal {
  /** What is there. Called once, before anything else; `records` is walked once, at once. */
  load(): JournalState;
  /**
   * Makes a batch durable. Rejects with StoreFull when there was no room: nothing was written, and the journal works on.
   * Any other rejection is the end of the store.
   */
  commit(batch: JournalBatch): Promise<void>;
  /** The value of a revision on disk; throws Corrupt when it is not what was written. */
  read(revision: number, key: string): Uint8Array;
  /** Bytes of disk that a record takes, roughly: what the quota counts. */
  cost(key: string, valueLength: number): number;
  /** Calls `run` soon, once: the time in which writes that arrive together are gathered into one commit. */
  gather(run: () => void): void;
  close(): Promise<void>;
}

export interface RecordHead {
  readonly revision: number;
  readonly key: string;
  readonly deleted: boolean;
  readonly createRevision: number;
  readonly version: number;
  /** 0: none. */
  readonly lease: number;
  readonly valueLength: number;
}

export interface JournalRecord {
  readonly revision: number;
  readonly key: string;
  readonly deleted: boolean;
  readonly createRevision: number;
  readonly version: number;
  readonly lease: number;
  readonly value: Uint8Array;
}

export interface JournalBatch {
  readonly records: readonly JournalRecord[];
  /** Revisions to forget, in ascending order of need: a key's older record always before its newer one. */
  readonly drop: readonly number[];
  readonly compacted: number | undefined;
  /** Seconds to live by lease, undefined when it ends. */
  readonly leases: ReadonlyMap<number, number | undefined>;
  /** Wall time (ms) by revision for the time index, undefined to forget it. */
  readonly times?: ReadonlyMap<number, number | undefined>;
}

export interface JournalState {
  /** 1 for a new journal. */
  readonly compacted: number;
  /** Seconds to live by lease. */
  readonly leases: ReadonlyMap<number, number>;
  /** The time index, in ascending order of revision; absent: none was kept. */
  readonly times?: readonly RevisionTime[];
  /** In ascending order of revision. */
  readonly records: Iterable<RecordHead>;
}
