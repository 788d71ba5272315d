import { closeSync, existsSync, fsyncSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import type { RootDatabase } from 'lmdb';
import {
  type Clock,
  type Closable,
  CodedError,
  type Log,
  silentLog,
  sleep,
  makeDirectorySync,
  makeDirectory,
} from '#base';
import type { RevisionTime, Store } from '../contract.ts';
import { Engine } from '../engine/engine.ts';
import type { Journal, JournalBatch, JournalState, RecordHead } from '../engine/journal.ts';
import type { WatchLimits } from '../engine/watcher.ts';
import { Corrupt, StoreFull } from '../errors.ts';
import { lockDirectory } from './directory-lock.ts';
import { DiskReserve } from './disk-reserve.ts';
import { checkLmdbFile } from './lmdb-file.ts';
import { decodeHead, decodeNumber, decodeValue, encodeNumber, encodeRecord } from './record.ts';

export interface LmdbStoreOptions {
  /** Made when it is not there, for its owner alone. One process at a time. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log?: Log;
  /** Bytes that puts may fill before they get StoreFull; deletes go on. Absent: as much as the disk has. */
  readonly mapSizeBytes?: number;
  readonly watchLimits?: WatchLimits;
}

/** Opens the embedded store in a directory. Rejects with StoreInUse when another process has it, Corrupt when it is damaged. */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const { clock, log = silentLog, mapSizeBytes, watchLimits } = options;
  const dir = resolve(options.dir);
  const fresh = isNewDirectory(dir);
  const lock = await lockDirectory(dir);
  let journal: LmdbJournal | undefined;
  try {
    if (!fresh) checkLmdbFile(join(dir, fileName));
    journal = new LmdbJournal({ dir, clock, lock });
    if (fresh) syncDirectories(dir);
    return new Engine({ journal, clock, log, quotaBytes: mapSizeBytes, watchLimits });
  } catch (error) {
    await (journal ?? lock).close();
    throw error;
  }
}

/** A key is one byte for the space and then, big-endian, the lease or the revision. Records are last: they are appended. */
const facts = 0;
const leases = 1;
const records = 2;
const keyBytes = 9;
const formatKey = Buffer.from([facts, 1]);
const compactedKey = Buffer.from([facts, 2]);
/** Second byte of the keys of the time index, which then go on as all keys do. */
const timeFact = 3;
const format = 'k8ts store 1';
const fileName = 'store.lmdb';
/** Address space, not memory: large enough that the map seldom has to be moved. */
const mapBytes = 4 * 2 ** 30;
const pageBytes = 4096;
const overflowFromBytes = 2000;
const atEnd = { append: true } as const;
const eio = 5;
const metaPages = 2;
/** Room inside the file with which deletes are possible without the reserve. */
const leastSpareBytes = 512 << 10;
const commitsToRipen = 2;
const emptyBatch: JournalBatch = { records: [], drop: [], compacted: undefined, leases: new Map() };
const fullMarginBytes = 1 << 20;
const fullCodes = new Set([28 /* ENOSPC */, 122 /* EDQUOT */, 27 /* EFBIG */, -30792 /* MDB_MAP_FULL */]);

/**
 * The log of writes in LMDB: one record a revision, appended, and a few facts. Overlapping sync is off: a commit's promise
 * resolves after its flush, which runs on a thread of its own.
 */
export class LmdbJournal implements Journal {
  readonly #db: RootDatabase<Buffer, Buffer>;
  readonly #reserve: DiskReserve;
  readonly #clock: Clock;
  readonly #lock: Closable;
  readonly #key = Buffer.alloc(keyBytes);
  #formatWritten = false;
  /** Commits to come until pages that were freed serve again. */
  #unripe = commitsToRipen;

