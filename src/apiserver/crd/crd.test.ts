import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMemoryStore } from '#store';
import { ManualClock } from '#base';
import { type Json, type TestServer, testServer } from '../test-server.ts';
import { parseJsonPath, valuesAt } from './json-path.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: {
                  size: { type: 'integer', minimum: 1, maximum: 5 },
                  colour: { type: 'string', enum: ['red', 'blue'], default: 'red' },
                  code: { type: 'string', pattern: '^(a+)+$', maxLength: 40 },
                  any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                  replicas: { type: 'integer' },
                },
              },
              status: { type: 'object', properties: { replicas: { type: 'integer' }, ready: { type: 'boolean' } } },
            },
          },
        },
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
        },
        additionalPrinterColumns: [
          { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
          { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
        ],
      },
      {
        name: 'v1beta1',
        served: true,
        storage: false,
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
};
const widgets = '/apis/example.com/v1/namespaces/default/widgets';

async function establish(t: TestServer): Promise<Json> {
  const made = await t.ask('POST', definitions, crd);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const events = await t.watch(
    `${definitions}?watch=1&resourceVersion=${made.body.metadata.resourceVersion}&fieldSelector=metadata.name%3Dwidgets.example.com`,
    1,
  );
  return events[0]?.object;
}

test('a definition is served: defaults, pruning, validation, status, scale, versions, tables, discovery', async () => {
  await using t = await testServer();
  const established = await establish(t);
  assert.deepEqual(
    established.status.conditions.map((one: Json) => [one.type, one.status]),
    [
      ['NamesAccepted', 'True'],
      ['Established', 'True'],
    ],
  );
  const bad = await t.ask('POST', widgets, {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'bad' },
    spec: { size: 9, colour: 'green', code: 'x' },
  });
  assert.equal(bad.status, 422);
  assert.deepEqual(bad.body.details.causes.map((one: Json) => one.field).sort(), [
    'spec.code',
    'spec.colour',
    'spec.size',
  ]);
  assert.match(bad.body.message, /spec.size in body should be less than or equal to 5/);
  const wrong = await t.ask('POST', widgets, { metadata: { name: 'bad' }, spec: { size: 'big' } });
  assert.match(wrong.body.message, /spec.size in body must be of type integer: "string"/);
  const missing = await t.ask('POST', widgets, { metadata: { name: 'bad' } });
  assert.match(missing.body.message, /Widget.example.com "bad" is invalid: spec: Required value/);
  const made = await t.ask('POST', widgets, {
    metadata: { name: 'w' },
    spec: { size: 2, extra: 1, any: { keep: { me: 1 } } },
    status: { ready: true },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(made.body.spec, { size: 2, any: { keep: { me: 1 } }, colour: 'red' });
  assert.equal(made.body.status, undefined);
  assert.equal(made.headers.warning, '299 - "unknown field \\"spec.extra\\""');
  assert.equal(made.body.metadata.generation, 1);
  const merge = { 'content-type': 'application/merge-patch+json' };
  const status = await t.ask('PATCH', `${widgets}/w/status`, { status: { ready: true, replicas: 3 } }, merge);
  assert.deepEqual(status.body.status, { ready: true, replicas: 3 }, JSON.stringify(status.body));
  assert.equal(status.body.metadata.generation, 1);
  const scaled = await t.ask('PATCH', `${widgets}/w/scale`, { spec: { replicas: 4 } }, merge);
  assert.equal(scaled.body.spec.replicas, 4, JSON.stringify(scaled.body));
  assert.equal(scaled.body.status.replicas, 3);
  const beta = await t.ask('GET', '/apis/example.com/v1beta1/namespaces/default/widgets/w');
  assert.equal(beta.body.apiVersion, 'example.com/v1beta1');
  assert.equal(beta.body.spec.replicas, 4);
  const table = await t.ask('GET', widgets, undefined, { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' });
  assert.deepEqual(
    table.body.columnDefinitions.map((one: Json) => one.name),
    ['Name', 'Size', 'Age'],
  );
  assert.deepEqual(table.body.rows[0].cells, ['w', 2, '0s']);
  const strategic = await t.ask(
    'PATCH',
    `${widgets}/w`,
    {},
    { 'content-type': 'application/strategic-merge-patch+json' },
  );
  assert.equal(strategic.status, 415);
  const apply = await t.ask(
    'PATCH',
    `${widgets}/w?fieldManager=me&force=true`,
    { apiVersion: 'example.com/v1', kind: 'Widget', spec: { size: 3 } },
    { 'content-type': 'application/apply-patch+yaml' },
  );
  assert.equal(apply.body.spec.size, 3, JSON.stringify(apply.body));
  const blind = await t.ask('PUT', `${widgets}/w`, { metadata: { name: 'w' }, spec: { size: 1 } });
  assert.match(blind.body.message, /metadata.resourceVersion: Invalid value: 0: must be specified for an update/);
  const groups = await t.ask('GET', '/apis/example.com');
  assert.deepEqual(
    groups.body.versions.map((one: Json) => one.version),
    ['v1', 'v1beta1'],
  );
  const resources = await t.ask('GET', '/apis/example.com/v1');
  assert.deepEqual(
    resources.body.resources.map((one: Json) => one.name),
    ['widgets', 'widgets/scale', 'widgets/status'],
  );
});

test('a definition takes its objects along, and is served again after a restart', async () => {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock });
  const first = await testServer({ store, clock });
  await establish(first);
  await first.ask('POST', widgets, { metadata: { name: 'w' }, spec: { size: 2 } });
  await first.server.close();
  const t = await testServer({ store, clock });
  assert.equal((await t.ask('GET', `${widgets}/w`)).status, 200);
  const marked = await t.ask('DELETE', `${definitions}/widgets.example.com`);
  assert.equal(marked.status, 200);
  const events = await t.watch(`${definitions}?watch=1&resourceVersion=${marked.body.metadata.resourceVersion}`, 2);
  assert.equal(events.at(-1)?.type, 'DELETED');
  assert.equal((await t.ask('GET', `${widgets}/w`)).status, 404);
  const range = await store.range({ start: '/registry/example.com/', end: '/registry/example.com0' });
  assert.equal(range.count, 0);
  await t[Symbol.asyncDispose]();
});

test('JSONPath of printer columns', () => {
  const object = {
    status: {
      conditions: [
        { type: 'Ready', status: 'True' },
        { type: 'Other', status: 'False' },
      ],
    },
    'a.b': { c: [1, 2] },
    labels: { 'a.b/c': 'slash' },
    words: ['a', 'b'],
  };
  const at = (text: string) => valuesAt(object, parseJsonPath(text) ?? []);
  assert.deepEqual(at('.status.conditions[?(@.type=="Ready")].status'), ['True']);
  assert.deepEqual(at(".['a.b'].c[1]"), [2]);
  assert.deepEqual(at('.a\\.b.c[*]'), [1, 2]);
  assert.deepEqual(at('.constructor.name'), []);
  assert.deepEqual(at('.status.conditions[0:1].type'), ['Ready']);
  assert.deepEqual(at('.status.conditions[-1:].type'), ['Other']);
  assert.deepEqual(at('.status.conditions[1,0].type'), ['Other', 'Ready']);
  assert.deepEqual(at('..type'), ['Ready', 'Other']);
  assert.deepEqual(at('.labels.a\\.b/c'), ['slash']);
  assert.deepEqual(at('.words[?(@=="b")]'), ['b']);
  assert.deepEqual(at('.status.conditions[?(@.missing!="x")].type'), []);
  assert.deepEqual(at('.status.conditions[?(@.status)].type'), ['Ready', 'Other']);
  assert.equal(parseJsonPath('.a[?(x)]'), undefined);
});
