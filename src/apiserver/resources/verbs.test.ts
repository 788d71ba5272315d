import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testServer } from '../test-server.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, more: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...more },
  data: { a: '1' },
});

test('an object is created, read, listed, updated and deleted', async () => {
  await using t = await testServer();
  const created = await t.ask('POST', configMaps, configMap('x', { labels: { app: 'a' } }));
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const { metadata } = created.body;
  assert.equal(metadata.namespace, 'default');
  assert.match(metadata.uid, /^[0-9a-f-]{36}$/);
  assert.equal(metadata.creationTimestamp, '2026-01-01T00:00:00Z');
  assert.equal(metadata.managedFields[0].manager, 'test');
  assert.ok(Number(metadata.resourceVersion) > 0);

  const read = await t.ask('GET', `${configMaps}/x`);
  assert.deepEqual(read.body, created.body);
  const list = await t.ask('GET', configMaps);
  assert.equal(list.body.kind, 'ConfigMapList');
  assert.deepEqual(list.body.items, [created.body]);

  const changed = structuredClone(created.body);
  changed.data.b = '2';
  const updated = await t.ask('PUT', `${configMaps}/x`, changed);
  assert.equal(updated.status, 200, JSON.stringify(updated.body));
  assert.equal(updated.body.data.b, '2');
  assert.equal(updated.body.metadata.uid, metadata.uid);
  const stale = await t.ask('PUT', `${configMaps}/x`, changed);
  assert.equal(stale.status, 409);
  assert.equal(
    stale.body.message,
    'Operation cannot be fulfilled on configmaps "x": the object has been modified; please apply your changes to the latest version and try again',
  );
  const unconditional = { ...changed, metadata: { ...changed.metadata, resourceVersion: undefined }, data: { c: '3' } };
  assert.deepEqual((await t.ask('PUT', `${configMaps}/x`, unconditional)).body.data, { c: '3' });
  const before = await t.ask('GET', `${configMaps}/x`);
  const same = await t.ask('PUT', `${configMaps}/x`, before.body);
  assert.equal(same.body.metadata.resourceVersion, before.body.metadata.resourceVersion, 'no write without a change');

  const deleted = await t.ask('DELETE', `${configMaps}/x`);
  assert.equal(deleted.status, 200);
  assert.deepEqual(deleted.body.details, { name: 'x', kind: 'configmaps', uid: metadata.uid });
  assert.equal((await t.ask('GET', `${configMaps}/x`)).body.message, 'configmaps "x" not found');
  assert.equal((await t.ask('DELETE', `${configMaps}/x`)).status, 404);
});

test('refusals say what is wrong', async () => {
  await using t = await testServer();
  await t.ask('POST', configMaps, configMap('x'));
  const rows: [method: string, target: string, body: object | string | undefined, status: number, message: RegExp][] = [
    ['POST', configMaps, configMap('x'), 409, /^configmaps "x" already exists$/],
    ['POST', configMaps, configMap('UP'), 422, /^ConfigMap "UP" is invalid: metadata.name: Invalid value: "UP"/],
    ['POST', configMaps, configMap(''), 422, /name or generateName is required/],
    [
      'POST',
      configMaps,
      configMap('y', { namespace: 'other' }),
      400,
      /does not match the namespace sent on the request/,
    ],
    ['POST', configMaps, { ...configMap('y'), kind: 'Pod' }, 400, /cannot be handled as a ConfigMap/],
    [
      'POST',
      configMaps,
      { ...configMap('y'), apiVersion: 'v2' },
      400,
      /the API version in the data \(v2\) does not match/,
    ],
    ['POST', configMaps, '{"kind":', 400, /ConfigMap/],
    ['POST', configMaps, { ...configMap('y'), data: { a: 1 } }, 400, /json: cannot unmarshal number/],
    ['PUT', `${configMaps}/z`, configMap('z'), 404, /not found/],
    [
      'PUT',
      `${configMaps}/z`,
      configMap('y'),
      400,
      /the name of the object \(y\) does not match the name on the URL \(z\)/,
    ],
    [
      'POST',
      `${configMaps}?fieldValidation=Strict`,
      { ...configMap('y'), oops: 1 },
      400,
      /strict decoding error: unknown field "oops"/,
    ],
    ['POST', `${configMaps}?dryRun=maybe`, configMap('y'), 422, /dryRun/],
    ['POST', `${configMaps}/x`, configMap('x'), 405, /does not allow this method/],
    ['PUT', configMaps, configMap('x'), 405, /does not allow this method/],
    ['POST', '/api/v1/configmaps', configMap('x'), 405, /does not allow this method/],
    ['GET', '/api/v1/namespaces/default/nodes', undefined, 404, /could not find the requested resource/],
    ['GET', '/api/v1/nothing', undefined, 404, /could not find the requested resource/],
    ['GET', `${configMaps}?fieldSelector=spec.x=1`, undefined, 400, /is not a known field selector/],
    ['GET', `${configMaps}?labelSelector=a==`, undefined, 200, /^$/],
  ];
  for (const [method, target, body, status, message] of rows) {
    const answer = await t.ask(method, target, body);
    assert.equal(answer.status, status, `${method} ${target}: ${JSON.stringify(answer.body)}`);
    if (status >= 400) {
      assert.match(answer.body.message, message, `${method} ${target}`);
      assert.equal(answer.body.kind, 'Status');
    }
  }
  const warned = await t.ask('POST', configMaps, { ...configMap('w'), oops: 1 });
  assert.equal(warned.status, 201);
  assert.equal(warned.headers.warning, '299 - "unknown field \\"oops\\""');
  assert.equal(warned.body.oops, undefined);
});

