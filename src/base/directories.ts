import { existsSync, mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CodedError, messageOf } from './errors.ts';

/**
 * Makes a directory and those above it that are missing, with `mode` (default 0o755). One that is there stays as it is. Throws
 * DirectoryNotMade. Used instead of Node's own recursive mkdir, which never returns for a name that its file system refuses with
 * ENOENT, such as /proc/x.
 */
export function makeDirectorySync(path: string, mode = 0o755): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  try {
    for (const one of missing.reverse()) {
      try {
        mkdirSync(one, { mode });
      } catch (error) {
        if (!isThere(error)) throw error;
      }
    }
    if (!statSync(path).isDirectory()) throw new Error('a file has that name');
  } catch (error) {
    throw notMade(path, error);
  }
}

/** The same without holding up the caller's thread. */
export async function makeDirectory(path: string, mode = 0o755): Promise<void> {
  const missing: string[] = [];
  for (let at = resolve(path); !(await isHere(at)); at = dirname(at)) missing.push(at);
  try {
    for (const one of missing.reverse()) {
      await mkdir(one, { mode }).catch((error: unknown) => {
        if (!isThere(error)) throw error;
      });
    }
    if (!(await stat(path)).isDirectory()) throw new Error('a file has that name');
  } catch (error) {
    throw notMade(path, error);
  }
}

const isHere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const isThere = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EEXIST';

function notMade(path: string, cause: unknown): CodedError {
  return new CodedError(
    'DirectoryNotMade',
    `the directory ${path} cannot be made (${messageOf(cause)}): name another place, or mend this one`,
    { cause },
  );
}
