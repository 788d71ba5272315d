import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Backoff } from './backoff.ts';
import { type Clock, sleep, systemClock } from './clock.ts';
import { CodedError, messageOf } from './errors.ts';
import type { Closable } from './lifecycle.ts';
import type { Log } from './log.ts';
import { isAlive, type ProcessRecord, processRecord, readProcess } from './process-record.ts';
import { makeDirectorySync } from './directories.ts';

/** A program that is to run for ever. */
export interface SupervisedProgram {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Both outputs are appended to it. */
  readonly logFile: string;
  /** Holds the number of its process; one that runs already is watched instead of started. */
  readonly pidFile: string;
  /** Files of control groups (`cgroup.procs`) that its process is put into. */
  readonly cgroupFiles?: readonly string[];
}

export interface SupervisorOptions {
  readonly programs: readonly SupervisedProgram[];
  readonly clock: Clock;
  readonly log: Log;
}

const restartDelay = { firstMs: 200, longestMs: 30_000 };
/** Who has run for so long is no longer failing: what kills it then is not itself. */
const soundAfterMs = 10_000;
const lookEveryMs = 500;
const stopGraceMs = 20_000;

/**
 * Starts programs and starts each again when it ends, after 0.2 s, 0.4 s … 30 s. Closing stops them, the last first: SIGTERM, then
 * SIGKILL after 20 s. A supervisor that is itself killed leaves them running, and the next one goes on watching them.
 */
export function startSupervisor(options: SupervisorOptions): Closable {
  const { programs, clock, log } = options;
  const ending = new AbortController();
  const processes = new Map<string, ProcessRecord>();
  const loops = programs.map((one) => keepRunning(one, { ...options, processes, signal: ending.signal }));
  let closing: Promise<void> | undefined;
  return {
    close() {
      closing ??= (async () => {
        ending.abort();
        await Promise.all(loops);
        for (const { pidFile, name } of programs.toReversed()) {
          const record = processes.get(name);
          if (record !== undefined) await stop(clock, record);
          rmSync(pidFile, { force: true });
          log.info({ program: name }, 'stopped');
        }
      })();
      return closing;
    },
  };
}

/**
 * Supervises until SIGTERM or SIGINT, known by `pidFile`; one at a time. SIGUSR2 ends it alone and leaves its programs running. Throws
 * CodedError `Supervised`.
 */
export async function superviseUntilSignal(options: {
  readonly programs: readonly SupervisedProgram[];
  readonly pidFile: string;
  readonly log: Log;
}): Promise<void> {
  const { programs, pidFile, log } = options;
  const other = readProcess(pidFile);
  if (other !== undefined && other.pid !== process.pid)
    throw new CodedError(
      'Supervised',
      `process ${other.pid} supervises this machine already: stop it first (kill ${other.pid})`,
    );
  makeDirectorySync(dirname(pidFile), 0o700);
  writeFileSync(pidFile, JSON.stringify(processRecord(process.pid)), { mode: 0o600 });
  const stop = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.resolve());
  // Leaves what it watches: heard between two steps, never between the start of a program and the note of its number.
  process.once('SIGUSR2', () => process.exit(0));
  const supervisor = startSupervisor({ programs, clock: systemClock, log });
  await stop.promise;
  await supervisor.close();
  rmSync(pidFile, { force: true });
}

interface Keeping extends SupervisorOptions {
  /** The last process of each program. */
  readonly processes: Map<string, ProcessRecord>;
  readonly signal: AbortSignal;
}

async function keepRunning(program: SupervisedProgram, options: Keeping): Promise<void> {
  const { clock, log, processes, signal } = options;
  const backoff = new Backoff(restartDelay);
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs();
    const adopted = readProcess(program.pidFile);
    if (adopted !== undefined) processes.set(program.name, adopted);
    const how =
      adopted === undefined
        ? await runOnce(program, options).catch((error) => messageOf(error))
        : await untilGone(adopted, clock, signal);
    if (signal.aborted) return;
    if (clock.monotonicMs() - startedMs > soundAfterMs) backoff.forget(program.name);
    const delayMs = backoff.next(program.name);
    log.warn({ program: program.name, how, delayMs }, 'a program has ended; it is started again');
    await sleep(clock, delayMs, signal).catch(() => {});
  }
}

/** Resolves with how the program ended, or when the signal aborts. */
function runOnce(program: SupervisedProgram, { processes, signal }: Keeping): Promise<string> {
  const { args, logFile, pidFile } = program;
  return new Promise((resolve) => {
    for (const file of [logFile, pidFile]) makeDirectorySync(dirname(file), 0o700);
    const output = openSync(logFile, 'a', 0o600);
    const child = spawn(program.program, [...args], { detached: true, stdio: ['ignore', output, output], cwd: '/' });
    closeSync(output);
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, name) => resolve(name === null ? `exit code ${code}` : `signal ${name}`));
    signal.addEventListener('abort', () => resolve('left'), { once: true });
    const record = child.pid === undefined ? undefined : processRecord(child.pid);
    if (record === undefined) return;
    processes.set(program.name, record);
    try {
      for (const file of program.cgroupFiles ?? []) writeFileSync(file, String(record.pid));
      writeFileSync(pidFile, JSON.stringify(record), { mode: 0o600 });
    } catch {}
  });
}

/** Someone else's child cannot be waited for: it is looked at. */
async function untilGone(record: ProcessRecord, clock: Clock, signal: AbortSignal): Promise<string> {
  while (!signal.aborted && isAlive(record)) await sleep(clock, lookEveryMs, signal).catch(() => {});
  return 'ended';
}

async function stop(clock: Clock, record: ProcessRecord): Promise<void> {
  const send = (name: NodeJS.Signals): void => {
    try {
      process.kill(record.pid, name);
    } catch {}
  };
  send('SIGTERM');
  const deadlineMs = clock.monotonicMs() + stopGraceMs;
  while (isAlive(record) && clock.monotonicMs() < deadlineMs) await sleep(clock, 20);
  if (isAlive(record)) send('SIGKILL');
  while (isAlive(record)) await sleep(clock, 5);
}
