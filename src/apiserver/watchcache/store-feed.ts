import { type Clock, type Log, messageOf } from '#base';
import { Compacted, type Store, StoreClosed, StoreUnavailable, type StoreEvent, type StoreWatch } from '#store';

const askAgainMs = 500;
const longestFollowMs = 3000;

/** Where the events of one key prefix go. */
export interface FeedReader {
  /** All events of the prefix in one batch, in order. */
  take(events: readonly StoreEvent[]): void;
  /** History was lost: load again. */
  reload(): Promise<void>;
}

/**
 * One watch of the store for all caches. `revision` is the newest revision whose events every reader has; `reached` waits for it.
 */
export class StoreFeed {
  revision = 0;
  readonly #store: Store;
  readonly #root: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #readers = new Map<string, FeedReader>();
  readonly #waiting: { revision: number; resolve: () => void }[] = [];
  readonly #listeners = new Set<(revision: number) => void>();
  #watch: StoreWatch | undefined;
  #closed = false;
  #stale = false;
  #running: Promise<void> | undefined;

  constructor(options: { store: Store; root: string; clock: Clock; log: Log }) {
    this.#store = options.store;
    this.#root = options.root;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** The store, which other servers write to as well, does not answer: reads show what is known here. */
  get isStale(): boolean {
    return this.#stale;
  }

  /**
   * Undefined when every reader has all that the store has acknowledged; else resolves when it is so. A store that others write to is
   * asked; one that does not answer within seconds makes reads stale until it does.
   */
  fresh(): Promise<void> | undefined {
    if (this.#store.newestRevision === undefined) return this.reached(this.#store.revision());
    return this.#stale ? undefined : this.#freshShared();
  }

  async #freshShared(): Promise<void> {
    if ((await this.#caughtUp()) || this.#stale || this.#closed) return;
    this.#stale = true;
    this.#log.warn({ revision: this.revision }, 'the store does not answer: reads show what is known here');
    this.#untilFresh().catch(() => {});
  }

  async #untilFresh(): Promise<void> {
    while (this.#stale && !this.#closed) {
      await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, askAgainMs));
      if (await this.#caughtUp()) {
        this.#stale = false;
        this.#log.info({ revision: this.revision }, 'the store answers again');
      }
    }
  }

  /** Whether the readers have, within seconds, what the store says is its newest. */
  async #caughtUp(): Promise<boolean> {
    try {
      const newest = await (this.#store.newestRevision as () => Promise<number>).call(this.#store);
      return await this.reachedWithin(newest, longestFollowMs);
    } catch (error) {
      if (error instanceof StoreUnavailable) return false;
      throw error;
    }
  }

  /** Registers the reader of keys below `root + segment + '/'`, where segment is `pods` or `apps/deployments`. */
  add(segment: string, reader: FeedReader): void {
    this.#readers.set(segment, reader);
    if (this.#running === undefined) {
      this.revision = this.#store.revision();
      this.#open();
      this.#running = this.#run();
    }
  }

  remove(segment: string): void {
    this.#readers.delete(segment);
  }

  /** Undefined when it is reached already. */
  reached(revision: number): Promise<void> | undefined {
    if (revision <= this.revision) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push({ revision, resolve });
    });
  }

  /** Waits at most `limitMs`; false when the revision was not reached. */
  async reachedWithin(revision: number, limitMs: number): Promise<boolean> {
    const reached = this.reached(revision);
    if (reached === undefined) return true;
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(() => resolve(false), limitMs);
      reached.then(() => {
        timer.cancel();
        resolve(true);
      });
    });
  }

  /** Called after each batch has reached every reader. */
  onAdvance(listener: (revision: number) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
    for (const one of this.#waiting.splice(0)) one.resolve();
  }

  #open(): void {
    this.#watch = this.#store.watch({
      start: this.#root,
      end: prefixEnd(this.#root),
      fromRevision: this.revision + 1,
      progress: true,
    });
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        for await (const batch of this.#watch as StoreWatch) {
          this.#deliver(batch.events);
          this.#advance(batch.revision);
        }
      } catch (error) {
        if (this.#closed || error instanceof StoreClosed) return;
        this.#log.warn({ error: messageOf(error) }, 'the watch of the store ended; opening it again');
        await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, 100));
        if (error instanceof Compacted) await this.#reload();
      }
      if (!this.#closed) this.#open();
    }
  }

  async #reload(): Promise<void> {
    const revision = this.#store.revision();
    await Promise.all([...this.#readers.values()].map((reader) => reader.reload()));
    this.#advance(revision);
  }

  #deliver(events: readonly StoreEvent[]): void {
    let from = 0;
    let reader: FeedReader | undefined;
    for (let i = 0; i < events.length; i++) {
      const next = this.#readerOf((events[i] as StoreEvent).key);
      if (next === reader) continue;
      if (i > from) reader?.take(from === 0 && i === events.length ? events : events.slice(from, i));
      reader = next;
      from = i;
    }
    if (events.length > from) reader?.take(from === 0 ? events : events.slice(from));
  }

  #readerOf(key: string): FeedReader | undefined {
    const start = this.#root.length;
    const first = key.indexOf('/', start);
    if (first < 0) return undefined;
    const found = this.#readers.get(key.slice(start, first));
    if (found !== undefined) return found;
    const second = key.indexOf('/', first + 1);
    return second < 0 ? undefined : this.#readers.get(key.slice(start, second));
  }

  #advance(revision: number): void {
    if (revision <= this.revision) return;
    this.revision = revision;
    if (this.#waiting.length > 0) {
      const ready = this.#waiting.filter((one) => one.revision <= revision);
      if (ready.length > 0) {
        const later = this.#waiting.filter((one) => one.revision > revision);
        this.#waiting.length = 0;
        this.#waiting.push(...later);
        for (const one of ready) one.resolve();
      }
    }
    for (const listener of this.#listeners) listener(revision);
  }
}

/** The first key after all keys that start with `prefix` (which ends in an ASCII character). */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
