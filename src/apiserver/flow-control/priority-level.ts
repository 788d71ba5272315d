import type { Clock, Timer } from '#base';
import { errTooManyRequests } from '#machinery';

/** What a priority level may do. */
export interface LevelLimits {
  /** Seats that are its own; for an exempt level without meaning. */
  readonly nominal: number;
  /** Of those, what others may take while it does not need them. */
  readonly lendable: number;
  /** The most seats of others that it may take; absent: no limit of its own. */
  readonly borrowing?: number;
  readonly exempt: boolean;
  /** Absent: whoever finds no seat is refused. */
  readonly queuing?: { readonly queues: number; readonly handSize: number; readonly lengthLimit: number };
}

export type Rejection = 'concurrency-limit' | 'queue-full' | 'time-out' | 'cancelled';

/** Told what becomes of requests that did not find a seat at once. */
export interface SeatWatcher {
  waits(): void;
  /** `waitedMs` is undefined for one that never waited. */
  ends(outcome: { readonly rejected?: Rejection; readonly waitedMs?: number }): void;
}

interface Waiting {
  readonly queue: Waiting[];
  readonly sinceMs: number;
  readonly go: () => void;
}

/** All levels of a server share its seats. */
export class Seats {
  readonly #levels = new Set<PriorityLevel>();
  total: number;
  /** Requests that wait, of all levels. */
  waiting = 0;

  constructor(total: number) {
    this.total = total;
  }

  add(level: PriorityLevel): void {
    this.#levels.add(level);
  }

  delete(level: PriorityLevel): void {
    this.#levels.delete(level);
  }

  /** Whether a level that uses all of its own seats may take one more: all others can still have what they do not lend. */
  canBorrow(borrower: PriorityLevel): boolean {
    const { nominal, borrowing } = borrower.limits;
    if (borrowing !== undefined && borrower.executing >= nominal + borrowing) return false;
    let used = 0;
    for (const level of this.#levels) {
      if (level.limits.exempt) continue;
      const kept = level === borrower ? 0 : level.limits.nominal - level.limits.lendable;
      used += Math.max(level.executing, kept);
    }
    return used < this.total;
  }

  /** A seat is free: whoever waits elsewhere may borrow it. */
  freed(): void {
    if (this.waiting === 0) return;
    for (const level of this.#levels) if (level.waiting > 0) level.dispatch();
  }
}

const longestWaitMs = 15_000;

/**
 * A number of seats and queues before them. A flow's requests wait in the shortest of a few queues that its hash picks, queues are
 * served in turn: one flow with many requests does not keep others from their seats.
 */
export class PriorityLevel {
  readonly name: string;
  readonly #seats: Seats;
  readonly #clock: Clock;
  readonly #queues: Waiting[][] = [];
  #next = 0;
  limits: LevelLimits;
  executing = 0;
  waiting = 0;

  constructor(options: {
    readonly name: string;
    readonly limits: LevelLimits;
    readonly seats: Seats;
    readonly clock: Clock;
  }) {
    this.name = options.name;
    this.limits = options.limits;
    this.#seats = options.seats;
    this.#clock = options.clock;
    this.#seats.add(this);
  }

  /** Undefined: there is a seat. Else resolves when there is one; rejects with 429 when there will be none. */
  enter(request: {
    readonly flow: () => number;
    readonly onAbort: (callback: () => void) => () => void;
    readonly watcher: SeatWatcher;
  }): Promise<void> | undefined {
    if (this.limits.exempt || (this.waiting === 0 && this.#hasSeat())) {
      this.executing++;
      return undefined;
    }
    const { queuing } = this.limits;
    const { watcher } = request;
    if (queuing === undefined) return this.#refuse(watcher, 'concurrency-limit');
    const queue = this.#queueOf(request.flow(), queuing);
    if (queue.length >= queuing.lengthLimit) return this.#refuse(watcher, 'queue-full');
    return new Promise((resolve, reject) => {
      const sinceMs = this.#clock.monotonicMs();
      let timer: Timer | undefined;
      const one: Waiting = {
        queue,
        sinceMs,
        go: () => {
          timer?.cancel();
          forget();
          watcher.ends({ waitedMs: this.#clock.monotonicMs() - sinceMs });
          resolve();
        },
      };
      const leave = (rejected: Rejection): void => {
        const at = queue.indexOf(one);
        if (at < 0) return;
        queue.splice(at, 1);
        this.#waits(-1);
        timer?.cancel();
        forget();
        watcher.ends({ rejected, waitedMs: this.#clock.monotonicMs() - sinceMs });
        reject(tooMany());
      };
      const forget = request.onAbort(() => leave('cancelled'));
      timer = this.#clock.setTimer(() => leave('time-out'), longestWaitMs);
      queue.push(one);
      this.#waits(1);
      watcher.waits();
    });
  }

  leave(): void {
    this.executing--;
    if (this.waiting > 0) this.dispatch();
    if (!this.limits.exempt) this.#seats.freed();
  }

  /** Gives free seats to those who wait, one queue after the other. */
  dispatch(): void {
    while (this.waiting > 0 && (this.limits.exempt || this.#hasSeat())) {
      const count = this.#queues.length;
      for (let step = 0; step < count; step++) {
        const index = (this.#next + step) % count;
        const one = this.#queues[index]?.shift();
        if (one === undefined) continue;
        this.#next = index + 1;
        this.#waits(-1);
        this.executing++;
        one.go();
        break;
      }
    }
  }

  /** Those who wait go on, and it lends nothing more. */
  close(): void {
    this.limits = { ...this.limits, exempt: true };
    this.dispatch();
    this.#seats.delete(this);
  }

  #waits(by: number): void {
    this.waiting += by;
    this.#seats.waiting += by;
  }

  #hasSeat(): boolean {
    return this.executing < this.limits.nominal || this.#seats.canBorrow(this);
  }

  #refuse(watcher: SeatWatcher, rejected: Rejection): Promise<void> {
    watcher.ends({ rejected });
    return Promise.reject(tooMany());
  }

  #queueOf(hash: number, { queues, handSize }: NonNullable<LevelLimits['queuing']>): Waiting[] {
    while (this.#queues.length < queues) this.#queues.push([]);
    let best: Waiting[] | undefined;
    for (const index of dealHand(hash, queues, handSize)) {
      const queue = this.#queues[index] as Waiting[];
      if (best === undefined || queue.length < best.length) best = queue;
    }
    return best as Waiting[];
  }
}

const tooMany = (): Error => errTooManyRequests('Too many requests, please try again later.', 1);

/** `size` different numbers below `deck`, the same for the same hash. */
export function dealHand(hash: number, deck: number, size: number): number[] {
  const hand: number[] = [];
  let state = hash >>> 0;
  for (let left = deck; hand.length < Math.min(size, deck); left--) {
    // xorshift: any spread will do, as long as it is the same each time.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    let card = state % left;
    for (const taken of [...hand].sort((a, b) => a - b)) if (card >= taken) card++;
    hand.push(card);
  }
  return hand;
}

/** A number of 32 bits, never 0, of a flow's name (FNV-1a). */
export function flowHash(schema: string, distinguisher: string): number {
  let hash = 0x811c9dc5;
  for (const text of [schema, '\0', distinguisher])
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0 || 1;
}
