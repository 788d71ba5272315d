import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { prefixEnd, type Store, type StoreBatch, type StoreEvent, type WatchLimits } from '#store';
import { storeModelTest } from './store-model.ts';

/** What a contract suite needs of a driver. */
export interface StoreDriver {
  readonly name: string;
  open(options?: StoreTestOptions): Promise<OpenedStore>;
}

export interface StoreTestOptions {
  readonly watchLimits?: WatchLimits;
  readonly maxBytes?: number;
}

export interface OpenedStore {
  readonly store: Store;
  /** Lets the store's time pass. */
  advance(byMs: number): Promise<void>;
  /** Closes the store and opens what it left; absent when the driver cannot. */
  reopen?(): Promise<OpenedStore>;
  /** Closes the store and removes it. */
  dispose(): Promise<void>;
}

/** Features a driver may lack. */
export interface StoreContractOptions {
  /** Runs of the model-based test. */
  readonly runs?: number;
  /** `maxBytes` is honoured. Default true. */
  readonly quota?: boolean;
  /**
   * The store is a server's: writes asked for together are decided in any order unless they are of one key, the keys of a lease go in
   * one revision, and the first revision cannot be told from one that is forgotten. Default false.
   */
  readonly remote?: boolean;
  /** How long a second is in tests of leases; default 1000. */
  readonly secondMs?: number;
}

/** Registers the tests that every driver must pass. */
export function storeContract(driver: StoreDriver, options: StoreContractOptions = {}): void {
  const { runs = 50, quota = true, remote = false, secondMs = 1000 } = options;
  describe(`store contract: ${driver.name}`, () => {
    const opened: OpenedStore[] = [];
    const open = async (testOptions?: StoreTestOptions): Promise<OpenedStore> => {
      const one = await driver.open(testOptions);
      opened.push(one);
      return one;
    };
    const openStore = async (): Promise<Store> => (await open()).store;
    const reopen = async (one: OpenedStore): Promise<OpenedStore | undefined> => {
      const again = await one.reopen?.();
      if (again !== undefined) opened.push(again);
      return again;
    };
    afterEach(async () => {
      for (const one of opened.splice(0)) await one.dispose();
    });

    writes(openStore);
    ranges(openStore);
    watches(openStore, remote);
    compaction(open, reopen, remote);
    leases(open, reopen, { remote, secondMs });
    endings(openStore);
    bounds(open);
    if (quota) fullness(open);
    it('does what a naive model does', () => storeModelTest(driver, { runs, remote }));
  });
}

type Open = (options?: StoreTestOptions) => Promise<OpenedStore>;
type OpenStore = () => Promise<Store>;
type Reopen = (one: OpenedStore) => Promise<OpenedStore | undefined>;

const text = (value: string): Uint8Array => Buffer.from(value);
const read = (entry: { readonly value: Uint8Array } | undefined): string | undefined =>
  entry === undefined ? undefined : Buffer.from(entry.value).toString();
const all = { start: '', end: '' } as const;
const under = (prefix: string): { start: string; end: string } => ({ start: prefix, end: prefixEnd(prefix) });
const coded = (code: string): { code: string } => ({ code });

/** Takes batches until `count` events came. */
async function take(watch: AsyncIterable<StoreBatch>, count: number): Promise<StoreEvent[]> {
  const events: StoreEvent[] = [];
  const iterator = watch[Symbol.asyncIterator]();
  while (events.length < count) {
    const { value, done } = await iterator.next();
    assert.equal(done ?? false, false, 'the watch ended early');
    events.push(...(value as StoreBatch).events);
  }
  return events;
}

/** By revision: the revision of the change before it of the same key. */
function revisionsBefore(events: readonly StoreEvent[]): Map<number, number | undefined> {
  const last = new Map<string, number>();
  const before = new Map<number, number | undefined>();
  for (const { key, entry } of events) {
    before.set(entry.modRevision, last.get(key));
    last.set(key, entry.modRevision);
  }
  return before;
}

