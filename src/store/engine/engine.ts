import { type Clock, type Log, messageOf } from '#base';
import type {
  Entry,
  Lease,
  RangeQuery,
  RangeResult,
  Store,
  RevisionTime,
  StoreEvent,
  StoreWatch,
  WatchOptions,
  Write,
  WriteResult,
} from '../contract.ts';
import { Compacted, FutureRevision, InvalidWrite, LeaseNotFound, StoreClosed, StoreFull } from '../errors.ts';
import { compareKeys } from '../keys.ts';
import { Draft, entryOf, nothing, type PlannedRecord } from './draft.ts';
import { History, type Version, versionOf } from './history.ts';
import type { Journal } from './journal.ts';
import { Leases } from './leases.ts';
import { WatchHub } from './watch-hub.ts';
import { TimeIndex } from './time-index.ts';
import type { WatchLimits } from './watcher.ts';

export interface EngineOptions {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Log;
  /** Bytes that puts may fill, deletes not counted; 0: no limit. */
  readonly quotaBytes?: number;
  readonly watchLimits?: WatchLimits;
}

/** Something that waits for its commit: decided by `plan`, answered by `settle` when the commit is durable and visible. */
interface Request {
  readonly bytes: number;
  plan(draft: Draft): void;
  settle(): void;
  fail(error: Error): void;
}

const longestKeyBytes = 4096;
const longestValueBytes = 1.5 * 1024 * 1024;
const commitRequests = 2048;
const commitBytes = 8 << 20;
const readSlice = 512;
const pruneSlice = 1000;
const defaultLimits: WatchLimits = { events: 50_000, bytes: 64 << 20 };

/**
 * The store over a journal.
 *
 *   write() ─► queue ─► plan, in order, against committed + planned ─► journal.commit ─► publish: index, watchers, answers
 *                └─────────── what arrives meanwhile waits for the next commit ◄──────────────────┘
 */
export class Engine implements Store {
  readonly failed: Promise<never>;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #quotaBytes: number;
  readonly #history = new History();
  readonly #times = new TimeIndex();
  readonly #hub: WatchHub;
  readonly #leases: Leases;
  readonly #rejectFailed: (error: Error) => void;
  #queue: Request[] = [];
  #flushing = false;
  #idle: PromiseWithResolvers<void> | undefined;
  /** Set once nothing is served any more. */
  #over: StoreClosed | undefined;
  #closing: Promise<void> | undefined;
  /** Long reads under way: values they have yet to read are not dropped. */
  readonly #reads = new Set<Promise<unknown>>();
  #pruning: Promise<void> | undefined;
  /** Revisions that are forgotten and still on disk. */
  #drops: number[] = [];
  #full = false;

