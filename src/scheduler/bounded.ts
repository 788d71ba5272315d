/** Runs tasks, at most `limit` at a time, in the order they were given. */
export class Bounded {
  readonly #limit: number;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;
  #resolveIdle: (() => void)[] = [];
  #resolveRoom: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#running + this.#waiting.length;
  }

  /** The task must not reject. */
  run(task: () => Promise<void>): void {
    this.#waiting.push(task);
    this.#next();
  }

  /** Resolves when a task given now would start at once. */
  room(): Promise<void> {
    if (this.size < this.#limit) return Promise.resolve();
    return new Promise((resolve) => void this.#resolveRoom.push(resolve));
  }

  idle(): Promise<void> {
    if (this.size === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#resolveIdle.push(resolve));
  }

  #next(): void {
    while (this.#running < this.#limit) {
      const task = this.#waiting.shift();
      if (task === undefined) break;
      this.#running++;
      void task().finally(() => {
        this.#running--;
        this.#next();
        if (this.size < this.#limit) this.#release('room');
        if (this.size === 0) this.#release('idle');
      });
    }
  }

  #release(which: 'room' | 'idle'): void {
    const waiting = which === 'room' ? this.#resolveRoom : this.#resolveIdle;
    if (waiting.length === 0) return;
    if (which === 'room') this.#resolveRoom = [];
    else this.#resolveIdle = [];
    for (const resolve of waiting) resolve();
  }
}
