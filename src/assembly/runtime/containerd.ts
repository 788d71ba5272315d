import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { readProcess, stopProcess } from '#admin';
import {
  type Clock,
  type Closable,
  CodedError,
  type Log,
  messageOf,
  runCommand,
  sleep,
  type Timer,
  makeDirectorySync,
} from '#base';
import { type ContainerdOptions, containerdConfiguration } from './containerd-configuration.ts';

export interface RuntimeOptions extends Omit<ContainerdOptions, 'restrictOomScore'> {
  readonly logFile: string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Runtime extends Closable {
  readonly socket: string;
  /** Imports an image archive (docker-save or OCI), unless `ifMissing` names an image that is there. */
  importImage(archive: string): Promise<string[]>;
}

const capSysResource = 24n;

function lacksSysResource(): boolean {
  const line = /CapEff:\s*([0-9a-f]+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  return line === null || ((BigInt(`0x${line[1]}`) >> capSysResource) & 1n) === 0n;
}

/**
 * Makes sure that this node's containerd runs and stays up. It runs apart from this process and outlives it, as do the containers:
 * a restarted agent finds it again by its pid file. Closing stops only the watch over it.
 */
export async function startContainerd(options: RuntimeOptions): Promise<Runtime> {
  const { clock, log, socket } = options;
  const pidFile = join(options.stateDir, 'containerd.pid');
  const configFile = join(options.stateDir, 'config.toml');
  for (const folder of [
    options.rootDir,
    options.stateDir,
    options.cniConfDir,
    options.certsDir,
    dirname(options.logFile),
  ]) {
    makeDirectorySync(folder, 0o711);
  }
  writeFileSync(configFile, containerdConfiguration({ ...options, restrictOomScore: lacksSysResource() }), {
    mode: 0o600,
  });

  const launch = (): void => {
    rmSync(socket, { force: true });
    const output = openSync(options.logFile, 'a', 0o600);
    const child = spawn('containerd', ['--config', configFile], {
      detached: true,
      stdio: ['ignore', output, output],
      cwd: '/',
    });
    closeSync(output);
    child.on('error', (error) => log.error({ error: error.message }, 'containerd could not be started'));
    child.unref();
    if (child.pid !== undefined) {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
      const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
      writeFileSync(pidFile, JSON.stringify({ pid: child.pid, startTicks }), { mode: 0o600 });
    }
  };
  let closed = false;
  let timer: Timer | undefined;
  const watch = (): void => {
    if (closed) return;
    if (readProcess(pidFile) === undefined) {
      log.warn({}, 'containerd is gone; it is started again');
      launch();
    }
    timer = clock.setTimer(watch, 1_000);
  };

  if (readProcess(pidFile) === undefined) launch();
  await untilListening(options, pidFile);
  watch();
  return {
    socket,
    async importImage(archive) {
      const { stdout } = await runCommand(
        'ctr',
        ['--address', socket, '--namespace', 'k8s.io', 'images', 'import', '--all-platforms', archive],
        {
          timeoutMs: 600_000,
        },
      );
      return stdout.split('\n').flatMap((line) => /^unpacking (\S+)/.exec(line)?.[1] ?? []);
    },
    async close() {
      closed = true;
      timer?.cancel();
    },
  };
}

async function untilListening(options: RuntimeOptions, pidFile: string): Promise<void> {
  const { clock, socket } = options;
  const deadlineMs = clock.monotonicMs() + 30_000;
  while (clock.monotonicMs() < deadlineMs) {
    if (existsSync(socket) && (await canConnect(socket))) return;
    if (readProcess(pidFile) === undefined) break;
    await sleep(clock, 10);
  }
  let words = '';
  try {
    words = readFileSync(options.logFile, 'utf8').trim().split('\n').at(-1) ?? '';
  } catch (error) {
    words = messageOf(error);
  }
  await stopProcess(clock, pidFile, 1_000);
  throw new CodedError(
    'RuntimeDown',
    `containerd does not answer on ${socket}; its log ${options.logFile} ends with: ${words.slice(0, 400)}`,
  );
}

function canConnect(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
