import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '#base';
import { openMemoryStore } from '#store';
import { type Json, testServer } from '../test-server.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const merge = { 'content-type': 'application/merge-patch+json' };

test('a watch resumes across a restart of the server, from the store’s own history', async () => {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock });
  const first = await testServer({ store, clock });
  const made = await first.ask('POST', configMaps, { metadata: { name: 'a' } });
  await first.ask('PATCH', `${configMaps}/a`, { data: { x: '1' } }, merge);
  await first.ask('DELETE', `${configMaps}/a`);
  await first.ask('POST', configMaps, { metadata: { name: 'b' } });
  await first.server.close();
  const t = await testServer({ store, clock });
  await t.ask('POST', configMaps, { metadata: { name: 'c' } });
  const events = await t.watch(`${configMaps}?watch=1&resourceVersion=${made.body.metadata.resourceVersion}`, 4);
  assert.deepEqual(
    events.map((one) => [one.type, one.object.metadata.name]),
    [
      ['MODIFIED', 'a'],
      ['DELETED', 'a'],
      ['ADDED', 'b'],
      ['ADDED', 'c'],
    ],
  );
  assert.equal(events[1]?.object.data.x, '1');
  await t[Symbol.asyncDispose]();
});

test('forgotten history is 410: as an event of a watch, as an answer with a token for a list', async () => {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock });
  const seed = await testServer({ store, clock });
  for (let i = 0; i < 4; i++) await seed.ask('POST', configMaps, { metadata: { name: `c${i}` } });
  const page = await seed.ask('GET', `${configMaps}?limit=2`);
  const { resourceVersion } = page.body.metadata;
  await seed.ask('DELETE', `${configMaps}/c0`);
  await seed.ask('POST', configMaps, { metadata: { name: 'later' } });
  await seed.server.close();
  await store.compact(store.revision());
  const t = await testServer({ store, clock });
  const events = await t.watch(`${configMaps}?watch=1&resourceVersion=${resourceVersion}`, 1);
  assert.equal(events[0]?.type, 'ERROR');
  assert.equal(events[0]?.object.code, 410);
  assert.match(events[0]?.object.message, /^too old resource version: \d+ \(\d+\)$/);
  const list = await t.ask('GET', `${configMaps}?limit=2&continue=${page.body.metadata.continue}`);
  assert.equal(list.status, 410);
  assert.equal(list.body.reason, 'Expired');
  const rest = await t.ask('GET', `${configMaps}?limit=2&continue=${list.body.metadata.continue}`);
  assert.deepEqual(
    rest.body.items.map((one: Json) => one.metadata.name),
    ['c2', 'c3'],
  );
  await t[Symbol.asyncDispose]();
});

test('events end after their hour', async () => {
  await using t = await testServer();
  const event = {
    metadata: { name: 'e' },
    involvedObject: { kind: 'Pod', namespace: 'default', name: 'p' },
    reason: 'R',
    message: 'M',
    type: 'Normal',
  };
  const made = await t.ask('POST', '/api/v1/namespaces/default/events', event);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const other = await t.ask('GET', '/apis/events.k8s.io/v1/namespaces/default/events/e');
  assert.equal(other.body.note, 'M', JSON.stringify(other.body));
  assert.equal(other.body.metadata.resourceVersion, made.body.metadata.resourceVersion);
  await t.clock.advance(30 * 60_000);
  assert.equal((await t.ask('GET', '/api/v1/namespaces/default/events/e')).status, 200);
  for (let i = 0; i < 40; i++) await t.clock.advance(60_000);
  assert.equal((await t.ask('GET', '/api/v1/namespaces/default/events/e')).status, 404);
});

test('a watcher that does not read is cut off, and nobody else notices', async () => {
  await using t = await testServer({ watchBacklog: 300 });
  const slow = await t.transport.request({ method: 'GET', target: `${configMaps}?watch=1` });
  const iterator = slow.chunks()[Symbol.asyncIterator]();
  const put = (k: number, n: number) =>
    t.ask('PUT', `${configMaps}/o${k}`, {
      metadata: { name: `o${k}` },
      data: { text: 'x'.repeat(2000), n: String(n) },
    });
  for (let k = 0; k < 100; k++) await t.ask('POST', configMaps, { metadata: { name: `o${k}` } });
  await iterator.next();
  const quick = t.watch(`${configMaps}?watch=1`, 1);
  for (let n = 0; n < 12; n++) await Promise.all(Array.from({ length: 100 }, (_, k) => put(k, n)));
  assert.equal((await quick)[0]?.type, 'ADDED');
  await assert.rejects(async () => {
    for (;;) if ((await iterator.next()).done === true) return;
  }, /broken off/);
});

test('many watchers get every change once, in order', async () => {
  await using t = await testServer();
  const watchers = 200;
  const writes = 50;
  await t.ask('POST', configMaps, { metadata: { name: 'a' } });
  const all = Array.from({ length: watchers }, () =>
    t.watch(`${configMaps}?watch=1&fieldSelector=metadata.name%3Da`, writes + 1),
  );
  await t.ask('POST', configMaps, { metadata: { name: 'other' } });
  for (let n = 1; n <= writes; n++) await t.ask('PATCH', `${configMaps}/a`, { data: { n: String(n) } }, merge);
  for (const events of await Promise.all(all)) {
    const seen = events.map((one) => Number(one.object.data?.n ?? 0));
    assert.equal(new Set(seen).size, seen.length);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.equal(seen.at(-1), writes);
  }
});
