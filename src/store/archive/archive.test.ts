import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ManualClock } from '#base';
import {
  type ArchiveMoment,
  openLmdbStore,
  openMemoryStore,
  readSelection,
  restoreLmdbStore,
  selectFromArchive,
  startCompactor,
  type Store,
  writeArchive,
} from '#store';

const text = (value: string): Uint8Array => Buffer.from(value);
const read = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();

async function piecesOf(store: Store, takenAtMs: number): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of writeArchive({ store, takenAtMs })) pieces.push(Buffer.from(piece));
  return pieces;
}

async function stateAt(pieces: Uint8Array[], moment?: ArchiveMoment): Promise<Record<string, string>> {
  const selection = await selectFromArchive(() => pieces, moment);
  const state: Record<string, string> = {};
  for await (const { key, value } of readSelection(() => pieces, selection)) state[key] = read(value);
  return state;
}

function newDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-archive-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

describe('an archive of a store', () => {
  it('holds the state at every revision that was kept, and at every time', async () => {
    const clock = new ManualClock();
    const store = await openMemoryStore({ clock });
    const startMs = clock.nowMs();
    await store.write({ key: 'a', value: text('1') });
    await clock.advance(60_000);
    await store.write({ key: 'b', value: text('1') });
    await store.write({ key: 'a', value: text('2') });
    await store.compact(3);
    await clock.advance(60_000);
    await store.write({ key: 'b' });
    await store.write({ key: 'c/\u{1f600}', value: text('') });
    await clock.advance(60_000);
    const pieces = await piecesOf(store, clock.nowMs());
    assert.deepEqual(await stateAt(pieces), { a: '2', 'c/\u{1f600}': '' });
    assert.deepEqual(await stateAt(pieces, { revision: 3 }), { a: '1', b: '1' });
    assert.deepEqual(await stateAt(pieces, { revision: 4 }), { a: '2', b: '1' });
    assert.deepEqual(await stateAt(pieces, { revision: 5 }), { a: '2' });
    assert.deepEqual(await stateAt(pieces, { timeMs: startMs + 90_000 }), { a: '2', b: '1' });
    assert.deepEqual(await stateAt(pieces, { timeMs: startMs + 150_000 }), { a: '2', 'c/\u{1f600}': '' });
    for (const moment of [
      { revision: 2 },
      { revision: 7 },
      { timeMs: startMs + 30_000 },
      { timeMs: clock.nowMs() + 1 },
    ]) {
      await assert.rejects(stateAt(pieces, moment), (error: { code: string; message: string }) => {
        assert.equal(error.code, 'OutsideHistory');
        assert.match(error.message, /is outside the history that was kept: revisions 3 to 6, /);
        return true;
      });
    }
  });

  it('is that of one revision while writes go on', async () => {
    const clock = new ManualClock();
    const store = await openMemoryStore({ clock });
    const value = Buffer.alloc(3000, 'x');
    for (let i = 0; i < 500; i++) await store.write({ key: `k${i}`, value });
    const newest = store.revision();
    let written = 0;
    const pieces: Uint8Array[] = [];
    for await (const piece of writeArchive({ store, takenAtMs: 0 })) {
      pieces.push(Buffer.from(piece));
      await store.write({ key: `k${written}` });
      await store.write({ key: `late${written++}`, value });
    }
    assert.ok(written > 3);
    const state = await stateAt(pieces);
    assert.equal(Object.keys(state).length, 500);
    assert.equal(state.k0?.length, 3000);
    assert.equal((await selectFromArchive(() => pieces)).header.revision, newest);
  });

  it('is refused when any byte of it changed, or its end is missing', async () => {
    const store = await openMemoryStore({ clock: new ManualClock() });
    for (let i = 0; i < 5; i++) await store.write({ key: `k${i % 3}`, value: text(`value ${i}`) });
    await store.write({ key: 'k0' });
    const whole = Buffer.concat(await piecesOf(store, 0));
    await stateAt([whole]);
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] as number) ^ 0x41;
      await assert.rejects(stateAt([changed]), `byte ${at}`);
    }
    for (let length = 0; length < whole.length; length++) {
      await assert.rejects(stateAt([whole.subarray(0, length)]), { code: 'ArchiveDamaged' }, `${length} bytes`);
    }
    await assert.rejects(stateAt([whole, Buffer.from('more')]), { code: 'ArchiveDamaged' });
    await stateAt(Array.from(whole, (_, at) => whole.subarray(at, at + 1)));
  });

  it('becomes a store that counts on, whose past is compacted, and whose leases end', async (t) => {
    const clock = new ManualClock();
    const store = await openMemoryStore({ clock });
    const lease = await store.grantLease(50);
    await store.write({ key: 'event', value: text('e'), lease });
    for (let i = 0; i < 2500; i++) await store.write({ key: `k${i}`, value: text(`${i}`) });
    const pieces = await piecesOf(store, clock.nowMs());
    const source = () => pieces;
    const selection = await selectFromArchive(source);
    const dir = newDir(t);
    const firstRevision = 1_000_002_000;
    const entries = readSelection(source, selection);
    const newest = await restoreLmdbStore({ dir, clock, entries, firstRevision, leaseTtlSeconds: 60 });
    const restored = await openLmdbStore({ dir, clock });
    assert.equal(restored.revision(), newest);
    assert.equal(newest, firstRevision + 2501);
    const { entries: all } = await restored.range({ start: '', end: '' });
    assert.equal(all.length, 2501);
    assert.deepEqual(new Set(all.map((one) => one.modRevision)).size, 2501);
    for (const one of all) assert.ok(one.modRevision > firstRevision && one.version === 1);
    await assert.rejects(restored.get('k1', { revision: store.revision() }), { code: 'Compacted' });
    const watch = restored.watch({ start: '', end: '', fromRevision: store.revision() });
    await assert.rejects(watch[Symbol.asyncIterator]().next(), { code: 'Compacted' });
    assert.equal((await restored.write({ key: 'k1', value: text('new') })).revision, newest + 1);
    await clock.advance(61_000);
    await restored.write({ key: 'z', value: text('z') });
    assert.equal(await restored.get('event'), undefined);
    await restored.compact(restored.revision());
    await restored.close();
    const again = await openLmdbStore({ dir, clock });
    assert.equal((await again.range({ start: 'k', end: 'l' })).count, 2500);
    await again.close();
  });

  it('keeps the times of revisions over a restart, and forgets them with their history', async (t) => {
    const clock = new ManualClock();
    const dir = newDir(t);
    let store = await openLmdbStore({ dir, clock });
    for (let i = 0; i < 20; i++) {
      await store.write({ key: 'a', value: text(`${i}`) });
      await clock.advance(30);
    }
    const times = store.revisionTimes?.() ?? [];
    assert.ok(times.length >= 4 && times.length <= 6, `${times.length} times`);
    await store.close();
    store = await openLmdbStore({ dir, clock });
    assert.deepEqual(store.revisionTimes?.(), times);
    await store.compact(15);
    const left = store.revisionTimes?.() ?? [];
    assert.ok(left.length < times.length && (left[0]?.revision ?? 0) <= 15 && (left[1]?.revision ?? 0) > 15);
    await store.close();
    store = await openLmdbStore({ dir, clock });
    assert.deepEqual(store.revisionTimes?.(), left);
    await store.close();
  });

  it('finds a time that the clock said before it was set', async () => {
    let nowMs = 1_000_000;
    const manual = new ManualClock();
    const clock = Object.create(manual, { nowMs: { value: () => nowMs } }) as ManualClock;
    const store = await openMemoryStore({ clock });
    for (const atMs of [1_000_000, 1_010_000, 90_000_000_000, 1_020_000, 1_030_000]) {
      nowMs = atMs;
      await store.write({ key: `at${atMs}`, value: text('') });
    }
    const pieces = await piecesOf(store, nowMs);
    assert.deepEqual(Object.keys(await stateAt(pieces, { timeMs: 1_015_000 })).sort(), ['at1000000', 'at1010000']);
    assert.equal(Object.keys(await stateAt(pieces, { timeMs: 1_025_000 })).length, 4);
  });
});

