import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type PayloadFile, writeAtomically } from './atomic-writer.ts';
import { prepareHostPath } from './host-path.ts';
import { removeTree } from './removal.ts';
import { openSubPath } from './sub-path.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'k8ts-volumes-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const payload = (files: Readonly<Record<string, string>>): Map<string, PayloadFile> =>
  new Map(Object.entries(files).map(([path, text]) => [path, { content: Buffer.from(text), mode: 0o640 }]));

test('a volume changes all at once and leaves nothing of the old behind', async () => {
  await writeAtomically(directory, payload({ a: '1', 'deep/er/b': '2', gone: 'x' }), { version: 'v1' });
  assert.equal(await readlink(join(directory, '..data')), '..v1');
  assert.equal(await readFile(join(directory, 'deep/er/b'), 'utf8'), '2');
  assert.equal((await stat(join(directory, 'a'))).mode & 0o777, 0o640);
  const held = await readlink(join(directory, '..data'));
  await writeAtomically(directory, payload({ a: 'new', 'deep/er/b': '2' }), { version: 'v2' });
  assert.equal(held, '..v1');
  assert.deepEqual((await readdir(directory)).sort(), ['..data', '..v2', 'a', 'deep']);
  assert.equal(await readFile(join(directory, 'a'), 'utf8'), 'new');
});

test('paths that would leave the volume, or hide its own names, are refused', async () => {
  for (const path of ['', '/etc/x', '../x', 'a/../b', 'a//b', '..data', '..x/y', `${'n'.repeat(256)}`]) {
    await assert.rejects(writeAtomically(directory, payload({ [path]: '' }), { version: 'v' }), /invalid path/, path);
  }
  assert.deepEqual(await readdir(directory), []);
});

test('host paths are checked by type', async () => {
  const file = join(directory, 'f');
  await writeFile(file, '');
  await prepareHostPath({ path: join(directory, 'new/dir'), type: 'DirectoryOrCreate' });
  await prepareHostPath({ path: join(directory, 'new/dir'), type: 'Directory' });
  await prepareHostPath({ path: join(directory, 'other/f'), type: 'FileOrCreate' });
  await prepareHostPath({ path: join(directory, 'absent') });
  await assert.rejects(prepareHostPath({ path: file, type: 'Directory' }), /is not a directory/);
  await assert.rejects(prepareHostPath({ path: directory, type: 'File' }), /is not a file/);
  await assert.rejects(prepareHostPath({ path: file, type: 'Socket' }), /is not a socket file/);
});

const place = async (volume: string, subPath: string): Promise<string> => {
  const handle = await openSubPath(volume, subPath);
  try {
    return await readlink(`/proc/self/fd/${handle.fd}`);
  } finally {
    await handle.close();
  }
};

test('a sub-path is found, made when missing, and may lead over links inside its volume', async () => {
  const volume = join(directory, 'v');
  await mkdir(join(volume, 'real'), { recursive: true });
  await symlink('real', join(volume, 'link'));
  await writeFile(join(volume, 'real/file'), '');
  assert.equal(await place(volume, 'real/file'), join(volume, 'real/file'));
  assert.equal(await place(volume, 'link/file'), join(volume, 'real/file'));
  assert.equal(await place(volume, 'link/new/er'), join(volume, 'real/new/er'));
  assert.ok((await stat(join(volume, 'real/new/er'))).isDirectory());
});

test('a sub-path never leaves its volume', async () => {
  const volume = join(directory, 'v');
  await mkdir(join(volume, 'd'), { recursive: true });
  await mkdir(join(directory, 'outside'));
  await symlink('../outside', join(volume, 'relative'));
  await symlink('/etc', join(volume, 'absolute'));
  await symlink('../../outside', join(volume, 'd/up'));
  for (const subPath of [
    'relative',
    'absolute',
    'relative/new',
    'absolute/passwd',
    'd/up',
    '../outside',
    'd/../../outside',
    '/etc',
  ]) {
    await assert.rejects(() => place(volume, subPath), /must stay inside/, subPath);
  }
  assert.deepEqual(await readdir(join(directory, 'outside')), []);
});

test('a link swapped in while the sub-path is walked makes it fail, never escape', async () => {
  const volume = join(directory, 'v');
  const outside = join(directory, 'outside');
  await mkdir(join(volume, 'a/b'), { recursive: true });
  await mkdir(join(outside, 'b'), { recursive: true });
  let racing = true;
  const { rename } = await import('node:fs/promises');
  const race = (async () => {
    await symlink(outside, join(volume, 'evil'));
    while (racing) {
      await rename(join(volume, 'a'), join(volume, 'kept')).catch(() => {});
      await rename(join(volume, 'evil'), join(volume, 'a')).catch(() => {});
      await rename(join(volume, 'a'), join(volume, 'evil')).catch(() => {});
      await rename(join(volume, 'kept'), join(volume, 'a')).catch(() => {});
    }
  })();
  for (let tries = 0; tries < 300; tries++) {
    const found = await place(volume, 'a/b').catch(() => undefined);
    assert.ok(found === undefined || found.startsWith(`${volume}/`), String(found));
  }
  racing = false;
  await race;
});

test('a tree is removed without following links', async () => {
  await mkdir(join(directory, 't/a/b'), { recursive: true });
  await mkdir(join(directory, 'kept'));
  await writeFile(join(directory, 'kept/f'), '');
  await symlink(join(directory, 'kept'), join(directory, 't/a/link'));
  await removeTree(join(directory, 't'));
  await removeTree(join(directory, 't'));
  assert.deepEqual(await readdir(directory), ['kept']);
  assert.deepEqual(await readdir(join(directory, 'kept')), ['f']);
});

test('nothing is removed across a mount point', async () => {
  await assert.rejects(removeTree('/proc'), /still mounted/);
});
