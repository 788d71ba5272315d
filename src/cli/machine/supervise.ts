import { readFileSync } from 'node:fs';
import { openLog, type SupervisedProgram, superviseUntilSignal } from '#base';

/** Runs the programs that a file names, until a signal: the parent of a machine's components, a small process. */
export async function supervise(file: string): Promise<void> {
  const { programs, pidFile } = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly programs: readonly SupervisedProgram[];
    readonly pidFile: string;
  };
  await superviseUntilSignal({ programs, pidFile, log: openLog() });
}
