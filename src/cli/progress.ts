import { type Clock, environmentVariable, systemClock } from '#base';

/** Says on stderr what a command does: each phase with its time; on a terminal the running phase is shown while it runs. */
export interface Progress {
  phase<T>(title: string, work: () => Promise<T>): Promise<T>;
  say(line: string): void;
}

export function openProgress(stream: NodeJS.WriteStream = process.stderr, clock: Clock = systemClock): Progress {
  const live = stream.isTTY === true && environmentVariable('NO_COLOR') === undefined;
  const colour = (code: number, text: string): string => (live ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    say: (line) => void stream.write(`  ${line}\n`),
    async phase(title, work) {
      const startMs = clock.monotonicMs();
      if (live) stream.write(`… ${title}`);
      const end = (mark: string): void => {
        const time = `${((clock.monotonicMs() - startMs) / 1000).toFixed(2)} s`;
        stream.write(`${live ? '\r\u001b[2K' : ''}${mark} ${title.padEnd(52)} ${colour(2, time)}\n`);
      };
      try {
        const result = await work();
        end(colour(32, '✓'));
        return result;
      } catch (error) {
        end(colour(31, '✗'));
        throw error;
      }
    },
  };
}
