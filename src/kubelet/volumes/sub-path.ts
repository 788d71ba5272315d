import { constants } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDirectory } from '#base';
import { shows } from './bind-mount.ts';
import { VolumeError } from './errors.ts';
import { bindDescriptor, isMounted, unmountBelow } from './mounts.ts';

/** open(2) O_PATH of Linux: a handle on the place, without opening what is there. */
const pathOnly = 0o10000000;

/**
 * A handle on `subPath` of a volume. A container may change the volume meanwhile, so after symbolic links are resolved and found to
 * stay inside, the path is walked once more by descriptors that follow no link: a link swapped in between makes it fail, never
 * escape. A missing sub-path is made, as a directory with the rights of the volume's own.
 */
export async function openSubPath(volume: string, subPath: string): Promise<FileHandle> {
  const root = await realpath(volume);
  const parts = subPath.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || subPath.startsWith('/')) throw escape(subPath);
  const resolved = await realpath([root, ...parts].join('/')).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (resolved !== undefined && resolved !== root && !resolved.startsWith(`${root}/`)) throw escape(subPath);
  const walked =
    resolved === undefined ? await existingPart(root, parts) : resolved.slice(root.length).split('/').filter(Boolean);
  return walk(root, walked, subPath);
}

/** Binds `subPath` of a volume at `target`: what is bound is the handle, not the path. What was bound there before and is no longer meant goes. */
export async function bindSubPath(volume: string, subPath: string, target: string): Promise<void> {
  const handle = await openSubPath(volume, subPath);
  try {
    if (await isMounted(target)) {
      if (await shows(target, handle)) return;
      await unmountBelow(target);
    }
    const { fd } = handle;
    const directory = (await stat(`/proc/self/fd/${fd}`)).isDirectory();
    await makeDirectory(directory ? target : dirname(target), 0o750);
    if (!directory) await writeFile(target, '', { flag: 'a', mode: 0o640 });
    await bindDescriptor(fd, target);
  } finally {
    await handle.close();
  }
}

/** For a path that is not all there: the deepest part resolved inside the root, then what is to be made below it. */
async function existingPart(root: string, parts: readonly string[]): Promise<string[]> {
  for (let kept = parts.length - 1; kept >= 0; kept--) {
    const found = await realpath([root, ...parts.slice(0, kept)].join('/')).catch(() => undefined);
    if (found === undefined) continue;
    if (found !== root && !found.startsWith(`${root}/`)) throw escape(parts.join('/'));
    return [...found.slice(root.length).split('/').filter(Boolean), ...parts.slice(kept)];
  }
  return [...parts];
}

async function walk(root: string, parts: readonly string[], subPath: string): Promise<FileHandle> {
  const { O_NOFOLLOW, O_DIRECTORY } = constants;
  let handle = await open(root, pathOnly | O_NOFOLLOW | O_DIRECTORY);
  const mode = (await handle.stat()).mode & 0o7777;
  let made = false;
  for (const part of parts) {
    const next = `/proc/self/fd/${handle.fd}/${part}`;
    try {
      await lstat(next).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        await mkdir(next, { mode: mode & 0o777 });
        made = true;
      });
      const child = await open(next, pathOnly | O_NOFOLLOW);
      await handle.close();
      handle = child;
    } catch (error) {
      await handle.close();
      throw error;
    }
    if ((await handle.stat()).isSymbolicLink()) {
      await handle.close();
      throw escape(subPath);
    }
    // mkdir heeds the umask and forgets the group's bit.
    if (made) await chmod(`/proc/self/fd/${handle.fd}`, mode);
    made = false;
  }
  return handle;
}

function escape(subPath: string): VolumeError {
  return new VolumeError(
    'SubPathEscapes',
    `failed to prepare subPath for volumeMount: subPath "${subPath}" must stay inside its volume`,
  );
}
