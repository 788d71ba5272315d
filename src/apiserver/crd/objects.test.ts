import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, type Json, type TestServer, testServer } from '../test-server.ts';
import { hasFormat, isKnownFormat } from './formats.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const things = '/apis/example.com/v1/namespaces/default/things';

function definition(properties: Json, version: Json = {}, root: Json = {}): Json {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties, ...root } },
          ...version,
        },
      ],
    },
  };
}

async function serve(t: TestServer, body: Json): Promise<void> {
  const made = await t.ask('POST', definitions, body);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  for (let attempt = 0; attempt < 1000 && (await t.ask('GET', things)).status !== 200; attempt++);
}

const thing = (name: string, more: Json): Json => ({
  apiVersion: 'example.com/v1',
  kind: 'Thing',
  metadata: { name },
  ...more,
});
const causes = ({ body }: Answer): string[] =>
  (body.details?.causes ?? []).map((one: Json) => `${one.field}: ${one.message}`).sort();

test('a null that a field may not have counts as absent', async () => {
  await using t = await testServer();
  await serve(
    t,
    definition({
      spec: {
        type: 'object',
        properties: {
          plain: { type: 'string' },
          filled: { type: 'string', default: 'd' },
          nullable: { type: 'string', nullable: true, default: 'd' },
          any: { 'x-kubernetes-preserve-unknown-fields': true },
          keep: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
          map: { type: 'object', additionalProperties: { type: 'string' } },
          list: { type: 'array', items: { type: 'string' } },
          deep: { type: 'object', properties: { inner: { type: 'integer' } } },
        },
      },
      status: { type: 'object', properties: { ready: { type: 'boolean' } } },
    }),
  );
  const made = await t.ask(
    'POST',
    things,
    thing('a', {
      spec: {
        plain: null,
        filled: null,
        nullable: null,
        any: null,
        keep: { x: null },
        map: { a: null, b: 'c' },
        deep: { inner: null },
      },
      status: null,
    }),
  );
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(made.body.spec, { filled: 'd', nullable: null, keep: { x: null }, map: { b: 'c' }, deep: {} });
  assert.equal(Object.hasOwn(made.body, 'status'), false);
  const put = await t.ask('PUT', `${things}/a`, { ...made.body, spec: { plain: 'x', filled: null } });
  assert.deepEqual(put.body.spec, { plain: 'x', filled: 'd', nullable: 'd' });
  const refused = await t.ask('POST', things, thing('b', { spec: { list: [null] } }));
  assert.deepEqual(causes(refused), [
    'spec.list[0]: Invalid value: "null": spec.list[0] in body must be of type string: "null"',
  ]);
});

test('objects inside objects are judged by their own metadata', async () => {
  await using t = await testServer();
  await serve(
    t,
    definition({
      spec: { type: 'object', 'x-kubernetes-embedded-resource': true, 'x-kubernetes-preserve-unknown-fields': true },
    }),
  );
  const ask = (name: string, spec: Json): Promise<Answer> => t.ask('POST', things, thing(name, { spec }));
  assert.deepEqual(causes(await ask('a', {})), [
    'spec.apiVersion: Required value: must not be empty',
    'spec.kind: Required value: must not be empty',
  ]);
  assert.deepEqual(
    causes(await ask('b', { apiVersion: 'a/b/c', kind: 'Po_d', metadata: { labels: { 'a b': 'x' } } })),
    [
      'spec.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
      "spec.kind: Invalid value: \"Po_d\": may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
      "spec.metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ],
  );
  const pruned = await ask('c', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'A b', odd: 1 }, data: 1 });
  assert.equal(pruned.status, 201, JSON.stringify(pruned.body));
  assert.deepEqual(pruned.body.spec, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'A b' }, data: 1 });
  assert.equal(pruned.headers.warning, '299 - "unknown field \\"spec.metadata.odd\\""');
});

