import { type Clock, type Log, messageOf, type Timer } from '#base';
import type { StoreBatch, StoreEvent, StoreWatch, WatchOptions } from '../../contract.ts';
import { Compacted } from '../../errors.ts';
import { type RangeGroup, RangeGroups } from '../../engine/range-groups.ts';
import { Watcher, type WatcherSource, type WatchLimits } from '../../engine/watcher.ts';
import { keyInRange } from '../../keys.ts';
import type { EtcdConnection } from './connection.ts';
import { eventOf, keyText } from './entries.ts';
import { isOurs } from './envelope.ts';
import { type EventBatch, EventStream } from './event-stream.ts';
import { deleted, type EtcdEvent } from './messages.ts';

export interface EtcdHubOptions {
  readonly connection: EtcdConnection;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: WatchLimits;
  /** The newest revision when the store was opened. */
  readonly revision: number;
  /** A revision was met: it is known before its events are seen. */
  readonly onRevision: (revision: number) => void;
  /** History before `revision` is gone. */
  readonly onCompacted: (revision: number) => void;
  /** The newest revision there is, asked of etcd. */
  readonly newest: () => Promise<number>;
}

const stalledMs = 3000;
const againMs = 200;
/** Of a new store: nothing changed at revision 1. */
const firstChange = 2;

/**
 * Carries etcd's changes to the watchers of this process: one stream from now on for all of them, and one more for each that begins
 * in the past, until it has caught up.
 */
export class EtcdHub implements WatcherSource {
  /** Everything up to here was handed to the watchers. */
  revision: number;
  readonly #options: EtcdHubOptions;
  readonly #live = new RangeGroups<Watcher>();
  readonly #all = new Set<Watcher>();
  readonly #past = new Map<Watcher, PastReader>();
  #stream: EventStream;
  #stalled: Timer | undefined;
  #progressDue = false;
  #over: Error | undefined;
  #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];

  constructor(options: EtcdHubOptions) {
    this.#options = options;
    this.revision = options.revision;
    this.#stream = this.#open();
  }

  /** Resolves when etcd has begun to send. */
  get began(): Promise<void> {
    return this.#stream.began;
  }