  constructor(options: { dir: string; clock: Clock; lock: Closable }) {
    this.#clock = options.clock;
    this.#lock = options.lock;
    const { open } = createRequire(import.meta.url)('lmdb') as typeof import('lmdb');
    this.#db = open<Buffer, Buffer>({
      path: join(options.dir, fileName),
      noSubdir: true,
      overlappingSync: false,
      eventTurnBatching: false,
      keyEncoding: 'binary',
      encoding: 'binary',
      mapSize: mapBytes,
      maxDbs: 1,
      permissionsMode: 0o600,
    } as Parameters<typeof open>[0]);
    this.#reserve = new DiskReserve(options.dir);
  }

  load(): JournalState {
    const written = this.#db.getBinary(formatKey)?.toString();
    if (written !== undefined && written !== format) {
      throw new CodedError('StoreFormat', `the store has the format "${written}", this program reads "${format}"`);
    }
    this.#formatWritten = written !== undefined;
    const compacted = this.#db.getBinary(compactedKey);
    const alive = new Map<number, number>();
    for (const { key, value } of this.#db.getRange({ start: Buffer.from([leases]), end: Buffer.from([leases + 1]) })) {
      const id = key.readUIntBE(3, 6);
      // Eight bytes: written before there was a checksum.
      const ttlSeconds = value.length === 8 ? value.readDoubleBE(0) : decodeNumber(value, id);
      if (ttlSeconds === undefined || !(ttlSeconds > 0)) throw new Corrupt(`lease ${id}`);
      alive.set(id, ttlSeconds);
    }
    return { compacted: compactedOf(compacted), leases: alive, times: this.#times(), records: this.#heads() };
  }

  async commit(batch: JournalBatch): Promise<void> {
    const puts = batch.records.some((record) => !record.deleted);
    if (puts && !this.#reserve.ready() && this.#spareBytes() < leastSpareBytes)
      throw new StoreFull('its disk has no room');
    try {
      await this.#tryCommit(batch);
    } catch (error) {
      if (!(error instanceof StoreFull)) throw error;
      const again = puts ? await this.#ripen() : this.#reserve.release();
      if (!again) throw error;
      await this.#tryCommit(batch);
    }
  }

  read(revision: number, key: string): Uint8Array {
    const bytes = this.#db.getBinaryFast(this.#keyOf(records, revision));
    const value = bytes === undefined ? undefined : decodeValue(bytes, revision, lengthRead(this.#db));
    if (value === undefined) throw new Corrupt(key);
    return value;
  }

  cost(key: string, valueLength: number): number {
    const bytes = key.length + valueLength + 28 + keyBytes + 16;
    return bytes < overflowFromBytes ? bytes : Math.ceil((bytes + 16) / pageBytes) * pageBytes;
  }

  gather(run: () => void): void {
    setImmediate(run);
  }

  async close(): Promise<void> {
    await this.#db.close();
    await this.#lock.close();
  }

  /** Room inside the file: pages that nothing uses. */
  #spareBytes(): number {
    const stats = this.#db.getStats() as LmdbStats;
    const usedPages = [stats, stats.free].reduce(
      (sum, one) => sum + one.treeBranchPageCount + one.treeLeafPageCount + one.overflowPages,
      metaPages,
    );
    return (stats.lastPageNumber + 1 - usedPages) * pageBytes;
  }

  /**
   * LMDB gives freed pages out from the second commit after the one that freed them. On a full disk there is none in between: this
   * makes them. False when no pages wait.
   */
  async #ripen(): Promise<boolean> {
    if (this.#unripe === 0) return false;
    try {
      while (this.#unripe > 0) await this.#tryCommit(emptyBatch);
      return true;
    } catch (error) {
      if (error instanceof StoreFull) return false;
      throw error;
    }
  }

  async #tryCommit(batch: JournalBatch): Promise<void> {
    let misplaced = false;
    let last: Promise<unknown> | undefined;
    const check = (stored: boolean): void => void (misplaced ||= !stored);
    const done = this.#db.batch(() => {
      if (!this.#formatWritten || batch === emptyBatch) this.#db.put(formatKey, Buffer.from(format));
      for (const record of batch.records) {
        const put = this.#db.put(this.#keyOf(records, record.revision), encodeRecord(record), atEnd as never);
        last = put.then(check, ignore);
      }
      for (const revision of batch.drop) this.#db.remove(this.#keyOf(records, revision));
      if (batch.compacted !== undefined) this.#db.put(compactedKey, encodeNumber(0, batch.compacted));
      for (const [id, ttlSeconds] of batch.leases) {
        if (ttlSeconds === undefined) this.#db.remove(this.#keyOf(leases, id));
        else this.#db.put(this.#keyOf(leases, id), encodeNumber(id, ttlSeconds));
      }
      for (const [revision, atMs] of batch.times ?? []) {
        if (atMs === undefined) this.#db.remove(timeKey(revision));
        else this.#db.put(timeKey(revision), encodeNumber(revision, atMs));
      }
    });
    try {
      await done;
      await last;
    } catch (error) {
      throw await this.#reasonOf(error, batch);
    }
    if (misplaced) throw new CodedError('Corrupt', 'a revision of the store was written twice');
    this.#formatWritten = true;
    this.#unripe = batch.drop.length > 0 ? commitsToRipen : Math.max(0, this.#unripe - 1);
  }

  *#heads(): Iterable<RecordHead> {
    for (const key of this.#db.getKeys({ start: Buffer.from([records]), end: Buffer.from([records + 1]) })) {
      const bytes = this.#db.getBinaryFast(key) as Buffer;
      yield decodeHead(bytes, key.readUIntBE(3, 6), lengthRead(this.#db));
    }
  }

  /** An entry that is damaged is left out: revisions then have the time of the entry before. */
  #times(): RevisionTime[] {
    const times: RevisionTime[] = [];
    for (const { key, value } of this.#db.getRange({ start: timeKey(0), end: Buffer.from([facts, timeFact + 1]) })) {
      const revision = key.readUIntBE(3, 6);
      const atMs = decodeNumber(value, revision);
      if (atMs !== undefined) times.push({ revision, atMs });
    }
    return times;
  }

  #keyOf(space: number, id: number): Buffer {
    this.#key[0] = space;
    this.#key.writeUIntBE(id, 3, 6);
    return this.#key;
  }

  /** What LMDB said, which comes separately: StoreFull when there was no room, else the error as it is. */
  async #reasonOf(error: unknown, batch: JournalBatch): Promise<unknown> {
    const said = (error as { commitError?: Promise<never> }).commitError;
    if (said === undefined) return error;
    const reason = await withinMs(
      this.#clock,
      5000,
      said.catch((one: unknown) => one),
    );
    if (!(reason instanceof Error)) return error;
    const code = (reason as Error & { code?: number }).code ?? 0;
    const full = fullCodes.has(code) || (code === eio && this.#diskIsFull(batch));
    return full ? new StoreFull(reason.message, { cause: reason }) : reason;
  }

  /**
   * LMDB calls a write that was cut short by a full disk an I/O error. Taking one for the other does no harm: a commit that
   * fails has not touched what is committed, and LMDB itself refuses to go on after a failed write of its root.
   */
  #diskIsFull(batch: JournalBatch): boolean {
    let neededBytes = fullMarginBytes;
    for (const { key, value } of batch.records) neededBytes += 2 * this.cost(key, value.length);
    return this.#reserve.freeBytes() < neededBytes;
  }
}