test('generateName makes names, dryRun stores nothing', async () => {
  await using t = await testServer();
  const made = await t.ask('POST', configMaps, { metadata: { generateName: 'gen-' } });
  assert.match(made.body.metadata.name, /^gen-[b-df-hj-np-tv-z0-9]{5}$/);
  const dry = await t.ask('POST', `${configMaps}?dryRun=All`, configMap('dry'));
  assert.equal(dry.status, 201);
  assert.equal((await t.ask('GET', `${configMaps}/dry`)).status, 404);
});

test('lists are paged at one revision, selected, and know what remains', async () => {
  await using t = await testServer();
  for (let i = 0; i < 5; i++)
    await t.ask('POST', configMaps, configMap(`c${i}`, { labels: { odd: String(i % 2 === 1) } }));
  const first = await t.ask('GET', `${configMaps}?limit=2`);
  assert.equal(first.body.items.length, 2);
  assert.equal(first.body.metadata.remainingItemCount, 3);
  await t.ask('POST', configMaps, configMap('c11'));
  await t.ask('DELETE', `${configMaps}/c3`);
  const second = await t.ask('GET', `${configMaps}?limit=2&continue=${first.body.metadata.continue}`);
  assert.deepEqual(
    second.body.items.map((one: { metadata: { name: string } }) => one.metadata.name),
    ['c2', 'c3'],
  );
  assert.equal(second.body.metadata.resourceVersion, first.body.metadata.resourceVersion);
  const third = await t.ask('GET', `${configMaps}?limit=2&continue=${second.body.metadata.continue}`);
  assert.deepEqual(
    third.body.items.map((one: { metadata: { name: string } }) => one.metadata.name),
    ['c4'],
  );
  assert.equal(third.body.metadata.continue, undefined);
  const odd = await t.ask('GET', `${configMaps}?labelSelector=odd%3Dtrue`);
  assert.deepEqual(
    odd.body.items.map((one: { metadata: { name: string } }) => one.metadata.name),
    ['c1'],
  );
  const past = await t.ask(
    'GET',
    `${configMaps}?resourceVersion=${first.body.metadata.resourceVersion}&resourceVersionMatch=Exact`,
  );
  assert.equal(past.body.items.length, 5);
  const future = t.ask('GET', `${configMaps}?resourceVersion=99999`);
  await t.clock.advance(3000);
  assert.match((await future).body.message, /Too large resource version: 99999/);
  const named = await t.ask('GET', `${configMaps}?fieldSelector=metadata.name%3Dc2`);
  assert.equal(named.body.items.length, 1);
});

