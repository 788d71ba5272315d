import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Clock, CodedError, sleep } from '#base';

/** A background process, known by its number and start time, so that a number used again is not taken for it. */
export interface ProcessRecord {
  readonly pid: number;
  readonly startTicks: string;
}

/** Field 22 of /proc/PID/stat, counted after the command's closing parenthesis; undefined when the process is gone or a zombie. */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export interface SpawnOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly pidFile: string;
}

/** Starts a program that outlives this one, in a session of its own, with both outputs appended to `logFile`. */
export function spawnBackground(options: SpawnOptions): ProcessRecord {
  for (const file of [options.logFile, options.pidFile]) mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const log = openSync(options.logFile, 'a', 0o600);
  const child = spawn(options.program, [...options.args], { detached: true, stdio: ['ignore', log, log], cwd: '/' });
  closeSync(log);
  child.on('error', () => {});
  child.unref();
  if (child.pid === undefined)
    throw new CodedError('SpawnFailed', `${options.program} could not be started: is it installed?`);
  const record = { pid: child.pid, startTicks: startTicks(child.pid) ?? '' };
  writeFileSync(options.pidFile, JSON.stringify(record), { mode: 0o600 });
  return record;
}

export function readProcess(pidFile: string): ProcessRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(pidFile, 'utf8')) as ProcessRecord;
    return isAlive(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

export function isAlive(record: ProcessRecord): boolean {
  const ticks = startTicks(record.pid);
  return ticks !== undefined && (record.startTicks === '' || ticks === record.startTicks);
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
