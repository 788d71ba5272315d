import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

/** Runs a program with `input` on stdin and returns its stdout; it ends with this process. */
export async function runChild(program: string, args: readonly string[], input = ''): Promise<string> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const output = await text(child.stdout);
  process.off('exit', kill);
  return output;
}

/** Runs a file of this folder in a process of its own: a request as JSON in, a result as JSON out. */
export async function runLoadFile<Result>(file: string, request: object): Promise<Result> {
  const path = new URL(`./${file}`, import.meta.url).pathname;
  const output = await runChild(process.execPath, [path], JSON.stringify(request));
  if (output === '') throw new Error(`${file} ended without a result`);
  return JSON.parse(output) as Result;
}
