import { Backoff, type BackoffOptions, type Clock, type Timer } from '#base';
import { measureQueue, type QueueMeasures } from './queue-metrics.ts';

/**
 * Keys to work on, each at most once at a time: a key added while it is being worked on comes again afterwards, one added
 * twice before comes once.
 */
export interface WorkQueue {
  add(key: string): void;
  /** Adds the key after `delayMs`; an earlier time already waiting stays. */
  addAfter(key: string, delayMs: number): void;
  /** Adds the key after its own growing delay; `forget` resets it. */
  addRateLimited(key: string): void;
  forget(key: string): void;
  failures(key: string): number;
  /** The next key, or undefined when the queue was closed. Call `done` when its work ends. */
  take(): Promise<string | undefined>;
  /** The work on a key has ended; if it was added meanwhile it waits again, but `restMs` from now at the earliest. */
  done(key: string, restMs?: number): void;
  /** Keys waiting to be taken, those with a delay not counted. */
  readonly length: number;
  /** Nothing waits (delays not counted) and nothing is being worked on. */
  readonly idle: boolean;
  close(): void;
}

export interface WorkQueueOptions {
  /** Its name in the metrics `workqueue_…`; absent: it is not measured. */
  readonly name?: string;
  readonly clock: Clock;
  /** Delays of `addRateLimited`; default 5 ms doubling to 1000 s, as upstream. */
  readonly backoff?: BackoffOptions;
}

export function openWorkQueue(options: WorkQueueOptions): WorkQueue {
  const { clock, backoff: delays = { firstMs: 5, longestMs: 1_000_000 } } = options;
  const backoff = new Backoff(delays);
  const waiting = new Set<string>();
  const dirty = new Set<string>();
  const working = new Set<string>();
  const delayed = new Map<string, { readonly dueMs: number; readonly timer: Timer }>();
  /** Keys that rest after their work, and until when. */
  const resting = new Map<string, number>();
  const takers: ((key: string | undefined) => void)[] = [];
  let open = true;
  const measures: QueueMeasures | undefined =
    options.name === undefined ? undefined : measureQueue(options.name, clock, () => waiting.size);

  function handOut(): void {
    while (takers.length > 0) {
      const [key] = waiting;
      if (key === undefined) return;
      waiting.delete(key);
      working.add(key);
      measures?.taken(key);
      takers.shift()?.(key);
    }
  }

  const queue: WorkQueue = {
    add(key) {
      if (!open) return;
      if (working.has(key)) {
        measures?.added(key);
        return void dirty.add(key);
      }
      const leftMs = (resting.get(key) ?? 0) - clock.monotonicMs();
      if (leftMs > 0) return queue.addAfter(key, leftMs);
      resting.delete(key);
      if (!waiting.has(key)) measures?.added(key);
      waiting.add(key);
      handOut();
    },
    addAfter(key, delayMs) {
      if (!open) return;
      if (delayMs <= 0) return queue.add(key);
      const dueMs = clock.monotonicMs() + delayMs;
      const present = delayed.get(key);
      if (present !== undefined && present.dueMs <= dueMs) return;
      present?.timer.cancel();
      const fire = (): void => {
        delayed.delete(key);
        queue.add(key);
      };
      delayed.set(key, { dueMs, timer: clock.setTimer(fire, delayMs) });
    },
    addRateLimited(key) {
      measures?.retried();
      queue.addAfter(key, backoff.next(key));
    },
    forget: (key) => backoff.forget(key),
    failures: (key) => backoff.failures(key),
    take() {
      if (!open) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        takers.push(resolve);
        handOut();
      });
    },
    done(key, restMs = 0) {
      working.delete(key);
      measures?.done(key);
      if (restMs >= 1) resting.set(key, clock.monotonicMs() + restMs);
      else resting.delete(key);
      if (dirty.delete(key)) queue.add(key);
    },
    get length() {
      return waiting.size;
    },
    get idle() {
      return waiting.size === 0 && working.size === 0;
    },
    close() {
      open = false;
      measures?.close();
      waiting.clear();
      for (const { timer } of delayed.values()) timer.cancel();
      delayed.clear();
      for (const taker of takers.splice(0)) taker(undefined);
    },
  };
  return queue;
}
