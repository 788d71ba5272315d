import { readFile, statfs } from 'node:fs/promises';
import { availableParallelism, release } from 'node:os';
import type { NodeSystemInfo } from '#api';

export interface MachineFacts {
  readonly capacity: Readonly<Record<string, string>>;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly memoryBytes: number;
  readonly info: Omit<NodeSystemInfo, 'containerRuntimeVersion' | 'kubeletVersion'>;
}

/** Kept free for the system: upstream's hard eviction threshold. */
const reservedMemoryKi = 100 * 1024;

/** What this machine is and has; `capacity` of the caller overrides what was measured. */
export async function readMachine(options: {
  readonly rootDir: string;
  readonly maxPods: number;
  readonly capacity?: Readonly<Record<string, string>>;
}): Promise<MachineFacts> {
  const text = async (path: string): Promise<string> => (await readFile(path, 'utf8').catch(() => '')).trim();
  const [meminfo, machineId, uuid, bootId, osRelease, disk] = await Promise.all([
    text('/proc/meminfo'),
    text('/etc/machine-id'),
    text('/sys/class/dmi/id/product_uuid'),
    text('/proc/sys/kernel/random/boot_id'),
    text('/etc/os-release'),
    statfs(options.rootDir).catch(() => undefined),
  ]);
  const memoryKi = Number(/^MemTotal:\s+(\d+) kB/m.exec(meminfo)?.[1] ?? 0);
  const diskBytes = disk === undefined ? 0 : disk.blocks * disk.bsize;
  const measured = {
    cpu: String(availableParallelism()),
    memory: `${memoryKi}Ki`,
    'ephemeral-storage': `${Math.floor(diskBytes / 1024)}Ki`,
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
    pods: String(options.maxPods),
  };
  const capacity = { ...measured, ...options.capacity };
  const allocatable = {
    ...capacity,
    ...(options.capacity?.memory === undefined ? { memory: `${Math.max(0, memoryKi - reservedMemoryKi)}Ki` } : {}),
    ...(options.capacity?.['ephemeral-storage'] === undefined
      ? { 'ephemeral-storage': String(Math.floor(diskBytes * 0.9)) }
      : {}),
  };
  return {
    capacity,
    allocatable,
    memoryBytes: memoryKi * 1024,
    info: {
      machineID: machineId || bootId.replaceAll('-', ''),
      systemUUID: uuid || machineId || bootId,
      bootID: bootId,
      kernelVersion: release(),
      osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? 'Linux',
      operatingSystem: 'linux',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      kubeProxyVersion: '',
    },
  };
}