test('types, enums, schemas of schemas and lists are told as upstream tells them', async () => {
  await using t = await testServer();
  const both = { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } } };
  const either = [{ required: ['a'] }, { required: ['b'] }];
  await serve(
    t,
    definition({
      spec: {
        type: 'object',
        properties: {
          e: { type: 'string', enum: ['a', 'b'] },
          s: { type: 'string', minLength: 2, pattern: '^[a-z]+$' },
          any: { ...both, anyOf: either },
          one: { ...both, oneOf: either },
          not: { type: 'string', not: { enum: ['bad'] } },
          all: { type: 'string', allOf: [{ pattern: '^a' }, { pattern: 'z$' }] },
          map: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
            items: { type: 'object', required: ['k'], properties: { k: { type: 'string' } } },
          },
          // Junctors below the root may name what the schema outside does not.
          loose: { type: 'object', anyOf: [{ properties: { zz: { minimum: 1 } } }] },
        },
      },
    }),
  );
  const told = async (spec: Json): Promise<string[]> => causes(await t.ask('POST', things, thing('x', { spec })));
  assert.deepEqual(await told({ e: 1 }), [
    'spec.e: Invalid value: "integer": spec.e in body must be of type string: "integer"',
    'spec.e: Unsupported value: 1: supported values: "a", "b"',
  ]);
  assert.deepEqual(await told({ s: 'A' }), [
    'spec.s: Invalid value: "A": spec.s in body should be at least 2 chars long',
  ]);
  assert.deepEqual(await told({ any: {} }), [
    '<nil>: Invalid value: "": "spec.any" must validate at least one schema (anyOf)',
    'spec.any.a: Required value',
  ]);
  assert.deepEqual(await told({ one: { a: '', b: '' } }), [
    '<nil>: Invalid value: "": "spec.one" must validate one and only one schema (oneOf). Found 2 valid alternatives',
  ]);
  assert.deepEqual(await told({ not: 'bad' }), [
    '<nil>: Invalid value: "": "spec.not" must not validate the schema (not)',
  ]);
  assert.deepEqual(await told({ all: 'a' }), [
    '<nil>: Invalid value: "": "spec.all" must validate all the schemas (allOf)',
    `spec.all: Invalid value: "a": spec.all in body should match 'z$'`,
  ]);
  assert.deepEqual(await told({ map: ['x', 'x', { k: 'a' }, { k: 'a' }] }), [
    'spec.map[0]: Invalid value: "string": spec.map[0] in body must be of type object: "string"',
    'spec.map[1]: Invalid value: "string": spec.map[1] in body must be of type object: "string"',
    'spec.map[3]: Duplicate value: {"k":"a"}',
  ]);
});

