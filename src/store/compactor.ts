import { type Clock, type Closable, type Log, messageOf, silentLog, type Timer } from '#base';
import type { RevisionTime, Store } from './contract.ts';

export interface CompactorOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log?: Log;
  /** How much history stays watchable; default 5 minutes. */
  readonly keepMs?: number;
  /** Of history older than 5 minutes, only what lies within so many of the newest revisions stays. Absent: no limit. */
  readonly keepRevisions?: number;
}

export interface Compactor extends Closable {
  /** Forgets nothing until the function that it returns is called, or ten minutes have passed. */
  hold(): () => void;
  /** When revisions were committed, as far as this process has seen: for a store that keeps no times itself. To ten seconds. */
  times(): RevisionTime[];
}

const longestLookMs = 10_000;
const longestHoldMs = 600_000;
const leastMs = 300_000;

interface Sample {
  /** Monotonic. */
  readonly atMs: number;
  /** What the clock said. */
  readonly timeMs: number;
  readonly revision: number;
}

/**
 * Forgets history older than `keepMs`, looking ten times in that while or more often, and all of it when the store is full. Age is
 * counted from when this process first saw a revision: setting the clock forgets nothing. A failure is logged and tried again.
 */
export function startCompactor(options: CompactorOptions): Compactor {
  const { store, clock, log = silentLog, keepMs = leastMs, keepRevisions = Number.POSITIVE_INFINITY } = options;
  const everyMs = Math.min(longestLookMs, Math.max(1, keepMs / 10));
  const holds = new Set<{ readonly untilMs: number }>();
  let seen: Sample[] = [];
  let timer: Timer | undefined;
  let closed = false;
  let running: Promise<void> = Promise.resolve();

  const isHeld = (): boolean => {
    for (const hold of holds) if (hold.untilMs <= clock.monotonicMs()) holds.delete(hold);
    return holds.size > 0;
  };
  const look = async (): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const newest = store.revision();
    if (seen.at(-1)?.revision !== newest) seen.push({ atMs: nowMs, timeMs: clock.nowMs(), revision: newest });
    const full = store.isFull?.() === true;
    if (isHeld() && !full) return;
    const mayGo = ({ atMs, revision }: Sample): boolean =>
      atMs <= nowMs - keepMs || (atMs <= nowMs - leastMs && revision < newest - keepRevisions);
    const kept = seen.findIndex((one) => !mayGo(one));
    // A revision that is still the newest is as old as now.
    const old = kept < 0 ? seen.length - 1 : kept - 1;
    const target = full ? newest : seen[old]?.revision;
    if (target === undefined) return;
    seen = seen.slice(old);
    if (target <= store.compactedRevision()) return;
    await store.compact(target);
    log.debug({ revision: target }, 'compacted');
  };
  const arm = (): void => {
    timer = clock.setTimer(() => {
      running = look()
        .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'compaction failed'))
        .then(() => {
          if (!closed) arm();
        });
    }, everyMs);
  };
  seen.push({ atMs: clock.monotonicMs(), timeMs: clock.nowMs(), revision: store.revision() });
  arm();
  return {
    hold() {
      const one = { untilMs: clock.monotonicMs() + longestHoldMs };
      holds.add(one);
      return () => void holds.delete(one);
    },
    times: () =>
      seen.map(({ timeMs, revision }, index) => {
        const before = seen[index - 1];
        return { revision: before === undefined ? revision : before.revision + 1, atMs: timeMs };
      }),
    close: async () => {
      closed = true;
      timer?.cancel();
      await running;
    },
  };
}