  /** Resolves when the watchers have everything up to `revision`, or nothing comes any more. */
  reached(revision: number): Promise<void> {
    if (revision <= this.revision || this.#over !== undefined) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push({ revision, resolve }));
  }

  open(options: WatchOptions & { readonly fromRevision: number }): StoreWatch {
    const fromRevision = Math.max(firstChange, options.fromRevision);
    const watcher = new Watcher(this, { ...options, fromRevision, limits: this.#options.limits });
    this.#all.add(watcher);
    if (this.#over !== undefined) watcher.fail(this.#over);
    else if (fromRevision > this.revision) this.#join(watcher);
    return watcher;
  }

  /** A revision is known to exist: its events must come soon, or the stream is dead without saying so. */
  expect(revision: number): void {
    if (revision <= this.revision || this.#stalled !== undefined || this.#over !== undefined) return;
    const at = this.revision;
    this.#stalled = this.#options.clock.setTimer(() => {
      this.#stalled = undefined;
      if (this.revision >= revision) return;
      if (this.revision === at) this.#stream.restart('nothing came from it');
      this.expect(revision);
    }, stalledMs);
  }

  async catchUp(watcher: Watcher): Promise<StoreBatch | undefined> {
    if (watcher.wanted > this.revision) {
      this.#join(watcher);
      return undefined;
    }
    let reader = this.#past.get(watcher);
    if (reader === undefined) {
      reader = new PastReader(this.#options, watcher.wanted);
      this.#past.set(watcher, reader);
    }
    const batch = await reader.next();
    if (batch === undefined) return undefined;
    watcher.wanted = batch.revision + 1;
    if (watcher.wanted > this.revision && this.#all.has(watcher)) this.#join(watcher);
    const events = this.#eventsIn(batch.events, watcher.start, watcher.end);
    return events.length === 0 ? undefined : { revision: batch.revision, events };
  }

  forget(watcher: Watcher): void {
    this.#all.delete(watcher);
    this.#live.remove(watcher.start, watcher.end, watcher);
    this.#closePast(watcher);
  }

  /** Ends every watcher with `error`. */
  end(error: Error): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#stream.close();
    this.#stalled?.cancel();
    for (const watcher of [...this.#all]) watcher.fail(error);
    this.#reach(this.revision);
  }

  #reach(revision: number): void {
    this.revision = revision;
    if (this.#waiting.length === 0) return;
    const over = this.#over !== undefined;
    const ready = this.#waiting.filter((one) => over || one.revision <= revision);
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const one of ready) one.resolve();
  }

  #open(): EventStream {
    const { connection, clock, log } = this.#options;
    return new EventStream({
      connection,
      clock,
      log,
      from: this.revision + 1,
      ahead: true,
      onBatch: (batch) => this.#publish(batch),
      onEnd: (error) => void this.#lost(error),
    });
  }

  /** History between here and now is gone, or etcd refuses: watchers must begin anew, and so does this hub. */
  async #lost(error: Error): Promise<void> {
    const { log, clock, newest, onCompacted } = this.#options;
    log.warn({ error: messageOf(error) }, 'changes of the store were missed; whoever follows it begins anew');
    if (error instanceof Compacted) onCompacted(error.compactedRevision);
    for (let found = false; !found; ) {
      await new Promise<void>((resolve) => void clock.setTimer(resolve, againMs));
      if (this.#over !== undefined) return;
      found = await newest().then(
        (revision) => {
          this.#reach(Math.max(this.revision, revision));
          return true;
        },
        () => false,
      );
    }
    const why = error instanceof Compacted ? error : new Compacted(this.revision);
    for (const watcher of [...this.#all]) if (watcher.live) watcher.fail(why);
    this.#stream = this.#open();
  }

  #publish(batch: EventBatch): void {
    this.#options.onRevision(batch.revision);
    const touched = new Map<RangeGroup<Watcher>, EtcdEvent[]>();
    for (const event of batch.events) {
      this.#live.visit(keyText((event.kv as { key: Uint8Array }).key), (group) => {
        const list = touched.get(group);
        if (list === undefined) touched.set(group, [event]);
        else list.push(event);
      });
    }
    const made = new Map<EtcdEvent, StoreEvent | undefined>();
    for (const [group, list] of touched) {
      try {
        const events = this.#made(list, made);
        if (events.length > 0)
          for (const watcher of [...group.members]) watcher.take({ revision: batch.revision, events });
      } catch (error) {
        for (const watcher of [...group.members]) watcher.fail(error as Error);
      }
    }
    this.#reach(batch.revision);
    this.#scheduleProgress();
  }

  #eventsIn(events: readonly EtcdEvent[], start: string, end: string): StoreEvent[] {
    const inside = events.filter(({ kv }) => keyInRange(keyText((kv as { key: Uint8Array }).key), start, end));
    return this.#made(inside, new Map());
  }

  /** Events as watchers get them, each made once. What another program wrote is left out. */
  #made(events: readonly EtcdEvent[], made: Map<EtcdEvent, StoreEvent | undefined>): StoreEvent[] {
    const found: StoreEvent[] = [];
    for (const event of events) {
      let one = made.get(event);
      if (one === undefined) {
        const value = event.type === deleted ? event.previous?.value : event.kv?.value;
        if (value !== undefined && !isOurs(value)) continue;
        one = eventOf(event);
        if (one === undefined) throw new Compacted(event.kv?.modRevision ?? this.revision);
        made.set(event, one);
      }
      found.push(one);
    }
    return found;
  }

  #join(watcher: Watcher): void {
    watcher.live = true;
    this.#closePast(watcher);
    this.#live.add(watcher.start, watcher.end, watcher);
  }

  #closePast(watcher: Watcher): void {
    this.#past.get(watcher)?.close();
    this.#past.delete(watcher);
  }

  #scheduleProgress(): void {
    if (this.#progressDue) return;
    this.#progressDue = true;
    setImmediate(() => {
      this.#progressDue = false;
      for (const watcher of this.#all) watcher.offerProgress();
    });
  }
}

/** Reads the past batch by batch, as it is asked for. */
class PastReader {
  readonly #stream: EventStream;
  #waiting: PromiseWithResolvers<EventBatch | undefined> | undefined;
  #ready: { readonly batch: EventBatch; readonly taken: () => void } | undefined;
  #error: Error | undefined;
  #closed = false;

  constructor(options: Pick<EtcdHubOptions, 'connection' | 'clock' | 'log' | 'onCompacted'>, from: number) {
    const { connection, clock, log, onCompacted } = options;
    this.#stream = new EventStream({
      connection,
      clock,
      log,
      from,
      onBatch: (batch) => this.#offer(batch),
      onEnd: (error) => {
        if (error instanceof Compacted) onCompacted(error.compactedRevision);
        this.#error = error;
        this.#waiting?.reject(error);
        this.#waiting = undefined;
      },
    });
  }

  /** Undefined when it was closed meanwhile. */
  async next(): Promise<EventBatch | undefined> {
    if (this.#closed) return undefined;
    if (this.#ready !== undefined) {
      const { batch, taken } = this.#ready;
      this.#ready = undefined;
      taken();
      return batch;
    }
    if (this.#error !== undefined) throw this.#error;
    this.#waiting ??= Promise.withResolvers();
    return this.#waiting.promise;
  }

  close(): void {
    this.#closed = true;
    this.#stream.close();
    this.#ready?.taken();
    this.#waiting?.resolve(undefined);
    this.#waiting = undefined;
  }

  #offer(batch: EventBatch): void | Promise<void> {
    if (this.#waiting !== undefined) {
      this.#waiting.resolve(batch);
      this.#waiting = undefined;
      return;
    }
    return new Promise((resolve) => {
      this.#ready = { batch, taken: resolve };
    });
  }
}
