import { CodedError, messageOf } from '#base';

/** Codes of errors in what was typed. */
const wrongUsage: ReadonlySet<string> = new Set(['WrongUsage', 'UnknownStore']);

/** Runs one command line and returns its exit code: 0 done, 1 failed (one line on stderr), 2 wrong usage. */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    if (await ranWithoutParser(argv)) return 0;
    const { runProgram } = await import('./program.ts');
    return await runProgram(argv);
  } catch (error) {
    process.stderr.write(`k8ts: ${failureText(error)}\n`);
    return error instanceof CodedError && wrongUsage.has(error.code) ? 2 : 1;
  }
}

/** One line for what was to be expected (also refusals of the system: no space, no right, no such folder); a trace for a bug. */
export function failureText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof CodedError || 'status' in error) return messageOf(error);
  if (!('syscall' in error) || !('code' in error)) return error.stack ?? error.message;
  const hint = Object.hasOwn(systemHints, String(error.code)) ? `: ${systemHints[String(error.code)]}` : '';
  return `${error.message}${hint}`;
}

const systemHints: Readonly<Record<string, string>> = {
  EACCES: 'run it as the user who owns that, or with sudo',
  EPERM: 'run it with sudo',
  EROFS: 'the file system is read-only; name another place',
  ENOSPC: 'the disk is full; make room (df -h) and say it again',
  EDQUOT: 'the quota is used up; make room and say it again',
  EMFILE: 'too many files are open (ulimit -n)',
  ENOENT: 'make it, name another place, or look whether its file system can be written',
};

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
