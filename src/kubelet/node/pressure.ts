import { readFile, statfs } from 'node:fs/promises';

const leastMemoryBytes = 100 << 20;
const leastDiskShare = 0.1;
const leastInodeShare = 0.05;

/** Whether the machine is short of memory or disk, by upstream's default hard eviction thresholds (100 Mi; 10 % space, 5 % inodes). */
export async function readPressure(rootDir: string): Promise<{ memoryPressure: boolean; diskPressure: boolean }> {
  const [meminfo, disk] = await Promise.all([
    readFile('/proc/meminfo', 'utf8').catch(() => ''),
    statfs(rootDir).catch(() => undefined),
  ]);
  const availableKi = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1];
  const memoryPressure = availableKi !== undefined && Number(availableKi) * 1024 < leastMemoryBytes;
  const shortOf = (free: number, all: number, share: number): boolean => all > 0 && free / all < share;
  const diskPressure =
    disk !== undefined &&
    (shortOf(disk.bavail, disk.blocks, leastDiskShare) || shortOf(disk.ffree, disk.files, leastInodeShare));
  return { memoryPressure, diskPressure };
}
