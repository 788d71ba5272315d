import { destination, type Logger as Pino, pino } from 'pino';

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

/** Opens the process's log on a file descriptor (2 = stderr) or a file. */
export function openLog(options: { level?: LogLevel; to?: number | string } = {}): Log {
  const { level = 'info', to = 2 } = options;
  const logger: Pino = pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    destination({ dest: to, sync: true }),
  );
  return logger;
}

const nothing = (): void => {};

/** Swallows everything: the default in tests. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => silentLog };