const brief = (event: StoreEvent): string =>
  `${event.entry.modRevision} ${event.type} ${event.key}=${read(event.entry)} was ${read(event.previous) ?? '-'}`;

function writes(open: OpenStore): void {
  it('starts at revision 1 and counts writes', async () => {
    const store = await open();
    assert.equal(store.revision(), 1);
    assert.deepEqual(await store.write({ key: 'a', value: text('1') }), { applied: true, revision: 2 });
    const second = await store.write({ key: 'a', value: text('2') });
    assert.equal(second.revision, 3);
    assert.equal(read(second.current), '1');
    assert.equal(store.revision(), 3);
    const entry = await store.get('a');
    assert.equal(read(entry), '2');
    const { modRevision, createRevision, version, key } = entry ?? assert.fail('absent');
    assert.deepEqual([key, modRevision, createRevision, version], ['a', 3, 2, 2]);
  });

  it('reads any revision that is kept', async () => {
    const store = await open();
    await store.write({ key: 'a', value: text('1') });
    await store.write({ key: 'a' });
    await store.write({ key: 'a', value: text('3') });
    assert.equal(await store.get('a', { revision: 1 }), undefined);
    assert.equal(read(await store.get('a', { revision: 2 })), '1');
    assert.equal(await store.get('a', { revision: 3 }), undefined);
    const entry = await store.get('a', { revision: 4 });
    assert.deepEqual([read(entry), entry?.createRevision, entry?.version], ['3', 4, 1]);
    await assert.rejects(store.get('a', { revision: 5 }), coded('FutureRevision'));
  });

  it('takes no revision for the delete of an absent key', async () => {
    const store = await open();
    await store.write({ key: 'a', value: text('1') });
    assert.deepEqual(await store.write({ key: 'b' }), { applied: true, revision: 2 });
    assert.deepEqual(await store.write({ key: 'b', ifModRevision: 0 }), { applied: true, revision: 2 });
    const gone = await store.write({ key: 'a' });
    assert.deepEqual([gone.applied, gone.revision, read(gone.current)], [true, 3, '1']);
    assert.equal(await store.get('a'), undefined);
  });

  it('writes only when the condition holds', async () => {
    const store = await open();
    const created = await store.write({ key: 'a', value: text('1'), ifModRevision: 0 });
    assert.equal(created.applied, true);
    const again = await store.write({ key: 'a', value: text('2'), ifModRevision: 0 });
    assert.deepEqual([again.applied, again.revision, read(again.current)], [false, 2, '1']);
    const stale = await store.write({ key: 'a', ifModRevision: 1 });
    assert.deepEqual([stale.applied, read(stale.current), stale.current?.modRevision], [false, '1', 2]);
    const absent = await store.write({ key: 'b', value: text('x'), ifModRevision: 7 });
    assert.deepEqual(absent, { applied: false, revision: 2 });
    assert.equal((await store.write({ key: 'a', value: text('3'), ifModRevision: 2 })).applied, true);
    assert.equal(store.revision(), 3);
  });

  it('lets one of many concurrent conditional writes win, each time', async () => {
    const store = await open();
    let revision = 0;
    for (let round = 0; round < 20; round++) {
      const tries = Array.from({ length: 8 }, (_, i) =>
        store.write({ key: 'a', value: text(`${round}.${i}`), ifModRevision: revision }),
      );
      const results = await Promise.all(tries);
      assert.equal(results.filter((one) => one.applied).length, 1);
      const won = results.find((one) => one.applied) ?? assert.fail();
      for (const lost of results.filter((one) => !one.applied)) assert.equal(lost.current?.modRevision, won.revision);
      revision = won.revision;
    }
    assert.equal(store.revision(), 21);
  });

  it('shows an acknowledged write to every read after it (etcd 20418)', async () => {
    const store = await open();
    const writer = async (name: string): Promise<void> => {
      for (let i = 0; i < 50; i++) {
        const { revision } = await store.write({ key: name, value: text(`${i}`) });
        assert.ok(store.revision() >= revision);
        assert.equal(read(await store.get(name)), `${i}`);
        assert.equal(read((await store.range(under(name))).entries[0]), `${i}`);
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(writer));
    assert.equal(store.revision(), 201);
  });

  it('keeps bytes exactly, none and many', async () => {
    const store = await open();
    const big = Buffer.alloc(1_500_000, 7);
    for (let i = 0; i < big.length; i += 997) big[i] = i & 255;
    await Promise.all([
      store.write({ key: 'empty', value: new Uint8Array(0) }),
      store.write({ key: 'big', value: big }),
      store.write({ key: 'binary', value: Uint8Array.of(0, 255, 128, 10) }),
    ]);
    assert.equal((await store.get('empty'))?.value.length, 0);
    assert.ok(big.equals((await store.get('big'))?.value ?? assert.fail()));
    assert.deepEqual([...((await store.get('binary'))?.value ?? [])], [0, 255, 128, 10]);
  });

  it('refuses what it cannot hold', async () => {
    const store = await open();
    await assert.rejects(store.write({ key: '', value: text('1') }), coded('InvalidWrite'));
    await assert.rejects(store.write({ key: '\ud800', value: text('1') }), coded('InvalidWrite'));
    await assert.rejects(store.write({ key: 'a'.repeat(5000), value: text('1') }), coded('InvalidWrite'));
    await assert.rejects(store.write({ key: 'a', value: Buffer.alloc(1_600_000) }), coded('InvalidWrite'));
    assert.equal(store.revision(), 1);
  });
}

function ranges(open: OpenStore): void {
  it('orders keys by their bytes', async () => {
    const store = await open();
    const keys = ['b', 'a/b', 'a', 'a0', 'é', '\uffff', '\u{1f600}', 'Z', 'a/'];
    for (const key of keys) await store.write({ key, value: text(key) });
    const { entries, count } = await store.range(all);
    const sorted = [...keys].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
    assert.deepEqual(
      entries.map(({ key }) => key),
      sorted,
    );
    assert.equal(count, keys.length);
    assert.deepEqual(
      (await store.range(under('a/'))).entries.map(({ key }) => key),
      ['a/', 'a/b'],
    );
    assert.deepEqual(
      (await store.range(under('\uffff'))).entries.map(({ key }) => key),
      ['\uffff'],
    );
    assert.deepEqual((await store.range({ start: '\u{1f600}', end: '' })).entries.map(read), ['\u{1f600}']);
    assert.deepEqual((await store.range({ start: 'b', end: 'a' })).count, 0);
  });

  it('limits, counts and pages at one revision', async () => {
    const store = await open();
    const names = Array.from({ length: 1300 }, (_, i) => `p/${String(i).padStart(4, '0')}`);
    await Promise.all(names.map((key) => store.write({ key, value: text(key) })));
    await store.write({ key: 'q', value: text('outside') });
    const first = await store.range({ ...under('p/'), limit: 500 });
    assert.deepEqual([first.entries.length, first.count, first.more, first.revision], [500, 1300, true, 1302]);
    await store.write({ key: 'p/0600' });
    await store.write({ key: 'p/06001', value: text('later') });
    const seen = first.entries.map(({ key }) => key);
    for (let more = true; more; ) {
      const start = `${seen[seen.length - 1]}\0`;
      const page = await store.range({ start, end: prefixEnd('p/'), limit: 500, revision: first.revision });
      seen.push(...page.entries.map(({ key }) => key));
      more = page.more;
    }
    assert.deepEqual(seen, names);
    const whole = await store.range(under('p/'));
    assert.deepEqual([whole.entries.length, whole.count, whole.more], [1300, 1300, false]);
    const counted = await store.range({ ...under('p/'), countOnly: true });
    assert.deepEqual([counted.entries.length, counted.count, counted.more], [0, 1300, false]);
    await assert.rejects(store.range({ ...all, revision: 9999 }), coded('FutureRevision'));
  });
}

function watches(open: OpenStore, remote: boolean): void {
  it('delivers every change from the next revision on, with what was there before', async () => {
    const store = await open();
    await store.write({ key: 'k/a', value: text('old') });
    const watch = store.watch(under('k/'));
    await store.write({ key: 'k/a', value: text('new') });
    await store.write({ key: 'other', value: text('x') });
    await store.write({ key: 'k/a' });
    await store.write({ key: 'k/a', value: text('again') });
    const events = await take(watch, 3);
    assert.deepEqual(events.map(brief), ['3 put k/a=new was old', '5 delete k/a= was new', '6 put k/a=again was -']);
    assert.ok(!('previous' in (events[2] as StoreEvent)));
    watch.close();
  });

  it('catches up from the past and joins without gap or duplicate while writes go on (etcd 17529)', async () => {
    const store = await open();
    const total = 1500;
    for (let i = 0; i < 700; i += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, k) => store.write({ key: `k/${(i + k) % 50}`, value: text('v') })),
      );
    }
    const starts = [2, 3, 350, 701, 702, 900];
    const watchers = starts.map((fromRevision) => store.watch({ ...under('k/'), fromRevision }));
    const taking = watchers.map((watch, i) => take(watch, total + 2 - (starts[i] as number)));
    for (let i = 700; i < total; i += 8) {
      await Promise.all(
        Array.from({ length: 8 }, (_, k) => store.write({ key: `k/${(i + k) % 50}`, value: text('v') })),
      );
    }
    const taken = await Promise.all(taking);
    const before = revisionsBefore(taken[0] as StoreEvent[]);
    for (const [i, events] of taken.entries()) {
      const from = starts[i] as number;
      assert.deepEqual(
        events.map(({ entry }) => entry.modRevision),
        Array.from({ length: events.length }, (_, k) => from + k),
      );
      assert.equal(events.length, total + 2 - from);
      for (const event of events) assert.equal(event.previous?.modRevision, before.get(event.entry.modRevision));
    }
    for (const watch of watchers) watch.close();
  });

  it('misses nothing where one batch of history ends at the newest revision', async () => {
    const store = await open();
    const writing = Array.from({ length: 1001 }, (_, i) => store.write({ key: `k${i}`, value: text('v') }));
    await Promise.all(writing);
    for (const count of [1, 499, 500, 501, 1000, 1001]) {
      const watch = store.watch({ ...all, fromRevision: store.revision() - count + 1 });
      const events = await take(watch, count);
      assert.equal(events.length, count);
      assert.equal(events.at(-1)?.entry.modRevision, store.revision());
      watch.close();
    }
  });

  it('keeps an event of the past from a watch on a future revision (etcd 20221)', async () => {
    const store = await open();
    const watch = store.watch({ ...all, fromRevision: 5 });
    const keys = ['a', 'b', 'c', 'd', 'e'];
    if (remote) for (const key of keys) await store.write({ key, value: text(key) });
    else await Promise.all(keys.map((key) => store.write({ key, value: text(key) })));
    assert.deepEqual((await take(watch, 2)).map(brief), ['5 put d=d was -', '6 put e=e was -']);
    watch.close();
  });

  it('delivers each of several writes of one key in one commit once (etcd 17247)', async () => {
    const store = await open();
    const watch = store.watch(all);
    await Promise.all(
      ['1', '2', undefined, '3', undefined].map((value) =>
        store.write(value === undefined ? { key: 'a' } : { key: 'a', value: text(value) }),
      ),
    );
    assert.deepEqual((await take(watch, 5)).map(brief), [
      '2 put a=1 was -',
      '3 put a=2 was 1',
      '4 delete a= was 2',
      '5 put a=3 was -',
      '6 delete a= was 3',
    ]);
    watch.close();
  });

  it('shows no event before its write can be read', async () => {
    const store = await open();
    const watch = store.watch(all);
    const seeing = (async () => {
      for (let i = 0; i < 30; ) {
        for (const event of await take(watch, 1)) {
          assert.ok(store.revision() >= event.entry.modRevision);
          assert.equal(read(await store.get(event.key, { revision: event.entry.modRevision })), read(event.entry));
          i++;
        }
      }
    })();
    for (let i = 0; i < 30; i++) await store.write({ key: `k${i % 3}`, value: text(`${i}`) });
    await seeing;
    watch.close();
  });

  it('tells of progress, never ahead of events (etcd 15220)', async () => {
    const store = await open();
    const watch = store.watch({ ...under('k/'), progress: true });
    const iterator = watch[Symbol.asyncIterator]();
    await store.write({ key: 'other', value: text('x') });
    const idle = (await iterator.next()).value as StoreBatch;
    assert.deepEqual(idle, { revision: 2, events: [] });
    const writing = (async () => {
      for (let i = 0; i < 200; i++) await store.write({ key: i % 3 === 0 ? 'k/a' : 'other', value: text(`${i}`) });
    })();
    let told = 2;
    let seen = 0;
    while (told < 202) {
      const { revision, events } = (await iterator.next()).value as StoreBatch;
      for (const event of events) assert.ok(event.entry.modRevision > told, 'progress ran ahead');
      assert.ok(revision >= told);
      told = revision;
      seen += events.length;
    }
    assert.equal(seen, 67);
    await writing;
    watch.close();
  });

  it('serves overlapping ranges, and ends when closed', async () => {
    const store = await open();
    const spans = [all, under('a'), under('a/'), under('a/b'), { start: 'a/b', end: 'a/c' }, under('z')];
    const watchers = spans.map((span) => store.watch(span));
    const keys = ['a', 'a/a', 'a/b', 'a/b/c', 'a/c', 'b', 'z/z'];
    for (const key of keys) await store.write({ key, value: text(key) });
    for (const [i, watch] of watchers.entries()) {
      const { start, end } = spans[i] as { start: string; end: string };
      const wanted = keys.filter((key) => key >= start && (end === '' || key < end));
      assert.deepEqual(
        (await take(watch, wanted.length)).map(({ key }) => key),
        wanted,
      );
      const iterator = watch[Symbol.asyncIterator]();
      const waiting = iterator.next();
      watch.close();
      assert.equal((await waiting).done, true);
      assert.equal((await iterator.next()).done, true);
    }
  });
}