it('while an archive is taken nothing is compacted, for ten minutes at most; a full store waits for nobody', async () => {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock });
  const compactor = startCompactor({ store, clock, keepMs: 1000 });
  for (let i = 0; i < 10; i++) await store.write({ key: 'a', value: text(`${i}`) });
  const release = compactor.hold();
  await clock.advance(599_000);
  assert.equal(store.compactedRevision(), 1);
  await clock.advance(10_000);
  assert.equal(store.compactedRevision(), store.revision());
  release();
  await compactor.close();
});

it('of history longer than five minutes only so many revisions are kept', async () => {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock });
  const compactor = startCompactor({ store, clock, keepMs: 3_600_000, keepRevisions: 100 });
  const write = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await store.write({ key: 'a', value: text(`${i}`) });
  };
  await write(50);
  await clock.advance(1_800_000);
  assert.equal(store.compactedRevision(), 1, 'few revisions are kept long');
  await write(500);
  await clock.advance(200_000);
  assert.ok(store.compactedRevision() <= 51, 'young revisions are kept, however many');
  await clock.advance(600_000);
  assert.equal(store.compactedRevision(), 51);
  await write(200);
  await clock.advance(600_000);
  assert.equal(store.compactedRevision(), 551);
  await compactor.close();
});

it('a store without times of its own has those that the compactor saw: never a change from after the time asked for', async () => {
  const clock = new ManualClock();
  const memory = await openMemoryStore({ clock });
  const store = Object.create(memory, { revisionTimes: { value: undefined } }) as Store;
  for (const name of ['revision', 'compactedRevision', 'range', 'watch', 'write'] as const)
    Object.defineProperty(store, name, { value: (memory[name] as () => unknown).bind(memory) });
  Object.defineProperty(store, 'isFull', { value: () => false });
  const compactor = startCompactor({ store, clock, keepMs: 3_600_000 });
  const writtenMs: number[] = [];
  for (let i = 0; i < 40; i++) {
    writtenMs.push(clock.nowMs());
    await store.write({ key: `k${i}`, value: text('') });
    await clock.advance(3_000);
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of writeArchive({ store, takenAtMs: clock.nowMs(), times: compactor.times() }))
    pieces.push(Buffer.from(piece));
  for (let i = 5; i < 40; i++) {
    const timeMs = (writtenMs[i] as number) + 1;
    const found = Object.keys(await stateAt(pieces, { timeMs })).length;
    const real = writtenMs.filter((one) => one <= timeMs).length;
    assert.ok(found <= real && found >= real - 4, `${found} of ${real}`);
  }
  await compactor.close();
});
