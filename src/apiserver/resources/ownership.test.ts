import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdmissionPlugin } from '../contract.ts';
import { type Json, testServer } from '../test-server.ts';

const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const apply = { 'content-type': 'application/apply-patch+yaml' };
const merge = { 'content-type': 'application/merge-patch+json' };

const owned = (body: Json, manager: string): Json =>
  body.metadata.managedFields.find((one: Json) => one.manager === manager)?.fieldsV1;

const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const deployment = (spec: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'd' },
  spec: { selector: { matchLabels: { a: 'b' } }, template, ...spec },
});

test('what admission adds is nobody’s, at creation and at updates; books that it spoils are set back', async () => {
  const plugin: AdmissionPlugin = {
    name: 'Adds',
    mutate({ object, definition }) {
      if (definition?.resource.plural !== 'configmaps' || object === undefined) return;
      const draft = object as Json;
      draft.data = { ...draft.data, added: 'x' };
      if (draft.data.spoil !== undefined) draft.metadata.managedFields = [{ manager: 'x', operation: 'Bad' }];
    },
  };
  await using t = await testServer({ admission: () => [plugin] });
  const made = await t.ask('POST', `${configMaps}?fieldManager=m`, { metadata: { name: 'a' }, data: { k: '1' } });
  assert.equal(made.body.data.added, 'x');
  assert.deepEqual(owned(made.body, 'm'), { 'f:data': { '.': {}, 'f:k': {} } });
  await t.ask('PATCH', `${configMaps}/a`, { data: { added: null } }, merge);
  const put = await t.ask('PUT', `${configMaps}/a?fieldManager=n`, { metadata: { name: 'a' }, data: { k: '2' } });
  assert.equal(put.body.data.added, 'x');
  assert.deepEqual(owned(put.body, 'n'), { 'f:data': { 'f:k': {} } });
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { j: '1' } };
  const applied = await t.ask('PATCH', `${configMaps}/a?fieldManager=o`, config, apply);
  assert.deepEqual([applied.body.data.added, owned(applied.body, 'o')], ['x', { 'f:data': { 'f:j': {} } }]);
  const spoiled = await t.ask('PATCH', `${configMaps}/a?fieldManager=p`, { data: { spoil: '1' } }, merge);
  assert.deepEqual(owned(spoiled.body, 'p'), { 'f:data': { 'f:spoil': {} } });
  assert.match(spoiled.headers['warning'] ?? '', /was in an invalid state after admission.*operation must be/);
});

test('admission changes neither the status through the resource nor the rest through the status', async () => {
  const plugin: AdmissionPlugin = {
    name: 'Changes',
    mutate({ object, definition, operation }) {
      if (definition?.resource.plural !== 'deployments' || object === undefined || operation !== 'UPDATE') return;
      const draft = object as Json;
      draft.status = { ...draft.status, replicas: 7 };
      draft.spec.replicas = 7;
    },
  };
  await using t = await testServer({ admission: () => [plugin] });
  await t.ask('POST', deployments, deployment());
  const { body } = await t.ask('PATCH', `${deployments}/d`, { metadata: { labels: { l: '1' } } }, merge);
  assert.deepEqual([body.spec.replicas, body.status.replicas, body.metadata.generation], [7, undefined, 2]);
  await t.ask('PATCH', `${deployments}/d`, { spec: { paused: true } }, merge);
  const status = await t.ask('PATCH', `${deployments}/d/status`, { status: { observedGeneration: 1 } }, merge);
  assert.deepEqual([status.body.status.replicas, status.body.spec.replicas], [7, 7]);
});

test('through the status only the status comes to be owned, through the resource all but it; some metadata stays', async () => {
  await using t = await testServer();
  await t.ask('POST', `${deployments}?fieldManager=m`, deployment());
  const sent = {
    metadata: { labels: { l: '1' }, annotations: { n: '1' } },
    spec: { replicas: 9 },
    status: { replicas: 2 },
  };
  const { body } = await t.ask('PATCH', `${deployments}/d/status?fieldManager=s`, sent, merge);
  assert.deepEqual([body.metadata.labels, body.metadata.annotations, body.spec.replicas], [undefined, { n: '1' }, 1]);
  assert.deepEqual(owned(body, 's'), {
    'f:metadata': { 'f:annotations': { '.': {}, 'f:n': {} } },
    'f:status': { 'f:replicas': {} },
  });
  const config = { ...deployment({ replicas: 1 }), status: { readyReplicas: 1 } };
  const applied = await t.ask('PATCH', `${deployments}/d?fieldManager=a`, config, apply);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  assert.deepEqual([applied.body.status.readyReplicas, owned(applied.body, 'a')['f:status']], [undefined, undefined]);
  const only = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: { paused: true },
    status: { readyReplicas: 1 },
  };
  const status = await t.ask('PATCH', `${deployments}/d/status?fieldManager=b`, only, apply);
  assert.deepEqual([status.body.spec.paused, status.body.status.readyReplicas], [undefined, 1]);
  assert.deepEqual(owned(status.body, 'b'), { 'f:status': { 'f:readyReplicas': {} } });
});

test('kubectl’s own annotation follows what kubectl applies server-side', async () => {
  await using t = await testServer();
  const annotation = 'kubectl.kubernetes.io/last-applied-configuration';
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { k: '1' } };
  const metadata = { name: 'a', annotations: { [annotation]: JSON.stringify(config) } };
  await t.ask('POST', `${configMaps}?fieldManager=kubectl-client-side-apply`, { ...config, metadata });
  const next = { ...config, data: { z: '<1>', k: '2' } };
  const other = await t.ask('PATCH', `${configMaps}/a?fieldManager=me&force=true`, next, apply);
  assert.equal(other.body.metadata.annotations[annotation], JSON.stringify(config), 'only kubectl’s');
  const { body } = await t.ask('PATCH', `${configMaps}/a?fieldManager=kubectl`, next, apply);
  assert.equal(
    body.metadata.annotations[annotation],
    '{"apiVersion":"v1","data":{"k":"2","z":"\\u003c1\\u003e"},"kind":"ConfigMap","metadata":{"name":"a"}}\n',
  );
  const repeated = await t.ask('PATCH', `${configMaps}/a?fieldManager=kubectl`, next, apply);
  assert.equal(repeated.body.metadata.resourceVersion, body.metadata.resourceVersion);
});

test('an apply that comes to nothing is no write, however it is worded and whenever', async () => {
  await using t = await testServer();
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', labels: { l: '1' } }, data: {} };
  const ask = (): Promise<{ body: Json }> => t.ask('PATCH', `${configMaps}/a?fieldManager=m`, config, apply);
  await ask();
  const { body } = await ask();
  await t.clock.advance(60_000);
  const again = await ask();
  assert.deepEqual(again.body, body);
});
