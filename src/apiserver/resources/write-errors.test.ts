import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Json, type TestServer, testServer } from '../test-server.ts';

// What real servers answered (1.20.2) or do by their rules of 1.36, in their words.
const configMaps = '/api/v1/namespaces/default/configmaps';
const deployments = '/apis/apps/v1/namespaces/default/deployments';
const types = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

let t: TestServer;
before(async () => {
  t = await testServer();
  await t.ask('POST', configMaps, { metadata: { name: 'c', finalizers: ['a/b', 'c/d'] }, data: { a: '1' } });
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  await t.ask('POST', deployments, {
    metadata: { name: 'd' },
    spec: { selector: { matchLabels: { a: 'b' } }, template },
  });
});
after(() => t[Symbol.asyncDispose]());

const patch = (type: keyof typeof types, target: string, body: object | string) =>
  t.ask('PATCH', target, body, { 'content-type': types[type] });

test('patches that are none, or whose outcome is no object of the kind', async () => {
  const prefix = ' "" is invalid: patch: Invalid value: ';
  const rows: [keyof typeof types, object | string, number, RegExp | string][] = [
    [
      'json',
      '{}',
      400,
      /^error decoding patch: json: cannot unmarshal object into Go value of type \[\]handlers\.jsonPatchOp$/,
    ],
    ['json', '[1]', 400, /cannot unmarshal number into Go value of type handlers\.jsonPatchOp$/],
    ['json', [{ op: 'remove', path: '/none' }], 422, 'the server rejected our request due to an error in our request'],
    ['merge', '[]', 400, /^error decoding patch: json: cannot unmarshal array into Go value of type map/],
    ['merge', 'null', 400, 'Invalid JSON Patch'],
    ['strategic', '[]', 400, /^json: cannot unmarshal array into Go value of type map/],
    ['strategic', 'null', 200, ''],
    [
      'strategic',
      { spec: { replicas: 'x' } },
      422,
      new RegExp(`^${prefix}"map\\[spec:map\\[replicas:x\\]\\]": json: cannot unmarshal string`),
    ],
    [
      'merge',
      { spec: { replicas: 'x' } },
      422,
      new RegExp(`^${prefix}"\\{.*": json: cannot unmarshal string .* of type int32$`),
    ],
    [
      'json',
      [{ op: 'replace', path: '/kind', value: 'Foo' }],
      422,
      /no kind "Foo" is registered for version "apps\/v1"/,
    ],
    [
      'merge',
      { metadata: null },
      400,
      'the name of the object (d based on URL) was undeterminable: name must be provided',
    ],
    ['merge', { metadata: { name: 'x' } }, 400, 'the name of the object (x) does not match the name on the URL (d)'],
    [
      'merge',
      { metadata: { uid: 'x' } },
      422,
      'Deployment.apps "d" is invalid: metadata.uid: Invalid value: "x": field is immutable',
    ],
    [
      'merge',
      { metadata: { deletionTimestamp: '2020-01-01T00:00:00Z' } },
      422,
      /metadata\.deletionTimestamp: Invalid value: .*field is immutable$/,
    ],
  ];
  for (const [type, body, status, message] of rows) {
    const answer = await patch(type, `${deployments}/d`, body);
    const context = `${type} ${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`;
    assert.equal(answer.status, status, context);
    if (status === 200) continue;
    if (typeof message === 'string') assert.equal(answer.body.message, message, context);
    else assert.match(answer.body.message, message, context);
  }
  const { body } = await patch('json', `${deployments}/d`, [{ op: 'remove', path: '/none' }]);
  assert.deepEqual([body.reason, body.details], ['Invalid', {}], 'clients print causes, of which upstream gives none');
});

test('what is said of a patch’s own text: warnings, or a refusal under Strict', async () => {
  const target = `${configMaps}/c?dryRun=All`;
  const double = '{"data":{"x":"1","x":"2"},"foo":1}';
  const warned = await patch('merge', target, double);
  assert.match(warned.headers['warning'] ?? '', /duplicate field \\"data\.x\\"/);
  assert.match(warned.headers['warning'] ?? '', /unknown field \\"foo\\"/);
  assert.equal((await patch('merge', `${target}&fieldValidation=Ignore`, double)).headers['warning'], undefined);
  const strict = await patch('merge', `${target}&fieldValidation=Strict`, double);
  assert.equal(strict.status, 422);
  assert.match(strict.body.message, /strict decoding error: duplicate field "data\.x", unknown field "foo"$/);
  const operation = await patch('json', target, [{ op: 'test', path: '/data/a', value: '1', extra: 1 }]);
  assert.match(operation.headers['warning'] ?? '', /json patch unknown field \\"\[0\]\.extra\\"/);
});

test('configurations that cannot be applied', async () => {
  const target = `${deployments}/d?fieldManager=m`;
  const kind = { apiVersion: 'apps/v1', kind: 'Deployment' };
  const rows: [object | string, string][] = [
    [
      '[]',
      'error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go value of type map[string]interface {}',
    ],
    ['', 'invalid object type: /, Kind='],
    [{ kind: 'Deployment' }, 'invalid object type: /, Kind=Deployment'],
    [{ apiVersion: 'v1', kind: 'Foo' }, 'invalid object type: /v1, Kind=Foo'],
    [{ ...kind, metadata: { name: 'x' } }, 'the name of the object (x) does not match the name on the URL (d)'],
    [
      { ...kind, metadata: { name: 'd' }, spec: { foo: 1 } },
      'failed to create typed patch object (/d; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema',
    ],
    [
      { ...kind, metadata: { name: 'd', namespace: 'x' } },
      'the namespace of the provided object does not match the namespace sent on the request',
    ],
  ];
  for (const [body, message] of rows) {
    const answer = await patch('apply', target, body);
    assert.deepEqual([answer.status, answer.body.message], [400, message]);
  }
  const unnamed = await patch('apply', `${configMaps}/new?fieldManager=m`, { apiVersion: 'v1', kind: 'ConfigMap' });
  assert.match(unnamed.body.message, /undeterminable: name must be provided$/);
});

test('bodies that are no object of the kind', async () => {
  const head = 'the object provided is unrecognized (must be of type ConfigMap): ';
  const rows: [string, string][] = [
    ['', `${head}couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)`],
    ['{', `${head}couldn't get version/kind; json parse error: unexpected end of JSON input ({)`],
    [
      '[]',
      `${head}couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b5d)`,
    ],
    [
      '{"kind":"Foo"}',
      'Foo in version "v1" cannot be handled as a ConfigMap: no kind "Foo" is registered for version "v1" at this address',
    ],
    [
      '{"data":1}',
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string',
    ],
  ];
  for (const [body, message] of rows) {
    const answer = await t.ask('POST', configMaps, body);
    assert.deepEqual([answer.status, answer.body.message], [400, message]);
  }
});

test('a PUT says which object it means', async () => {
  const put = (metadata: object): Promise<{ status: number; body: Json }> =>
    t.ask('PUT', `${configMaps}/c`, { metadata, data: {} });
  assert.match((await put({})).body.message, /undeterminable: name must be provided$/);
  const { body } = await t.ask('GET', `${configMaps}/c`);
  const other = await put({ name: 'c', uid: 'x' });
  assert.deepEqual(
    [other.status, other.body.message],
    [
      409,
      `Operation cannot be fulfilled on configmaps "c": StorageError: invalid object, Code: 4, Key: /registry/configmaps/default/c, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: x, UID in object meta: ${body.metadata.uid}`,
    ],
  );
});
