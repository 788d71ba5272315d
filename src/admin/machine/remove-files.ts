import { lstatSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { MachineLayout } from './layout.ts';
import { distributionPlugins } from '../local/own-folders.ts';
import { foldersOf } from './record.ts';

/** What init and join put into folders that others use too; in the other folders everything new is theirs. */
export function namesOf(layout: MachineLayout, folder: string): readonly string[] | undefined {
  switch (folder) {
    case layout.etcDir:
      return ['admin.conf', 'super-admin.conf', 'controller-manager.conf', 'scheduler.conf', 'kubelet.conf', 'k8ts'];
    case layout.cniConfDir:
      return ['10-k8ts.conflist'];
    case layout.cniBinDir:
      return distributionPlugins;
    default:
      return undefined;
  }
}

/**
 * Which paths go, deepest first: what init and join made, by the record of what was there before. A folder that was there stays, one
 * that was made goes when it is empty. Pure: `list` says what a folder holds now (undefined: it is not there).
 */
export function planRemoval(
  layout: MachineLayout,
  before: Readonly<Record<string, readonly string[]>>,
  list: (folder: string) => readonly string[] | undefined,
): { readonly trees: string[]; readonly folders: string[] } {
  const folders = foldersOf(layout);
  const trees: string[] = [];
  for (const folder of folders) {
    const had = new Set(before[folder] ?? []);
    const own = namesOf(layout, folder);
    for (const name of list(folder) ?? []) {
      const path = join(folder, name);
      if (!had.has(name) && (own === undefined || own.includes(name)) && !folders.includes(path)) trees.push(path);
    }
  }
  const made = new Set<string>();
  for (const folder of folders) {
    for (let one = folder; one !== layout.root && one !== '/'; one = join(one, '..')) {
      if (!Object.hasOwn(before, one)) made.add(one);
    }
  }
  return { trees, folders: [...made].sort((a, b) => b.length - a.length) };
}

/** Does what `planRemoval` says; never goes into a mount. Returns folders that were made and are not empty. */
export function removeFiles(layout: MachineLayout, before: Readonly<Record<string, readonly string[]>>): string[] {
  const { trees, folders } = planRemoval(layout, before, (folder) => {
    try {
      return readdirSync(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  });
  for (const tree of trees) rmSync(tree, { recursive: true, force: true });
  return folders.filter((folder) => {
    try {
      rmdirSync(folder);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== 'ENOENT' && lstatSync(folder).isDirectory();
    }
  });
}
