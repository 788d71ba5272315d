import { openSync, writeSync } from 'node:fs';

/** Structured log: one line of JSON an event. Never pass a token, key, Secret value or request body. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** The same log with `fields` on every line: `log.child({ component: 'scheduler' })`. */
  child(fields: object): Log;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Numbers as Bunyan and pino write them, which their viewers know. */
const rank: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50, silent: Infinity };

/** Opens the process's log on a file descriptor (2 = stderr) or a file, to which it appends. Each line is written before the call returns. */
export function openLog(options: { level?: LogLevel; to?: number | string } = {}): Log {
  const { level = 'info', to = 2 } = options;
  const fd = typeof to === 'number' ? to : openSync(to, 'a');
  return logTo((line) => writeWhole(fd, line), rank[level], '');
}

function logTo(write: (line: string) => void, least: number, bound: string): Log {
  const at = (level: LogLevel): Log['info'] => {
    const own = rank[level];
    if (own < least) return nothing;
    return (fields, message) =>
      write(
        `{"level":${own},"time":"${new Date().toISOString()}"${bound}${membersOf(fields)},"msg":${JSON.stringify(message)}}\n`,
      );
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => logTo(write, least, bound + membersOf(fields)),
  };
}

/** `,"name":value` for each field. What has no JSON form (a cycle, a bigint) must not break the caller: the line says so instead. */
function membersOf(fields: object): string {
  try {
    const text = JSON.stringify(fields);
    return text === '{}' ? '' : `,${text.slice(1, -1)}`;
  } catch (error) {
    return `,"unloggable":${JSON.stringify(String(error))}`;
  }
}

/** A pipe that is full takes the rest later; a reader that has gone away takes nothing more, and the process goes on. */
function writeWhole(fd: number, line: string): void {
  const bytes = Buffer.from(line);
  let written = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

const pause = new Int32Array(new SharedArrayBuffer(4));
const nothing = (): void => {};

/** Swallows everything: the default in tests. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silentLog };
