import { stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDirectory } from '#base';
import type { HostPathVolumeSource } from '#api';
import { VolumeError } from './errors.ts';

/** Verifies (and for `…OrCreate` makes) what a hostPath volume names. Messages as upstream's. */
export async function prepareHostPath({ path, type = '' }: HostPathVolumeSource): Promise<void> {
  if (type === '') return;
  const found = await stat(path).catch(() => undefined);
  const fail = (why: string): never => {
    throw new VolumeError('HostPathType', `hostPath type check failed: ${path} ${why}`);
  };
  switch (type) {
    case 'DirectoryOrCreate':
      if (found === undefined) await makeDirectory(path);
      else if (!found.isDirectory()) fail('is not a directory');
      return;
    case 'Directory':
      if (!found?.isDirectory()) fail('is not a directory');
      return;
    case 'FileOrCreate':
      if (found === undefined) {
        await makeDirectory(dirname(path));
        await writeFile(path, '', { flag: 'a', mode: 0o644 });
      } else if (!found.isFile()) fail('is not a file');
      return;
    case 'File':
      if (!found?.isFile()) fail('is not a file');
      return;
    case 'Socket':
      if (!found?.isSocket()) fail('is not a socket file');
      return;
    case 'CharDevice':
      if (!found?.isCharacterDevice()) fail('is not a character device');
      return;
    case 'BlockDevice':
      if (!found?.isBlockDevice()) fail('is not a block device');
      return;
    default:
      fail(`has an unknown type ${type}`);
  }
}
