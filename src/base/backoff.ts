/** Exponential delays: `first`, doubled (by `factor`) at each failure, never above `longest`; back to first on reset. */
export interface BackoffOptions {
  readonly firstMs: number;
  readonly longestMs: number;
  readonly factor?: number;
}

export function backoffDelayMs(options: BackoffOptions, failures: number): number {
  const { firstMs, longestMs, factor = 2 } = options;
  return Math.min(longestMs, firstMs * factor ** Math.max(0, failures - 1));
}

/** Failures counted by key; forgets a key when told. Worked example, 10 s…300 s: next('a') 10 s, 20 s, 40 s … 300 s. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #failures = new Map<string, number>();

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  next(key: string): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    return backoffDelayMs(this.#options, failures);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }
}
