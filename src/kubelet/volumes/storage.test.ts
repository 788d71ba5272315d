import assert from 'node:assert/strict';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ManualClock, runCommand } from '#base';
import { bindDirectory, removeMountPoints } from './bind-mount.ts';
import { isFinished, preparePlace, removePlace } from './csi/places.ts';
import { inlineCsiVolume } from './csi/volume-source.ts';
import { giveTreeToGroup } from './group-ownership.ts';
import { openLocalVolumes } from './local-volumes.ts';
import { listMounts, unmountBelow } from './mounts.ts';
import { mountNfs } from './network-file-system.ts';
import { verifyReachable } from './persistent.ts';
import { openStorageService } from './storage-service.ts';
import { bindSubPath } from './sub-path.ts';
import { treeUsage } from './tree-usage.ts';

const needsRoot = process.getuid?.() === 0 ? false : 'needs root';
const mebi = 2 ** 20;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'k8ts-storage-'));
});
afterEach(async () => {
  await unmountBelow(directory);
  await rm(directory, { recursive: true, force: true });
});

const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8);

test('local volumes are made once, promised no more than there is, and deleted with their data', async () => {
  const local = openLocalVolumes({ directory: join(directory, 'l'), clock: new ManualClock() });
  const before = await local.available();
  const made = await local.create('pvc-1', 64 * mebi);
  assert.deepEqual(await local.create('pvc-1', 64 * mebi), made);
  assert.equal(await mode(made.path), '777');
  assert.ok((await local.available()) <= before - 60 * mebi, 'what was promised is not promised again');
  await assert.rejects(local.create('pvc-2', before + mebi), { code: 'RESOURCE_EXHAUSTED' });
  await assert.rejects(local.create('pvc-1', 65 * mebi), { code: 'ALREADY_EXISTS' });
  await assert.rejects(local.expand('pvc-1', before * 2), { code: 'RESOURCE_EXHAUSTED' });
  await assert.rejects(local.expand('pvc-3', mebi), { code: 'NOT_FOUND' });
  assert.equal(await local.expand('pvc-1', 65 * mebi), 65 * mebi);
  assert.equal(await local.expand('pvc-1', mebi), 65 * mebi, 'a volume never shrinks');
  for (const name of ['../x', '.', 'a/b', '', 'A', '.new-x'])
    await assert.rejects(local.create(name, 1), { code: 'INVALID_ARGUMENT' }, name);
  await writeFile(join(made.path, 'file'), 'data');
  const again = openLocalVolumes({ directory: join(directory, 'l'), clock: new ManualClock() });
  assert.deepEqual(await again.list(), [{ name: 'pvc-1', capacityBytes: 65 * mebi, path: made.path }]);
  await again.remove('pvc-1');
  await again.remove('pvc-1');
  assert.deepEqual(await readdir(join(directory, 'l')), []);
});

test('a local volume that a pod has mounted is not deleted', { skip: needsRoot }, async () => {
  const local = openLocalVolumes({ directory: join(directory, 'l'), clock: new ManualClock() });
  const { path } = await local.create('pvc-1', mebi);
  await writeFile(join(path, 'file'), 'data');
  const mounts = join(directory, 'pods/uid/volumes/kubernetes.io~local-volume');
  let prepared = 0;
  const prepare = async (place: string): Promise<void> => {
    prepared++;
    await giveTreeToGroup(place, { gid: 4711 });
  };
  await bindDirectory(path, join(mounts, 'pvc-1'), prepare);
  await bindDirectory(path, join(mounts, 'pvc-1'), prepare);
  assert.deepEqual([prepared, (await stat(join(path, 'file'))).gid], [1, 4711]);
  assert.equal((await listMounts()).filter((one) => one.path.startsWith(mounts)).length, 1);
  await assert.rejects(local.remove('pvc-1'), { code: 'FAILED_PRECONDITION' });
  assert.equal(await readFile(join(path, 'file'), 'utf8'), 'data');
  await removeMountPoints(mounts);
  await removeMountPoints(mounts);
  assert.deepEqual(await readdir(join(directory, 'pods/uid')), []);
  assert.equal(await readFile(join(path, 'file'), 'utf8'), 'data', 'an unmount never deletes');
  await local.remove('pvc-1');
});

