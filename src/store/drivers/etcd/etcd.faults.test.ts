import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { silentLog, sleep, systemClock } from '#base';
import { openClusterPki } from '#pki';
import type { Store } from '#store';
import { etcdMissing, startTestEtcd, type TestEtcd, type TestEtcdOptions } from '../../../testkit/etcd.ts';
import type { StoreEvent } from '../../contract.ts';
import { prefixEnd } from '../../keys.ts';
import { EtcdConnection } from './connection.ts';
import { openEtcdStore } from './etcd.driver.ts';
import { openEtcdMembers } from './members.ts';
import { methods } from './messages.ts';

const clock = systemClock;
const text = (value: string): Buffer => Buffer.from(value);
const under = (prefix: string) => ({ start: prefix, end: prefixEnd(prefix) });

/** Between a client and one etcd: answers can be kept back, and connections broken. */
interface Middle {
  readonly url: string;
  /** From now on nothing comes back, until `breakAll`. */
  holdAnswers(): void;
  /** Breaks every connection; later ones work. */
  breakAll(): void;
  close(): void;
}

async function startMiddle(target: string): Promise<Middle> {
  const { port } = new URL(target);
  const pairs = new Set<readonly [Socket, Socket]>();
  let holding = false;
  const server = createServer((client) => {
    const upstream = connect(Number(port), '127.0.0.1');
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    client.on('data', (bytes) => upstream.write(bytes));
    upstream.on('data', (bytes) => {
      if (!holding) client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const breakAll = (): void => {
    holding = false;
    for (const [client] of [...pairs]) client.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    holdAnswers: () => {
      holding = true;
    },
    breakAll,
    close() {
      breakAll();
      server.close();
    },
  };
}

describe('etcd: bad luck', { skip: etcdMissing() }, () => {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });
  const start = async (options: TestEtcdOptions = {}): Promise<TestEtcd> => {
    const etcd = await startTestEtcd(options);
    closing.push(() => etcd.dispose());
    return etcd;
  };
  const open = async (options: Omit<Parameters<typeof openEtcdStore>[0], 'clock'>): Promise<Store> => {
    const store = await openEtcdStore({ clock, ...options });
    closing.push(() => store.close());
    return store;
  };
  /** Does something whose answer is lost although etcd did it. */
  const losing = async <T>(middle: Middle, direct: Store, act: () => Promise<T>): Promise<T> => {
    const before = await (direct.newestRevision as () => Promise<number>)();
    middle.holdAnswers();
    const doing = act();
    doing.catch(() => {});
    while ((await (direct.newestRevision as () => Promise<number>)()) === before) await sleep(clock, 5);
    middle.breakAll();
    return doing;
  };

  it('a write whose answer was lost is made once, and its outcome is found out', async () => {
    const etcd = await start();
    const middle = await startMiddle(etcd.urls[0] as string);
    closing.push(() => middle.close());
    const direct = await open({ urls: etcd.urls });
    const store = await open({ urls: [middle.url], learnMembers: false });

    const created = await losing(middle, direct, () => store.write({ key: 'a', value: text('1'), ifModRevision: 0 }));
    assert.deepEqual(created, { applied: true, revision: 2 });
    assert.equal((await direct.get('a'))?.version, 1);

    const changed = await losing(middle, direct, () => store.write({ key: 'a', value: text('2'), ifModRevision: 2 }));
    assert.deepEqual([changed.applied, changed.revision, changed.current?.modRevision], [true, 3, 2]);
    assert.equal((await direct.get('a'))?.version, 2);

    const overtaken = await losing(middle, direct, async () => {
      const writing = store.write({ key: 'a', value: text('3'), ifModRevision: 3 });
      while ((await direct.get('a'))?.modRevision === 3) await sleep(clock, 5);
      await direct.write({ key: 'a', value: text('4'), ifModRevision: 4 });
      return writing;
    });
    assert.deepEqual([overtaken.applied, overtaken.revision], [true, 4]);
    assert.equal(Buffer.from((await direct.get('a'))?.value ?? []).toString(), '4');

    const gone = await losing(middle, direct, () => store.write({ key: 'a', ifModRevision: 5 }));
    assert.deepEqual([gone.applied, gone.revision], [true, 6]);

    const lost = losing(middle, direct, () => store.write({ key: 'b', value: text('x') }));
    await assert.rejects(lost, { code: 'WriteUnknown' });
    assert.equal((await direct.get('b'))?.version, 1);
  });

  it('a write that somebody else was faster with is not taken for made, even with the same bytes', async () => {
    const etcd = await start();
    const middle = await startMiddle(etcd.urls[0] as string);
    closing.push(() => middle.close());
    const direct = await open({ urls: etcd.urls });
    const store = await open({ urls: [middle.url], learnMembers: false });
    await direct.write({ key: 'a', value: text('1') });
    await direct.write({ key: 'a', value: text('2') });
    middle.holdAnswers();
    const writing = store.write({ key: 'a', value: text('2'), ifModRevision: 2 });
    await sleep(clock, 50);
    middle.breakAll();
    const { applied, current } = await writing;
    assert.deepEqual([applied, current?.modRevision], [false, 3]);
  });

  it('a watch goes on over broken connections, without gap or duplicate', async () => {
    const etcd = await start();
    const middle = await startMiddle(etcd.urls[0] as string);
    closing.push(() => middle.close());
    const direct = await open({ urls: etcd.urls });
    const store = await open({ urls: [middle.url], learnMembers: false });
    const watch = store.watch(under('k/'));
    const seen: StoreEvent[] = [];
    const total = 400;
    const reading = (async () => {
      for await (const { events } of watch) {
        seen.push(...events);
        if (seen.length >= total) return;
      }
    })();
    for (let i = 0; i < total; i++) {
      await direct.write({ key: `k/${i % 7}`, value: text(`${i}`) });
      if (i % 80 === 40) middle.breakAll();
    }
    await reading;
    assert.deepEqual(
      seen.map(({ entry }) => Number(Buffer.from(entry.value).toString())),
      Array.from({ length: total }, (_, i) => i),
    );
    for (const { key, previous } of seen.slice(7)) assert.equal(previous?.key, key);
  });

  it('who was away longer than history is kept is told so', async () => {
    const etcd = await start();
    const middle = await startMiddle(etcd.urls[0] as string);
    closing.push(() => middle.close());
    const direct = await open({ urls: etcd.urls });
    const store = await open({ urls: [middle.url], learnMembers: false });
    const watch = store.watch(under('k/'));
    const first = watch[Symbol.asyncIterator]().next();
    first.catch(() => {});
    middle.holdAnswers();
    for (let i = 0; i < 20; i++) await direct.write({ key: 'k/a', value: text(`${i}`) });
    await direct.compact(direct.revision());
    middle.breakAll();
    await assert.rejects(first, { code: 'Compacted', compactedRevision: 21 });
    const again = store.watch(under('k/'));
    const next = again[Symbol.asyncIterator]().next();
    const { revision } = await store.write({ key: 'k/a', value: text('after') });
    assert.equal((await next).value?.events.at(-1)?.entry.modRevision, revision);
  });

  it('three members over TLS: the leader is killed, one is silent; writes go on, or say why within their time', async () => {
    const pki = openClusterPki({ clock, etcd: { names: [], addresses: ['127.0.0.1'] } });
    const ca = pki.etcdCa?.certificatePem ?? '';
    const etcd = await start({ members: 3, tls: { ca, server: pki.credential('etcd/server') } });
    const client = pki.credential('apiserver-etcd-client');
    const tls = { ca, cert: client.certificatePem, key: client.keyPem };
    await assert.rejects(openEtcdStore({ urls: etcd.urls, tls: { ca }, clock, openWithinMs: 1500 }), {
      code: 'StoreUnavailable',
    });
    // Only one is named: the others are met.
    const store = await open({ urls: [etcd.urls[0] as string], tls, writeWithinMs: 6000 });
    const written: number[] = [];
    const tryWrite = async (i: number): Promise<void> => {
      const { revision, current } = await store.write({ key: `k/${i}`, value: text(`${i}`), ifModRevision: 0 });
      written.push(current?.modRevision ?? revision);
    };
    // On a machine that has too much to do, elections take long: a write that says so is looked for and made again.
    const write = async (i: number): Promise<void> => {
      const untilMs = clock.monotonicMs() + 60_000;
      for (;;) {
        const beganMs = clock.monotonicMs();
        try {
          return await tryWrite(i);
        } catch (error) {
          assert.match((error as { code?: string }).code ?? '', /^(StoreUnavailable|WriteUnknown)$/);
          assert.ok(clock.monotonicMs() - beganMs < 10_000);
          if (clock.monotonicMs() > untilMs) throw error;
        }
      }
    };
    for (let i = 0; i < 50; i++) await write(i);
    await sleep(clock, 300);
    await etcd.kill(0);
    for (let i = 50; i < 100; i++) await write(i);
    etcd.start(0);
    const members = openEtcdMembers({ urls: etcd.urls, tls, clock });
    closing.push(() => members.close());
    assert.equal((await members.list()).length, 3);
    await sleep(clock, 1000);
    await etcd.pause(1);
    for (let i = 100; i < 120; i++) await write(i);
    await etcd.pause(2);
    const beganMs = clock.monotonicMs();
    const why = await tryWrite(120).then(
      () => assert.fail('one of three is no majority'),
      (error: Error & { code: string }) => error,
    );
    assert.match(why.code, /^(StoreUnavailable|WriteUnknown)$/);
    assert.ok(clock.monotonicMs() - beganMs < 10_000);
    etcd.resume(1);
    etcd.resume(2);
    for (let i = 121; i < 140; i++) await write(i);
    const { entries } = await store.range(under('k/'));
    const there = new Map(entries.map((one) => [one.key, one]));
    for (const revision of written) assert.ok([...there.values()].some((one) => one.modRevision === revision));
    for (const one of entries) assert.equal(one.version, 1);
  });

  it('a full etcd refuses puts, takes deletes, and takes puts again when history was compacted', async () => {
    const etcd = await start({ quotaBytes: 2 << 20 });
    const store = await open({ urls: etcd.urls });
    const value = Buffer.alloc(200_000, 1);
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 60; i++) await store.write({ key: `k${i % 3}`, value });
    };
    await assert.rejects(fill(), { code: 'StoreFull' });
    assert.equal(store.isFull?.(), true);
    assert.equal((await store.write({ key: 'k0' })).applied, true);
    await store.compact(store.revision());
    assert.equal(store.isFull?.(), false);
    assert.equal((await store.write({ key: 'x', value })).applied, true);
  });

  it('an etcd with data of another program is refused, and so is one that is not there', async () => {
    const etcd = await start();
    const connection = new EtcdConnection({ urls: etcd.urls, clock, log: silentLog });
    closing.push(() => connection.close());
    const put = { key: text('/registry/pods/default/a'), value: text('k8s') };
    await connection.call(methods.txn, { success: [{ put }] });
    await assert.rejects(openEtcdStore({ urls: etcd.urls, clock }), { code: 'StoreFormat' });
    await assert.rejects(openEtcdStore({ urls: ['ftp://x'], clock }), { code: 'StoreAddress' });
    await assert.rejects(openEtcdStore({ urls: ['http://127.0.0.1:1'], clock, openWithinMs: 300 }), {
      code: 'StoreUnavailable',
    });
  });

  it('another cluster at an address of this one ends the store', async () => {
    const [etcd, other] = [await start(), await start()];
    const middle = await startMiddle(etcd.urls[0] as string);
    // Whichever answers first is the store's cluster: the one behind the middle must be up by then.
    await open({ urls: [middle.url], learnMembers: false });
    const store = await open({ urls: [middle.url, other.urls[0] as string], learnMembers: false });
    await store.write({ key: 'a', value: text('1') });
    middle.close();
    await assert.rejects(async () => {
      for (;;) await store.get('a');
    }, /another etcd answers/);
    await assert.rejects(store.failed, { code: 'StoreClosed' });
    await assert.rejects(store.write({ key: 'a', value: text('2') }), { code: 'StoreClosed' });
  });
});