  constructor(options: EngineOptions) {
    const { journal, clock, log, quotaBytes = 0, watchLimits = defaultLimits } = options;
    this.#journal = journal;
    this.#clock = clock;
    this.#log = log;
    this.#quotaBytes = quotaBytes;
    const failed = Promise.withResolvers<never>();
    this.failed = failed.promise;
    this.#rejectFailed = failed.reject;
    failed.promise.catch(() => {});
    this.#leases = new Leases(clock, (id) => this.#endLease(id));
    this.#hub = new WatchHub({
      history: this.#history,
      eventOf: (version) => this.#eventOf(version),
      limits: watchLimits,
    });
    try {
      this.#load();
    } catch (error) {
      this.#leases.close();
      throw error;
    }
  }

  revision(): number {
    return this.#history.revision;
  }

  isFull(): boolean {
    return this.#full;
  }

  compactedRevision(): number {
    return this.#history.compacted;
  }

  revisionTimes(): readonly RevisionTime[] {
    return this.#times.all;
  }

  async get(key: string, options: { readonly revision?: number } = {}): Promise<Entry | undefined> {
    const version = this.#history.at(key, this.#readable(options.revision));
    return version === undefined ? undefined : entryOf(version, this.#journal.read(version.revision, key));
  }

  async range(query: RangeQuery): Promise<RangeResult> {
    const { start, end, limit = 0, countOnly = false } = query;
    const revision = this.#readable(query.revision);
    const wanted = countOnly ? 0 : limit > 0 ? limit : Number.POSITIVE_INFINITY;
    const { found, count } = this.#history.range(start, end, { revision, limit: wanted });
    const reading = this.#readAll(found);
    const entries = reading instanceof Promise ? await reading : reading;
    return { entries, count, more: !countOnly && count > found.length, revision };
  }

  write(write: Write): Promise<WriteResult> {
    const { key, value, ifModRevision, lease } = write;
    const problem = problemOf(write);
    if (problem !== undefined) return Promise.reject(new InvalidWrite(problem));
    return new Promise((resolve, reject) => {
      let planned: PlannedRecord | undefined;
      let current: Entry | undefined;
      let applied = true;
      this.#enqueue({
        bytes: value?.length ?? 0,
        plan: (draft) => {
          planned = undefined;
          current = undefined;
          const modRevision = draft.modRevision(key);
          applied = ifModRevision === undefined || ifModRevision === modRevision;
          if (!applied) current = draft.entry(key);
          else if (value !== undefined) planned = draft.put(key, value, leaseNumber(lease));
          else if (modRevision !== 0) planned = draft.delete(key);
        },
        settle: () => {
          const revision = planned?.revision ?? this.#history.revision;
          const there = planned === undefined ? current : planned.previous;
          resolve(there === undefined ? { applied, revision } : { applied, revision, current: there });
        },
        fail: reject,
      });
    });
  }

  watch(options: WatchOptions): StoreWatch {
    const watch = this.#hub.open(options);
    if (this.#over !== undefined) this.#hub.end(this.#over);
    return watch;
  }

  async compact(revision: number): Promise<void> {
    if (this.#over !== undefined) throw this.#over;
    if (revision > this.#history.revision) throw new FutureRevision(revision, this.#history.revision);
    if (revision > this.#history.compacted) {
      await this.#commit((draft) => {
        if (revision > Math.max(this.#history.compacted, draft.compacted ?? 0)) draft.compacted = revision;
      });
    }
    while (!this.#history.pruned || this.#drops.length > 0) await this.#prune();
  }

  async grantLease(ttlSeconds: number): Promise<Lease> {
    if (!(ttlSeconds > 0)) throw new InvalidWrite(`a lease of ${ttlSeconds} seconds`);
    const id = this.#leases.newId();
    await this.#commit((draft) => void draft.leases.set(id, ttlSeconds));
    return this.#leases.start(id, ttlSeconds);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#leases.close();
    if (this.#flushing) {
      this.#idle = Promise.withResolvers<void>();
      await this.#idle.promise;
    }
    this.#over ??= new StoreClosed('it was closed');
    this.#hub.end(this.#over);
    await Promise.allSettled([...this.#reads, this.#pruning]);
    await this.#journal.close();
  }

  #load(): void {
    const { compacted, leases, times, records } = this.#journal.load();
    for (const [id, ttlSeconds] of leases) {
      this.#leases.reserve(id);
      this.#leases.start(id, ttlSeconds);
    }
    this.#drops = this.#history.load(compacted, records, (head) => this.#journal.cost(head.key, head.valueLength));
    this.#times.load(times ?? []);
    for (const { key, lease } of this.#history.leased()) this.#leases.attach(lease, key);
    if (this.#drops.length > 0)
      this.#prune().catch((error) => this.#log.warn({ error: messageOf(error) }, 'compaction'));
  }

  #readable(revision = this.#history.revision): number {
    if (this.#over !== undefined) throw this.#over;
    if (revision < this.#history.compacted) throw new Compacted(this.#history.compacted);
    if (revision > this.#history.revision) throw new FutureRevision(revision, this.#history.revision);
    return revision;
  }

  #read(version: Version): Entry {
    return entryOf(version, this.#journal.read(version.revision, version.key));
  }

  /** At once when there are few, else in slices so that nobody else waits long. */
  #readAll(versions: readonly Version[]): Entry[] | Promise<Entry[]> {
    if (versions.length <= readSlice) return versions.map((version) => this.#read(version));
    const reading = this.#readSlices(versions);
    this.#reads.add(reading);
    const done = (): void => void this.#reads.delete(reading);
    reading.then(done, done);
    return reading;
  }

  async #readSlices(versions: readonly Version[]): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const version of versions) {
      if (entries.length % readSlice === readSlice - 1) await nextTurn();
      entries.push(this.#read(version));
    }
    return entries;
  }

  #eventOf(version: Version): StoreEvent {
    const { key, deleted, older } = version;
    const entry = entryOf(version, deleted ? nothing : this.#journal.read(version.revision, key));
    const previous = older === undefined || older.deleted ? undefined : this.#read(older);
    return eventOf(deleted, entry, previous);
  }

  /** Deletes a lease's keys, one revision each, and then the lease. */
  async #endLease(id: number): Promise<void> {
    await this.#commit((draft) => {
      if (!draft.leaseLives(id)) return;
      const keys = new Set([...this.#leases.keysOf(id), ...draft.keysPlannedOn(id)]);
      for (const key of [...keys].sort(compareKeys)) if (draft.leaseOf(key) === id) draft.delete(key);
      draft.leases.set(id, undefined);
    });
    this.#leases.forget(id);
  }

  #prune(): Promise<void> {
    this.#pruning ??= this.#pruneAll().finally(() => {
      this.#pruning = undefined;
    });
    return this.#pruning;
  }

  /** Forgets in slices between the commits of writers. */
  async #pruneAll(): Promise<void> {
    for (;;) {
      await Promise.allSettled([...this.#reads]);
      if (this.#drops.length === 0) this.#drops = this.#history.prune(pruneSlice);
      const drop = this.#drops.slice(0, pruneSlice);
      if (drop.length > 0) await this.#commit((draft) => void draft.drop.push(...drop));
      else await nextTurn();
      this.#drops = this.#drops.slice(drop.length);
      if (this.#history.pruned && this.#drops.length === 0) return;
    }
  }

  /** Commits what `plan` plans; resolves when it is durable and visible. */
  #commit(plan: (draft: Draft) => void): Promise<void> {
    return new Promise((resolve, reject) => this.#enqueue({ bytes: 0, plan, settle: resolve, fail: reject }));
  }

  #enqueue(request: Request): void {
    if (this.#over !== undefined || this.#closing !== undefined) {
      request.fail(this.#over ?? new StoreClosed('it is being closed'));
      return;
    }
    this.#queue.push(request);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#journal.gather(() => void this.#flush());
  }

  async #flush(): Promise<void> {
    while (this.#queue.length > 0 && this.#over === undefined) await this.#flushSome(this.#takeRequests());
    this.#flushing = false;
    this.#idle?.resolve();
  }

  #takeRequests(): Request[] {
    let bytes = 0;
    let count = 0;
    for (const request of this.#queue) {
      if (count > 0 && (count >= commitRequests || bytes + request.bytes > commitBytes)) break;
      bytes += request.bytes;
      count++;
    }
    if (count === this.#queue.length) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, count);
  }

  async #flushSome(requests: readonly Request[]): Promise<void> {
    const draft = this.#newDraft();
    const planned = requests.filter((request) => plan(request, draft));
    draft.times = this.#times.plan({
      first: draft.records[0]?.revision,
      compacted: draft.compacted,
      nowMs: this.#clock.nowMs(),
    });
    try {
      if (!draft.empty) await this.#journal.commit(draft);
      if (draft.compacted !== undefined) this.#full = false;
    } catch (error) {
      if (error instanceof StoreFull) this.#full = true;
      if (!(error instanceof StoreFull)) this.#fail(error);
      else if (planned.length > 1) {
        for (const request of planned) await this.#flushSome([request]);
        return;
      }
      for (const request of planned) request.fail(this.#over ?? (error as Error));
      return;
    }
    if (this.#over === undefined) this.#publish(draft);
    for (const request of planned) request.settle();
  }

  #newDraft(): Draft {
    return new Draft({
      history: this.#history,
      journal: this.#journal,
      leases: this.#leases.live,
      quotaBytes: this.#quotaBytes,
      onCorrupt: (error) => this.#log.error({ error: error.message }, 'a damaged value was replaced'),
    });
  }

  #publish(draft: Draft): void {
    const events: StoreEvent[] = [];
    for (const record of draft.records) {
      const { key, deleted, lease, previous, previousLease, cost, value } = record;
      this.#history.append(versionOf(record, cost));
      events.push(eventOf(deleted, entryOf(record, value), previous));
      if (previousLease !== 0) this.#leases.detach(previousLease, key);
      if (lease !== 0) this.#leases.attach(lease, key);
    }
    if (draft.times !== undefined) this.#times.apply(draft.times);
    if (draft.compacted !== undefined) this.#history.compact(draft.compacted);
    if (events.length > 0) this.#hub.publish(events, this.#history.revision);
  }

  /** The end: what is on disk is unknown, so nothing is served or acknowledged any more. */
  #fail(cause: unknown): void {
    this.#over = new StoreClosed(`a commit failed (${messageOf(cause)}); start the process again`, { cause });
    this.#log.error({ error: messageOf(cause) }, 'the store failed');
    this.#leases.close();
    this.#hub.end(this.#over);
    for (const request of this.#queue.splice(0)) request.fail(this.#over);
    this.#rejectFailed(this.#over);
  }
}

function plan(request: Request, draft: Draft): boolean {
  try {
    request.plan(draft);
    return true;
  } catch (error) {
    request.fail(error as Error);
    return false;
  }
}

function eventOf(deleted: boolean, entry: Entry, previous: Entry | undefined): StoreEvent {
  const type = deleted ? 'delete' : 'put';
  return previous === undefined ? { type, key: entry.key, entry } : { type, key: entry.key, entry, previous };
}

function leaseNumber(lease: Lease | undefined): number {
  if (lease === undefined) return 0;
  const id = Number(lease.id);
  if (!Number.isSafeInteger(id) || id < 1) throw new LeaseNotFound(lease.id);
  return id;
}

/** Why a store cannot hold this write. */
export function problemOf({ key, value }: Write): string | undefined {
  if (key === '' || !key.isWellFormed()) return 'its key is empty or no Unicode text';
  if (key.length > longestKeyBytes / 4 && Buffer.byteLength(key) > longestKeyBytes)
    return 'its key is longer than 4096 bytes';
  if (value !== undefined && value.length > longestValueBytes)
    return `its value has ${value.length} bytes, more than 1.5 MiB`;
  return undefined;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
