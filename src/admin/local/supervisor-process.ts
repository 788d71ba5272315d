import { join } from 'node:path';
import type { ClusterLayout } from './layout.ts';
import { isAlive, readProcess, signal } from './processes.ts';

/** Where the one supervisor of a cluster is noted. */
export function supervisorPidFile(layout: ClusterLayout): string {
  return join(layout.runDir, 'supervisor.pid');
}

const leaveWithinMs = 2_000;
const lookEveryMs = 5;

/**
 * Ends the supervisor and nothing else: what it watched runs on, and what ends from now on stays ended. It leaves between two steps, so
 * that what it has just started is noted. False when none ran.
 */
export function leaveUnsupervised(layout: ClusterLayout): boolean {
  const record = readProcess(supervisorPidFile(layout));
  if (record === undefined) return false;
  signal(record.pid, 'SIGUSR2');
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; isAlive(record) && waitedMs < leaveWithinMs; waitedMs += lookEveryMs)
    Atomics.wait(pause, 0, 0, lookEveryMs);
  if (isAlive(record)) signal(record.pid, 'SIGKILL');
  return true;
}
