const firstMs = 10_000;
const longestMs = 300_000;

interface Entry {
  delayMs: number;
  updatedMs: number;
}

/**
 * How long a container that ended waits before it is started again. The first restart is immediate; each further one waits
 * 10 s, 20 s … 300 s after the end of the last run. A run that outlasts twice the longest wait starts anew.
 */
export class RestartBackoff {
  readonly #entries = new Map<string, Entry>();

  /** The delay now in force for a container that ended at `finishedAtMs`; 0 when it may start. */
  waitMs(name: string, finishedAtMs: number, nowMs: number): number {
    const entry = this.#entries.get(name);
    if (entry === undefined || finishedAtMs - entry.updatedMs > 2 * longestMs) return 0;
    return Math.max(0, finishedAtMs + entry.delayMs - nowMs);
  }

  /** The full delay in force, for messages: `back-off 40s restarting failed container`. */
  delayMs(name: string): number {
    return this.#entries.get(name)?.delayMs ?? 0;
  }

  /** Tells that the container is started again after it ended at `finishedAtMs`. */
  restarted(name: string, finishedAtMs: number, nowMs: number): void {
    const entry = this.#entries.get(name);
    if (entry === undefined || finishedAtMs - entry.updatedMs > 2 * longestMs) {
      this.#entries.set(name, { delayMs: firstMs, updatedMs: nowMs });
    } else {
      entry.delayMs = Math.min(longestMs, entry.delayMs * 2);
      entry.updatedMs = nowMs;
    }
  }
}
