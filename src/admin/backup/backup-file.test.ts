import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ManualClock, seededRandom } from '#base';
import { openMemoryStore, readSelection, type Store, writeArchive } from '#store';
import { type BackupContent, readBackupSummary, verifyBackup, writeBackup } from './backup-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'k8ts-backup-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const random = seededRandom(1);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const content: BackupContent = {
  manifest: { format: 1, kind: 'local', cluster: 'one', createdAt: '2026-01-01T00:00:00Z', version: '1' },
  configuration: { 'cluster.json': { mode: 0o600, data: base64('{}') } },
  pki: { 'ca.key': { mode: 0o600, data: base64('key') }, 'etcd/ca.crt': { mode: 0o644, data: base64('cert') } },
};

async function filledStore(): Promise<Store> {
  const store = await openMemoryStore({ clock: new ManualClock() });
  for (let i = 0; i < 20; i++) await store.write({ key: `k${i % 7}`, value: Buffer.from(`value ${i}`) });
  return store;
}

async function write(name: string, parts: Partial<BackupContent> = {}, store?: Store): Promise<string> {
  const file = join(dir, name);
  const archive = writeArchive({ store: store ?? (await filledStore()), takenAtMs: 0 });
  await writeBackup({ file, content: { ...content, ...parts }, archive, random });
  return file;
}

describe('a backup file', () => {
  it('holds what was put in, for its owner alone', async () => {
    const file = await write('whole');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const backup = await verifyBackup(file);
    assert.deepEqual(
      [backup.manifest, backup.configuration, backup.pki],
      [content.manifest, content.configuration, content.pki],
    );
    assert.equal(backup.selection.count, 7);
    const keys: string[] = [];
    for await (const { key } of readSelection(backup.archive, backup.selection)) keys.push(key);
    assert.deepEqual(keys.sort(), ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6']);
    assert.equal((await readBackupSummary(file)).archive.revision, 21);
    assert.equal((await verifyBackup(file, { revision: 3 })).selection.count, 2);
    await assert.rejects(verifyBackup(file, { revision: 22 }), { code: 'OutsideHistory' });
  });

  it('is refused at every length but its own, with the place where it ends', async () => {
    const whole = readFileSync(await write('to-cut'));
    const cut = join(dir, 'cut');
    for (let length = 0; length < whole.length; length += length < 40 ? 1 : 7) {
      writeFileSync(cut, whole.subarray(0, length));
      const code = length === 0 ? 'NotABackup' : 'BackupCutShort';
      await assert.rejects(verifyBackup(cut), { code }, `${length} of ${whole.length} bytes`);
    }
    writeFileSync(cut, whole.subarray(0, whole.length - 1));
    await assert.rejects(verifyBackup(cut), /is cut short: it ends in the section "end"; nothing was changed: use/);
    writeFileSync(cut, Buffer.concat([whole, whole]));
    await assert.rejects(verifyBackup(cut), { code: 'BackupDamaged' });
  });

  it('is refused when any byte changed', async () => {
    const whole = readFileSync(await write('to-change'));
    const changed = join(dir, 'changed');
    for (let at = 0; at < whole.length; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] as number) ^ 0x04;
      writeFileSync(changed, bytes);
      await assert.rejects(
        verifyBackup(changed),
        (error: { code: string }) => /^(NotABackup|BackupCutShort|BackupDamaged)$/.test(error.code),
        `byte ${at}`,
      );
    }
  });

  it('is not taken for one when it is something else', async () => {
    const other = join(dir, 'other');
    for (const bytes of ['PK\u0003\u0004', '# a manifest\nkind: Pod\n', 'k8ts backup 2\n']) {
      writeFileSync(other, bytes);
      await assert.rejects(verifyBackup(other), /is not a k8ts backup: it does not begin with "k8ts backup 1"/);
    }
    await assert.rejects(verifyBackup(dir), { code: 'NotABackup' });
    await assert.rejects(verifyBackup(join(dir, 'absent')), /absent cannot be read: there is no such file/);
  });

  it('cannot name files outside of its folder', async () => {
    for (const path of ['../ca.key', '/etc/passwd', 'a/../../b', '.ssh/key', 'a//b', '']) {
      const promise = write('outside', { pki: { [path]: { mode: 0o600, data: '' } } });
      await assert.rejects(promise, { code: 'BackupDamaged' }, path);
    }
  });

  it('keeps the one that was there when the new one cannot be finished', async () => {
    const file = await write('kept');
    const before = readFileSync(file);
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      const store = await filledStore();
      for await (const piece of writeArchive({ store, takenAtMs: 0 })) {
        yield piece;
        throw new Error('the server went away');
      }
    };
    await assert.rejects(writeBackup({ file, content, archive: broken(), random }), /the server went away/);
    const half = async function* (): AsyncGenerator<Uint8Array> {
      const store = await filledStore();
      for await (const piece of writeArchive({ store, takenAtMs: 0 })) {
        yield piece;
        return;
      }
    };
    await assert.rejects(writeBackup({ file, content, archive: half(), random }), { code: 'BackupDamaged' });
    assert.deepEqual(readFileSync(file), before);
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.endsWith('.part')),
      [],
    );
    mkdirSync(join(dir, 'folder'));
    const archive = writeArchive({ store: await filledStore(), takenAtMs: 0 });
    await assert.rejects(writeBackup({ file: join(dir, 'folder'), content, archive, random }), /name a file/);
  });
});
