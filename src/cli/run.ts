import { CodedError, messageOf } from '#base';

/** Runs one command line and returns its exit code: 0 done, 1 failed (one line on stderr), 2 wrong usage. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    if (await ranWithoutParser(argv)) return 0;
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

/**
 * `server`, `agent`, `ingress` and `supervise`, each with `--config FILE`, as other commands start them: a parser of options would cost each of
 * them 15 ms. And `compile`, which the launcher says once in a new clone.
 */
async function ranWithoutParser(argv: readonly string[]): Promise<boolean> {
  const [verb, option, file, ...rest] = argv;
  if (verb === 'compile' && argv.length === 1) {
    await (await import('./compile.ts')).compile();
    return true;
  }
  if (option !== '--config' || file === undefined || file.startsWith('-') || rest.length > 0) return false;
  if (verb === 'supervise') {
    await (await import('./machine/supervise.ts')).supervise(file);
    return true;
  }
  if (verb !== 'server' && verb !== 'agent' && verb !== 'ingress') return false;
  const { runAgent, runIngress, runServer } = await import('#assembly');
  await (verb === 'server' ? runServer(file) : verb === 'agent' ? runAgent(file) : runIngress(file));
  return true;
}
