import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { VolumeError } from './errors.ts';
import { listMounts } from './mounts.ts';

/**
 * Deletes a directory tree that must lie on one file system: refuses, before anything is deleted, when something is still mounted
 * in it, and never steps onto another device. Symbolic links are removed, not followed.
 */
export async function removeTree(path: string): Promise<void> {
  const mounts = await listMounts();
  const mounted = mounts.find((one) => one.path === path || one.path.startsWith(`${path}/`));
  if (mounted !== undefined)
    throw new VolumeError('StillMounted', `${mounted.path} is still mounted; ${path} is left as it is`);
  const top = await lstat(path).catch(() => undefined);
  if (top === undefined) return;
  if (!top.isDirectory()) return unlink(path);
  const visited: string[] = [];
  const pending = [path];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    visited.push(directory);
    for (const name of await readdir(directory)) {
      const child = join(directory, name);
      const found = await lstat(child);
      if (found.dev !== top.dev)
        throw new VolumeError('StillMounted', `${child} is on another device; ${path} is not deleted`);
      if (found.isDirectory()) pending.push(child);
      else await unlink(child);
    }
  }
  for (const directory of visited.reverse()) await rmdir(directory);
}
