import { readFile, statfs } from 'node:fs/promises';
import type { Amount, Signals } from './plan-eviction.ts';
import type { EvictionSignal } from '#machinery';

/** What is left of this machine's memory, process ids, and of the file systems of the kubelet and of images. Bytes and counts. */
export async function readSignals(options: {
  readonly rootDir: string;
  /** Where the runtime keeps images; undefined while it does not say. */
  readonly imageDir: string | undefined;
}): Promise<Signals> {
  const text = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
  const disk = (path: string | undefined) => (path === undefined ? undefined : statfs(path).catch(() => undefined));
  const [meminfo, load, mostPids, nodeFs, imageFs] = await Promise.all([
    text('/proc/meminfo'),
    text('/proc/loadavg'),
    text('/proc/sys/kernel/pid_max'),
    disk(options.rootDir),
    disk(options.imageDir),
  ]);
  const found = new Map<EvictionSignal, Amount>();
  const ki = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0);
  if (meminfo !== '')
    found.set('memory.available', { available: ki('MemAvailable') * 1024, capacity: ki('MemTotal') * 1024 });
  const processes = /\/(\d+) /.exec(load)?.[1];
  if (processes !== undefined && mostPids !== '')
    found.set('pid.available', { available: Number(mostPids) - Number(processes), capacity: Number(mostPids) });
  for (const [name, one] of [
    ['nodefs', nodeFs],
    ['imagefs', imageFs],
  ] as const) {
    if (one === undefined) continue;
    found.set(`${name}.available`, { available: one.bavail * one.bsize, capacity: one.blocks * one.bsize });
    found.set(`${name}.inodesFree`, { available: one.ffree, capacity: one.files });
  }
  return found;
}