function compaction(open: Open, reopen: Reopen, remote: boolean): void {
  it('refuses what was forgotten and keeps the rest', async () => {
    const { store } = await open();
    for (const value of ['1', '2', '3', '4']) await store.write({ key: 'a', value: text(value) });
    await store.compact(4);
    assert.equal(store.compactedRevision(), 4);
    await assert.rejects(store.get('a', { revision: 3 }), { code: 'Compacted', compactedRevision: 4 });
    await assert.rejects(store.range({ ...all, revision: 3 }), coded('Compacted'));
    await assert.rejects(take(store.watch({ ...all, fromRevision: 3 }), 1), coded('Compacted'));
    assert.equal(read(await store.get('a', { revision: 4 })), '3');
    assert.deepEqual((await take(store.watch({ ...all, fromRevision: 4 }), 2)).map(brief), [
      '4 put a=3 was 2',
      '5 put a=4 was 3',
    ]);
    await store.compact(2);
    assert.equal(store.compactedRevision(), 4);
    await assert.rejects(store.compact(6), coded('FutureRevision'));
  });

  it('still delivers a delete at or after the compacted revision (etcd 18089, 19179)', async () => {
    const one = await open();
    const { store } = one;
    await store.write({ key: 'a', value: text('1') });
    await store.write({ key: 'b', value: text('1') });
    await store.write({ key: 'a' });
    await store.write({ key: 'b' });
    await store.compact(4);
    const wanted = ['4 delete a= was 1', '5 delete b= was 1'];
    assert.deepEqual((await take(store.watch({ ...all, fromRevision: 4 }), 2)).map(brief), wanted);
    const again = await reopen(one);
    if (again === undefined) return;
    assert.deepEqual((await take(again.store.watch({ ...all, fromRevision: 4 }), 2)).map(brief), wanted);
  });

  it('never goes back in revisions over compaction and restart (etcd 17780, 15271)', async () => {
    let one = await open();
    for (const key of ['a', 'b', 'c']) await one.store.write({ key, value: text('1') });
    for (const key of ['a', 'b', 'c']) await one.store.write({ key });
    await one.store.compact(one.store.revision());
    for (let restarts = 0; restarts < 2; restarts++) {
      const again = await reopen(one);
      if (again === undefined) break;
      one = again;
      assert.deepEqual([one.store.revision(), one.store.compactedRevision()], [7, 7]);
      assert.equal((await one.store.range(all)).count, 0);
    }
    assert.equal((await one.store.write({ key: 'a', value: text('2') })).revision, 8);
    const entry = await one.store.get('a');
    assert.deepEqual([entry?.createRevision, entry?.version], [8, 1]);
  });

  it('keeps history watchable over a restart', async () => {
    const one = await open();
    for (let i = 0; i < 30; i++) await one.store.write({ key: `k${i % 4}`, value: text(`${i}`) });
    await one.store.compact(10);
    const expected = (await take(one.store.watch({ ...all, fromRevision: 10 }), 22)).map(brief);
    const again = await reopen(one);
    if (again === undefined) return;
    const { store } = again;
    assert.deepEqual([store.revision(), store.compactedRevision()], [31, 10]);
    assert.deepEqual((await take(store.watch({ ...all, fromRevision: 10 }), 22)).map(brief), expected);
    await assert.rejects(take(store.watch({ ...all, fromRevision: 9 }), 1), coded('Compacted'));
    assert.equal(read(await store.get('k1', { revision: 12 })), '9');
  });

  it('goes on taking writes and long reads meanwhile', async () => {
    const { store } = await open();
    for (let i = 0; i < 3000; i += 500) {
      await Promise.all(
        Array.from({ length: 500 }, (_, k) => store.write({ key: `k/${(i + k) % 1500}`, value: text(`${i + k}`) })),
      );
    }
    const reading = store.range(all);
    const compacting = store.compact(store.revision());
    const writing = Promise.all(
      Array.from({ length: 200 }, (_, k) => store.write({ key: `k/${k}`, value: text('late') })),
    );
    const { entries, revision } = await reading;
    if (!remote) assert.equal(revision, 3001);
    const late = revision - 3001;
    assert.deepEqual(
      [entries.length, entries.filter((entry) => entry.modRevision > 3001).length, late <= 200],
      [1500, late, true],
    );
    await Promise.all([compacting, writing]);
    assert.equal((await store.range(all)).count, 1500);
  });
}

