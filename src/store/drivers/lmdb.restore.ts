import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { makeDirectorySync } from '#base';
import type { Clock } from '#base';
import type { ArchivedWrite } from '../archive/frames.ts';
import type { JournalRecord } from '../engine/journal.ts';
import { lockDirectory } from './directory-lock.ts';
import { LmdbJournal } from './lmdb.driver.ts';

export interface LmdbRestoreOptions {
  /** What is there is removed first. */
  readonly dir: string;
  readonly clock: Clock;
  readonly entries: AsyncIterable<ArchivedWrite>;
  /** The new store counts on from here: above every revision that anyone has seen. */
  readonly firstRevision: number;
  /** Keys that had a lease hang on a new one. */
  readonly leaseTtlSeconds: number;
}

const batchRecords = 1000;
const batchBytes = 4 << 20;
const noValue = new Uint8Array();
/** Its deletion is the first revision: a store begins with one. */
const markKey = 'k8ts/restored';
const leaseId = 1;

/**
 * Writes a store anew: every entry is created at a revision of its own from `firstRevision` on, everything before is compacted.
 * Readers who name an older revision are told Compacted and list again. Returns the newest revision. The directory is complete
 * when this resolves and worthless when it rejects.
 */
export async function restoreLmdbStore(options: LmdbRestoreOptions): Promise<number> {
  const { clock, entries, firstRevision, leaseTtlSeconds } = options;
  const dir = resolve(options.dir);
  rmSync(dir, { recursive: true, force: true });
  makeDirectorySync(dir, 0o700);
  const journal = new LmdbJournal({ dir, clock, lock: await lockDirectory(dir) });
  const atMs = clock.nowMs();
  let revision = firstRevision;
  let bytes = 0;
  let records: JournalRecord[] = [
    { revision, key: markKey, deleted: true, createRevision: 0, version: 0, lease: 0, value: noValue },
  ];
  let first = true;
  const flush = async (): Promise<void> => {
    await journal.commit({
      records,
      drop: [],
      compacted: first ? firstRevision : undefined,
      leases: first ? new Map([[leaseId, leaseTtlSeconds]]) : new Map(),
      times: first ? new Map([[firstRevision, atMs]]) : new Map(),
    });
    first = false;
    records = [];
    bytes = 0;
  };
  try {
    for await (const { key, value, leased } of entries) {
      revision++;
      const lease = leased ? leaseId : 0;
      records.push({ revision, key, deleted: false, createRevision: revision, version: 1, lease, value });
      bytes += key.length + value.length;
      if (records.length >= batchRecords || bytes >= batchBytes) await flush();
    }
    if (records.length > 0) await flush();
  } finally {
    await journal.close();
  }
  return revision;
}
