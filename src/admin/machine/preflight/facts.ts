import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { environmentVariable, messageOf, runCommand, systemClock } from '#base';
import { missingPrerequisites } from '../../local/prerequisites.ts';
import { routesOf } from '../addresses.ts';
import type { MachineLayout } from '../layout.ts';

/** What was found on this machine; the checks judge it without looking again. */
export interface MachineFacts {
  readonly isRoot: boolean;
  readonly processors: number;
  readonly memoryBytes: number;
  readonly hasSwap: boolean;
  readonly hostName: string;
  readonly kernel: string;
  /** Ports of those asked for that something else listens on, with why. */
  readonly takenPorts: readonly number[];
  /** What cannot be loaded and is not built in. */
  readonly missingFeatures: readonly string[];
  /** Contents of /proc/sys files; undefined when there is none. */
  readonly sysctls: Readonly<Record<string, string | undefined>>;
  readonly writableSysctls: boolean;
  readonly cgroups: { readonly version: 0 | 1 | 2; readonly controllers: readonly string[] };
  /** Words of `containerd --version` and `runc --version`; undefined when they do not run. */
  readonly containerd?: string;
  readonly runc?: string;
  readonly missingPackages: readonly { readonly name: string; readonly package: string }[];
  /** Why the socket given by `--cri-socket` cannot be used. */
  readonly criTrouble?: string;
  /** Who that runtime lets manage control groups; absent when its settings are not where Debian has them. */
  readonly criDriver?: 'systemd' | 'cgroupfs';
  /** Files and non-empty folders of an earlier cluster; `place` is the path without `--root`. */
  readonly leftovers: readonly { readonly path: string; readonly place: string }[];
  readonly nowMs: number;
  readonly clockSynchronised?: boolean;
  readonly routes: readonly { readonly destination: string; readonly link: string }[];
  readonly proxies: readonly string[];
  readonly hasFirewalld: boolean;
}

export interface FactsOptions {
  readonly layout: MachineLayout;
  readonly ports: readonly number[];
  /** Files and folders that must not be there yet (folders: not with anything in them); the first that is there is told. */
  readonly absent: readonly string[];
  readonly criSocket?: string;
  readonly nodeName: string;
}

const kernelFeatures: Readonly<Record<string, () => Promise<boolean>>> = {
  overlay: async () => {
    if (/\boverlay\b/.test(readFileSync('/proc/filesystems', 'utf8'))) return true;
    return loads('overlay');
  },
  veth: () => works('ip', 'link', 'add', 'k8tsprobe', 'type', 'veth', 'peer', 'name', 'k8tsother'),
  nf_tables: () =>
    works('nft', 'add table ip k8tsprobe; add chain ip k8tsprobe c { type nat hook prerouting priority 0; }'),
};

/** Tries something in a network namespace that is thrown away. */
async function works(program: string, ...args: string[]): Promise<boolean> {
  return runCommand('unshare', ['--net', program, ...args]).then(
    () => true,
    () => false,
  );
}

async function loads(module: string): Promise<boolean> {
  return runCommand('modprobe', [module]).then(
    () => true,
    () => false,
  );
}

