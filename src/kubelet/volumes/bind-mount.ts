import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '#base';
import { VolumeError } from './errors.ts';
import { bindDescriptor, isMounted, unmountBelow } from './mounts.ts';

/** open(2) O_PATH of Linux: a handle on the place, without opening what is there. */
const pathOnly = 0o10000000;

/**
 * Binds a directory at a place of the pod's own. Idempotent: a target that shows something else is bound anew. `prepare` runs before, and
 * only when there is something to bind, on the very directory that is bound: what is bound is prepared, also for a kubelet that finds it later.
 */
export async function bindDirectory(
  source: string,
  target: string,
  prepare: (place: string) => Promise<void> = async () => {},
): Promise<void> {
  const handle = await open(source, pathOnly | constants.O_DIRECTORY).catch((error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'ENOENT' ? 'does not exist' : error.code === 'ENOTDIR' ? 'is not a directory' : error.message;
    throw new VolumeError('PathMissing', `path "${source}" ${why}`, { cause: error });
  });
  try {
    if (await isMounted(target)) {
      if (await shows(target, handle)) return;
      await unmountBelow(target);
    }
    await prepare(`/proc/self/fd/${handle.fd}`);
    await makeDirectory(target, 0o750);
    await bindDescriptor(handle.fd, target);
  } finally {
    await handle.close();
  }
}

/** Whether the inode at a path is the one of the handle. */
export async function shows(path: string, handle: FileHandle): Promise<boolean> {
  const [there, wanted] = await Promise.all([lstat(path).catch(() => undefined), handle.stat()]);
  return there !== undefined && there.ino === wanted.ino && there.dev === wanted.dev;
}

/**
 * Unmounts what hangs in the directories below `directory` and removes these, empty as they then must be: user data that is for any reason
 * still there makes it fail and stay.
 */
export async function removeMountPoints(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (names === undefined) return;
  await unmountBelow(directory);
  for (const name of names) {
    const place = join(directory, name);
    if (await isMounted(place)) throw new VolumeError('StillMounted', `${place} is still mounted; it is left as it is`);
    await rmdir(place).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTEMPTY')
        throw new VolumeError('NotEmpty', `${place} should be empty after unmounting, but is not; it is kept`, {
          cause: error,
        });
      if (error.code !== 'ENOENT') throw error;
    });
  }
  await rmdir(directory);
  await rmdir(dirname(directory)).catch(() => {});
}
