import { openSync, closeSync, rmSync, writeSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, makeDirectorySync } from '#base';

/**
 * Runs `work` while no other command works on the same cluster. The lock is a file that names its holder; one whose holder is gone
 * is taken over.
 */
export async function withClusterLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  makeDirectorySync(dirname(file), 0o700);
  take(file, true);
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function take(file: string, mayTakeOver: boolean): void {
  try {
    const handle = openSync(file, 'wx', 0o600);
    writeSync(handle, String(process.pid));
    closeSync(handle);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const holder = Number(readFileSync(file, 'utf8'));
    if (!isRunning(holder) && mayTakeOver) {
      rmSync(file, { force: true });
      return take(file, false);
    }
    throw new CodedError(
      'ClusterBusy',
      `another k8ts command (process ${holder}) is working on this cluster: wait for it to end, then run this again`,
    );
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
