import type { Clock } from '#base';

/** What an event says, before it is decided how it is written. */
export interface Occurrence {
  /** Source, object, type: what the spam filter counts. */
  readonly objectKey: string;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

/** Write a new event, count an existing one up, or drop it. `key` names the record to remember the written event under. */
export type Correlation =
  | { readonly action: 'write'; readonly key: string; readonly message: string; readonly count: number }
  | { readonly action: 'drop' };

const limits = { records: 4096, similarEvents: 10, similarWithinMs: 600_000, burst: 25, refillMs: 300_000 };

interface Similar {
  messages: Set<string>;
  lastMs: number;
}

/**
 * Upstream's rules: the same event again counts up; more than 10 that differ only in their message within 10 minutes become one
 * `(combined from similar events): …`; and one object may cause 25 events at once, then one every 5 minutes.
 */
export class EventCorrelator {
  readonly #clock: Clock;
  readonly #counts = new Map<string, number>();
  readonly #similar = new Map<string, Similar>();
  readonly #tokens = new Map<string, { left: number; atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  correlate(occurrence: Occurrence): Correlation {
    const nowMs = this.#clock.monotonicMs();
    const { objectKey, type, reason } = occurrence;
    const group = JSON.stringify([objectKey, type, reason]);
    const similar = this.#recall(this.#similar, group, () => ({ messages: new Set<string>(), lastMs: nowMs }));
    if (nowMs - similar.lastMs > limits.similarWithinMs) similar.messages.clear();
    similar.lastMs = nowMs;
    const combine = similar.messages.size >= limits.similarEvents && !similar.messages.has(occurrence.message);
    if (!combine) similar.messages.add(occurrence.message);
    const key = combine ? group : JSON.stringify([objectKey, type, reason, occurrence.message]);
    const message = combine ? `(combined from similar events): ${occurrence.message}` : occurrence.message;
    if (!this.#spend(objectKey, nowMs)) return { action: 'drop' };
    const count = this.#recall(this.#counts, key, () => 0) + 1;
    this.#counts.set(key, count);
    return { action: 'write', key, message, count };
  }

  /** The event under this key is gone from the server: the next one is written anew. */
  forget(key: string): void {
    this.#counts.delete(key);
  }

  #spend(objectKey: string, nowMs: number): boolean {
    const bucket = this.#recall(this.#tokens, objectKey, () => ({ left: limits.burst, atMs: nowMs }));
    bucket.left = Math.min(limits.burst, bucket.left + (nowMs - bucket.atMs) / limits.refillMs);
    bucket.atMs = nowMs;
    if (bucket.left < 1) return false;
    bucket.left -= 1;
    return true;
  }

  /** Least recently used goes first when there are too many. */
  #recall<V>(records: Map<string, V>, key: string, make: () => V): V {
    const value = records.get(key) ?? make();
    records.delete(key);
    records.set(key, value);
    if (records.size > limits.records) records.delete(records.keys().next().value as string);
    return value;
  }
}
