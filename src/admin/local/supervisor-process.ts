import { join } from 'node:path';
import type { ClusterLayout } from './layout.ts';
import { readProcess, signal } from './processes.ts';

/** Where the one supervisor of a cluster is noted. */
export function supervisorPidFile(layout: ClusterLayout): string {
  return join(layout.runDir, 'supervisor.pid');
}

/** Ends the supervisor and nothing else: what it watched runs on, and what ends from now on stays ended. False when none ran. */
export function leaveUnsupervised(layout: ClusterLayout): boolean {
  const record = readProcess(supervisorPidFile(layout));
  if (record !== undefined) signal(record.pid, 'SIGKILL');
  return record !== undefined;
}