test('what lies in a mount point that is not mounted is kept', async () => {
  const mounts = join(directory, 'nfs');
  await mkdir(join(mounts, 'v'), { recursive: true });
  await writeFile(join(mounts, 'v/precious'), '');
  await assert.rejects(removeMountPoints(mounts), /should be empty after unmounting/);
  const place = { directory: join(directory, 'csi'), target: join(directory, 'csi/mount') };
  await preparePlace({ ...place, driverName: 'd', volumeHandle: 'h' }, { makeTarget: true });
  assert.equal(await isFinished(place), false);
  await writeFile(join(place.target, 'precious'), '');
  await assert.rejects(removePlace(place), /left something in/);
  assert.deepEqual([await readdir(join(mounts, 'v')), await readdir(place.target)], [['precious'], ['precious']]);
  await rm(join(place.target, 'precious'));
  await removePlace(place);
  await removePlace(place);
});

test('a whole tree is given to a group, links are not followed', { skip: needsRoot }, async () => {
  const volume = join(directory, 'v');
  await mkdir(join(volume, 'a/b'), { recursive: true });
  await writeFile(join(volume, 'a/b/run'), '', { mode: 0o700 });
  await writeFile(join(directory, 'outside'), '', { mode: 0o600 });
  await symlink(join(directory, 'outside'), join(volume, 'a/link'));
  await giveTreeToGroup(volume, { gid: 4711 });
  assert.deepEqual(await Promise.all([volume, join(volume, 'a/b'), join(volume, 'a/b/run')].map(mode)), [
    '2775',
    '2775',
    '760',
  ]);
  for (const path of ['', 'a', 'a/b', 'a/b/run', 'a/link'])
    assert.equal((await lstat(join(volume, path))).gid, 4711, path);
  assert.equal((await stat(join(directory, 'outside'))).gid, 0);
  assert.equal(await mode(join(directory, 'outside')), '600');

  await chown(join(volume, 'a/b/run'), 0, 1);
  await giveTreeToGroup(volume, { gid: 4711, policy: 'OnRootMismatch' });
  assert.equal((await stat(join(volume, 'a/b/run'))).gid, 1, 'the root matches');
  await chmod(volume, 0o700);
  await giveTreeToGroup(volume, { gid: 4711, policy: 'OnRootMismatch' });
  assert.equal((await stat(join(volume, 'a/b/run'))).gid, 4711);
});

test('a directory swapped for a link while a tree is given away changes nothing outside', {
  skip: needsRoot,
}, async () => {
  const volume = join(directory, 'v');
  const outside = join(directory, 'outside');
  await mkdir(join(volume, 'a'), { recursive: true });
  await mkdir(outside);
  for (let i = 0; i < 20; i++) {
    await writeFile(join(volume, `a/f${i}`), '');
    await writeFile(join(outside, `f${i}`), '', { mode: 0o600 });
  }
  await symlink(outside, join(volume, 'evil'));
  let racing = true;
  const race = (async () => {
    while (racing) {
      await rename(join(volume, 'a'), join(volume, 'kept')).catch(() => {});
      await rename(join(volume, 'evil'), join(volume, 'a')).catch(() => {});
      await rename(join(volume, 'a'), join(volume, 'evil')).catch(() => {});
      await rename(join(volume, 'kept'), join(volume, 'a')).catch(() => {});
    }
  })();
  for (let tries = 0; tries < 100; tries++) await giveTreeToGroup(volume, { gid: 4711 });
  racing = false;
  await race;
  for (const name of await readdir(outside)) assert.equal((await stat(join(outside, name))).gid, 0, name);
  assert.equal((await stat(outside)).gid, 0);
});

