import { readFileSync } from 'node:fs';
import { type Clock, CodedError, messageOf, sleep } from '#base';

/** Asks until the answer is yes. Past the time, an error that shows the last failure and the end of the log. */
export async function waitFor(options: {
  readonly what: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly logFile?: string;
  readonly advice: string;
  readonly ask: () => Promise<boolean>;
}): Promise<void> {
  const { what, clock, timeoutMs, logFile, advice, ask } = options;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      if (await ask()) return;
    } catch (error) {
      last = error;
    }
    if (clock.monotonicMs() > deadlineMs) {
      const why = last === undefined ? '' : ` (${messageOf(last)})`;
      const log = logFile === undefined ? '' : ` ${lastWords(logFile)}`;
      throw new CodedError(
        'NotReadyInTime',
        `${what}: not within ${Math.round(timeoutMs / 1000)} s${why}.${log} ${advice}`,
      );
    }
    await sleep(clock, 25);
  }
}

function lastWords(logFile: string): string {
  try {
    const line = readFileSync(logFile, 'utf8').trim().split('\n').at(-1) ?? '';
    return `The log ${logFile} ends with: ${line.slice(0, 500)}.`;
  } catch {
    return `There is no log ${logFile}.`;
  }
}