function leases(open: Open, reopen: Reopen, { remote, secondMs }: { remote: boolean; secondMs: number }): void {
  const ttlSeconds = (10 * secondMs) / 1000;
  const advance = (one: OpenedStore, seconds: number): Promise<void> => one.advance(seconds * secondMs);

  it('deletes the keys of a lease that expires', async () => {
    const one = await open();
    const { store } = one;
    const lease = await store.grantLease(ttlSeconds);
    assert.equal(lease.ttlSeconds, ttlSeconds);
    await store.write({ key: 'b', value: text('1'), lease });
    await store.write({ key: 'a', value: text('1'), lease });
    await store.write({ key: 'free', value: text('1'), lease });
    await store.write({ key: 'free', value: text('2') });
    await advance(one, 6);
    await lease.keepAlive();
    await advance(one, 6);
    assert.equal((await store.range(all)).count, 3);
    const watch = store.watch(all);
    await advance(one, 6);
    const last = remote ? 6 : 7;
    assert.deepEqual((await take(watch, 2)).map(brief), ['6 delete a= was 1', `${last} delete b= was 1`]);
    assert.deepEqual(
      (await store.range(all)).entries.map(({ key }) => key),
      ['free'],
    );
    await assert.rejects(lease.keepAlive(), coded('LeaseNotFound'));
    await assert.rejects(store.write({ key: 'c', value: text('1'), lease }), coded('LeaseNotFound'));
    watch.close();
  });

  it('revokes at once, writes on their way included', async () => {
    const { store } = await open();
    const lease = await store.grantLease(1000);
    await store.write({ key: 'freed', value: text('1'), lease });
    const early = store.write({ key: 'a', value: text('1'), lease });
    const freed = store.write({ key: 'freed', value: text('2') });
    const revoking = lease.revoke();
    const late = store.write({ key: 'b', value: text('1'), lease });
    await Promise.all([early, freed, revoking, assert.rejects(late, coded('LeaseNotFound'))]);
    assert.deepEqual((await store.range(all)).entries.map(read), ['2']);
    assert.equal(store.revision(), 5);
  });

  it('arms leases again after a restart', async () => {
    const one = await open();
    const lease = await one.store.grantLease(ttlSeconds);
    await one.store.write({ key: 'a', value: text('1'), lease });
    const gone = await one.store.grantLease(ttlSeconds);
    await gone.revoke();
    await advance(one, 8);
    const again = await reopen(one);
    if (again === undefined) return;
    await advance(again, 8);
    assert.equal((await again.store.range(all)).count, 1);
    const fresh = await again.store.grantLease(1000);
    assert.notEqual(fresh.id, lease.id);
    const watch = again.store.watch(all);
    await advance(again, 3);
    assert.deepEqual((await take(watch, 1)).map(brief), ['3 delete a= was 1']);
    watch.close();
  });
}

