import { readFileSync } from 'node:fs';
import { CodedError, messageOf, openLog, type SupervisedProgram, superviseUntilSignal } from '#base';

/** Runs the programs that a file names, until a signal: the parent of a machine's components, a small process. */
export async function supervise(file: string): Promise<void> {
  const { programs, pidFile } = read(file);
  await superviseUntilSignal({ programs, pidFile, log: openLog() });
}

function read(file: string): { readonly programs: readonly SupervisedProgram[]; readonly pidFile: string } {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CodedError('ConfigurationUnreadable', `${file} cannot be read as JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
