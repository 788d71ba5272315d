import { constants } from 'node:fs';
import { chmod, type FileHandle, lchown, open, readdir } from 'node:fs/promises';
import { VolumeError } from './errors.ts';

/** open(2) O_PATH of Linux: a handle on the place, without opening what is there. */
const pathOnly = 0o10000000;
const deepest = 512;
const readWrite = 0o660;
const setGid = 0o2000;
const execute = 0o110;

export interface GroupOwnership {
  readonly gid: number;
  /** `OnRootMismatch` leaves the tree alone when its root already has the group and its rights. */
  readonly policy?: string | undefined;
}

/**
 * Gives a whole volume to a group, as `fsGroup` asks: the group may read and write everything, and what is made inside inherits it. The
 * tree may change meanwhile under the hands of containers: each entry is reached by a descriptor of its directory and one name, so a link
 * swapped in is never followed. Stays on the volume's device.
 */
export async function giveTreeToGroup(path: string, { gid, policy }: GroupOwnership): Promise<void> {
  const { O_NOFOLLOW, O_DIRECTORY, O_RDONLY } = constants;
  const root = await open(path, O_RDONLY | O_DIRECTORY);
  const stack: { readonly handle: FileHandle; readonly names: string[] }[] = [];
  try {
    const top = await root.stat();
    const wanted = readWrite | setGid | execute;
    if (policy === 'OnRootMismatch' && top.gid === gid && (top.mode & wanted) === wanted) return;
    stack.push({ handle: root, names: await readdir(`/proc/self/fd/${root.fd}`) });
    for (let last = stack.at(-1); last !== undefined; last = stack.at(-1)) {
      const name = last.names.pop();
      if (name === undefined) {
        stack.pop();
        // The root last: a pass that was cut short is then seen as a mismatch.
        if (last.handle !== root) await last.handle.close();
        continue;
      }
      const place = `/proc/self/fd/${last.handle.fd}/${name}`;
      const child = await open(place, pathOnly | O_NOFOLLOW).catch(unlessGone);
      if (child === undefined) continue;
      const found = await child.stat();
      const directory = found.isDirectory() && found.dev === top.dev;
      if (found.dev === top.dev) await lchown(place, found.uid, gid).catch(unlessGone);
      if (found.dev === top.dev && !found.isSymbolicLink())
        await chmod(`/proc/self/fd/${child.fd}`, (found.mode & 0o7777) | groupBits(directory)).catch(unlessGone);
      await child.close();
      if (!directory) continue;
      if (stack.length >= deepest)
        throw new VolumeError(
          'TooDeep',
          `the volume has directories more than ${deepest} deep: fsGroup cannot be applied`,
        );
      const opened = await open(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).catch(unlessGone);
      if (opened !== undefined)
        stack.push({ handle: opened, names: await readdir(`/proc/self/fd/${opened.fd}`).catch(() => []) });
    }
    await root.chown(top.uid, gid);
    await root.chmod((top.mode & 0o7777) | groupBits(true));
  } finally {
    for (const { handle } of stack) if (handle !== root) await handle.close().catch(() => {});
    await root.close();
  }
}

function groupBits(directory: boolean): number {
  return directory ? readWrite | setGid | execute : readWrite;
}

/** An entry that went away, or is no directory any more, while the tree was walked. */
function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'ELOOP') return undefined;
  throw error;
}
