import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectorySync } from '#base';

/** Where a PKI lives: a directory, or nowhere. */
export interface Files {
  /** Undefined when there is no such file. */
  read(name: string): string | undefined;
  /** Replaces the file as a whole: a reader sees the old text or the new one. */
  write(name: string, text: string, mode: number): void;
}

/** Directories get mode 0700 even when they were there before. Without a directory everything stays in memory. */
export function openFiles(dir: string | undefined): Files {
  if (dir === undefined) return { read: () => undefined, write: () => {} };
  const prepared = new Set<string>();
  const prepare = (path: string): void => {
    if (prepared.has(path)) return;
    makeDirectorySync(path, 0o700);
    chmodSync(path, 0o700);
    prepared.add(path);
  };
  prepare(dir);
  return {
    read(name) {
      try {
        return readFileSync(join(dir, name), 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    },
    write(name, text, mode) {
      const path = join(dir, name);
      prepare(dirname(path));
      const temporary = `${path}.new`;
      const file = openSync(temporary, 'w', mode);
      try {
        writeSync(file, text);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      chmodSync(temporary, mode);
      renameSync(temporary, path);
    },
  };
}
