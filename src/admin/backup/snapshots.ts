import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, type Closable, type Log, messageOf, type Random, type Timer, makeDirectorySync } from '#base';
import { partEnding } from './backup-file.ts';

/** A snapshot by its file. */
export interface Snapshot {
  readonly name: string;
  readonly path: string;
  readonly takenAtMs: number;
  readonly bytes: number;
}

const nameForm = /^(\d{4}-\d{2}-\d{2}T\d{2})-(\d{2})-(\d{2})\.(\d{3})Z\.k8ts-backup$/;
/** A schedule that begins late is not made to wait for its whole interval; others start first. */
const firstDelayMs = 10_000;
const abandonedMs = 3_600_000;

/** `2026-11-23T02-40-00.123Z.k8ts-backup`: the names sort by time. */
export function snapshotName(nowMs: number): string {
  return `${new Date(nowMs).toISOString().replaceAll(':', '-')}.k8ts-backup`;
}

/** The snapshots in a folder, oldest first; other files are not looked at. */
export function listSnapshots(dir: string): Snapshot[] {
  let names: string[] = [];
  try {
    names = readdirSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return names.sort().flatMap((name) => {
    const match = nameForm.exec(name);
    const path = join(dir, name);
    const stat = match === null ? undefined : statSync(path, { throwIfNoEntry: false });
    if (match === null || stat === undefined) return [];
    const takenAtMs = Date.parse(`${match[1]}:${match[2]}:${match[3]}.${match[4]}Z`);
    return [{ name, path, takenAtMs, bytes: stat.size }];
  });
}

/** Which of the snapshots, oldest first, go when `keep` stay: the oldest, never the one just taken, whatever its time says. */
export function planRetention(snapshots: readonly Snapshot[], keep: number, justTaken: string): Snapshot[] {
  const others = snapshots.filter((one) => one.name !== justTaken);
  return others.slice(0, Math.max(0, others.length - (keep - 1)));
}

/** How long until the next is due: `everyMs` after the last one; a last one in the future (the clock was set) counts as taken now. */
export function planNextMs(
  last: Snapshot | undefined,
  options: { readonly everyMs: number; readonly nowMs: number },
): number {
  const { everyMs, nowMs } = options;
  if (last === undefined) return firstDelayMs;
  const sinceMs = Math.max(0, nowMs - last.takenAtMs);
  return Math.max(firstDelayMs, everyMs - sinceMs);
}

export interface SnapshotOptions {
  readonly dir: string;
  readonly everyMs: number;
  /** How many stay. */
  readonly keep: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Writes one backup. */
  readonly take: (file: string) => Promise<void>;
}

/** Takes a snapshot every so often and removes the oldest ones after each success. A failure is logged; the next comes in its time. */
export function startSnapshots(options: SnapshotOptions): Closable {
  const { dir, everyMs, keep, clock, log, take } = options;
  let timer: Timer | undefined;
  let closed = false;
  let running: Promise<void> = Promise.resolve();

  const takeOne = async (): Promise<void> => {
    makeDirectorySync(dir, 0o700);
    removeUnfinished(dir, clock.nowMs());
    const name = snapshotName(clock.nowMs());
    const path = join(dir, name);
    await take(path);
    for (const old of planRetention(listSnapshots(dir), keep, name)) rmSync(old.path, { force: true });
    log.info({ file: path }, 'a snapshot was taken');
  };
  const arm = (delayMs: number): void => {
    timer = clock.setTimer(() => {
      running = takeOne()
        .catch((error: unknown) => log.error({ error: messageOf(error) }, 'a snapshot failed; the others stay'))
        .then(() => {
          if (!closed) arm(everyMs);
        });
    }, delayMs);
  };
  let last: Snapshot | undefined;
  try {
    last = listSnapshots(dir).at(-1);
  } catch (error) {
    log.error({ error: messageOf(error) }, 'the folder of snapshots cannot be read');
  }
  arm(planNextMs(last, { everyMs, nowMs: clock.nowMs() }));
  return {
    async close() {
      closed = true;
      timer?.cancel();
      await running;
    },
  };
}

/** What a process that was killed left behind. */
function removeUnfinished(dir: string, nowMs: number): void {
  for (const name of readdirSync(dir)) {
    if (!name.endsWith(partEnding) || !name.includes('.k8ts-backup.')) continue;
    const path = join(dir, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat !== undefined && Math.abs(nowMs - stat.mtimeMs) > abandonedMs) rmSync(path, { force: true });
  }
}
