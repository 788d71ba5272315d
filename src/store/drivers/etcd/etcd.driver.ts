import { type Clock, CodedError, type Log, messageOf, type Random, silentLog, systemRandom, type Timer } from '#base';
import type {
  Entry,
  Lease,
  RangeQuery,
  RangeResult,
  Store,
  StoreWatch,
  WatchOptions,
  Write,
  WriteResult,
} from '../../contract.ts';
import { problemOf } from '../../engine/engine.ts';
import type { WatchLimits } from '../../engine/watcher.ts';
import {
  Compacted,
  FutureRevision,
  InvalidWrite,
  LeaseNotFound,
  StoreClosed,
  StoreFull,
  StoreUnavailable,
  WriteUnknown,
} from '../../errors.ts';
import { type Answer, EtcdConnection, type EtcdTls } from './connection.ts';
import { entryOf, keyBytes, keyText, rangeBytes } from './entries.ts';
import { isWrittenBy, sealValue, WriteIds } from './envelope.ts';
import { findChange } from './find-change.ts';
import { compactedRevisionOf, firstLook, revisionShift } from './first-look.ts';
import { EtcdError, Lost, said } from './failures.ts';
import { EtcdHub } from './hub.ts';
import { shiftRevisions } from './shifted-store.ts';
import { EtcdLeases } from './leases.ts';
import {
  compareMod,
  deleted,
  type EtcdEvent,
  type Header,
  type KeyValue,
  methods,
  type TxnAnswer,
} from './messages.ts';

export interface EtcdStoreOptions {
  /** `https://host:2379`, the preferred one first. Its keys are this program's alone. */
  readonly urls: readonly string[];
  readonly tls?: EtcdTls | undefined;
  readonly clock: Clock;
  readonly random?: Random | undefined;
  readonly log?: Log | undefined;
  readonly watchLimits?: WatchLimits | undefined;
  /** How long to wait for etcd at first; default 30,000. */
  readonly openWithinMs?: number | undefined;
  /** False: only the members that are named are asked, not those that they name. */
  readonly learnMembers?: boolean | undefined;
  /** Only for an empty etcd: its revisions count on from here, for what moves in from another store. */
  readonly shiftRevisions?: number | undefined;
  /** How long a write may take before it fails; default 8000. */
  readonly writeWithinMs?: number | undefined;
}

const defaultOpenWithinMs = 30_000;
const defaultWriteWithinMs = 8000;
const askWithinMs = 3000;
const pageEntries = 1000;
const maintenanceMs = 60_000;
const meetEveryMs = 15_000;
const defaultLimits: WatchLimits = { events: 50_000, bytes: 64 << 20 };
const alarmGet = 0;
const alarmOff = 2;
const alarmNoSpace = 1;

/** Opens a store on a cluster of etcd v3. Rejects with StoreUnavailable when no member answers in time. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const { clock, log = silentLog, openWithinMs = defaultOpenWithinMs } = options;
  const connection = new EtcdConnection({ urls: options.urls, tls: options.tls, clock, log });
  let store: EtcdStore | undefined;
  try {
    const first = await firstLook(connection, openWithinMs);
    const compacted = await compactedRevisionOf(connection, first.revision);
    store = new EtcdStore({ ...options, log, connection, first, compacted });
    await store.began;
    const by = await revisionShift(store, options.shiftRevisions);
    return by === 0 ? store : shiftRevisions(store, by);
  } catch (error) {
    await store?.close();
    connection.close();
    throw error instanceof EtcdError
      ? new CodedError('StoreRefused', `etcd refused to be read: ${messageOf(error)}`, { cause: error })
      : error;
  }
}

interface Wiring extends EtcdStoreOptions {
  readonly log: Log;
  readonly connection: EtcdConnection;
  readonly first: Header;
  readonly compacted: number;
}

/**
 * The store over etcd.
 *
 *   reads   ─► Range, with a majority's word
 *   writes  ─► Txn: compare, put ─► answered ─► later the same change comes back through the hub
 *   watches ◄─ hub ◄─ one stream of all changes
 *
 * A write whose answer was lost is made again under the same condition, which can hold only once; whether the first try was made is
 * then read from the id in the value. What cannot be found out is WriteUnknown.
 */
class EtcdStore implements Store {
  readonly failed: Promise<never>;
  readonly #connection: EtcdConnection;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #hub: EtcdHub;
  readonly #leases: EtcdLeases;
  readonly #ids: WriteIds;
  readonly #clusterId: bigint;
  readonly #writeWithinMs: number;
  readonly #rejectFailed: (error: Error) => void;
  readonly #writing = new Set<Promise<unknown>>();
  readonly #lastOfKey = new Map<string, Promise<unknown>>();
  #known: number;
  #compacted: number;
  #full = false;
  #over: StoreClosed | undefined;
  #closing: Promise<void> | undefined;
  #asking: Promise<number> | undefined;
  #meeting: Timer | undefined;
  #askNext: Promise<number> | undefined;

