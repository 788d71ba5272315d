import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

export interface TreeUsage {
  /** Blocks that the tree really takes, holes of sparse files not counted. */
  readonly usedBytes: number;
  readonly inodes: number;
  /** The tree had more entries than were looked at: the numbers are a lower bound. */
  readonly partial: boolean;
}

const defaultMostEntries = 100_000;

/** What a directory tree takes on its own file system; at most `mostEntries` are looked at. Files that vanish meanwhile do not count. */
export async function treeUsage(path: string, options: { readonly mostEntries?: number } = {}): Promise<TreeUsage> {
  const { mostEntries = defaultMostEntries } = options;
  const top = await lstat(path).catch(() => undefined);
  if (top === undefined) return { usedBytes: 0, inodes: 0, partial: false };
  let usedBytes = top.blocks * 512;
  let inodes = 1;
  const linked = new Set<number>();
  const pending = top.isDirectory() ? [path] : [];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    const names = await readdir(directory).catch(() => []);
    for (const name of names) {
      if (inodes >= mostEntries) return { usedBytes, inodes, partial: true };
      const child = join(directory, name);
      const found = await lstat(child).catch(() => undefined);
      if (
        found === undefined ||
        found.dev !== top.dev ||
        (found.nlink > 1 && !found.isDirectory() && linked.has(found.ino))
      )
        continue;
      if (found.nlink > 1 && !found.isDirectory()) linked.add(found.ino);
      usedBytes += found.blocks * 512;
      inodes++;
      if (found.isDirectory()) pending.push(child);
    }
  }
  return { usedBytes, inodes, partial: false };
}
