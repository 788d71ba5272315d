import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ManualClock, seededRandom, systemClock } from '#base';
import { openClusterPki } from '#pki';
import { openLmdbStore, openMemoryStore, type Store, writeArchive } from '#store';
import { type ClusterLayout, clusterLayout } from '../local/layout.ts';
import { type ClusterState, readState, writeState } from '../local/state.ts';
import { type VerifiedBackup, verifyBackup } from './backup-file.ts';
import { planFirstRevision } from './place-data.ts';
import { planRestoredState, restoreLocalCluster } from './restore-local.ts';
import { markIn, requireWholeRestore } from './restore-mark.ts';
import { takeBackup } from './take-backup.ts';

const state: ClusterState = {
  format: 1,
  name: 'one',
  createdAt: '2026-01-01T00:00:00Z',
  apiHost: '127.0.0.1',
  apiPort: 6443,
  isolated: true,
  podCidr: '10.244.0.0/16',
  serviceCidr: '10.96.0.0/12',
  clusterDomain: 'cluster.local',
  simulate: 2,
  nodes: [],
};
const clock = new ManualClock();
const place = async (asked: ClusterState): Promise<ClusterState> => ({ ...asked, apiPort: 7000 });

function newLayout(t: TestContext): ClusterLayout {
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-restore-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return { ...clusterLayout('one', { isRoot: false, dataDir: join(dir, 'data') }), runDir: join(dir, 'run') };
}

async function backupOf(layout: ClusterLayout, store: Store): Promise<{ file: string; backup: VerifiedBackup }> {
  writeState(layout, state);
  openClusterPki({ dir: layout.pkiDir, clock });
  const file = join(layout.dataDir, 'backup');
  await takeBackup({
    file,
    places: {
      kind: 'local',
      cluster: 'one',
      pkiDir: layout.pkiDir,
      configurationDir: layout.dataDir,
      configurationFiles: ['cluster.json', 'absent.yaml'],
      version: '1',
    },
    archive: () => writeArchive({ store, takenAtMs: clock.nowMs() }),
    nowMs: clock.nowMs(),
    random: seededRandom(1),
  });
  return { file, backup: await verifyBackup(file) };
}

async function storeWith(keys: Record<string, string>): Promise<Store> {
  const store = await openMemoryStore({ clock });
  for (const [key, value] of Object.entries(keys)) await store.write({ key, value: Buffer.from(value) });
  return store;
}

async function contentOf(layout: ClusterLayout): Promise<Record<string, string>> {
  const store = await openLmdbStore({ dir: layout.storeDir, clock });
  const { entries } = await store.range({ start: '', end: '' });
  await store.close();
  return Object.fromEntries(entries.map((one) => [one.key, Buffer.from(one.value).toString()]));
}

describe('the first revision of a restored store', () => {
  const plan = (backupRevision: number, nowMs: number, knownRevision?: number): number =>
    planFirstRevision({
      backupRevision,
      backupTakenAtMs: 0,
      nowMs,
      ...(knownRevision === undefined ? {} : { knownRevision }),
    });

  it('lies above the backup by a large step, and above what is there', () => {
    assert.equal(plan(500, 0), 1_000_000_500);
    assert.equal(plan(500, 0, 9_000_000_000), 10_000_000_000);
  });

  it('lies above what an earlier restore of the same backup can have reached meanwhile', () => {
    const first = plan(500, 60_000);
    const second = plan(500, 120_000);
    assert.ok(second >= first + 600_000);
    assert.ok(plan(500, -1000) >= plan(500, 0), 'a clock that was set back takes nothing away');
  });
});

it('machines that are there stay, ranges and names come from the backup', () => {
  const there: ClusterState = { ...state, name: 'here', apiPort: 7001, podCidr: '10.1.0.0/16', simulate: 5 };
  const planned = planRestoredState({ ...state, clusterDomain: 'other.local' }, there, 'here');
  assert.deepEqual(planned, { ...there, podCidr: '10.244.0.0/16', clusterDomain: 'other.local' });
  assert.deepEqual(planRestoredState(state, undefined, 'copy'), { ...state, name: 'copy' });
});

it('onto an empty machine: store, keys and description are there', async (t) => {
  const old = newLayout(t);
  const { file, backup } = await backupOf(old, await storeWith({ a: '1', b: '2' }));
  const layout = newLayout(t);
  const restored = await restoreLocalCluster({ file, backup, layout, clock, place });
  assert.equal(restored.keys, 2);
  assert.equal(restored.aside, undefined);
  assert.deepEqual(await contentOf(layout), { a: '1', b: '2' });
  assert.equal(readState(layout)?.apiPort, 7000);
  for (const name of ['ca.key', 'sa.key', 'front-proxy-ca.crt'])
    assert.equal(readFileSync(join(layout.pkiDir, name), 'utf8'), readFileSync(join(old.pkiDir, name), 'utf8'), name);
  requireWholeRestore(layout);
});

