import type { Clock, Timer } from '#base';

/** Has deadlines: asked about them once a second. */
export interface Watched {
  tick(nowMs: number): void;
}

const everyMs = 1_000;

/** One timer for all connections and requests: a deadline costs nothing to set, and is kept to a second. */
export class Ticker {
  /** Monotonic, as of the last tick or `touch`. */
  nowMs: number;
  readonly #clock: Clock;
  readonly #watched = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.nowMs = clock.monotonicMs();
  }

  add(one: Watched): void {
    if (this.#timer === undefined) {
      this.nowMs = this.#clock.monotonicMs();
      this.#arm();
    }
    this.#watched.add(one);
  }

  delete(one: Watched): void {
    this.#watched.delete(one);
  }

  close(): void {
    this.#watched.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#timer = undefined;
      this.nowMs = this.#clock.monotonicMs();
      for (const one of this.#watched) one.tick(this.nowMs);
      if (this.#watched.size > 0) this.#arm();
    }, everyMs);
  }
}
