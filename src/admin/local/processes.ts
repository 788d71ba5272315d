import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type Clock,
  CodedError,
  isAlive,
  type ProcessRecord,
  processRecord,
  readProcess,
  sleep,
  makeDirectorySync,
} from '#base';

export { isAlive, type ProcessRecord, readProcess };

export interface SpawnOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly pidFile: string;
}

/** Starts a program that outlives this one, in a session of its own, with both outputs appended to `logFile`. */
export function spawnBackground(options: SpawnOptions): ProcessRecord {
  for (const file of [options.logFile, options.pidFile]) makeDirectorySync(dirname(file), 0o700);
  const log = openSync(options.logFile, 'a', 0o600);
  const child = spawn(options.program, [...options.args], { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  child.on('error', () => {});
  child.unref();
  if (child.pid === undefined)
    throw new CodedError('SpawnFailed', `${options.program} could not be started: is it installed?`);
  const record = processRecord(child.pid) ?? { pid: child.pid, startTicks: '' };
  writeFileSync(options.pidFile, JSON.stringify(record), { mode: 0o600 });
  return record;
}

/** Resident memory in bytes (VmRSS), 0 when gone. */
export function residentBytes(pid: number): number {
  try {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return line ? Number(line[1]) * 1024 : 0;
  } catch {
    return 0;
  }
}

/** SIGTERM, then SIGKILL after `graceMs`; resolves when the process is gone. */
export async function stopProcess(clock: Clock, pidFile: string, graceMs = 10_000): Promise<void> {
  const record = readProcess(pidFile);
  if (record !== undefined) {
    signal(record.pid, 'SIGTERM');
    const deadlineMs = clock.monotonicMs() + graceMs;
    while (isAlive(record) && clock.monotonicMs() < deadlineMs) await sleep(clock, 20);
    if (isAlive(record)) signal(record.pid, 'SIGKILL');
    while (isAlive(record)) await sleep(clock, 5);
  }
  rmSync(pidFile, { force: true });
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
