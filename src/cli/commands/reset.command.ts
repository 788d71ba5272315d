import { createInterface } from 'node:readline/promises';
import { loadMachine } from '#admin';
import { CodedError, systemClock } from '#base';
import { defineCommand } from '../command.ts';
import { ownCommand } from '../local/programs.ts';
import { withRoot } from '../machine/options.ts';
import { openProgress } from '../progress.ts';

export const resetCommand = defineCommand('reset', (command) => {
  withRoot(command)
    .option('-f, --force', 'do not ask')
    .action(async (flags: { root: string; force?: boolean }) => {
      if (flags.force !== true) await confirm();
      const { resetMachine } = await loadMachine();
      const telling = openProgress();
      const { removePods } = await import('#assembly');
      const done = await resetMachine({ root: flags.root, ownCommand, clock: systemClock, telling, removePods });
      process.stdout.write(
        done
          ? 'What init or join had made on this machine is gone. Kubeconfigs that were copied from it are not.\n'
          : 'This machine is in no cluster: there is nothing to take away.\n',
      );
    });
});

async function confirm(): Promise<void> {
  if (!process.stdin.isTTY)
    throw new CodedError('WrongUsage', 'this removes the machine from its cluster, with its pods: say --force');
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question(
      'This removes the machine from its cluster, with its pods and their data. Go on? [y/N] ',
    );
    if (!/^y(es)?$/i.test(answer.trim())) throw new CodedError('Cancelled', 'nothing was changed');
  } finally {
    reader.close();
  }
}
