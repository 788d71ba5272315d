import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock, silentLog } from '#base';
import { MemoryJournal } from '../drivers/memory.driver.ts';
import { Corrupt, StoreFull } from '../errors.ts';
import { Engine } from './engine.ts';
import type { JournalBatch } from './journal.ts';

/** A journal whose commits wait to be let through, or fail as told. */
class StubbornJournal extends MemoryJournal {
  commits: number[] = [];
  fail: ((batch: JournalBatch) => Error | undefined) | undefined;
  damaged = new Set<string>();
  #gate: PromiseWithResolvers<void> | undefined;

  hold(): void {
    this.#gate = Promise.withResolvers<void>();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  override async commit(batch: JournalBatch): Promise<void> {
    await this.#gate?.promise;
    this.commits.push(batch.records.length);
    const error = this.fail?.(batch);
    if (error !== undefined) throw error;
    await super.commit(batch);
  }

  override read(revision: number, key: string): Uint8Array {
    if (this.damaged.has(key)) throw new Corrupt(key);
    return super.read(revision, key);
  }
}

function open(): { journal: StubbornJournal; engine: Engine } {
  const journal = new StubbornJournal();
  return { journal, engine: new Engine({ journal, clock: new ManualClock(), log: silentLog }) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const value = Buffer.from('x');
const all = { start: '', end: '' };

describe('engine', () => {
  it('shows and acknowledges nothing before it is durable', async () => {
    const { journal, engine } = open();
    const watch = engine.watch(all)[Symbol.asyncIterator]();
    let told = 0;
    const next = watch.next().then(() => told++);
    journal.hold();
    const put = engine.write({ key: 'a', value }).then(() => told++);
    const lost = engine.write({ key: 'a', value, ifModRevision: 0 }).then(() => told++);
    await turn();
    assert.deepEqual([told, engine.revision(), await engine.get('a')], [0, 1, undefined]);
    journal.release();
    await Promise.all([put, lost, next]);
    assert.deepEqual([told, engine.revision()], [3, 2]);
  });

  it('gathers what arrives during a commit into the next', async () => {
    const { journal, engine } = open();
    journal.hold();
    const first = engine.write({ key: 'a', value });
    await turn();
    const rest = Array.from({ length: 100 }, (_, i) => engine.write({ key: `k${i}`, value }));
    journal.release();
    await Promise.all([first, ...rest]);
    assert.deepEqual(journal.commits, [1, 100]);
  });

  it('ends at the first failed commit and acknowledges nothing after it', async () => {
    const { journal, engine } = open();
    await engine.write({ key: 'a', value });
    const watch = engine.watch(all)[Symbol.asyncIterator]().next();
    journal.fail = () => new Error('fsync: EIO');
    const results = await Promise.allSettled([
      engine.write({ key: 'b', value }),
      engine.write({ key: 'c' }),
      engine.grantLease(5),
      watch,
    ]);
    for (const one of results) assert.equal((one as { reason: { code: string } }).reason.code, 'StoreClosed');
    await assert.rejects(engine.failed, /fsync: EIO/);
    journal.fail = undefined;
    await assert.rejects(engine.write({ key: 'd', value }), { code: 'StoreClosed' });
    await assert.rejects(engine.get('a'), { code: 'StoreClosed' });
    assert.deepEqual(journal.commits, [1, 1]);
    await engine.close();
  });

  it('finds the writes that fit when a commit does not', async () => {
    const { journal, engine } = open();
    await engine.write({ key: 'old', value });
    journal.fail = (batch) => {
      const tooBig = batch.records.some((record) => record.value.length > 10);
      return tooBig ? new StoreFull('disk') : undefined;
    };
    const watch = engine.watch(all)[Symbol.asyncIterator]();
    const results = await Promise.allSettled([
      engine.write({ key: 'a', value, ifModRevision: 0 }),
      engine.write({ key: 'big', value: Buffer.alloc(20) }),
      engine.write({ key: 'big', value, ifModRevision: 0 }),
      engine.write({ key: 'old' }),
    ]);
    assert.deepEqual(
      results.map((one) => (one.status === 'fulfilled' ? [one.value.applied, one.value.revision] : one.reason.code)),
      [[true, 3], 'StoreFull', [true, 4], [true, 5]],
    );
    const seen: number[] = [];
    while (seen.length < 3)
      seen.push(
        ...(await watch.next()).value.events.map(
          (event: { entry: { modRevision: number } }) => event.entry.modRevision,
        ),
      );
    assert.deepEqual(seen, [3, 4, 5]);
  });

  it('drops what a full disk kept it from dropping, later', async () => {
    const { journal, engine } = open();
    for (let i = 0; i < 5; i++) await engine.write({ key: 'a', value });
    journal.fail = (batch) => (batch.drop.length > 0 ? new StoreFull('disk') : undefined);
    await assert.rejects(engine.compact(6), { code: 'StoreFull' });
    assert.equal(engine.compactedRevision(), 6);
    journal.fail = undefined;
    await engine.compact(6);
    assert.deepEqual(
      [...journal.load().records].map(({ revision }) => revision),
      [5, 6],
    );
  });

  it('finishes at the next start a compaction that was cut short, and brings no deleted key back', async () => {
    for (let allowed = 0; allowed < 4; allowed++) {
      const journal = new StubbornJournal();
      const engine = new Engine({ journal, clock: new ManualClock(), log: silentLog });
      for (let i = 0; i < 1500; i++) await engine.write({ key: `k${i % 3}`, value });
      for (const key of ['k0', 'k1', 'k2']) await engine.write({ key });
      await engine.write({ key: 'last', value });
      let drops = 0;
      journal.fail = (batch) => (batch.drop.length > 0 && drops++ >= allowed ? new Error('power cut') : undefined);
      await engine.compact(engine.revision()).catch(() => {});
      journal.fail = undefined;
      const again = new Engine({ journal, clock: new ManualClock(), log: silentLog });
      assert.deepEqual([again.revision(), again.compactedRevision()], [1505, 1505]);
      assert.deepEqual(
        (await again.range(all)).entries.map(({ key }) => key),
        ['last'],
      );
      await again.compact(1505);
      assert.deepEqual(
        [...journal.load().records].map(({ revision }) => revision),
        [1505],
      );
      await again.close();
    }
  });

  it('never serves a damaged value, but lets it be replaced or deleted', async () => {
    const { journal, engine } = open();
    await engine.write({ key: 'a', value });
    await engine.write({ key: 'b', value });
    journal.damaged.add('a');
    await assert.rejects(engine.get('a'), { code: 'Corrupt' });
    await assert.rejects(engine.range(all), { code: 'Corrupt' });
    await assert.rejects(engine.write({ key: 'a', value, ifModRevision: 0 }), { code: 'Corrupt' });
    assert.deepEqual([...((await engine.get('b'))?.value ?? [])], [...value]);
    assert.deepEqual(await engine.write({ key: 'a' }), { applied: true, revision: 4 });
    assert.equal((await engine.range(all)).count, 1);
  });

  it('finishes a long read of revisions that are compacted meanwhile', async () => {
    const { engine } = open();
    const writeAll = (): Promise<unknown> =>
      Promise.all(Array.from({ length: 2000 }, (_, i) => engine.write({ key: `k${i}`, value })));
    await writeAll();
    const reading = engine.range(all);
    await writeAll();
    await engine.compact(engine.revision());
    const { entries, revision } = await reading;
    assert.deepEqual([entries.length, revision], [2000, 2001]);
    assert.ok(entries.every((entry) => entry.version === 1));
  });

  it('refuses a history with a hole', async () => {
    const journal = new StubbornJournal();
    const engine = new Engine({ journal, clock: new ManualClock(), log: silentLog });
    for (let i = 0; i < 5; i++) await engine.write({ key: 'a', value });
    await journal.commit({ records: [], drop: [4], compacted: undefined, leases: new Map() });
    assert.throws(() => new Engine({ journal, clock: new ManualClock(), log: silentLog }), /revision 4 is missing/);
  });
});
