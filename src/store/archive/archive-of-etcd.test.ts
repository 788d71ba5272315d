import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '#base';
import {
  openLmdbStore,
  openStore,
  readSelection,
  restoreLmdbStore,
  selectFromArchive,
  type Store,
  writeArchive,
} from '#store';
import { etcdMissing, startTestEtcd } from '../../testkit/etcd.ts';

const skip = etcdMissing();

async function contentOf(store: Store, revision?: number): Promise<Record<string, string>> {
  const { entries } = await store.range({ start: '', end: '', ...(revision === undefined ? {} : { revision }) });
  return Object.fromEntries(entries.map((one) => [one.key, Buffer.from(one.value).toString()]));
}

test('an archive of etcd holds every revision that it keeps, and becomes an embedded store', {
  skip,
  timeout: 60_000,
}, async (t) => {
  const etcd = await startTestEtcd();
  t.after(() => etcd.dispose());
  const store = await openStore(`etcd:${etcd.urls.join()}`, { clock: systemClock });
  t.after(() => store.close());
  const put = (key: string, value: string) => store.write({ key, value: Buffer.from(value) });
  for (let i = 0; i < 300; i++) await put(`k${i % 40}`, `${i}`);
  const lease = await store.grantLease(600);
  await store.write({ key: 'event', value: Buffer.from('e'), lease });
  await store.compact(store.revision() - 100);
  for (let i = 0; i < 20; i++) await store.write({ key: `k${i}` });
  const middle = store.revision() - 50;
  const expected = await contentOf(store);
  const then = await contentOf(store, middle);
  const pieces: Uint8Array[] = [];
  let writes = 0;
  for await (const piece of writeArchive({ store, takenAtMs: systemClock.nowMs() })) {
    pieces.push(Buffer.from(piece));
    await put(`late${writes++}`, 'x');
  }
  const source = () => pieces;
  const stateAt = async (revision?: number): Promise<Record<string, string>> => {
    const selection = await selectFromArchive(source, revision === undefined ? undefined : { revision });
    const state: Record<string, string> = {};
    for await (const one of readSelection(source, selection)) state[one.key] = Buffer.from(one.value).toString();
    return state;
  };
  assert.deepEqual(await stateAt(), expected);
  assert.deepEqual(await stateAt(middle), then);
  assert.notDeepEqual(then, expected);

  const dir = mkdtempSync(join(tmpdir(), 'k8ts-archive-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const entries = readSelection(source, await selectFromArchive(source));
  await restoreLmdbStore({ dir, clock: systemClock, entries, firstRevision: 1e9, leaseTtlSeconds: 600 });
  const restored = await openLmdbStore({ dir, clock: systemClock });
  assert.deepEqual(await contentOf(restored), expected);
  assert.ok((await restored.get('event'))?.lease !== undefined, 'what had a lease has one again');
  await restored.close();
});
