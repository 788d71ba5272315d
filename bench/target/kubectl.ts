import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const tools = new URL('../../.cache/tools', import.meta.url).pathname;

/** The kubectl that scripts/fetch-test-tools.ts brings, else the machine's own; undefined: none. */
export function findKubectl(): string | undefined {
  const folders = (process.env.PATH ?? '').split(':');
  return [join(tools, 'kubectl-1.35'), ...folders.map((folder) => join(folder, 'kubectl'))].find((file) =>
    existsSync(file),
  );
}

export type Run = (...args: readonly string[]) => Promise<string>;

/** Runs a program and returns what it printed; throws with its last words when it fails. */
export function runner(program: string, options: { env?: Readonly<Record<string, string>>; input?: string } = {}): Run {
  return async (...args) => {
    const child = spawn(program, args, { env: { ...process.env, ...options.env } });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    const [output, errors, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve, reject) => child.once('close', resolve).once('error', reject)),
    ]);
    if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${errors.trim().slice(-500)}`);
    return output;
  };
}
