import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../target/temporary-folder.ts';
import { runChild, runLoadFile } from './child.ts';

export interface LoadRequest {
  readonly server: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly connections: number;
  readonly streams: number;
  /** How long, or how many requests. */
  readonly seconds?: number;
  readonly requests?: number;
  /** HTTP/1.1, one request after the other on each connection: h2load only. */
  readonly http1?: boolean;
}

export interface LoadResult {
  readonly succeeded: number;
  readonly failed: number;
  readonly seconds: number;
  /** Received, headers included. */
  readonly bytes: number;
  readonly generator: string;
}

export function perSecond(result: LoadResult): number {
  return result.succeeded / result.seconds;
}

/** Puts load on one path with h2load (nghttp2) where that is installed, else with our own generator; always another process. */
export async function runLoad(request: LoadRequest): Promise<LoadResult> {
  const result = hasH2load() ? await withH2load(request) : await runLoadFile<LoadResult>('http2-load.ts', request);
  if (result.succeeded === 0)
    throw new Error(`${request.method} ${request.path}: none of ${result.failed} requests succeeded`);
  return result;
}

let found: boolean | undefined;
export function hasH2load(): boolean {
  found ??= process.env.K8TS_BENCH_GENERATOR !== 'own' && spawnSync('h2load', ['--version']).status === 0;
  return found;
}

async function withH2load(request: LoadRequest): Promise<LoadResult> {
  const { server, path, method, headers, body, connections, streams, seconds, requests } = request;
  const args = [`--clients=${connections}`, `--max-concurrent-streams=${streams}`, '--threads=1'];
  args.push('--window-bits=30', '--connection-window-bits=30');
  if (request.http1) args.push('--h1');
  if (seconds === undefined) args.push(`--requests=${requests}`);
  else args.push(`--duration=${seconds}`);
  for (const [name, value] of Object.entries({ ...headers, ':method': method })) args.push('-H', `${name}: ${value}`);
  if (body !== undefined) {
    const file = join(temporaryFolder('body'), 'body');
    writeFileSync(file, body);
    args.push(`--data=${file}`);
  }
  return parseH2load(await runChild('h2load', [...args, `${server}${path}`]));
}

/** The numbers in what h2load prints. Requests that its end cut off count as neither. */
function parseH2load(output: string): LoadResult {
  const finished = /finished in ([\d.]+)(us|ms|s|m)?, ([\d.]+) req\/s/.exec(output);
  const codes = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(output);
  const traffic = /traffic: .*?\((\d+)\) total/.exec(output);
  if (finished === null || codes === null || traffic === null) throw new Error(`h2load: ${output.slice(-500)}`);
  const unit = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[finished[2] ?? 's'] as number;
  const [, good = 0, ...bad] = codes.map(Number);
  return {
    succeeded: good,
    failed: bad.reduce((sum, one) => sum + one, 0),
    seconds: Number(finished[1]) * unit,
    bytes: Number(traffic[1]),
    generator: 'h2load',
  };
}
