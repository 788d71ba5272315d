import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, testServer } from '../test-server.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const words =
  'The desired state of one part, as whoever operates it describes it; what is left out is chosen by the operator. ';

/** A schema as large operators carry them: deep, described field by field, with unions, maps, lists by key, defaults and rules. */
function large(levels: number, width: number): Json {
  const leaf = (at: number): Json =>
    [
      { type: 'string', description: words, maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$' },
      { type: 'integer', format: 'int32', description: words, minimum: 0, maximum: 65535, default: at },
      { 'x-kubernetes-int-or-string': true, description: words, anyOf: [{ type: 'integer' }, { type: 'string' }] },
      {
        type: 'object',
        description: words,
        additionalProperties: { type: 'string', maxLength: 63 },
        maxProperties: 16,
      },
      {
        type: 'array',
        description: words,
        maxItems: 16,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name: { type: 'string', maxLength: 63 },
            value: { type: 'string', nullable: true, maxLength: 63 },
          },
          'x-kubernetes-validations': [
            { rule: "self.name != 'none' || !has(self.value)", message: 'none has no value' },
          ],
        },
      },
    ][at % 5];
  const properties: Json = {};
  for (let at = 0; at < width; at++) properties[`field${at}`] = leaf(at);
  if (levels > 0) for (const name of ['left', 'right']) properties[name] = large(levels - 1, width);
  return {
    type: 'object',
    description: words,
    properties,
    'x-kubernetes-validations': [
      { rule: "!has(self.field0) || self.field0 != 'forbidden'", message: 'field0 is forbidden' },
    ],
  };
}

function definition(plural: string, spec: Json): Json {
  return {
    metadata: { name: `${plural}.large.example.com` },
    spec: {
      group: 'large.example.com',
      scope: 'Namespaced',
      names: { plural, kind: `Kind${plural}` },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            },
          },
        },
      ],
    },
  };
}

test('a definition of half a megabyte is served, and judges its objects to the bottom', async () => {
  await using t = await testServer();
  const body = JSON.stringify(definition('giants', large(6, 14)));
  assert.ok(body.length > 450_000 && body.length < 1_000_000, String(body.length));
  const made = await t.ask('POST', definitions, body);
  assert.equal(made.status, 201, JSON.stringify(made.body).slice(0, 2000));
  const giants = '/apis/large.example.com/v1/namespaces/default/giants';
  for (let i = 0; i < 1000 && (await t.ask('GET', giants)).status !== 200; i++);
  const deep = { left: { right: { left: { right: { left: { right: { field4: [{ name: 'a' }] } } } } } } };
  const fine = await t.ask('POST', giants, { metadata: { name: 'a' }, spec: deep });
  assert.equal(fine.status, 201, JSON.stringify(fine.body).slice(0, 2000));
  assert.deepEqual(fine.body.spec.left.right.left.right.left.right, {
    field1: 1,
    field4: [{ name: 'a' }],
    field6: 6,
    field11: 11,
  });
  const wrong = await t.ask('POST', giants, {
    metadata: { name: 'b' },
    spec: {
      left: {
        right: {
          left: { right: { left: { right: { field0: 'forbidden', field4: [{ name: 'none', value: 'x' }] } } } },
        },
      },
    },
  });
  const at = 'spec.left.right.left.right.left.right';
  assert.deepEqual(wrong.body.details.causes.map((one: Json) => `${one.field}: ${one.message}`).sort(), [
    `${at}.field4[0]: Invalid value: "object": none has no value`,
    `${at}: Invalid value: "object": field0 is forbidden`,
  ]);
  const [, document] = await Promise.all([
    t.ask('GET', '/openapi/v2'),
    t.ask('GET', '/openapi/v3/apis/large.example.com/v1'),
  ]);
  assert.ok(document.body.components.schemas['com.example.large.v1.Kindgiants'].properties.spec.properties.left);
});

test('a hundred definitions are served a moment later', async () => {
  await using t = await testServer();
  const spec = large(2, 14);
  for (let at = 0; at < 100; at++) {
    const made = await t.ask('POST', definitions, definition(`many${at}`, spec));
    assert.equal(made.status, 201, JSON.stringify(made.body).slice(0, 500));
  }
  const served = async (): Promise<number> =>
    (await t.ask('GET', '/apis/large.example.com/v1')).body.resources?.filter((one: Json) => !one.name.includes('/'))
      .length ?? 0;
  for (let i = 0; i < 1000 && (await served()) < 100; i++);
  assert.equal(await served(), 100);
});
