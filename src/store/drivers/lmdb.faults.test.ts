import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ManualClock, seededRandom, systemClock } from '#base';
import type { Store, StoreBatch } from '../contract.ts';
import { LmdbJournal, openLmdbStore } from './lmdb.driver.ts';

const made: string[] = [];
const newDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-store-'));
  made.push(dir);
  return dir;
};
const open = (dir: string): Promise<Store> => openLmdbStore({ dir, clock: new ManualClock() });
const file = (dir: string): string => join(dir, 'store.lmdb');
const all = { start: '', end: '' };

after(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});

describe('lmdb driver, when things go wrong', () => {
  it('loses no acknowledged write and reuses no revision when killed (etcd 14370)', { timeout: 60_000 }, async () => {
    const dir = newDir();
    const random = seededRandom(7);
    const acknowledged = new Map<number, { key: string; value: string }>();
    let newest = 1;
    for (let cycle = 0; cycle < 12; cycle++) {
      const lines = await killedAfterMs(dir, cycle, 10 + random.int(90));
      const floor = newest;
      let compacted = 1;
      for (const line of lines) {
        const [revision = '', key = '', value = ''] = line.split(' ');
        if (revision === 'compacted') compacted = Math.max(compacted, Number(key));
        else {
          assert.ok(Number(revision) > floor && !acknowledged.has(Number(revision)), `revision ${revision} came again`);
          acknowledged.set(Number(revision), { key, value });
        }
      }
      const store = await open(dir);
      newest = store.revision();
      assert.ok(store.compactedRevision() >= compacted, 'compaction was forgotten');
      await checkAcknowledged(store, acknowledged, floor);
      const { revision } = await store.write({ key: 'parent', value: Buffer.from(`${cycle}`) });
      assert.equal(revision, newest + 1);
      acknowledged.set(revision, { key: 'parent', value: `${cycle}` });
      newest = revision;
      await store.close();
    }
    assert.ok(acknowledged.size > 1000, `only ${acknowledged.size} writes were acknowledged`);
  });

  it('is open in one process at a time', async () => {
    const dir = newDir();
    const store = await open(dir);
    await assert.rejects(open(dir), { code: 'StoreInUse' });
    await store.close();
    await (await open(dir)).close();
  });

  it('keeps its files from others', async () => {
    const dir = join(newDir(), 'made', 'here');
    const store = await open(dir);
    await store.write({ key: 'a', value: Buffer.from('secret') });
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.equal(statSync(file(dir)).mode & 0o777, 0o600);
    await store.close();
  });

  it('never serves a value whose bytes changed on disk, and serves the others', async () => {
    const dir = newDir();
    let store = await open(dir);
    await store.write({ key: 'good', value: Buffer.from('untouched') });
    await store.write({ key: 'bad', value: Buffer.from('needle-in-a-value') });
    await store.close();
    damage(file(dir), 'needle-in-a-value', 3);
    store = await open(dir);
    assert.equal(Buffer.from((await store.get('good'))?.value ?? []).toString(), 'untouched');
    await assert.rejects(store.get('bad'), { code: 'Corrupt' });
    await assert.rejects(store.range(all), { code: 'Corrupt' });
    await store.write({ key: 'bad' });
    assert.equal((await store.range(all)).count, 1);
    await store.close();
  });

  it('refuses to open when a key changed on disk, or the format is another', async () => {
    const dir = newDir();
    const store = await open(dir);
    await store.write({ key: 'needle-in-a-key', value: Buffer.from('x') });
    await store.close();
    damage(file(dir), 'needle-in-a-key', 2);
    await assert.rejects(open(dir), { code: 'Corrupt' });
    damage(file(dir), 'k8ts store 1', 11);
    await assert.rejects(open(dir), { code: 'StoreFormat' });
  });

  it('notices a revision that is written twice', async () => {
    const journal = new LmdbJournal({ dir: newDir(), clock: systemClock, lock: { close: async () => {} } });
    const record = {
      revision: 5,
      key: 'a',
      deleted: false,
      createRevision: 5,
      version: 1,
      lease: 0,
      value: Buffer.from('x'),
    };
    const batch = { records: [record], drop: [], compacted: undefined, leases: new Map([[1, 10]]) };
    await journal.commit(batch);
    await assert.rejects(journal.commit(batch), { code: 'Corrupt' });
    await journal.close();
  });

  const mayMount = process.platform === 'linux' && process.getuid?.() === 0;
  it('goes on with reads and deletes on a full disk', { skip: !mayMount, timeout: 20_000 }, () => {
    const script = join(import.meta.dirname, 'full-disk.fixture.ts');
    const shell = 'mount -t tmpfs -o size=4m none "$1" && exec "$2" "$3" "$1"';
    const args = ['--mount', 'sh', '-c', shell, 'sh', newDir(), process.execPath, script];
    const said = execFileSync('unshare', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    assert.deepEqual(JSON.parse(said), {
      full: 'StoreFull',
      readable: true,
      deleted: true,
      after: true,
      more: true,
      reserveUsed: true,
      inside: true,
      afterwards: true,
      reserveBack: true,
      reopened: true,
    });
  });
});

/** Runs the writer, kills it, and returns the whole lines it printed. */
async function killedAfterMs(dir: string, seed: number, delayMs: number): Promise<string[]> {
  const script = join(import.meta.dirname, 'crash-writer.fixture.ts');
  const child: ChildProcess = spawn(process.execPath, [script, dir, `${seed}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { stdout } = child;
  assert.ok(stdout !== null);
  let said = '';
  let armed = false;
  stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    if (armed) return;
    armed = true;
    systemClock.setTimer(() => child.kill('SIGKILL'), delayMs);
  });
  await new Promise<void>((resolve) => child.on('close', () => resolve()));
  assert.ok(armed, 'the writer ended by itself');
  return said.slice(0, said.lastIndexOf('\n')).split('\n');
}

/**
 * Each acknowledged write is there: in the history where that is kept, below it unless a later write replaced it; of
 * those up to `floor`, looked at before, only the last of each key is again. A write that was durable and not acknowledged may
 * have replaced one: its revision is one nobody was told of.
 */
async function checkAcknowledged(
  store: Store,
  acknowledged: ReadonlyMap<number, { key: string; value: string }>,
  floor: number,
): Promise<void> {
  const compacted = store.compactedRevision();
  const lastOf = new Map<string, number>();
  for (const [revision, { key }] of acknowledged) lastOf.set(key, Math.max(revision, lastOf.get(key) ?? 0));
  const untold = (from: number, to: number): boolean => {
    for (let revision = from; revision <= to; revision++) if (!acknowledged.has(revision)) return true;
    return false;
  };
  for (const [revision, { key, value }] of acknowledged) {
    assert.ok(revision <= store.revision(), `revision ${revision} was lost`);
    if (revision <= floor && lastOf.get(key) !== revision) continue;
    if (revision < compacted && lastOf.get(key) !== revision) continue;
    const entry = await store.get(key, { revision: Math.max(revision, compacted) });
    const found = entry === undefined ? '-' : Buffer.from(entry.value).toString();
    if (found === value && (entry === undefined || entry.modRevision === revision)) continue;
    const replaced = revision < compacted && untold(revision + 1, compacted);
    assert.ok(
      replaced && acknowledged.get(entry?.modRevision ?? 0) === undefined,
      `the write of ${key} at ${revision} was lost`,
    );
  }
  let next = Math.max(2, compacted);
  const watch = store.watch({ ...all, fromRevision: next })[Symbol.asyncIterator]();
  while (next <= store.revision()) {
    const { events } = (await watch.next()).value as StoreBatch;
    for (const { entry } of events) assert.equal(entry.modRevision, next++);
  }
}

function damage(path: string, needle: string, offset: number): void {
  const bytes = readFileSync(path);
  let at = bytes.indexOf(needle);
  assert.ok(at >= 0);
  for (; at >= 0; at = bytes.indexOf(needle, at + 1)) bytes[at + offset] = (bytes[at + offset] as number) ^ 0x10;
  writeFileSync(path, bytes);
}
