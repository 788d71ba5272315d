import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync, writeFileSync } from 'node:fs';
import type { HeapProfiler, Profiler } from 'node:inspector';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '#base';
import { kubeconfigOf, openClusterPki } from '#pki';
import { temporaryFolder } from './temporary-folder.ts';

const root = new URL('../..', import.meta.url).pathname;

export interface ServerProcess {
  readonly pid: number;
  readonly kubeconfig: string;
  readonly server: string;
  /** `performance.now()` of the moment before the process was made. */
  readonly startedMs: number;
  /** Only of an instrumented one: the delay of its event loop since the last question. */
  eventLoopDelay(): Promise<EventLoopDelay>;
  /** Only of an instrumented one: `process.memoryUsage()` in MiB, after a garbage collection when node has `--expose-gc`. */
  memoryUsage(): Promise<Readonly<Record<string, number>>>;
  /** Only of an instrumented one. */
  startProfile(): Promise<unknown>;
  stopProfile(): Promise<Profile>;
  /** Only of an instrumented one: what it allocates, garbage too. */
  startAllocations(): Promise<unknown>;
  stopAllocations(): Promise<Allocations>;
  stop(): Promise<void>;
}

export type Profile = Profiler.Profile;
export type Allocations = HeapProfiler.SamplingHeapProfile;

export interface EventLoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ServerProcessOptions {
  /** Default: an empty LMDB store. */
  readonly store?: 'lmdb' | 'memory';
  /** Node's flags, as `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
  /** Loads the server through a file that also watches the event loop. */
  readonly instrumented?: boolean;
}

/** As src/cli/local/programs.ts starts a server. */
const flagsOfUp = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=16', '--heap-growing-percent=40'];

/**
 * Makes a PKI and an empty store in a folder of its own and starts `k8ts server` on them, a process of its own that listens on
 * 127.0.0.1. Returns as soon as the process is made. The PKI is made before: it is the installer's work, as with every peer.
 */
export async function startServerProcess(options: ServerProcessOptions = {}): Promise<ServerProcess> {
  const { store = 'lmdb', nodeFlags = [], instrumented = false } = options;
  const folder = temporaryFolder('server');
  const port = await freePort();
  const pkiDir = join(folder, 'pki');
  const server = `https://127.0.0.1:${port}`;
  const pki = openClusterPki({
    dir: pkiDir,
    clock: systemClock,
    clusterDomain: 'cluster.local',
    apiServerAddresses: ['127.0.0.1', '10.96.0.1'],
  });
  const admin = pki.issue({ commonName: 'bench-admin', organizations: ['system:masters'], usages: ['client'] });
  const kubeconfig = join(folder, 'admin.conf');
  const credentials = { clientCert: admin.certificatePem, clientKey: admin.keyPem };
  writeFileSync(kubeconfig, kubeconfigOf({ server, ca: pki.ca.certificatePem, ...credentials }), { mode: 0o600 });
  const configuration = {
    clusterName: 'bench',
    pkiDir,
    store: store === 'memory' ? 'memory' : `lmdb:${join(folder, 'store')}`,
    listen: ['127.0.0.1'],
    port,
    advertiseAddress: '127.0.0.1',
    podCidr: '10.244.0.0/16',
    serviceCidr: '10.96.0.0/12',
    clusterDomain: 'cluster.local',
    clusterDns: '10.96.0.10',
    simulate: 0,
    adminKubeconfig: kubeconfig,
    version: '0.1.0',
  };
  const configFile = join(folder, 'server.json');
  writeFileSync(configFile, JSON.stringify(configuration), { mode: 0o600 });
  const logFile = join(folder, 'server.log');
  const log = openSync(logFile, 'w');
  const entry = instrumented
    ? [join(root, 'bench/target/instrumented-server.ts'), configFile]
    : [process.env.K8TS_BENCH_MAIN ?? join(root, 'src/cli/main.js'), 'server', '--config', configFile];
  const startedMs = performance.now();
  const child = spawn(process.execPath, [...flagsOfUp, ...nodeFlags, ...entry], {
    stdio: ['ignore', log, log, ...(instrumented ? ['ipc' as const] : [])],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.once('exit', (code) => {
    if (code !== 0 && code !== null) process.stderr.write(`the server ended with ${code}: ${lastLines(logFile)}\n`);
  });
  return {
    pid: child.pid as number,
    kubeconfig,
    server,
    startedMs,
    eventLoopDelay: () => ask<EventLoopDelay>(child, 'eventLoopDelay'),
    memoryUsage: () => ask<Record<string, number>>(child, 'memoryUsage'),
    startProfile: () => ask(child, 'startProfile'),
    stopProfile: () => ask<Profile>(child, 'stopProfile'),
    startAllocations: () => ask(child, 'startAllocations'),
    stopAllocations: () => ask<Allocations>(child, 'stopAllocations'),
    async stop() {
      child.kill('SIGTERM');
      const patience = setTimeout(kill, 10_000);
      await ended;
      clearTimeout(patience);
      process.off('exit', kill);
    },
  };
}

function ask<T>(child: ChildProcess, question: string): Promise<T> {
  return new Promise((resolve) => {
    child.once('message', (answer) => resolve(answer as T));
    child.send(question);
  });
}

function lastLines(file: string): string {
  return readFileSync(file, 'utf8').trim().split('\n').slice(-5).join('\n');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
