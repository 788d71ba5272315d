import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '#base';
import { VolumeError } from './errors.ts';

/** A file of a projected volume. */
export interface PayloadFile {
  readonly content: Uint8Array;
  readonly mode: number;
  readonly uid?: number;
}

export type Payload = ReadonlyMap<string, PayloadFile>;

const dataLink = '..data';
const newDataLink = '..data_tmp';

/**
 * Replaces all files of a volume at once: they are written to a fresh directory, and `..data`, through which every visible name
 * leads, is switched over by one rename. A reader sees the old set or the new one, never a mixture. `version` names the fresh
 * directory and must differ from the current one's. Only the kubelet writes here: containers have it read-only.
 */
export async function writeAtomically(
  directory: string,
  payload: Payload,
  options: { version: string; gid?: number },
): Promise<void> {
  const { version, gid } = options;
  for (const path of payload.keys()) verifyPath(path);
  const fresh = `..${version}`;
  const old = await readlink(join(directory, dataLink)).catch(() => undefined);
  await mkdir(join(directory, fresh), { mode: 0o755 });
  await chmod(join(directory, fresh), 0o755);
  if (gid !== undefined) await chown(join(directory, fresh), 0, gid);
  for (const [path, file] of payload) await writePayloadFile(join(directory, fresh), path, file, gid);
  await rm(join(directory, newDataLink), { force: true });
  await symlink(fresh, join(directory, newDataLink));
  await rename(join(directory, newDataLink), join(directory, dataLink));
  await linkVisibleNames(directory, payload);
  if (old?.startsWith('..') && old !== fresh && !old.includes('/'))
    await rm(join(directory, old), { recursive: true, force: true });
}

async function writePayloadFile(root: string, path: string, file: PayloadFile, gid: number | undefined): Promise<void> {
  const target = join(root, path);
  const parent = dirname(path);
  if (parent !== '.') {
    await makeDirectory(join(root, parent));
  }
  const mode = gid === undefined ? file.mode : file.mode | 0o440;
  await writeFile(target, file.content, { mode: 0o600 });
  if (gid !== undefined || file.uid !== undefined) await chown(target, file.uid ?? 0, gid ?? 0);
  await chmod(target, mode);
}

async function linkVisibleNames(directory: string, payload: Payload): Promise<void> {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0] as string));
  for (const name of await readdir(directory)) {
    if (!name.startsWith('..') && !wanted.has(name)) await unlink(join(directory, name));
  }
  for (const name of wanted) {
    const link = join(directory, name);
    const there = await lstat(link).catch(() => undefined);
    if (there === undefined) await symlink(`${dataLink}/${name}`, link);
  }
}

function verifyPath(path: string): void {
  const parts = path.split('/');
  const bad =
    path === '' ||
    path.length > 4096 ||
    parts.some((part) => part === '' || part === '.' || part === '..' || part.length > 255);
  if (bad || (parts[0] as string).startsWith('..'))
    throw new VolumeError('InvalidPath', `invalid path in volume: "${path}"`);
}
