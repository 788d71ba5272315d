import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { CodedError, makeDirectorySync } from '#base';

/** Small files by their path below a folder, `/` between the parts. */
export type FileSet = Readonly<Record<string, StoredFile>>;

export interface StoredFile {
  readonly mode: number;
  /** Base64. */
  readonly data: string;
}

const mostFiles = 1000;
const mostBytes = 1 << 20;
const safePath = /^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/;

/** Every regular file below a folder. Throws FilesUnexpected when there are too many or one is too large. */
export function readFiles(dir: string): FileSet {
  const paths = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => relative(dir, join(one.parentPath, one.name)))
    .filter((path) => safePath.test(path))
    .sort();
  return readNamedFiles(dir, paths);
}

/** Those of the named files that are there. */
export function readNamedFiles(dir: string, paths: readonly string[]): FileSet {
  if (paths.length > mostFiles)
    throw new CodedError('FilesUnexpected', `${dir} holds ${paths.length} files, at most ${mostFiles} are backed up`);
  const files: Record<string, StoredFile> = {};
  for (const path of paths) {
    const file = join(dir, path);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (stat.size > mostBytes)
      throw new CodedError('FilesUnexpected', `${file} has ${stat.size} bytes, at most ${mostBytes} are backed up`);
    files[path] = { mode: stat.mode & 0o777, data: readFileSync(file).toString('base64') };
  }
  return files;
}

/** Checks what was read from a backup: nothing may leave the folder that it will be written to. */
export function parseFiles(text: string): FileSet {
  const value = JSON.parse(text) as Record<string, StoredFile>;
  for (const [path, file] of Object.entries(value)) {
    const fine = safePath.test(path) && typeof file.data === 'string' && Number.isInteger(file.mode);
    if (!fine) throw new Error(`"${path}" is not the path of a file to restore`);
  }
  return value;
}

/** Writes every file below a folder, each durable. */
export function writeFiles(dir: string, files: FileSet): void {
  makeDirectorySync(dir, 0o700);
  for (const [path, { mode, data }] of Object.entries(files)) {
    const file = join(dir, path);
    makeDirectorySync(dirname(file), 0o700);
    writeFileSync(file, Buffer.from(data, 'base64'), { mode: mode & 0o700 ? mode : 0o600, flush: true });
  }
}

/** The text of one file of a set. */
export function textOf(files: FileSet, path: string): string | undefined {
  if (!Object.hasOwn(files, path)) return undefined;
  return Buffer.from((files[path] as StoredFile).data, 'base64').toString();
}
