import { fileURLToPath } from 'node:url';

/**
 * The young generation of V8 in MiB. A control plane makes much that soon dies, and more room spares it collections; a node is idle most
 * of the time and there may be many of them: room for the young is memory that never comes back.
 */
const semiSpaceMib: Readonly<Record<string, number>> = { server: 8, agent: 1, supervise: 1 };

/** The command line that runs another k8ts of this installation, without going through the launcher again. */
export function ownCommand(verb: string, ...args: string[]): { program: string; args: string[] } {
  return {
    program: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      `--max-semi-space-size=${semiSpaceMib[verb] ?? 8}`,
      fileURLToPath(new URL('../main.js', import.meta.url)),
      verb,
      ...args,
    ],
  };
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
