import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { commands } from './catalogue.ts';
import { helpStyle } from './help.ts';
import { version } from './version.ts';

/** Parses a command line and runs its verb; returns the exit code: 0 done, 2 wrong usage (told on stderr). */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const program = new Command('k8ts')
    .description('Kubernetes, written in TypeScript')
    .usage('<command> [options]')
    .version(version, '-v, --version')
    .showHelpAfterError('(k8ts --help lists all commands)')
    .configureHelp(helpStyle)
    .exitOverride();
  try {
    for (const one of commands) {
      const command = program.command(one.name).description(one.description);
      if (argv[0] === one.name || (argv[0] === 'help' && argv[1] === one.name)) (await one.load()).describe(command);
    }
    await program.parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error instanceof InvalidArgumentError) process.stderr.write(`error: ${error.message}\n`); // of an action: not told yet
    const fine = ['commander.helpDisplayed', 'commander.help', 'commander.version'].includes(error.code);
    return fine ? 0 : 2;
  }
}
