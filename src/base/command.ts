import { execFile } from 'node:child_process';
import { CodedError } from './errors.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Exit codes that are not an error; default [0]. */
  readonly okCodes?: readonly number[];
}

/**
 * Runs a program with arguments, never through a shell, with a time limit (default 30 s, then SIGKILL) and at most 16 MiB of
 * output. Throws CodedError `CommandFailed` with the program's last words, or `CommandMissing`.
 */
export function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const { input, timeoutMs = 30_000, env, cwd, signal, okCodes = [0] } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args],
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 16 << 20, env: { ...process.env, ...env }, cwd, signal },
      (error, stdout, stderr) => {
        const status: unknown = error === null ? 0 : error.code;
        if (typeof status === 'number' && okCodes.includes(status)) return resolve({ code: status, stdout, stderr });
        if (status === 'ENOENT') {
          return reject(
            new CodedError('CommandMissing', `${program} is not installed or not in PATH`, { cause: error }),
          );
        }
        const why =
          stderr.trim().split('\n').slice(-3).join(' ') ||
          (error?.killed ? `no answer within ${timeoutMs} ms` : error?.message);
        reject(new CodedError('CommandFailed', `${program} ${args.join(' ')}: ${why}`, { cause: error }));
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
  });
}
