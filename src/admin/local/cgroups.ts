import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectorySync } from '#base';

const mountPoint = '/sys/fs/cgroup';

export function isUnified(): boolean {
  return existsSync(join(mountPoint, 'cgroup.controllers'));
}

/** The roots to work in: the one of cgroup v2, or each hierarchy of v1. */
function hierarchies(): string[] {
  if (isUnified()) return [mountPoint];
  return readdirSync(mountPoint)
    .map((one) => join(mountPoint, one))
    .filter((one) => existsSync(join(one, 'cgroup.procs')));
}

/** Makes the folder of a node in every hierarchy, with `system` below it for the node's own daemons. */
export function makeCgroup(path: string): void {
  for (const root of hierarchies()) {
    let folder = root;
    for (const part of `${path}/system`.split('/').filter((one) => one !== '')) {
      if (isUnified()) delegate(folder);
      folder = join(folder, part);
      makeDirectorySync(folder);
      if (root.endsWith('/cpuset')) inheritCpuset(folder);
    }
  }
}

/** v2: children may use what the parent may. A controller that refuses is left out: the kubelet reports what it finds. */
function delegate(folder: string): void {
  for (const controller of readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(/\s+/)) {
    try {
      if (controller !== '') writeFileSync(join(folder, 'cgroup.subtree_control'), `+${controller}`);
    } catch {}
  }
}

/** v1: a new cpuset is empty and takes no process until it names processors and memory. */
function inheritCpuset(folder: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const own = join(folder, file);
    if (readFileSync(own, 'utf8').trim() === '') writeFileSync(own, readFileSync(join(folder, '..', file), 'utf8'));
  }
}

/** The files into which the number of one of the node's own daemons is written, in every hierarchy. */
export function cgroupFiles(path: string): string[] {
  return hierarchies().map((root) => join(root, path, 'system', 'cgroup.procs'));
}

export function enterCgroup(path: string, pid: number): void {
  for (const file of cgroupFiles(path)) writeFileSync(file, String(pid));
}

/** Every process in the folder or below it, in any hierarchy. */
export function processesIn(path: string): number[] {
  const pids = new Set<number>();
  const roots = hierarchies().filter((one) => isUnified() || /\/(pids|memory|systemd)$/.test(one));
  for (const root of roots) collect(join(root, path), pids);
  return [...pids];
}

function collect(top: string, pids: Set<number>): void {
  const folders = [top];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for (const line of readFileSync(join(folder, 'cgroup.procs'), 'utf8').split('\n')) {
        if (line !== '') pids.add(Number(line));
      }
      for (const one of readdirSync(folder, { withFileTypes: true })) {
        if (one.isDirectory()) folders.push(join(folder, one.name));
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENODEV') throw error;
    }
  }
}

/** Removes the folder and all below it; true when none is left (a process may still be on its way out). */
export function removeCgroup(path: string): boolean {
  let left = false;
  for (const root of hierarchies()) if (!removeTree(join(root, path))) left = true;
  return !left;
}

function removeTree(top: string): boolean {
  if (!existsSync(top)) return true;
  const order = [top];
  for (let i = 0; i < order.length; i++) {
    const folder = order[i] as string;
    try {
      for (const one of readdirSync(folder, { withFileTypes: true })) {
        if (one.isDirectory()) order.push(join(folder, one.name));
      }
    } catch {}
  }
  for (const folder of order.reverse()) {
    try {
      rmdirSync(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false;
    }
  }
  return true;
}

/** Removes the folder when nothing is in it; other clusters' folders below it keep it. */
export function dropEmptyCgroup(path: string): void {
  for (const root of hierarchies()) {
    try {
      rmdirSync(join(root, path));
    } catch {}
  }
}