it('over a cluster: what was there is kept aside, and its description stays', async (t) => {
  const layout = newLayout(t);
  const { file, backup } = await backupOf(layout, await storeWith({ a: 'old' }));
  const live = await openLmdbStore({ dir: layout.storeDir, clock });
  await live.write({ key: 'a', value: Buffer.from('new') });
  await live.close();
  writeState(layout, { ...state, apiPort: 7777 });
  const restored = await restoreLocalCluster({ file, backup, layout, clock, place });
  assert.deepEqual(await contentOf(layout), { a: 'old' });
  assert.equal(readState(layout)?.apiPort, 7777);
  const aside = restored.aside ?? assert.fail('nothing was kept');
  assert.deepEqual(await contentOf({ ...layout, storeDir: join(aside, 'store') }), { a: 'new' });
  assert.equal(existsSync(join(aside, 'pki')), false, 'the same keys are not exchanged');
  const second = await restoreLocalCluster({ file, backup, layout, clock, place });
  assert.ok(second.firstRevision > restored.revision);
});

it('a cluster with other keys gets those of the backup', async (t) => {
  const old = newLayout(t);
  const { file, backup } = await backupOf(old, await storeWith({ a: 'old' }));
  const layout = newLayout(t);
  writeState(layout, state);
  openClusterPki({ dir: layout.pkiDir, clock });
  const before = readFileSync(join(layout.pkiDir, 'ca.key'), 'utf8');
  const restored = await restoreLocalCluster({ file, backup, layout, clock, place });
  assert.equal(readFileSync(join(layout.pkiDir, 'ca.key'), 'utf8'), readFileSync(join(old.pkiDir, 'ca.key'), 'utf8'));
  assert.equal(readFileSync(join(restored.aside ?? '', 'pki', 'ca.key'), 'utf8'), before);
});

it('cut off while files are exchanged: told, and finished by restoring again, with the first original kept', async (t) => {
  const layout = newLayout(t);
  const { file, backup } = await backupOf(layout, await storeWith({ a: 'old' }));
  const live = await openLmdbStore({ dir: layout.storeDir, clock });
  await live.write({ key: 'a', value: Buffer.from('original') });
  await live.close();
  const first = await restoreLocalCluster({ file, backup, layout, clock, place });
  // As a kill right after the store was exchanged leaves it.
  writeFileSync(markIn(layout.dataDir), '');
  assert.throws(() => requireWholeRestore(layout), /was interrupted .*: run k8ts restore with the same backup again/);
  const again = await restoreLocalCluster({ file, backup, layout, clock, place });
  requireWholeRestore(layout);
  assert.equal(again.aside, first.aside);
  assert.deepEqual(await contentOf({ ...layout, storeDir: join(again.aside ?? '', 'store') }), { a: 'original' });
  assert.deepEqual(await contentOf(layout), { a: 'old' });
});

it('a store that is damaged or gone does not stand in the way', async (t) => {
  const layout = newLayout(t);
  const { file, backup } = await backupOf(layout, await storeWith({ a: 'old' }));
  const live = await openLmdbStore({ dir: layout.storeDir, clock });
  await live.write({ key: 'a', value: Buffer.from('new') });
  await live.close();
  writeFileSync(join(layout.storeDir, 'store.lmdb'), 'nonsense'.repeat(5000));
  await restoreLocalCluster({ file, backup, layout, clock, place });
  assert.deepEqual(await contentOf(layout), { a: 'old' });
});

it('killed at any moment, it leaves the old content, the new one, or the order to run it again', {
  timeout: 90_000,
}, async (t) => {
  const layout = newLayout(t);
  const content = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, `value ${i}`]));
  const { file, backup } = await backupOf(layout, await storeWith(content));
  const live = await openLmdbStore({ dir: layout.storeDir, clock });
  await live.write({ key: 'a', value: Buffer.from('original') });
  await live.close();
  const random = seededRandom(3);
  let newest = 0;
  let interrupted = 0;
  for (let round = 0; round < 8; round++) {
    const script = join(import.meta.dirname, 'restore-killed.fixture.ts');
    const child = spawn(process.execPath, [script, join(layout.dataDir, '..'), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
    await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
    await new Promise<void>((resolve) => systemClock.setTimer(resolve, random.int(400)));
    child.kill('SIGKILL');
    await ended;
    try {
      requireWholeRestore(layout);
      const found = await contentOf(layout);
      assert.ok(found.a === 'original' || Object.keys(found).length === 300, JSON.stringify(Object.keys(found).length));
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'RestoreInterrupted');
      interrupted++;
    }
    assert.equal(existsSync(join(layout.pkiDir, 'ca.key')), true);
    const store = await openLmdbStore({ dir: layout.storeDir, clock }).catch(() => undefined);
    if (store === undefined) continue;
    assert.ok(store.revision() >= newest, 'revisions went back');
    newest = store.revision();
    await store.close();
  }
  await restoreLocalCluster({ file, backup, layout, clock, place });
  requireWholeRestore(layout);
  assert.deepEqual(await contentOf(layout), content);
  t.diagnostic(`${interrupted} of 8 were interrupted while files were exchanged`);
});
