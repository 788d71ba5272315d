import type { StoreBatch, StoreEvent, StoreWatch, WatchOptions } from '../contract.ts';
import { SlowWatcher } from '../errors.ts';

/** What a watcher that takes nothing may leave waiting before it is cut off. */
export interface WatchLimits {
  readonly events: number;
  readonly bytes: number;
}

/** What a watcher asks of the hub. */
export interface WatcherSource {
  readonly revision: number;
  /** The next slice of history for a watcher that is behind; makes it live after the last. */
  catchUp(watcher: Watcher): StoreBatch | undefined | Promise<StoreBatch | undefined>;
  forget(watcher: Watcher): void;
}

const eventOverheadBytes = 200;

/** One watch: a queue that commits fill and the consumer empties, or, while it is behind, a position in history. */
export class Watcher implements StoreWatch {
  readonly start: string;
  readonly end: string;
  /** The first revision that was not delivered yet. */
  wanted: number;
  /** Commits are handed over as they happen; until then the consumer reads history. */
  live = false;
  readonly #source: WatcherSource;
  readonly #progress: boolean;
  readonly #limits: WatchLimits;
  #queue: StoreBatch[] = [];
  #events = 0;
  #bytes = 0;
  #slices = 0;
  /** The newest revision that the consumer was told of. */
  #told: number;
  #ended = false;
  #error: Error | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;

  constructor(source: WatcherSource, options: WatchOptions & { fromRevision: number; limits: WatchLimits }) {
    this.#source = source;
    this.start = options.start;
    this.end = options.end;
    this.wanted = options.fromRevision;
    this.#told = options.fromRevision - 1;
    this.#progress = options.progress ?? false;
    this.#limits = options.limits;
  }

  [Symbol.asyncIterator](): AsyncIterator<StoreBatch> {
    return {
      next: () => this.#next(),
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  close(): void {
    this.#ended = true;
    this.#queue = [];
    this.#source.forget(this);
    this.#wake();
  }

  /** A commit that concerns this range. */
  take(batch: StoreBatch): void {
    const first = batch.events[0] as StoreEvent;
    const events =
      first.entry.modRevision < this.wanted ? batch.events.filter((one) => this.#wants(one)) : batch.events;
    if (events.length === 0) return;
    this.#queue.push(events === batch.events ? batch : { revision: batch.revision, events });
    this.#events += events.length;
    for (const { entry } of events) this.#bytes += entry.value.length + eventOverheadBytes;
    const late = this.#queue.length > 1 && (this.#events > this.#limits.events || this.#bytes > this.#limits.bytes);
    if (late) {
      this.#queue = [];
      this.fail(new SlowWatcher(this.#events));
    }
    this.#wake();
  }

  /** What is queued is still delivered, then the consumer's loop throws `error`. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#source.forget(this);
    this.#wake();
  }

  /** Wakes a consumer that waits and was not told of the newest revision. */
  offerProgress(): void {
    if (this.#progressDue()) this.#wake();
  }

  async #next(): Promise<IteratorResult<StoreBatch>> {
    for (;;) {
      if (this.#queue.length > 0) return this.#deliver(this.#takeQueue());
      if (this.#error !== undefined) {
        const error = this.#error;
        this.#error = undefined;
        throw error;
      }
      if (this.#ended) return { done: true, value: undefined };
      if (!this.live) {
        if (this.#slices++ > 0) await nextTurn();
        const found = this.#catchUp();
        const batch = found instanceof Promise ? await found.catch((error: Error) => this.fail(error)) : found;
        if (batch !== undefined && !this.#ended) return this.#deliver(batch);
      } else if (this.#progressDue()) {
        return this.#deliver({ revision: this.#source.revision, events: [] });
      } else {
        this.#waiting ??= Promise.withResolvers<void>();
        await this.#waiting.promise;
      }
    }
  }

  #catchUp(): StoreBatch | undefined | Promise<StoreBatch | undefined> {
    if (this.#ended || this.live) return undefined;
    try {
      return this.#source.catchUp(this);
    } catch (error) {
      this.fail(error as Error);
      return undefined;
    }
  }

  #deliver(batch: StoreBatch): IteratorResult<StoreBatch> {
    this.#told = Math.max(this.#told, batch.revision);
    return { done: false, value: batch };
  }

  #takeQueue(): StoreBatch {
    const queue = this.#queue;
    this.#queue = [];
    this.#events = 0;
    this.#bytes = 0;
    const last = queue[queue.length - 1] as StoreBatch;
    return queue.length === 1 ? last : { revision: last.revision, events: queue.flatMap((batch) => batch.events) };
  }

  #progressDue(): boolean {
    return this.#progress && this.live && this.#queue.length === 0 && this.#told < this.#source.revision;
  }

  #wants(event: StoreEvent): boolean {
    return event.entry.modRevision >= this.wanted;
  }

  #wake(): void {
    this.#waiting?.resolve();
    this.#waiting = undefined;
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
