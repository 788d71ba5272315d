import { eventLoopUtilization } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import type { Clock, Closable, Timer } from '#base';

export interface MemorySaverOptions {
  readonly clock: Clock;
  /** Default: this process. */
  readonly process?: SavingProcess;
}

/** What is looked at, and what is set. */
export interface SavingProcess {
  /** Share of the time since the last call in which the event loop was busy. */
  busy(): number;
  /** Bytes that the heap has of the system. */
  heapBytes(): number;
  save(on: boolean): void;
}

const lookEveryMs = 2000;
const quietBelow = 0.2;
const quietLooks = 3;
const savingLooks = 15;
const worthwhileBytes = 16 << 20;

/**
 * Gives memory back after work. V8 keeps what a burst of requests made it take, since a process that allocates little gives it no reason to
 * look: its memory reducer (incremental, in the background) waits for a sign that memory is worth more than time. It gets one, for half a minute,
 * when the event loop has been idle for some seconds and the heap has grown; it is taken back at once when there is work.
 */
export function startMemorySaver({ clock, process = thisProcess }: MemorySaverOptions): Closable {
  let timer: Timer | undefined;
  let quiet = 0;
  let saving = 0;
  let keptBytes = 0;

  const stop = (): void => {
    if (saving === 0) return;
    saving = 0;
    process.save(false);
    keptBytes = process.heapBytes();
  };
  const look = (): void => {
    // One busy look may be the collection itself.
    if (process.busy() < quietBelow) quiet = Math.max(quiet, 0) + 1;
    else quiet = saving > 0 && quiet > 0 ? 0 : -1;
    if (quiet < 0 || saving === 1) stop();
    else if (saving > 0) saving--;
    else if (quiet >= quietLooks && process.heapBytes() >= keptBytes + worthwhileBytes) {
      saving = savingLooks;
      process.save(true);
    }
    timer = clock.setTimer(look, lookEveryMs);
  };
  timer = clock.setTimer(look, lookEveryMs);
  return {
    async close() {
      timer?.cancel();
      stop();
    },
  };
}

let last = eventLoopUtilization();

const thisProcess: SavingProcess = {
  busy() {
    const now = eventLoopUtilization();
    const { utilization } = eventLoopUtilization(now, last);
    last = now;
    return utilization;
  },
  heapBytes: () => getHeapStatistics().total_heap_size,
  save: (on) => setFlagsFromString(on ? '--memory-saver-mode' : '--no-memory-saver-mode'),
};