function endings(open: OpenStore): void {
  it('serves nothing once closed', async () => {
    const store = await open();
    const pending = store.write({ key: 'a', value: text('1') });
    const watch = store.watch(under('b'));
    const waiting = assert.rejects(take(watch, 1), coded('StoreClosed'));
    await store.close();
    await store.close();
    assert.equal((await pending).applied, true);
    await waiting;
    await assert.rejects(store.get('a'), coded('StoreClosed'));
    await assert.rejects(store.range(all), coded('StoreClosed'));
    await assert.rejects(store.write({ key: 'a', value: text('2') }), coded('StoreClosed'));
    await assert.rejects(store.grantLease(5), coded('StoreClosed'));
    await assert.rejects(store.compact(1), coded('StoreClosed'));
    await assert.rejects(take(store.watch(all), 1), coded('StoreClosed'));
  });
}

function bounds(open: Open): void {
  it('cuts off a watcher that leaves too many events waiting', async () => {
    const { store } = await open({ watchLimits: { events: 20, bytes: 1 << 20 } });
    const slow = store.watch(all);
    const quick = take(store.watch(all), 40);
    for (let i = 0; i < 40; i++) await store.write({ key: 'a', value: text(`${i}`) });
    await assert.rejects(take(slow, 40), coded('SlowWatcher'));
    assert.equal((await slow[Symbol.asyncIterator]().next()).done, true);
    assert.equal((await quick).length, 40);
    assert.equal((await take(store.watch({ ...all, fromRevision: 2 }), 40)).length, 40);
  });

  it('cuts off a watcher that leaves too many bytes waiting', async () => {
    const { store } = await open({ watchLimits: { events: 1000, bytes: 50_000 } });
    const slow = store.watch(all);
    for (let i = 0; i < 10; i++) await store.write({ key: 'a', value: Buffer.alloc(10_000) });
    await assert.rejects(take(slow, 10), coded('SlowWatcher'));
  });
}

function fullness(open: Open): void {
  it('refuses puts when full, and goes on with reads, deletes and, after compaction, puts', async () => {
    const { store } = await open({ maxBytes: 100_000 });
    const value = Buffer.alloc(10_000);
    let written = 0;
    const fill = async (): Promise<void> => {
      for (; written < 100; written++) await store.write({ key: `k${written}`, value });
    };
    await assert.rejects(fill(), coded('StoreFull'));
    assert.ok(written >= 5 && written <= 10, `${written} were written`);
    const before = store.revision();
    const results = await Promise.allSettled([
      store.write({ key: 'k0' }),
      store.write({ key: 'x', value }),
      store.write({ key: 'k1' }),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal(store.revision(), before + 2);
    assert.equal((await store.get('k2'))?.value.length, 10_000);
    await store.compact(store.revision());
    await store.write({ key: 'x', value });
    assert.equal((await store.get('x'))?.value.length, 10_000);
  });
}
