import { CodedError, messageOf } from '#base';

/** Runs one command line and returns its exit code: 0 done, 1 failed (one line on stderr), 2 wrong usage. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    if (await runsForeground(argv)) return 0;
    const { runProgram } = await import('./program.ts');
    return await runProgram(argv);
  } catch (error) {
    const known = error instanceof CodedError || (error instanceof Error && 'status' in error);
    process.stderr.write(
      `k8ts: ${known ? messageOf(error) : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return error instanceof CodedError && error.code === 'WrongUsage' ? 2 : 1;
  }
}

/** `server --config FILE` and `agent --config FILE`, as `k8ts up` starts them, need no parser of options: it would cost each of them 15 ms. */
async function runsForeground([verb, option, file, ...rest]: readonly string[]): Promise<boolean> {
  if (option !== '--config' || file === undefined || file.startsWith('-') || rest.length > 0) return false;
  if (verb !== 'server' && verb !== 'agent') return false;
  const { runAgent, runServer } = await import('#assembly');
  await (verb === 'server' ? runServer(file) : runAgent(file));
  return true;
}