test('replicas that a scale reads are whole and not negative', async () => {
  await using t = await testServer();
  const object = (name: string): Json => ({
    type: 'object',
    properties: { [name]: { type: 'integer' }, sel: { type: 'string' } },
  });
  const scale = { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n', labelSelectorPath: '.status.sel' };
  await serve(t, definition({ spec: object('n'), status: object('n') }, { subresources: { status: {}, scale } }));
  const refused = await t.ask('POST', things, thing('a', { spec: { n: -1 } }));
  assert.deepEqual(causes(refused), ['.spec.n: Invalid value: -1: should be a non-negative integer']);
  const large = await t.ask('POST', things, thing('a', { spec: { n: 2147483648 } }));
  assert.deepEqual(causes(large), ['.spec.n: Invalid value: 2147483648: should be less than or equal to 2147483647']);
  const text = await t.ask('POST', things, thing('a', { spec: { n: 'x' } }));
  assert.deepEqual(causes(text), [
    '.spec.n: Invalid value: 0: .spec.n accessor error: x is of the type string, expected int64',
    'spec.n: Invalid value: "string": spec.n in body must be of type integer: "string"',
  ]);
  await t.ask('POST', things, thing('a', { spec: { n: 1 } }));
  const merge = { 'content-type': 'application/merge-patch+json' };
  const status = await t.ask('PATCH', `${things}/a/status`, { status: { n: -2 } }, merge);
  assert.deepEqual(causes(status), ['.status.n: Invalid value: -2: should be a non-negative integer']);
});

test('defaults are whole and valid', async () => {
  await using t = await testServer();
  const told = async (property: Json, root: Json = {}): Promise<string[]> => {
    const answer = await t.ask('POST', `${definitions}?dryRun=All`, definition({ a: property }, {}, root));
    return causes(answer).map((one) => one.replaceAll('spec.validation.openAPIV3Schema', '~'));
  };
  assert.deepEqual(await told({ type: 'string', default: 1 }), [
    '~.properties[a].default: Invalid value: "integer":  in body must be of type string: "integer"',
  ]);
  assert.deepEqual(await told({ type: 'object', properties: { b: { type: 'string' } }, default: { b: '', c: 1 } }), [
    '~.properties[a].default: Invalid value: {"b":"","c":1}: must not have unknown fields',
  ]);
  assert.deepEqual(
    await told({ type: 'object', required: ['b'], properties: { b: { type: 'string' } }, default: {} }),
    ['~.properties[a].default.b: Required value'],
  );
  assert.deepEqual(
    await told({ type: 'integer', default: 3, 'x-kubernetes-validations': [{ rule: 'self > 5', message: 'small' }] }),
    ['~.properties[a].default: Invalid value: "integer": small'],
  );
  assert.deepEqual(await told({ type: 'string', default: null }), []);
  assert.deepEqual(
    await told({ type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' }, default: ['a', 'a'] }),
    [],
  );
  assert.deepEqual(await told({ type: 'string' }, { default: { a: '' } }), [
    '~.default.apiVersion: Required value: must not be empty',
    '~.default.kind: Required value: must not be empty',
  ]);
});

test('the root of a schema: an object, without what a status could lose', async () => {
  await using t = await testServer();
  const told = async (schema: Json, subresources?: Json): Promise<string[]> => {
    const body = definition({}, { schema: { openAPIV3Schema: schema }, ...(subresources && { subresources }) });
    return causes(await t.ask('POST', `${definitions}?dryRun=All`, body)).map((one) =>
      one.replaceAll('spec.validation.openAPIV3Schema', '~').replace(/Invalid value: \{.*\}:/, 'Invalid value:'),
    );
  };
  assert.deepEqual(await told({ type: 'string' }), ['~.type: Invalid value: "string": must be object at the root']);
  assert.deepEqual(await told({}), ['~.type: Required value: must not be empty at the root']);
  assert.deepEqual(await told({ type: 'object', nullable: true }), [
    '~.nullable: Forbidden: nullable cannot be true at the root',
  ]);
  const [allowed = ''] = await told({ type: 'object', minProperties: 1 }, { status: {} });
  assert.match(
    allowed,
    /^~: Invalid value: only \[Description Type Format .* XValidations\] fields are allowed at the root/,
  );
  assert.deepEqual(await told({ type: 'object', minProperties: 1 }), []);
  assert.deepEqual(
    await told({
      type: 'object',
      properties: { a: { type: 'string' } },
      anyOf: [{ properties: { b: { pattern: 'x' } } }],
    }),
    ['~.properties[b]: Required value: because it is defined in ~.anyOf[0].properties[b]'],
  );
});

test('parts that all versions have alike are judged once, above them; others in their version', async () => {
  await using t = await testServer();
  const body = definition({}, { subresources: { scale: { specReplicasPath: 'x', statusReplicasPath: '.status.n' } } });
  const columns = [{ name: 'a', type: 'odd', jsonPath: 'spec.a' }];
  body.spec.versions[0].additionalPrinterColumns = columns;
  const [first] = body.spec.versions;
  assert.deepEqual(causes(await t.ask('POST', definitions, body)), [
    'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec.a": must be a simple json path starting with .',
    'spec.additionalPrinterColumns[0].type: Invalid value: "odd": must be one of boolean,date,integer,number,string',
    'spec.subresources.scale.specReplicasPath: Invalid value: "x": must be a simple json path starting with .',
  ]);
  body.spec.versions.push({ ...first, name: 'v2', storage: false, additionalPrinterColumns: [], subresources: {} });
  assert.deepEqual(causes(await t.ask('POST', definitions, body)), [
    'spec.versions[0].additionalPrinterColumns[0].JSONPath: Invalid value: "spec.a": must be a simple json path starting with .',
    'spec.versions[0].additionalPrinterColumns[0].type: Invalid value: "odd": must be one of boolean,date,integer,number,string',
    'spec.versions[0].subresources.scale.specReplicasPath: Invalid value: "x": must be a simple json path starting with .',
  ]);
  const converted = definition({});
  converted.spec.conversion = { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v9'] } };
  assert.deepEqual(causes(await t.ask('POST', definitions, converted)), [
    'spec.conversion.conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1',
    'spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook',
  ]);
});

test('unknown formats and odd finalizers are warned of', async () => {
  await using t = await testServer();
  const made = await t.ask(
    'POST',
    definitions,
    definition({ a: { type: 'string', format: 'odd' }, b: { type: 'integer', format: 'int32' } }),
  );
  assert.equal(made.headers.warning, '299 - "unrecognized format \\"odd\\""');
  for (let attempt = 0; attempt < 1000 && (await t.ask('GET', things)).status !== 200; attempt++);
  const warned = await t.ask('POST', things, {
    ...thing('a', {}),
    metadata: { name: 'a', finalizers: ['a.b', 'c.d/e'] },
  });
  assert.equal(warned.status, 201, JSON.stringify(warned.body));
  assert.equal(
    warned.headers.warning,
    '299 - "metadata.finalizers: \\"a.b\\": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"',
  );
});

test('formats', () => {
  const fine: Record<string, string[]> = {
    date: ['2020-02-29'],
    'date-time': ['2020-01-01T00:00:00Z', '2020-01-01t00:00:00.123+02:00'],
    duration: ['1h', '3 weeks', '1.5s', '22 ns'],
    email: ['a@b.c', 'A B <a@b>'],
    hostname: ['a.bc', 'localhost', 'a-b.example.london'],
    ipv4: ['1.2.3.4', '01.2.3.4', '::ffff:1.2.3.4'],
    ipv6: ['::1'],
    cidr: ['1.2.3.4/8', '::/0'],
    mac: ['00:00:5e:00:53:01', '0000.5e00.5301'],
    uri: ['http://a', '/a', 'mailto:x', 'http://[::1]:80/x'],
    uuid: ['123E4567-e89b-12d3-a456-426614174000'],
    uuid4: ['123e4567-e89b-42d3-a456-426614174000'],
    byte: ['aGk='],
    bsonobjectid: ['507f1f77bcf86cd799439011'],
    isbn: ['0321751043', '978-0321751041'],
    creditcard: ['4111-1111-1111-1111'],
    ssn: ['111-11-1111'],
    hexcolor: ['#fff', 'abcdef'],
    rgbcolor: ['rgb(1,2,3)'],
    'k8s-short-name': ['a-b'],
    'k8s-long-name': ['a.b'],
    password: [''],
    odd: ['anything'],
  };
  const wrong: Record<string, string[]> = {
    date: ['x', '2020-13-01', '2019-02-29'],
    'date-time': ['2020-01-01 00:00:00Z', '2020-01-01T00:00:00', '2020-01-01T24:00:00Z'],
    duration: ['x', ''],
    email: ['x', 'a@'],
    hostname: ['A_b', '-a'],
    ipv4: ['1.2.3', '1.2.3.256', '::1'],
    ipv6: ['1.2.3.4', 'x', 'fe80::1%eth0'],
    cidr: ['x', '1.2.3.4/33'],
    mac: ['x', '00:00:5e-00:53:01'],
    uri: ['x', ' ', '', 'http://a b/'],
    uuid: ['x'],
    uuid3: ['123e4567-e89b-12d3-a456-426614174000'],
    byte: ['a', '###', ''],
    isbn: ['0321751044'],
    creditcard: ['4111-1111-1111-1112'],
    ssn: ['1'],
    hexcolor: ['x'],
    rgbcolor: ['rgb(1,2,300)'],
    'k8s-short-name': ['A'],
    'k8s-long-name': ['a..b'],
  };
  for (const [format, texts] of Object.entries(fine))
    for (const text of texts) assert.equal(hasFormat(text, format), true, `${format} ${text}`);
  for (const [format, texts] of Object.entries(wrong))
    for (const text of texts) assert.equal(hasFormat(text, format), false, `${format} ${text}`);
  assert.deepEqual(
    [
      isKnownFormat('int32', 'integer'),
      isKnownFormat('int32', 'string'),
      isKnownFormat('double', 'number'),
      isKnownFormat('date-time', ''),
      isKnownFormat('date', 'object'),
    ],
    [true, false, true, true, false],
  );
});

test('what was stored under another schema is read as the schema is now, in each version', async () => {
  await using t = await testServer();
  const open = definition({ spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } });
  await serve(t, open);
  await t.ask('POST', things, thing('a', { spec: { a: null, b: 1, c: { x: 1 } } }));
  const merge = { 'content-type': 'application/merge-patch+json' };
  const version = (name: string, storage: boolean, given: string): Json => ({
    name,
    served: true,
    storage,
    schema: {
      openAPIV3Schema: {
        type: 'object',
        properties: {
          spec: {
            type: 'object',
            properties: {
              a: { type: 'string', default: given },
              c: { type: 'object', properties: { y: { type: 'integer', default: 3 } } },
              ...(storage ? {} : { d: { type: 'string', default: 'v2 alone' } }),
            },
          },
        },
      },
    },
  });
  const versions = [version('v1', true, 'A'), version('v2', false, 'B')];
  const patched = await t.ask('PATCH', `${definitions}/things.example.com`, { spec: { versions } }, merge);
  assert.equal(patched.status, 200, JSON.stringify(patched.body));
  const second = things.replace('/v1/', '/v2/');
  for (let i = 0; i < 1000 && (await t.ask('GET', second)).status !== 200; i++);
  const read = await t.ask('GET', `${things}/a`);
  assert.deepEqual(read.body.spec, { a: 'A', c: { y: 3 } });
  assert.deepEqual((await t.ask('GET', things)).body.items[0].spec, { a: 'A', c: { y: 3 } });
  assert.deepEqual((await t.ask('GET', `${second}/a`)).body.spec, { a: 'A', c: { y: 3 }, d: 'v2 alone' });
  assert.equal((await t.ask('GET', second)).body.items[0].spec.d, 'v2 alone');
  const changed = await t.ask('PATCH', `${things}/a`, { metadata: { labels: { x: 'y' } } }, merge);
  assert.equal(changed.headers.warning, undefined);
});

test('a definition that goes takes no new objects; names that it gives up are free', async () => {
  await using t = await testServer();
  const merge = { 'content-type': 'application/merge-patch+json' };
  const body = definition({});
  body.spec.names.shortNames = ['th'];
  await serve(t, body);
  const others = '/apis/example.com/v1/namespaces/default/others';
  const other = structuredClone(body);
  other.metadata.name = 'others.example.com';
  other.spec.names = { plural: 'others', kind: 'Other', shortNames: ['th'] };
  assert.equal((await t.ask('POST', definitions, other)).status, 201);
  assert.equal((await t.ask('GET', others)).status, 404);
  await t.ask('PATCH', `${definitions}/things.example.com`, { spec: { names: { shortNames: ['tt'] } } }, merge);
  for (let i = 0; i < 1000 && (await t.ask('GET', others)).status !== 200; i++);
  assert.equal((await t.ask('GET', others)).status, 200);
  await t.ask('POST', things, { ...thing('a', {}), metadata: { name: 'a', finalizers: ['example.com/f'] } });
  const going = await t.ask('DELETE', `${definitions}/things.example.com`);
  assert.deepEqual(
    going.body.status.conditions.filter((one: Json) => one.type === 'Terminating').map((one: Json) => one.reason),
    ['InstanceDeletionPending'],
  );
  let late = await t.ask('POST', `${things}?dryRun=All`, thing('late', {}));
  for (let i = 0; i < 1000 && late.status === 201; i++)
    late = await t.ask('POST', `${things}?dryRun=All`, thing('late', {}));
  assert.deepEqual(
    [late.status, late.body.message],
    [405, 'create not allowed while custom resource definition is terminating'],
  );
  await t.ask('PATCH', `${things}/a`, { metadata: { finalizers: null } }, merge);
  for (let i = 0; i < 1000 && (await t.ask('GET', `${definitions}/things.example.com`)).status !== 404; i++);
  assert.equal((await t.ask('GET', `${definitions}/things.example.com`)).status, 404);
});
