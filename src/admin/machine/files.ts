import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectorySync } from '#base';

/** Replaces a file as a whole: whoever reads it sees the old text or the new one, also after a power cut. */
export function writeAtomically(file: string, text: string, mode: number): void {
  makeDirectorySync(dirname(file), 0o700);
  const temporary = `${file}.new`;
  const handle = openSync(temporary, 'w', mode);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
}

export function writeJson(file: string, value: object): void {
  writeAtomically(file, `${JSON.stringify(value, null, 2)}\n`, 0o600);
}
