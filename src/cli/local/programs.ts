import { fileURLToPath } from 'node:url';

/** The command line that runs another k8ts of this installation, without going through the launcher again. */
export function ownCommand(...args: string[]): { program: string; args: string[] } {
  return {
    program: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      '--max-semi-space-size=8',
      fileURLToPath(new URL('../main.js', import.meta.url)),
      ...args,
    ],
  };
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
