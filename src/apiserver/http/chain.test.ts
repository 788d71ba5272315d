import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Authorizer, RequestAttributes, ServerRequest } from '../contract.ts';
import { testServer } from '../test-server.ts';
import { acceptsGzip } from './compress.ts';

test('whoever may impersonate acts as someone else, part by part', async () => {
  const asked: RequestAttributes[] = [];
  const authorizer: Authorizer = {
    authorize(attributes) {
      asked.push(attributes);
      const { verb, resource, name, identity } = attributes;
      const refused =
        (verb === 'impersonate' && resource === 'groups' && name === 'secret') ||
        (verb === 'list' && identity.user === 'jane');
      return { decision: refused ? 'deny' : 'allow', reason: '' };
    },
  };
  await using t = await testServer({ authorizer: () => authorizer });
  const path = '/api/v1/namespaces/default/configmaps';
  asked.length = 0;
  const refused = await t.ask('GET', path, undefined, {
    'impersonate-user': 'jane',
    'impersonate-group': 'team',
    'impersonate-extra-scopes': 'view',
  });
  assert.equal(refused.status, 403);
  assert.match(
    refused.body.message,
    /^configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group "" in the namespace "default"/,
  );
  assert.deepEqual(
    asked.map((one) => `${one.verb} ${one.resource}${one.subresource && `/${one.subresource}`} ${one.name}`),
    ['impersonate users jane', 'impersonate groups team', 'impersonate userextras/scopes view', 'list configmaps '],
  );
  assert.deepEqual(asked.at(-1)?.identity.groups, ['team', 'system:authenticated']);
  assert.equal(
    (await t.ask('GET', path, undefined, { 'impersonate-user': 'joe', 'impersonate-group': 'secret' })).status,
    403,
  );
  assert.equal((await t.ask('GET', path, undefined, { 'impersonate-user': 'joe' })).status, 200);
  assert.equal((await t.ask('GET', path, undefined, { 'impersonate-group': 'team' })).status, 400);
  await t.ask('GET', path, undefined, { 'impersonate-user': 'system:serviceaccount:ns:name' });
  assert.deepEqual(asked.at(-1)?.identity.groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:ns',
    'system:authenticated',
  ]);
});

test('in this process callers share one frozen object', async () => {
  await using t = await testServer();
  const target = '/api/v1/namespaces/default/configmaps';
  const stop = new AbortController();
  const watch = await t.transport.request({
    method: 'GET',
    target: `${target}?watch=1`,
    objects: true,
    signal: stop.signal,
  });
  const events = (watch.events as AsyncIterable<{ type: string; object: object }>)[Symbol.asyncIterator]();
  const seen = events.next();
  const body = { metadata: { name: 'x', labels: Object.freeze({ a: 'b' }) }, data: Object.freeze({ k: 'v' }) };
  const made = await t.transport.request({ method: 'POST', target, objectBody: body, objects: true });
  assert.equal(made.status, 201);
  const event = (await seen).value as { type: string; object: { data: Record<string, string> } };
  assert.equal(event.type, 'ADDED');
  assert.ok(Object.isFrozen(event.object.data));
  const read = await t.transport.request({ method: 'GET', target: `${target}/x`, objects: true });
  assert.equal(read.object, event.object);
  const list = await t.transport.request({ method: 'GET', target, objects: true });
  assert.equal((list.object as { items: object[] }).items[0], event.object);
  const bytes = Buffer.from(
    await (await t.transport.request({ method: 'GET', target: `${target}/x` })).bytes(),
  ).toString();
  assert.deepEqual(JSON.parse(bytes), event.object);
  stop.abort();
  assert.equal((await events.next()).done, true);
});

test('gzip is for those who take it', () => {
  const takes = (header: string | undefined) =>
    acceptsGzip({ headers: { 'accept-encoding': header }, objects: false } as unknown as ServerRequest);
  for (const yes of ['gzip', 'deflate, gzip;q=0.5', '*', 'gzip;q=1.0']) assert.equal(takes(yes), true, yes);
  for (const no of [undefined, '', 'identity', 'gzip;q=0', 'gzip;q=0.0']) assert.equal(takes(no), false, String(no));
});

test('other forms: YAML, protobuf, tables, pretty JSON, and none that fits', async () => {
  await using t = await testServer();
  const target = '/api/v1/namespaces/default/configmaps';
  await t.ask('POST', target, { metadata: { name: 'x' }, data: { k: 'v' } });
  const as = (accept: string, path = `${target}/x`) => t.ask('GET', path, undefined, { accept });
  assert.match((await as('application/yaml')).body, /^apiVersion: v1\ndata:\n {2}k: v\n/);
  assert.equal((await as('application/vnd.kubernetes.protobuf')).body.slice(0, 3), 'k8s');
  assert.equal((await as('application/json;as=Table;g=meta.k8s.io;v=v1')).body.rows[0].cells[0], 'x');
  const partial = await as('application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1', target);
  assert.deepEqual(
    [partial.body.kind, partial.body.items[0].kind, partial.body.items[0].data],
    ['PartialObjectMetadataList', 'PartialObjectMetadata', undefined],
  );
  assert.equal((await as('text/html')).status, 406);
  assert.equal(
    (await as('application/json;as=Table;g=meta.k8s.io;v=v1,application/json', '/api')).body.kind,
    'APIVersions',
  );
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { nonResourceAttributes: { path: '/', verb: 'get' } },
  };
  const table = await t.ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
  });
  assert.ok(table.status === 406 || table.status === 405, String(table.status));
  const pretty = await t.ask('GET', `${target}/x?pretty=true`);
  assert.equal(pretty.body.data.k, 'v');
  const yaml = await t.ask('POST', target, 'metadata:\n  name: other\ndata:\n  a: b\n', {
    'content-type': 'application/yaml',
  });
  assert.equal(yaml.body.data?.a, 'b', JSON.stringify(yaml.body));
  assert.equal((await t.ask('POST', target, 'x', { 'content-type': 'text/plain' })).status, 415);
});
