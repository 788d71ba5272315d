import { type ChildProcess, spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { environmentVariable } from '#base';
import type { Credential } from '#pki';

/** Whether this machine has an etcd to test with; else why not. */
export function etcdMissing(): string | false {
  const folders = (environmentVariable('PATH') ?? '').split(delimiter);
  return folders.some(isEtcdIn) ? false : 'this machine has no etcd (Debian: apt-get install etcd-server)';
}

function isEtcdIn(folder: string): boolean {
  try {
    accessSync(join(folder, 'etcd'), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface TestEtcdOptions {
  /** Default 1. */
  readonly members?: number;
  /** With it, clients and members speak TLS only and show certificates. */
  readonly tls?: { readonly ca: string; readonly server: Credential };
  readonly quotaBytes?: number;
}

export interface TestEtcd {
  /** Client URLs, a member each. */
  readonly urls: readonly string[];
  /** Starts a member that was stopped; resolves when the process runs. */
  start(member: number): void;
  /** SIGKILL; resolves when it is gone. */
  kill(member: number): Promise<void>;
  /** SIGSTOP: a member that holds its connections and answers nothing. Resolves when all of it stands still. */
  pause(member: number): Promise<void>;
  /** SIGCONT. */
  resume(member: number): void;
  /** Ends all and removes their data. */
  dispose(): Promise<void>;
}

/** Starts a cluster of real etcd on loopback, with data in a directory of its own. It is there when its clients get answers. */
export async function startTestEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  const { members = 1, tls, quotaBytes } = options;
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-etcd-'));
  const ports = await freePorts(members * 2);
  const scheme = tls === undefined ? 'http' : 'https';
  const url = (index: number): string => `${scheme}://127.0.0.1:${ports[index]}`;
  if (tls !== undefined) {
    writeFileSync(join(dir, 'ca.crt'), tls.ca);
    writeFileSync(join(dir, 'server.crt'), tls.server.certificatePem);
    writeFileSync(join(dir, 'server.key'), tls.server.keyPem, { mode: 0o600 });
  }
  const peers = Array.from({ length: members }, (_, i) => `m${i}=${url(members + i)}`).join(',');
  const processes: (ChildProcess | undefined)[] = [];
  const start = (i: number): void => {
    const log = openSync(join(dir, `m${i}.log`), 'a');
    mkdirSync(join(dir, `m${i}`), { recursive: true, mode: 0o700 });
    const certificates = tls === undefined ? [] : tlsArguments(dir);
    const more = quotaBytes === undefined ? [] : [`--quota-backend-bytes=${quotaBytes}`];
    processes[i] = spawn(
      'etcd',
      [
        `--name=m${i}`,
        `--data-dir=${join(dir, `m${i}`)}`,
        `--listen-client-urls=${url(i)}`,
        `--advertise-client-urls=${url(i)}`,
        `--listen-peer-urls=${url(members + i)}`,
        `--initial-advertise-peer-urls=${url(members + i)}`,
        `--initial-cluster=${peers}`,
        '--heartbeat-interval=50',
        '--election-timeout=300',
        '--logger=zap',
        '--log-level=warn',
        ...certificates,
        ...more,
      ],
      { stdio: ['ignore', log, log] },
    );
  };
  const kill = async (i: number): Promise<void> => {
    const child = processes[i];
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
    child.kill('SIGKILL');
    await gone;
  };
  for (let i = 0; i < members; i++) start(i);
  return {
    urls: Array.from({ length: members }, (_, i) => url(i)),
    start,
    kill,
    async pause(i) {
      const child = processes[i];
      if (child?.pid === undefined || !child.kill('SIGSTOP')) return;
      while (!standsStill(child.pid)) await new Promise((resolve) => setImmediate(resolve));
    },
    resume: (i) => void processes[i]?.kill('SIGCONT'),
    async dispose() {
      await Promise.all(processes.map((_, i) => kill(i)));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** The signal is taken by one thread; until that one gets a processor the others go on. */
function standsStill(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((one) => /\) [Tt] /.test(readFileSync(`/proc/${pid}/task/${one}/stat`, 'utf8')));
}

function tlsArguments(dir: string): string[] {
  return ['', 'peer-'].flatMap((kind) => [
    `--${kind}cert-file=${join(dir, 'server.crt')}`,
    `--${kind}key-file=${join(dir, 'server.key')}`,
    `--${kind}trusted-ca-file=${join(dir, 'ca.crt')}`,
    `--${kind}client-cert-auth`,
  ]);
}

/** Ports that nobody listens on now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer();
      return new Promise<typeof server>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server));
      });
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
