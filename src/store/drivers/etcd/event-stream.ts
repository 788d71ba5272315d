import { type Clock, type Log, sleep } from '#base';
import { Compacted, StoreClosed } from '../../errors.ts';
import type { AnswerStream, EtcdConnection } from './connection.ts';
import { EtcdError, type EtcdFailure } from './failures.ts';
import { type EtcdEvent, methods, type WatchResponse } from './messages.ts';
import { rangeBytes } from './entries.ts';

/** All events of one or more whole revisions, in order. */
export interface EventBatch {
  readonly revision: number;
  readonly events: readonly EtcdEvent[];
}

export interface EventStreamOptions {
  readonly connection: EtcdConnection;
  readonly clock: Clock;
  readonly log: Log;
  /** The first revision wanted. */
  readonly from: number;
  /** It has not happened yet, as far as is known: etcd then delivers it at once when it does. */
  readonly ahead?: boolean;
  /** May hold the stream up by returning a promise. Throwing ends the stream with that error. */
  readonly onBatch: (batch: EventBatch) => void | Promise<void>;
  /** The end, unless it was closed: Compacted, or what etcd refused. */
  readonly onEnd: (error: Error) => void;
}

const firstPauseMs = 50;
const longestPauseMs = 1000;
/** Of a new store: the only one without a change. */
const firstRevision = 1;
const gapsBelieved = 3;

/**
 * Every change of every key from a revision on, over as many connections and members as it takes. Each revision of etcd is a change
 * of some key, so that what arrives must be one revision after the other: a revision that is missing or comes again is noticed,
 * and progress is known without asking (etcd 3.4's own progress notices may run ahead of events, etcd 15220).
 */
export class EventStream {
  /** Resolves when etcd has begun to watch, or never will. */
  readonly began: Promise<void>;
  readonly #options: EventStreamOptions;
  readonly #closing = new AbortController();
  /** The last revision delivered. */
  #done: number;
  #failures = 0;
  #gaps = 0;
  #begin: () => void = () => {};
  #current: { readonly member: number; readonly end: (why: Error) => void } | undefined;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#done = Math.max(firstRevision, options.from - 1);
    this.began = new Promise((resolve) => {
      this.#begin = resolve;
    });
    void this.#run();
  }

  /** Begins again at another member, without gap. */
  restart(why: string): void {
    if (this.#current === undefined) return;
    this.#options.connection.leave(this.#current.member, why);
    this.#current.end(new Broken(why));
  }

  close(): void {
    this.#closing.abort(new StoreClosed('it was closed'));
    this.#begin();
    this.#current?.end(new Broken('it was closed'));
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#closing.signal.aborted) {
      const why = await this.#once();
      if (this.#closing.signal.aborted) return;
      if (!(why instanceof Broken)) {
        this.#begin();
        return this.#options.onEnd(why);
      }
      this.#failures++;
      log.debug({ why: why.message, revision: this.#done }, 'the watch of etcd broke off and begins again');
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(10, this.#failures));
      await sleep(clock, pauseMs, this.#closing.signal).catch(() => {});
    }
  }

  /** One stream, until it ends. */
  #once(): Promise<Error> {
    const { connection } = this.#options;
    const { member } = connection;
    return new Promise((resolve) => {
      let stream: AnswerStream | undefined;
      let over = false;
      let partial: EtcdEvent[] = [];
      let chain: Promise<void> | undefined;
      const end = (why: Error): void => {
        if (over) return;
        over = true;
        this.#current = undefined;
        stream?.cancel();
        resolve(why);
      };
      const take = (answer: WatchResponse): void | Promise<void> => {
        if (answer.compactRevision > 0) return end(new Compacted(answer.compactRevision + 1));
        if (answer.canceled) return end(new Broken(answer.cancelReason || 'etcd ended it'));
        if (answer.created) this.#begin();
        for (const event of answer.events) partial.push(event);
        if (answer.fragment) return;
        const events = partial;
        partial = [];
        return this.#deliver(events, end);
      };
      const onAnswer = (answer: WatchResponse): void => {
        if (over) return;
        const guarded = (): void | Promise<void> => {
          if (over) return;
          try {
            return take(answer);
          } catch (error) {
            end(error as Error);
          }
        };
        const waiting = chain === undefined ? guarded() : chain.then(guarded);
        if (waiting === undefined) return;
        stream?.pause();
        const mine = waiting
          .catch((error: unknown) => end(error as Error))
          .then(() => {
            if (chain !== mine) return;
            chain = undefined;
            stream?.resume();
          });
        chain = mine;
      };
      this.#current = { member, end };
      // One revision more than wanted: whether that was compacted decides whether the wanted one is whole (etcd 18089).
      const ahead = this.#options.ahead === true && this.#failures === 0;
      const startRevision = ahead ? this.#done + 1 : Math.max(1, this.#done);
      stream = connection.stream(
        methods.watch,
        { create: { ...rangeBytes('', ''), startRevision, previous: true, fragment: true } },
        {
          onAnswer,
          onEnd: (why: EtcdFailure | undefined) =>
            end(why instanceof EtcdError ? why : new Broken(why?.message ?? 'it was cancelled')),
        },
      );
      if (over) stream.cancel();
    });
  }

  #deliver(all: readonly EtcdEvent[], end: (why: Error) => void): void | Promise<void> {
    let expected = this.#done;
    const events: EtcdEvent[] = [];
    for (const event of all) {
      const revision = event.kv?.modRevision ?? 0;
      if (revision <= this.#done) continue;
      if (revision !== expected && revision !== expected + 1) {
        // Asked for often enough, what does not come is gone.
        const lost = ++this.#gaps >= gapsBelieved;
        return end(lost ? new Compacted(revision) : new Broken(`revision ${revision} came after ${expected}`));
      }
      expected = revision;
      events.push(event);
    }
    if (events.length === 0) return;
    this.#done = expected;
    this.#failures = 0;
    this.#gaps = 0;
    return this.#options.onBatch({ revision: expected, events });
  }
}

/** The stream ended and can begin again where it was. */
class Broken extends Error {}