  constructor(wiring: Wiring) {
    const { connection, clock, log, first, watchLimits = defaultLimits, random = systemRandom } = wiring;
    this.#connection = connection;
    this.#clock = clock;
    this.#log = log;
    this.#ids = new WriteIds(random.bytes(5));
    this.#clusterId = first.clusterId;
    this.#known = first.revision;
    this.#compacted = wiring.compacted;
    this.#writeWithinMs = wiring.writeWithinMs ?? defaultWriteWithinMs;
    const failed = Promise.withResolvers<never>();
    this.failed = failed.promise;
    this.#rejectFailed = failed.reject;
    failed.promise.catch(() => {});
    this.#leases = new EtcdLeases({
      connection,
      settled: async () => void (await Promise.allSettled([...this.#writing])),
      explain: (error) => this.#explain(error),
      learn: (revision) => this.#know(revision),
    });
    this.#hub = new EtcdHub({
      connection,
      clock,
      log,
      limits: watchLimits,
      revision: first.revision,
      onRevision: (revision) => this.#know(revision),
      onCompacted: (revision) => {
        this.#compacted = Math.max(this.#compacted, revision);
      },
      newest: () => this.newestRevision(),
    });
    if (wiring.learnMembers !== false) this.#meet();
  }

  /** Learns of members that joined since: again and again, so that the loss of those it was told of does no harm. */
  #meet(): void {
    void this.#connection
      .call(methods.memberList, {})
      .then(({ value }) => {
        const voting = value.members.filter((one) => !one.isLearner);
        this.#connection.learn(voting.flatMap((one) => one.clientUrls));
      })
      .catch((error: unknown) => this.#log.debug({ error: messageOf(error) }, 'the members of etcd are not known'));
    this.#meeting = this.#clock.setTimer(() => this.#meet(), meetEveryMs);
  }

  /** Resolves when this process sees changes as they happen. */
  get began(): Promise<void> {
    return this.#hub.began;
  }

  revision(): number {
    return this.#known;
  }

  compactedRevision(): number {
    return this.#compacted;
  }

  isFull(): boolean {
    return this.#full;
  }

  /** Callers who ask while a question is under way share the next one: an answer never is older than its question. */
  newestRevision(): Promise<number> {
    if (this.#asking === undefined) {
      this.#asking = this.#ask().finally(() => {
        this.#asking = undefined;
      });
      return this.#asking;
    }
    this.#askNext ??= this.#asking
      .catch(() => {})
      .then(() => {
        this.#askNext = undefined;
        return this.newestRevision();
      });
    return this.#askNext;
  }

  async #ask(): Promise<number> {
    this.#check();
    const atLeast = this.#known;
    const request = { key: keyBytes('\0'), countOnly: true };
    try {
      const { value } = await this.#connection.call(methods.range, request, {
        limitMs: askWithinMs,
        attemptMs: askWithinMs,
      });
      return this.#learn(value.header, atLeast);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  async get(key: string, options: { readonly revision?: number } = {}): Promise<Entry | undefined> {
    this.#check();
    const { revision } = options;
    this.#checkRevision(revision);
    if (key === '') return undefined;
    const atLeast = this.#known;
    const request = { key: keyBytes(key), revision };
    const { value } = await this.#reading(this.#connection.call(methods.range, request), revision);
    this.#learn(value.header, atLeast);
    const [found] = value.kvs;
    return found && entryOf(found);
  }

  async range(query: RangeQuery): Promise<RangeResult> {
    this.#check();
    this.#checkRevision(query.revision);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#range(query);
      } catch (error) {
        // A long read of the newest state was overtaken by a compaction: the newest state is another one now.
        if (!(error instanceof Compacted) || query.revision !== undefined || attempt === 3) throw error;
      }
    }
  }

  async #range({ start, end, limit = 0, revision, countOnly = false }: RangeQuery): Promise<RangeResult> {
    const entries: Entry[] = [];
    const { rangeEnd } = rangeBytes(start, end);
    let from = start;
    let at = revision;
    let count = 0;
    for (;;) {
      const atLeast = this.#known;
      const pageLimit = limit === 0 ? pageEntries : Math.min(pageEntries, limit - entries.length);
      const request = { key: rangeBytes(from, end).key, rangeEnd, revision: at, limit: pageLimit, countOnly };
      const { value } = await this.#reading(this.#connection.call(methods.range, request), at);
      this.#learn(value.header, atLeast);
      if (at === undefined) at = value.header?.revision ?? 0;
      if (from === start) count = value.count;
      for (const found of value.kvs) entries.push(entryOf(found));
      const enough = limit > 0 && entries.length >= limit;
      const last = entries.at(-1);
      if (countOnly || enough || !value.more || last === undefined) {
        return { entries, count, more: !countOnly && count > entries.length, revision: at };
      }
      from = `${last.key}\0`;
    }
  }

  write(write: Write): Promise<WriteResult> {
    const problem = problemOf(write);
    if (problem !== undefined) return Promise.reject(new InvalidWrite(problem));
    if (this.#over !== undefined || this.#closing !== undefined) {
      return Promise.reject(this.#over ?? new StoreClosed('it is being closed'));
    }
    let lease = 0n;
    try {
      if (write.lease !== undefined) lease = this.#leases.idOf(write.lease);
    } catch (error) {
      return Promise.reject(error);
    }
    const before = this.#lastOfKey.get(write.key);
    const make = (): Promise<WriteResult> => this.#write(write, lease);
    const doing = before === undefined ? make() : before.then(make, make);
    this.#lastOfKey.set(write.key, doing);
    this.#writing.add(doing);
    const done = (): void => {
      this.#writing.delete(doing);
      if (this.#lastOfKey.get(write.key) === doing) this.#lastOfKey.delete(write.key);
    };
    doing.then(done, done);
    return doing;
  }

  async #write(write: Write, lease: bigint): Promise<WriteResult> {
    const { value, ifModRevision } = write;
    const key = keyBytes(write.key);
    const id = this.#ids.next();
    const change =
      value === undefined
        ? { delete: { key, previous: true } }
        : { put: { key, value: sealValue(id, value), lease, previous: ifModRevision !== 0 } };
    const request =
      ifModRevision === undefined
        ? { success: [change] }
        : {
            compare: [{ target: compareMod, key, modRevision: ifModRevision }],
            success: [change],
            failure: [{ range: { key } }],
          };
    const knownBefore = this.#known;
    let answer: Answer<TxnAnswer>;
    try {
      const changes = ifModRevision === undefined ? 'once' : 'again';
      answer = await this.#connection.call(methods.txn, request, { limitMs: this.#writeWithinMs, changes });
    } catch (error) {
      throw this.#explain(error);
    }
    const { value: txn, repeated } = answer;
    this.#learn(txn.header, knownBefore);
    const revision = txn.header?.revision ?? 0;
    const [response] = txn.responses;
    if (txn.succeeded) {
      const before = value === undefined ? response?.delete?.previous[0] : response?.put?.previous;
      return withEntry({ applied: true, revision }, before);
    }
    const current = response?.range?.kvs[0];
    if (repeated) return this.#outcomeOf(write, { id, current, revision, knownBefore });
    return withEntry({ applied: false, revision }, current);
  }

  /** The condition of a write that was made more than once did not hold: because of its own first try, or of someone else's write. */
  async #outcomeOf(
    write: Write,
    seen: { id: Uint8Array; current: KeyValue | undefined; revision: number; knownBefore: number },
  ): Promise<WriteResult> {
    const { id, current, revision } = seen;
    if (write.value !== undefined && current !== undefined && isWrittenBy(id, current.value)) {
      const before = write.ifModRevision === 0 ? undefined : await this.#before(write.key, current.modRevision);
      return withEntry({ applied: true, revision: current.modRevision }, before);
    }
    const isPut = write.value !== undefined;
    const base = write.ifModRevision ?? 0;
    if (!isPut && base === 0) return withEntry({ applied: false, revision }, current);
    const found = await findChange({
      ...{ connection: this.#connection, clock: this.#clock, log: this.#log, withinMs: this.#writeWithinMs },
      from: isPut ? Math.max(seen.knownBefore, base) + 1 : base + 1,
      upTo: revision,
      test: (event) => {
        if (event.kv === undefined || keyText(event.kv.key) !== write.key) return false;
        return !isPut || isWrittenBy(id, event.kv.value);
      },
    });
    const at = found?.kv?.modRevision ?? 0;
    const made = found !== undefined && (isPut || (found.type === deleted && at > seen.knownBefore));
    return made
      ? withEntry({ applied: true, revision: at }, found.previous)
      : withEntry({ applied: false, revision }, current);
  }

  async #before(key: string, revision: number): Promise<KeyValue | undefined> {
    const request = { key: keyBytes(key), revision: revision - 1 };
    const { value } = await this.#connection.call(methods.range, request).catch((error) => {
      throw new WriteUnknown(messageOf(error), { cause: error });
    });
    return value.kvs[0];
  }

  watch(options: WatchOptions): StoreWatch {
    const fromRevision = options.fromRevision ?? this.#known + 1;
    return this.#hub.open({ ...options, fromRevision });
  }

  /** etcd is told to forget one revision less: of the last one that it forgets, deletes are gone from watches (etcd 18089). */
  async compact(revision: number): Promise<void> {
    this.#check();
    if (revision > this.#known) throw new FutureRevision(revision, this.#known);
    if (revision <= this.#compacted) return;
    await this.#hub.reached(revision);
    const etcds = revision - 1;
    if (etcds >= 1) {
      const options = { limitMs: maintenanceMs, attemptMs: maintenanceMs };
      await this.#connection
        .call(methods.compact, { revision: etcds, physical: true }, options)
        .catch((error: unknown) => {
          const explained = this.#explain(error);
          if (!(explained instanceof Compacted)) throw explained;
        });
    }
    this.#compacted = Math.max(this.#compacted, revision);
    if (this.#full) await this.#makeRoom();
  }

  /** Gives the room that compaction freed back, member by member, and lets puts in again. */
  async #makeRoom(): Promise<void> {
    for (let member = 0; member < this.#connection.size; member++) {
      await this.#connection
        .callMember(member, methods.defragment, {}, maintenanceMs)
        .catch((error: unknown) => this.#log.warn({ error: messageOf(error) }, 'a member of etcd kept its room'));
    }
    const { value } = await this.#connection.call(methods.alarm, { action: alarmGet, alarm: alarmNoSpace });
    for (const { memberId, alarm } of value.alarms) {
      if (alarm === alarmNoSpace)
        await this.#connection.call(methods.alarm, { action: alarmOff, memberId, alarm: alarmNoSpace });
    }
    this.#full = false;
  }

  async grantLease(ttlSeconds: number): Promise<Lease> {
    this.#check();
    return this.#leases.grant(ttlSeconds);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.#writing]);
    this.#end(new StoreClosed('it was closed'));
  }

  #end(why: StoreClosed): void {
    this.#over ??= why;
    this.#meeting?.cancel();
    this.#hub.end(this.#over);
    this.#connection.close();
  }

  #check(): void {
    if (this.#over !== undefined || this.#closing !== undefined) {
      throw this.#over ?? new StoreClosed('it is being closed');
    }
  }

  #checkRevision(revision: number | undefined): void {
    if (revision !== undefined && revision < this.#compacted) throw new Compacted(this.#compacted);
  }

  async #reading<T>(call: Promise<T>, revision: number | undefined): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw this.#explain(error, revision);
    }
  }

  #know(revision: number): void {
    if (revision > this.#known) this.#known = revision;
  }

  /** Takes the revision of an answer. One that is older than what was known when the question was asked is another store's. */
  #learn(header: Header | undefined, atLeast: number): number {
    const { revision, clusterId } = header as Header;
    if (clusterId !== this.#clusterId || revision < atLeast) {
      const why =
        clusterId === this.#clusterId
          ? `etcd went back from revision ${atLeast} to ${revision}: it was restored from a backup`
          : 'another etcd answers at its address';
      const closed = new StoreClosed(`${why}; start the process again`);
      this.#end(closed);
      this.#rejectFailed(closed);
      throw closed;
    }
    this.#know(revision);
    this.#hub.expect(revision);
    return revision;
  }

  /** What a failure means to a caller. */
  #explain(error: unknown, asked?: number): Error {
    if (this.#over !== undefined) return this.#over;
    if (error instanceof Lost) return new StoreUnavailable(error.message, { cause: error });
    if (!(error instanceof EtcdError)) return error as Error;
    const details = error.message;
    if (details.includes(said.compacted)) return new Compacted(Math.max(this.#compacted, (asked ?? 0) + 1));
    if (details.includes(said.future)) return new FutureRevision(asked ?? 0, this.#known);
    if (details.includes(said.noLease)) return new LeaseNotFound('of this write');
    if (details.includes(said.tooLarge)) return new InvalidWrite('it is larger than etcd takes');
    if (details.includes(said.full)) {
      this.#full = true;
      return new StoreFull("etcd's quota is used up", { cause: error });
    }
    return new CodedError('StoreRefused', `etcd refused: ${details}`, { cause: error });
  }
}

function withEntry(result: WriteResult, found: KeyValue | undefined): WriteResult {
  return found === undefined ? result : { ...result, current: entryOf(found) };
}