test('a watch translates events by its selector and resumes', async () => {
  await using t = await testServer();
  const start = await t.ask('POST', configMaps, configMap('a', { labels: { on: 'yes' } }));
  const from = start.body.metadata.resourceVersion;
  await t.ask('PATCH', `${configMaps}/a`, { data: { a: '2' } }, { 'content-type': 'application/merge-patch+json' });
  await t.ask(
    'PATCH',
    `${configMaps}/a`,
    { metadata: { labels: { on: null } } },
    { 'content-type': 'application/merge-patch+json' },
  );
  await t.ask(
    'PATCH',
    `${configMaps}/a`,
    { metadata: { labels: { on: 'yes' } } },
    { 'content-type': 'application/merge-patch+json' },
  );
  await t.ask('POST', configMaps, configMap('other'));
  const last = await t.ask('DELETE', `${configMaps}/a`);
  assert.equal(last.status, 200);
  const events = await t.watch(`${configMaps}?watch=1&labelSelector=on%3Dyes&resourceVersion=${from}`, 4);
  assert.deepEqual(
    events.map((one) => one.type),
    ['MODIFIED', 'DELETED', 'ADDED', 'DELETED'],
  );
  assert.equal(events[1]?.object.data.a, '2');
  const revisions = events.map((one) => Number(one.object.metadata.resourceVersion));
  assert.deepEqual(
    revisions,
    [...revisions].sort((a, b) => a - b),
  );
  assert.equal(new Set(revisions).size, 4);
  const initial = await t.watch(
    `${configMaps}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
    2,
  );
  assert.deepEqual(
    initial.map((one) => one.type),
    ['ADDED', 'BOOKMARK'],
  );
  assert.equal(initial[1]?.object.metadata.annotations['k8s.io/initial-events-end'], 'true');
});

test('a watch of the state begins with the objects in the order of their revisions', async () => {
  await using t = await testServer();
  for (const name of ['b', 'c', 'a']) await t.ask('POST', configMaps, configMap(name));
  const initial = await t.watch(`${configMaps}?watch=1&resourceVersion=0`, 3);
  assert.deepEqual(
    initial.map((one) => one.object.metadata.name),
    ['b', 'c', 'a'],
  );
});

test('finalizers and propagation hold a deletion up', async () => {
  await using t = await testServer();
  await t.ask('POST', configMaps, configMap('f', { finalizers: ['example.com/x'] }));
  const marked = await t.ask('DELETE', `${configMaps}/f`);
  assert.equal(marked.status, 200);
  assert.equal(marked.body.metadata.deletionTimestamp, '2026-01-01T00:00:00Z');
  const gone = await t.ask(
    'PATCH',
    `${configMaps}/f`,
    { metadata: { finalizers: null } },
    { 'content-type': 'application/merge-patch+json' },
  );
  assert.equal(gone.status, 200, JSON.stringify(gone.body));
  assert.equal((await t.ask('GET', `${configMaps}/f`)).status, 404);
  await t.ask('POST', configMaps, configMap('g'));
  const foreground = await t.ask('DELETE', `${configMaps}/g`, { propagationPolicy: 'Foreground' });
  assert.deepEqual(foreground.body.metadata.finalizers, ['foregroundDeletion']);
  await t.ask('POST', configMaps, configMap('h'));
  const wrong = await t.ask('DELETE', `${configMaps}/h`, { preconditions: { uid: 'no' } });
  assert.equal(wrong.status, 409);
  const all = await t.ask('DELETE', configMaps);
  assert.equal(all.status, 200, JSON.stringify(all.body));
  assert.deepEqual(
    (await t.ask('GET', configMaps)).body.items.map((one: { metadata: { name: string } }) => one.metadata.name),
    ['g'],
  );
});

test('server-side apply creates, merges and refuses conflicts', async () => {
  await using t = await testServer();
  const apply = (manager: string, body: object, more = '') =>
    t.ask('PATCH', `${configMaps}/s?fieldManager=${manager}${more}`, body, {
      'content-type': 'application/apply-patch+yaml',
    });
  const one = await apply('one', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 's' }, data: { a: '1' } });
  assert.equal(one.status, 201, JSON.stringify(one.body));
  const again = await apply('one', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 's' }, data: { a: '1' } });
  assert.equal(again.status, 200, JSON.stringify(again.body));
  assert.equal(again.body.metadata.resourceVersion, one.body.metadata.resourceVersion);
  const conflict = await apply('two', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 's' },
    data: { a: '2' },
  });
  assert.equal(conflict.status, 409);
  const forced = await apply(
    'two',
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 's' }, data: { a: '2' } },
    '&force=true',
  );
  assert.equal(forced.body.data.a, '2');
});

test('a new object is owned as it was sent, with static defaults: what the server adds stays when it is applied server-side later', async () => {
  await using t = await testServer();
  const jobs = '/apis/batch/v1/namespaces/default/jobs';
  const containers = [{ name: 'c', image: 'i' }];
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j' },
    spec: { suspend: true, template: { spec: { restartPolicy: 'Never', containers } } },
    status: { active: 5 },
  };
  const created = await t.ask('POST', jobs, job);
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const [{ fieldsV1 }] = created.body.metadata.managedFields;
  assert.deepEqual(Object.keys(fieldsV1), ['f:spec']);
  assert.equal('f:selector' in fieldsV1['f:spec'], false);
  assert.equal('f:completionMode' in fieldsV1['f:spec'], true);
});
