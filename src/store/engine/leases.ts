import type { Clock, Timer } from '#base';
import type { Lease } from '../contract.ts';
import { LeaseNotFound } from '../errors.ts';

interface LeaseState {
  readonly id: number;
  readonly ttlSeconds: number;
  readonly keys: Set<string>;
  timer: Timer | undefined;
}

const retryMs = 1000;

/** Which leases live, which keys hang on them, and when they expire. What is durable about them is in the journal. */
export class Leases {
  readonly #clock: Clock;
  readonly #end: (id: number) => Promise<void>;
  readonly #live = new Map<number, LeaseState>();
  #nextId = 1;

  /** `end` deletes a lease's keys and then the lease. */
  constructor(clock: Clock, end: (id: number) => Promise<void>) {
    this.#clock = clock;
    this.#end = end;
  }

  get live(): ReadonlyMap<number, unknown> {
    return this.#live;
  }

  newId(): number {
    return this.#nextId++;
  }

  /** An id that was met in the journal is never given again. */
  reserve(id: number): void {
    this.#nextId = Math.max(this.#nextId, id + 1);
  }

  /** Takes over a lease that is durable; its time begins now. */
  start(id: number, ttlSeconds: number): Lease {
    const state: LeaseState = { id, ttlSeconds, keys: new Set(), timer: undefined };
    this.#live.set(id, state);
    this.#arm(state, ttlSeconds * 1000);
    return {
      id: String(id),
      ttlSeconds,
      keepAlive: async () => {
        if (this.#live.get(id) !== state) throw new LeaseNotFound(String(id));
        this.#arm(state, ttlSeconds * 1000);
      },
      revoke: () => this.#end(id),
    };
  }

  keysOf(id: number): string[] {
    return [...(this.#live.get(id)?.keys ?? [])];
  }

  attach(id: number, key: string): void {
    this.#live.get(id)?.keys.add(key);
  }

  detach(id: number, key: string): void {
    this.#live.get(id)?.keys.delete(key);
  }

  /** The lease ended, its keys are gone. */
  forget(id: number): void {
    this.#live.get(id)?.timer?.cancel();
    this.#live.delete(id);
  }

  close(): void {
    for (const state of this.#live.values()) state.timer?.cancel();
  }

  #arm(state: LeaseState, delayMs: number): void {
    state.timer?.cancel();
    state.timer = this.#clock.setTimer(() => {
      this.#end(state.id).catch(() => {
        if (this.#live.get(state.id) === state) this.#arm(state, retryMs);
      });
    }, delayMs);
  }
}