export async function readMachineFacts(options: FactsOptions): Promise<MachineFacts> {
  const { layout, ports, absent, criSocket } = options;
  const isRoot = process.getuid?.() === 0;
  const missingPackages = missingPrerequisites().filter(
    (one) => criSocket === undefined || !['containerd', 'runc'].includes(one.name),
  );
  const [taken, features, routes, containerd, runc, foreign, clockSynchronised] = await Promise.all([
    Promise.all(ports.map(async (port) => ((await canListen(port)) ? [] : [port]))),
    Promise.all(Object.entries(kernelFeatures).map(async ([name, has]) => (!isRoot || (await has()) ? [] : [name]))),
    routesOf().catch(() => []),
    criSocket === undefined ? firstLine('containerd', '--version') : undefined,
    firstLine('runc', '--version'),
    criSocket === undefined ? undefined : readForeignRuntime(criSocket),
    isSynchronised(),
  ]);
  return {
    isRoot,
    processors: availableParallelism(),
    memoryBytes: totalmem(),
    hasSwap: readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1,
    hostName: options.nodeName,
    kernel: readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim(),
    takenPorts: taken.flat(),
    missingFeatures: features.flat(),
    sysctls: Object.fromEntries(
      ['net/ipv4/ip_forward', 'net/bridge/bridge-nf-call-iptables'].map((name) => [name, readSysctl(name)]),
    ),
    writableSysctls: isWritable('/proc/sys/net/ipv4/ip_forward'),
    cgroups: readCgroups(),
    ...(containerd === undefined ? {} : { containerd }),
    ...foreign,
    ...(runc === undefined ? {} : { runc }),
    missingPackages,
    leftovers: absent
      .filter(isThere)
      .slice(0, 1)
      .map((path) => ({ path, place: layout.root === '/' ? path : path.slice(layout.root.length) })),
    nowMs: systemClock.nowMs(),
    ...(clockSynchronised === undefined ? {} : { clockSynchronised }),
    routes,
    proxies: ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].filter(
      (name) => environmentVariable(name) !== undefined,
    ),
    hasFirewalld: layout.root === '/' && existsSync('/run/firewalld'),
  };
}

function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(join('/proc/sys', name), 'utf8').trim();
  } catch {
    return undefined;
  }
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function isThere(path: string): boolean {
  try {
    return readdirSync(path).length > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR';
  }
}

function readCgroups(): MachineFacts['cgroups'] {
  const mountPoint = '/sys/fs/cgroup';
  try {
    const list = readFileSync(join(mountPoint, 'cgroup.controllers'), 'utf8').trim();
    return { version: 2, controllers: list.split(/\s+/) };
  } catch {}
  try {
    const controllers = readdirSync(mountPoint).filter((one) => existsSync(join(mountPoint, one, 'cgroup.procs')));
    return { version: controllers.length > 0 ? 1 : 0, controllers: controllers.flatMap((one) => one.split(',')) };
  } catch {
    return { version: 0, controllers: [] };
  }
}

async function firstLine(program: string, ...args: string[]): Promise<string | undefined> {
  try {
    return (await runCommand(program, args, { timeoutMs: 5_000 })).stdout.split('\n')[0];
  } catch {
    return undefined;
  }
}

/** A containerd that runs already: its version, or why it cannot be used; and its driver of control groups. */
async function readForeignRuntime(
  socket: string,
): Promise<Pick<MachineFacts, 'containerd' | 'criTrouble' | 'criDriver'>> {
  const driver = socket === '/run/containerd/containerd.sock' ? await cgroupDriver() : {};
  try {
    const { stdout } = await runCommand('ctr', ['--address', socket, '--connect-timeout', '3s', 'version'], {
      timeoutMs: 8_000,
    });
    const version = /Server:\s+Version:\s+(\S+)/.exec(stdout)?.[1] ?? '';
    return { containerd: `containerd ${version}`, ...driver };
  } catch (error) {
    return { criTrouble: messageOf(error), ...driver };
  }
}

async function cgroupDriver(): Promise<Pick<MachineFacts, 'criDriver'>> {
  try {
    const { stdout } = await runCommand('containerd', ['config', 'dump'], { timeoutMs: 5_000 });
    return { criDriver: /^\s*SystemdCgroup = true$/m.test(stdout) ? 'systemd' : 'cgroupfs' };
  } catch {
    return {};
  }
}

/** What the time service of the machine says; undefined without one that can be asked. */
async function isSynchronised(): Promise<boolean | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  try {
    const { stdout } = await runCommand('timedatectl', ['show', '--property=NTPSynchronized', '--value']);
    return stdout.trim() === 'yes';
  } catch {
    return undefined;
  }
}

export function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '0.0.0.0', () => probe.close(() => resolve(true)));
  });
}
