import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { ManualClock, seededRandom, silentLog } from '#base';
import { listSnapshots, planNextMs, planRetention, type Snapshot, snapshotName, startSnapshots } from './snapshots.ts';

const hourMs = 3_600_000;
const snapshot = (takenAtMs: number): Snapshot => ({ name: snapshotName(takenAtMs), path: '', takenAtMs, bytes: 1 });

function schedule(t: TestContext, clock: ManualClock, take: (file: string) => Promise<void>) {
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-snapshots-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const start = () =>
    startSnapshots({ dir, everyMs: hourMs, keep: 3, clock, random: seededRandom(1), log: silentLog, take });
  return { dir, start };
}

it('the oldest go, never the one just taken', () => {
  const all = [1, 2, 3, 4, 5].map((n) => snapshot(n * hourMs));
  const names = (list: Snapshot[]) => list.map((one) => one.takenAtMs / hourMs);
  assert.deepEqual(names(planRetention(all, 3, snapshotName(5 * hourMs))), [1, 2]);
  assert.deepEqual(names(planRetention(all, 3, snapshotName(1 * hourMs))), [2, 3]);
  assert.deepEqual(names(planRetention(all, 9, snapshotName(5 * hourMs))), []);
  assert.deepEqual(names(planRetention(all, 1, snapshotName(5 * hourMs))), [1, 2, 3, 4]);
});

it('the next is due an interval after the last, soon when it is overdue, whatever the clock was set to', () => {
  const options = { everyMs: hourMs, nowMs: 100 * hourMs };
  assert.equal(planNextMs(undefined, options), 10_000);
  assert.equal(planNextMs(snapshot(99.75 * hourMs), options), 0.75 * hourMs);
  assert.equal(planNextMs(snapshot(5 * hourMs), options), 10_000);
  assert.equal(planNextMs(snapshot(9999 * hourMs), options), hourMs);
});

it('taken every hour, three stay; a restart does not begin the hour anew', async (t) => {
  const clock = new ManualClock();
  let fail = false;
  const { dir, start } = schedule(t, clock, async (file) => {
    if (fail) throw new Error('no room');
    writeFileSync(file, 'x');
  });
  writeFileSync(join(dir, 'notes.txt'), 'stays');
  const first = start();
  await clock.advance(10_000);
  assert.equal(listSnapshots(dir).length, 1);
  await clock.advance(4 * hourMs);
  const kept = listSnapshots(dir);
  assert.equal(kept.length, 3);
  assert.deepEqual(
    kept.map((one) => Math.round((clock.nowMs() - one.takenAtMs) / hourMs)),
    [2, 1, 0],
  );
  await clock.advance(hourMs / 2);
  await first.close();
  const second = start();
  await clock.advance(hourMs / 2 - 20_000);
  assert.equal(listSnapshots(dir).at(-1)?.name, kept.at(-1)?.name, 'not yet');
  await clock.advance(30_000);
  assert.notEqual(listSnapshots(dir).at(-1)?.name, kept.at(-1)?.name);
  fail = true;
  const before = listSnapshots(dir);
  await clock.advance(3 * hourMs);
  assert.deepEqual(listSnapshots(dir), before, 'failures remove nothing');
  fail = false;
  await clock.advance(hourMs);
  assert.notDeepEqual(listSnapshots(dir), before);
  await second.close();
  assert.ok(readdirSync(dir).includes('notes.txt'));
  assert.equal(clock.nextDelayMs(), undefined);
});

it('what a killed process left is removed when it is old', async (t) => {
  const clock = new ManualClock();
  const { dir, start } = schedule(t, clock, async (file) => writeFileSync(file, 'x'));
  const old = join(dir, '2020-01-01T00-00-00.000Z.k8ts-backup.abcdefgh.part');
  const young = join(dir, '2020-01-01T00-00-01.000Z.k8ts-backup.abcdefgh.part');
  for (const file of [old, young]) writeFileSync(file, 'half');
  const nowSeconds = clock.nowMs() / 1000;
  utimesSync(old, nowSeconds - 8000, nowSeconds - 8000);
  utimesSync(young, nowSeconds, nowSeconds);
  const running = start();
  await clock.advance(10_000);
  await running.close();
  const names = readdirSync(dir);
  assert.equal(names.filter((name) => name.endsWith('.part')).length, 1);
  assert.equal(listSnapshots(dir).length, 1);
});
