import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Resident memory of a process in MiB, as the kernel counts it now. */
export function residentMib(pid: number | 'self'): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1024;
}

/** The process that listens on a TCP port of this machine, when it can be seen (same network namespace, enough rights). */
export function listenerOf(port: number): number | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of readFileSync(file, 'utf8').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (fields[3] === '0A' && fields[1]?.endsWith(`:${wanted}`)) inodes.add(`socket:[${fields[9]}]`);
    }
  }
  if (inodes.size === 0) return undefined;
  return pidHolding(inodes);
}

function pidHolding(sockets: ReadonlySet<string>): number | undefined {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      for (const fd of readdirSync(`/proc/${name}/fd`))
        if (sockets.has(readlinkSync(`/proc/${name}/fd/${fd}`))) return Number(name);
    } catch {}
  }
  return undefined;
}

const ticksPerSecond = 100;

/** CPU time that a process has used so far, all its threads, in seconds (resolution 10 ms). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
