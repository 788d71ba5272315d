import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#base';
import { openStore, type Store } from '#store';
import { etcdMissing, startTestEtcd } from '../testkit/etcd.ts';
import { copyStore } from './copy-store.ts';

const clock = systemClock;

async function contentOf(store: Store): Promise<string[]> {
  const { entries } = await store.range({ start: '/registry/', end: '/registry0' });
  return entries.map(({ key, value, lease }) => `${key}=${Buffer.from(value)}${lease === undefined ? '' : ' leased'}`);
}

test('a store moves to etcd and back, and no revision is given twice', { skip: etcdMissing() }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-copy-'));
  const etcd = await startTestEtcd();
  const lmdb = { store: `lmdb:${join(dir, 'a')}` };
  const remote = { store: `etcd:${etcd.urls.join(',')}` };
  const back = { store: `lmdb:${join(dir, 'b')}` };
  try {
    const first = await openStore(lmdb.store, { clock });
    const lease = await first.grantLease(600);
    for (let i = 0; i < 1200; i++) await first.write({ key: `/registry/x/${i % 700}`, value: Buffer.from(`v${i}`) });
    await first.write({ key: '/registry/events/e', value: Buffer.from('e'), lease });
    await first.write({ key: '/registry/x/0' });
    const content = await contentOf(first);
    const seen = first.revision();
    await first.close();

    const there = await copyStore({ from: lmdb, to: remote, clock });
    assert.deepEqual([there.objects, there.fromRevision], [700, seen]);
    const second = await openStore(remote.store, { clock });
    assert.deepEqual(await contentOf(second), content);
    assert.ok(there.toRevision > seen && second.revision() >= there.toRevision);
    for (const { modRevision } of (await second.range({ start: '/registry/', end: '/registry0' })).entries)
      assert.ok(modRevision > seen);
    await assert.rejects(second.get('/registry/x/1', { revision: seen }), { code: 'Compacted' });
    await assert.rejects(
      async () => {
        for await (const _ of second.watch({ start: '', end: '', fromRevision: seen })) break;
      },
      { code: 'Compacted' },
    );
    const entry = await second.get('/registry/x/1');
    const changed = await second.write({
      key: '/registry/x/1',
      value: Buffer.from('changed'),
      ifModRevision: entry?.modRevision ?? 0,
    });
    assert.ok(changed.applied && changed.revision > there.toRevision);
    assert.equal(changed.current?.modRevision, entry?.modRevision);
    const watch = second.watch({ start: '/registry/x/', end: '/registry/x0', fromRevision: changed.revision });
    for await (const { revision, events } of watch) {
      assert.deepEqual([revision, events[0]?.entry.modRevision], [changed.revision, changed.revision]);
      break;
    }
    await assert.rejects(copyStore({ from: lmdb, to: remote, clock }), { code: 'StoreNotEmpty' });
    const last = second.revision();
    await second.close();

    const returned = await copyStore({ from: remote, to: back, clock });
    const third = await openStore(back.store, { clock });
    assert.ok(returned.fromRevision >= last && third.revision() > returned.fromRevision);
    const wanted = content.map((line) => (line.startsWith('/registry/x/1=') ? '/registry/x/1=changed' : line));
    assert.deepEqual(await contentOf(third), wanted);
    await third.close();
    await assert.rejects(copyStore({ from: remote, to: back, clock }), { code: 'StoreNotEmpty' });
  } finally {
    await etcd.dispose();
    rmSync(dir, { recursive: true, force: true });
  }
});
