import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildImages, type ImageDescription } from '#kubelet';
import { busyboxImage } from './images.ts';

const root = new URL('../..', import.meta.url).pathname;
const tools = join(root, '.cache', 'tools');

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why this machine cannot run real containers, or undefined when it can. */
export function whyNoContainers(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root to make namespaces and containers';
  if (!existsSync('/bin/busybox')) return 'needs busybox-static to make images';
  if (!existsSync(join(tools, 'kubectl-1.35'))) return 'needs the clients that scripts/fetch-test-tools.ts brings';
  return undefined;
}

export function run(
  program: string,
  args: readonly string[],
  options: { env?: object; input?: string; timeoutMs?: number; cwd?: string } = {},
): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args],
      {
        env: { ...process.env, ...options.env } as NodeJS.ProcessEnv,
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        timeout: options.timeoutMs ?? 120_000,
        maxBuffer: 64 << 20,
        killSignal: 'SIGKILL',
      },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr }),
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
  });
}

/** Tries until it returns something other than undefined or false, or fails with the last error after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  attempt: () => Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const endMs = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await attempt();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endMs) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** One cluster of `k8ts up` for a test file, in a folder of its own, with its clients. */
export class Machine {
  readonly folder = mkdtempSync(join(tmpdir(), 'k8ts-machine-'));
  readonly name: string;
  readonly env: Record<string, string>;
  readonly images: string;
  readonly #launcher: string;

  constructor(name: string, launcher = join(root, 'k8ts')) {
    this.name = `${name}-${process.pid}`;
    this.#launcher = launcher;
    this.images = join(this.folder, 'images.tar');
    this.env = { KUBECONFIG: join(this.folder, 'kubeconfig'), HOME: this.folder };
  }

  /** Loopback on, and the test images written: busybox, under two tags, and one whose command fails. */
  async prepare(more: readonly ImageDescription[] = []): Promise<void> {
    await run('ip', ['link', 'set', 'lo', 'up']);
    const images = [
      await busyboxImage('docker.io/library/busybox:1'),
      await busyboxImage('docker.io/library/busybox:2'),
      await busyboxImage('k8ts.test/web:1', { cmd: ['sh', '-c', webProgram('one')] }),
      await busyboxImage('k8ts.test/web:2', { cmd: ['sh', '-c', webProgram('two')] }),
      ...more,
    ];
    writeFileSync(this.images, buildImages(images));
  }

  k8ts(...args: string[]): Promise<Result> {
    return run(this.#launcher, args, { env: this.env, timeoutMs: 180_000 });
  }

  /** `up` with this machine's name and images, isolated; throws what it said when it fails. */
  async up(...args: string[]): Promise<Result> {
    const result = await this.k8ts('up', '--name', this.name, '--isolated', ...args);
    if (result.code !== 0) throw new Error(`k8ts up: ${result.stderr}`);
    return result;
  }

  kubectl(...args: string[]): Promise<Result> {
    return run(join(tools, 'kubectl-1.35'), args, { env: this.env });
  }

  oldKubectl(...args: string[]): Promise<Result> {
    return run(join(tools, 'kubectl-1.20'), args, { env: this.env });
  }

  helm(...args: string[]): Promise<Result> {
    return run(join(tools, 'helm'), args, { env: this.env });
  }

  /** kubectl that must succeed; returns what it printed. */
  async must(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.kubectl(...args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr || stdout}`);
    return stdout;
  }

  async apply(manifest: string): Promise<string> {
    const { code, stdout, stderr } = await run(join(tools, 'kubectl-1.35'), ['apply', '-f', '-'], {
      env: this.env,
      input: manifest,
    });
    if (code !== 0) throw new Error(`kubectl apply: ${stderr || stdout}`);
    return stdout;
  }

  async json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    return JSON.parse(await this.must('get', ...args, '-o', 'json')) as T;
  }

  /** A kubectl that goes on in the background (port-forward, logs -f): its output so far, and a way to end it. */
  background(...args: string[]): { output: () => string; stop: () => Promise<void> } {
    const child = spawn(join(tools, 'kubectl-1.35'), args, { env: { ...process.env, ...this.env } });
    let text = '';
    child.stdout.on('data', (piece) => {
      text += piece;
    });
    child.stderr.on('data', (piece) => {
      text += piece;
    });
    const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
    return {
      output: () => text,
      stop: async () => {
        child.kill('SIGTERM');
        await ended;
      },
    };
  }

  path(name: string): string {
    mkdirSync(this.folder, { recursive: true });
    return join(this.folder, name);
  }

  async remove(): Promise<Result> {
    const result = await this.k8ts('down', '--name', this.name, '--delete');
    rmSync(this.folder, { recursive: true, force: true });
    return result;
  }
}

/** A server that ends its answers before it dies, as one that loses no request must. */
function webProgram(answer: string): string {
  return `mkdir -p /www; echo "${answer} $(hostname)" > /www/index.html; trap 'kill $!; sleep 0.3; exit 0' TERM; httpd -f -p 8080 -h /www & wait`;
}
