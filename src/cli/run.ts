import { Command, CommanderError } from 'commander';
import { CodedError, messageOf } from '#base';
import { commands } from './catalogue.ts';
import { version } from './version.ts';

/** Runs one command line and returns its exit code: 0 done, 1 failed (one line on stderr), 2 wrong usage. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const program = new Command('k8ts')
    .description('Kubernetes, written in TypeScript')
    .version(version, '-v, --version')
    .showHelpAfterError('(k8ts --help lists all commands)')
    .configureHelp({ helpWidth: 80 })
    .exitOverride();
  try {
    for (const one of commands) {
      const command = program.command(one.name).description(one.description);
      if (argv[0] === one.name || (argv[0] === 'help' && argv[1] === one.name)) (await one.load()).describe(command);
    }
    await program.parseAsync([...argv], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) {
      const fine = ['commander.helpDisplayed', 'commander.help', 'commander.version'].includes(error.code);
      return fine ? 0 : 2;
    }
    const known = error instanceof CodedError || (error instanceof Error && 'status' in error);
    process.stderr.write(
      `k8ts: ${known ? messageOf(error) : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return error instanceof CodedError && error.code === 'WrongUsage' ? 2 : 1;
  }
}
