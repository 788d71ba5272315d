import { readFileSync } from 'node:fs';

/** A background process, known by its number and start time, so that a number used again is not taken for it. */
export interface ProcessRecord {
  readonly pid: number;
  readonly startTicks: string;
}

/** What to note of a process that runs now; undefined when it is gone or a zombie. */
export function processRecord(pid: number): ProcessRecord | undefined {
  const ticks = startTicks(pid);
  return ticks === undefined ? undefined : { pid, startTicks: ticks };
}

/** The process that a file of `JSON.stringify(ProcessRecord)` names, while it runs. */
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

/** Field 22 of /proc/PID/stat, counted after the command's closing parenthesis. */
function startTicks(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
