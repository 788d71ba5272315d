import { type Clock, type Closable, type Log, messageOf, silentLog, type Timer } from '#base';
import type { Store } from './contract.ts';

export interface CompactorOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log?: Log;
  /** How much history stays watchable; default 5 minutes. */
  readonly keepMs?: number;
}

const longestLookMs = 10_000;

/**
 * Forgets history older than `keepMs`, looking ten times in that while or more often, and all of it when the store is full. A
 * failure is logged and tried again.
 */
export function startCompactor(options: CompactorOptions): Closable {
  const { store, clock, log = silentLog, keepMs = 300_000 } = options;
  const everyMs = Math.min(longestLookMs, Math.max(1, keepMs / 10));
  const seen: { readonly atMs: number; readonly revision: number }[] = [];
  let timer: Timer | undefined;
  let closed = false;
  let running: Promise<void> = Promise.resolve();

  const look = async (): Promise<void> => {
    const nowMs = clock.monotonicMs();
    seen.push({ atMs: nowMs, revision: store.revision() });
    let target: number | undefined;
    while (seen.length > 0 && (seen[0] as { atMs: number }).atMs <= nowMs - keepMs) target = seen.shift()?.revision;
    if (store.isFull?.() === true) target = store.revision();
    if (target === undefined || target <= store.compactedRevision()) return;
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
  seen.push({ atMs: clock.monotonicMs(), revision: store.revision() });
  arm();
  return {
    close: async () => {
      closed = true;
      timer?.cancel();
      await running;
    },
  };
}