/** Of what lmdb-js tells, that which is looked at. */
interface LmdbStats extends LmdbTree {
  readonly lastPageNumber: number;
  readonly free: LmdbTree;
}

interface LmdbTree {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** How many bytes of the shared buffer the last `getBinaryFast` filled. */
function lengthRead(db: object): number {
  return (db as { lastSize: number }).lastSize;
}

const ignore = (): void => {};

/** What `promise` gives, undefined when it takes longer. */
async function withinMs(clock: Clock, limitMs: number, promise: Promise<unknown>): Promise<unknown> {
  const enough = new AbortController();
  try {
    return await Promise.race([promise, sleep(clock, limitMs, enough.signal).catch(ignore)]);
  } finally {
    enough.abort();
  }
}

function timeKey(revision: number): Buffer {
  const key = Buffer.alloc(keyBytes);
  key[0] = facts;
  key[1] = timeFact;
  key.writeUIntBE(revision, 3, 6);
  return key;
}

/** The compacted revision; six bytes: written before there was a checksum. */
function compactedOf(bytes: Buffer | undefined): number {
  if (bytes === undefined) return 1;
  const revision = bytes.length === 6 ? bytes.readUIntBE(0, 6) : decodeNumber(bytes, 0);
  if (revision === undefined) throw new Corrupt('the compacted revision');
  return revision;
}

/** Whether the store is a new one. */
function isNewDirectory(dir: string): boolean {
  makeDirectorySync(dir, 0o700);
  return !existsSync(join(dir, fileName));
}

/** Makes the new file's name durable, and its directory's. */
function syncDirectories(dir: string): void {
  for (const one of [dir, dirname(dir)]) {
    const fd = openSync(one, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}