test('a sub-path has the rights of its volume; another one replaces it', { skip: needsRoot }, async () => {
  const volume = join(directory, 'v');
  await mkdir(volume);
  await chown(volume, 0, 4711);
  await chmod(volume, 0o2770);
  const target = join(directory, 'target');
  await bindSubPath(volume, 'one/deep', target);
  assert.deepEqual([await mode(join(volume, 'one/deep')), (await stat(join(volume, 'one/deep'))).gid], ['2770', 4711]);
  await bindSubPath(volume, 'one/deep', target);
  await bindSubPath(volume, 'two', target);
  assert.equal((await listMounts()).filter((one) => one.path === target).length, 1);
  await writeFile(join(target, 'file'), '');
  assert.deepEqual(await readdir(join(volume, 'two')), ['file']);
});

test('the use of a tree counts blocks once and stops at a bound', async () => {
  await mkdir(join(directory, 'a/b'), { recursive: true });
  await writeFile(join(directory, 'a/b/file'), Buffer.alloc(mebi, 1));
  const whole = await treeUsage(directory);
  assert.ok(whole.usedBytes >= mebi && whole.usedBytes < 1.5 * mebi, String(whole.usedBytes));
  assert.deepEqual([whole.inodes, whole.partial], [4, false]);
  assert.equal((await treeUsage(directory, { mostEntries: 2 })).partial, true);
  assert.equal((await treeUsage(join(directory, 'absent'))).usedBytes, 0);
});

test('NFS sources that could be taken for options are refused before anything runs', async () => {
  for (const source of [
    { server: '-o', path: '/x' },
    { server: 'a b', path: '/x' },
    { server: 'a', path: 'x' },
  ])
    await assert.rejects(mountNfs({ source, target: join(directory, 't') }), /not an NFS export/);
  assert.deepEqual(await readdir(directory), []);
});

test('a volume of another node is refused', () => {
  const volume = (values: string[]) =>
    ({
      metadata: { name: 'pv' },
      spec: {
        nodeAffinity: {
          required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'host', operator: 'In', values }] }] },
        },
      },
    }) as never;
  verifyReachable(volume(['a']), { host: 'a' });
  assert.throws(() => verifyReachable(volume(['b']), { host: 'a' }), /no matching NodeSelectorTerms/);
  assert.throws(() => verifyReachable(volume(['a']), {}), /no matching/);
});

test('the control plane reaches the local driver and nothing but controller calls', async () => {
  const clock = new ManualClock();
  const service = openStorageService({
    nodeName: 'n',
    local: openLocalVolumes({ directory: join(directory, 'l'), clock }),
    csi: async () => ({ registry: { get: () => undefined } }) as never,
  });
  const call = (method: string, request: object = {}): Promise<object> =>
    service.call('k8ts.io/local', method, request);
  const { bavail, bsize } = await statfs(directory);
  const { available_capacity: room } = (await call('GetCapacity')) as { available_capacity: number };
  assert.ok(room > 0 && room < bavail * bsize);
  const made = await call('CreateVolume', { name: 'pvc-1', capacity_range: { required_bytes: mebi } });
  assert.deepEqual(made, {
    volume: {
      volume_id: 'pvc-1',
      capacity_bytes: mebi,
      volume_context: { path: join(directory, 'l/pvc-1/data') },
      accessible_topology: [{ segments: { 'kubernetes.io/hostname': 'n' } }],
    },
  });
  for (const required_bytes of [-1, 0.5, '1', Number.POSITIVE_INFINITY])
    await assert.rejects(call('CreateVolume', { name: 'x', capacity_range: { required_bytes } }), {
      code: 'INVALID_ARGUMENT',
    });
  await assert.rejects(call('NodePublishVolume'), { code: 'UNIMPLEMENTED' });
  await assert.rejects(call('constructor'), { code: 'UNIMPLEMENTED' });
  await assert.rejects(call('DeleteVolume', { volume_id: '../../etc' }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(service.call('absent.example', 'CreateVolume', {}), { code: 'DRIVER_MISSING' });
});

test("an inline volume's handle is upstream's", async () => {
  const pod = { metadata: { uid: 'u', namespace: 'n' } } as never;
  const { stdout } = await runCommand('sha256sum', ['-'], { input: 'uv' });
  assert.equal(inlineCsiVolume(pod, { name: 'v', csi: { driver: 'd' } }).handle, `csi-${stdout.split(' ')[0]}`);
});
