import { fileURLToPath } from 'node:url';

/**
 * V8's heap. A control plane makes much that soon dies: more room for the young (MiB) spares it collections. Its old generation may grow by
 * 40 % before it is collected: left to V8, what 10,000 pods left behind was as much again as what lives. A node is idle most of the time
 * and there may be many of them: room for the young is memory that never comes back.
 */
const heapFlags: Readonly<Record<string, readonly string[]>> = {
  server: ['--max-semi-space-size=16', '--heap-growing-percent=40'],
  agent: ['--max-semi-space-size=1'],
  supervise: ['--max-semi-space-size=1'],
};

/** The command line that runs another k8ts of this installation, without going through the launcher again. */
export function ownCommand(verb: string, ...args: string[]): { program: string; args: string[] } {
  return {
    program: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      ...(heapFlags[verb] ?? ['--max-semi-space-size=8']),
      fileURLToPath(new URL('../main.js', import.meta.url)),
      verb,
      ...args,
    ],
  };
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
