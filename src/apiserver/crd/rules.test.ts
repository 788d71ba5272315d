import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, type TestServer, testServer } from '../test-server.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const things = '/apis/rules.example.com/v1/namespaces/default/things';
const head = 'spec.validation.openAPIV3Schema';

function definition(spec: object, plural = 'things', more: object = {}): object {
  const kind = plural === 'things' ? 'Thing' : `Thing${plural}`;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.rules.example.com` },
    spec: {
      group: 'rules.example.com',
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase() },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
          ...more,
        },
      ],
    },
  };
}

async function serve(t: TestServer, spec: object, more: object = {}): Promise<void> {
  const made = await t.ask('POST', definitions, definition(spec, 'things', more));
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { resourceVersion } = made.body.metadata;
  await t.watch(`${definitions}?watch=1&resourceVersion=${resourceVersion}`, 1);
}

const thing = (name: string, spec: object, more: object = {}): object => ({
  apiVersion: 'rules.example.com/v1',
  kind: 'Thing',
  metadata: { name, ...more },
  spec,
});
const causes = (answer: Json): string[] =>
  (answer.body.details?.causes ?? []).map((one: Json) => `${one.field}: ${one.message}`);

test('rules: messages, reasons, paths, transitions, escaped names', async () => {
  await using t = await testServer();
  await serve(t, {
    type: 'object',
    'x-kubernetes-validations': [
      {
        rule: 'self.min <= self.max',
        messageExpression: "'%d is more than %d'.format([self.min, self.max])",
        fieldPath: '.min',
      },
      { rule: "!has(self.mode) || self.mode != 'off'", reason: 'FieldValueForbidden', message: 'it must not be off' },
      { rule: 'self.fixed == oldSelf.fixed', message: 'fixed is immutable' },
      { rule: 'oldSelf.hasValue() || self.max < 100', optionalOldSelf: true, message: 'too much to begin with' },
      { rule: 'self.a__dash__b.c__dot__d != 3' },
      { rule: 'self.ports.all(p, p.port > 0)', message: 'ports are positive' },
      { rule: "self.size == 1 || self.size == 'one'", message: 'size is one' },
    ],
    required: ['min', 'max'],
    properties: {
      min: { type: 'integer' },
      max: { type: 'integer' },
      fixed: { type: 'string', default: 'x' },
      mode: { type: 'string' },
      'a-b': { type: 'object', default: {}, properties: { 'c.d': { type: 'integer', default: 1 } } },
      size: { 'x-kubernetes-int-or-string': true, default: 1 },
      ports: {
        type: 'array',
        maxItems: 10,
        default: [],
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: {
          type: 'object',
          required: ['name'],
          properties: { name: { type: 'string' }, port: { type: 'integer' } },
          'x-kubernetes-validations': [{ rule: 'self.port == oldSelf.port', message: 'a port stays' }],
        },
      },
    },
  });
  const made = await t.ask('POST', things, thing('a', { min: 1, max: 2, ports: [{ name: 'p', port: 1 }] }));
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const bad = await t.ask(
    'POST',
    things,
    thing('b', { min: 3, max: 2, mode: 'off', 'a-b': { 'c.d': 3 }, size: 'two', ports: [{ name: 'n', port: 0 }] }),
  );
  assert.equal(bad.status, 422);
  assert.deepEqual(causes(bad), [
    'spec.min: Invalid value: "object": 3 is more than 2',
    'spec: Forbidden: it must not be off',
    'spec: Invalid value: "object": failed rule: self.a__dash__b.c__dot__d != 3',
    'spec: Invalid value: "object": ports are positive',
    'spec: Invalid value: "object": size is one',
  ]);
  assert.match((await t.ask('POST', things, thing('c', { min: 1, max: 200 }))).body.message, /too much to begin with/);
  const put = (spec: object): Promise<Json> =>
    t.ask('PATCH', `${things}/a`, { spec }, { 'content-type': 'application/merge-patch+json' });
  assert.equal((await put({ max: 200 })).status, 200);
  assert.deepEqual(causes(await put({ fixed: 'y' })), ['spec: Invalid value: "object": fixed is immutable']);
  assert.deepEqual(
    causes(
      await put({
        ports: [
          { name: 'q', port: 3 },
          { name: 'p', port: 2 },
        ],
      }),
    ),
    ['spec.ports[1]: Invalid value: "object": a port stays'],
  );
  assert.equal((await put({ ports: [{ name: 'q', port: 3 }] })).status, 200);
  const missing = await t.ask('POST', things, thing('d', { min: 1, max: 2, ports: [{ name: 'p' }] }));
  assert.deepEqual(causes(missing), [
    'spec: Invalid value: "object": no such key: port evaluating rule: ports are positive',
  ]);
});

test('what was wrong before and did not change is tolerated on update', async () => {
  await using t = await testServer();
  const schema = (rules: object): object => ({
    type: 'object',
    properties: {
      name: { type: 'string', ...rules },
      other: { type: 'string' },
      list: {
        type: 'array',
        items: {
          type: 'object',
          properties: { v: { type: 'integer', ...(Object.keys(rules).length > 0 ? { maximum: 5 } : {}) } },
        },
      },
    },
  });
  await serve(t, schema({}));
  await t.ask('POST', things, thing('a', { name: 'Bad', list: [{ v: 9 }] }));
  const tight = definition(
    schema({ maxLength: 2, 'x-kubernetes-validations': [{ rule: "self.startsWith('g')", message: 'must be good' }] }),
  );
  const current = await t.ask('GET', `${definitions}/things.rules.example.com`);
  const changed = await t.ask('PUT', `${definitions}/things.rules.example.com`, {
    ...current.body,
    spec: (tight as Json).spec,
  });
  assert.equal(changed.status, 200, JSON.stringify(changed.body));
  const patch = (spec: object): Promise<Json> =>
    t.ask('PATCH', `${things}/a`, { spec }, { 'content-type': 'application/merge-patch+json' });
  for (
    let attempt = 0;
    attempt < 100 && (await t.ask('POST', `${things}?dryRun=All`, thing('n', { name: 'x' }))).status === 201;
    attempt++
  )
    await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await patch({ other: 'changed' })).status, 200);
  assert.deepEqual(causes(await patch({ name: 'b' })), ['spec.name: Invalid value: "string": must be good']);
  assert.match((await patch({ name: 'worse' })).body.message, /spec.name: Too long/);
  assert.match((await patch({ list: [{ v: 9 }, { v: 1 }] })).body.message, /should be less than or equal to 5/);
  assert.equal((await patch({ name: 'g' })).status, 200);
});

async function refused(t: TestServer, spec: object, more: object = {}): Promise<string[]> {
  const answer = await t.ask('POST', `${definitions}?dryRun=All`, definition(spec, 'things', more));
  return answer.status === 201 ? [] : causes(answer);
}

test('rules are checked when a definition comes', async () => {
  await using t = await testServer();
  const at = `${head}.properties[spec].x-kubernetes-validations[0]`;
  const withRule = (rule: object): object => ({
    type: 'object',
    'x-kubernetes-validations': [rule],
    properties: { a: { type: 'integer' }, s: { type: 'string' } },
  });
  const first = async (rule: object): Promise<string> => (await refused(t, withRule(rule)))[0] ?? '';
  assert.equal(await first({ rule: 'self.a > 1' }), '');
  assert.equal(
    await first({ rule: 'self.b > 1' }),
    `${at}.rule: Invalid value: {"Rule":"self.b > 1","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: compilation failed: ERROR: <input>:1:5: undefined field 'b'\n | self.b > 1\n | ....^`,
  );
  assert.match(await first({ rule: 'self.a' }), /cel expression must evaluate to a bool$/);
  assert.match(
    await first({ rule: 'self.a > self.s' }),
    /found no matching overload for '_>_' applied to '\(int, string\)'/,
  );
  assert.match(await first({ rule: 'true', messageExpression: '1' }), /messageExpression must evaluate to a string$/);
  assert.match(
    await first({ rule: 'true', messageExpression: 'x' }),
    /messageExpression compilation failed: ERROR: <input>:1:1: undeclared reference to 'x'/,
  );
  assert.equal(await first({ rule: ' ' }), `${at}.rule: Required value: rule is not specified`);
  assert.equal(
    await first({ rule: 'true', fieldPath: '.zz' }),
    `${at}.fieldPath: Invalid value: ".zz": fieldPath must be a valid path`,
  );
  assert.match(
    await first({ rule: 'true', reason: 'Odd' }),
    /Unsupported value: "Odd": supported values: "FieldValueDuplicate"/,
  );
  assert.match(await first({ rule: 'true', optionalOldSelf: true }), /may not be set if oldSelf is not used in rule$/);
  assert.match(await first({ rule: "self.s.matches('(')" }), /invalid matches argument/);
  const list = {
    type: 'array',
    items: {
      type: 'object',
      properties: { x: { type: 'integer' } },
      'x-kubernetes-validations': [{ rule: 'self.x == oldSelf.x' }],
    },
  };
  assert.match(
    (await refused(t, { type: 'object', properties: { l: { ...list, maxItems: 2 } } })).join(),
    /oldSelf cannot be used on the uncorrelatable portion of the schema within spec.validation.openAPIV3Schema.properties\[spec\].properties\[l\]$/,
  );
});

test('costs: the limits are where upstream has them', async () => {
  await using t = await testServer();
  const tags = (maxItems?: number, maxLength?: number): object => ({
    type: 'object',
    properties: {
      tags: {
        type: 'array',
        ...(maxItems === undefined ? {} : { maxItems }),
        items: { type: 'string', ...(maxLength === undefined ? {} : { maxLength }) },
        'x-kubernetes-validations': [{ rule: "self.all(x, x.contains('gpu'))" }],
      },
    },
  });
  const at = `${head}.properties[spec].properties[tags].x-kubernetes-validations[0].rule`;
  const advice =
    '(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)';
  assert.deepEqual(await refused(t, tags()), [
    `${at}: Forbidden: estimated rule cost exceeds budget by factor of more than 100x ${advice}`,
    `${at}: Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema`,
    `${head}: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema exceeds budget by factor of more than 100x ${advice}`,
  ]);
  // Measured on upstream: the most items that it accepts, by the length of an item.
  for (const [maxLength, most] of [
    [16, 909_090],
    [63, 333_333],
    [253, 94_339],
    [1024, 24_154],
  ] as const) {
    assert.deepEqual(await refused(t, tags(most, maxLength)), [], `${most} of ${maxLength}`);
    assert.equal((await refused(t, tags(most + 1, maxLength))).length, 1, `${most + 1} of ${maxLength}`);
  }
  assert.deepEqual(await refused(t, tags(333_340, 63)), [
    `${at}: Forbidden: estimated rule cost exceeds budget by factor of 1.000020x ${advice}`,
  ]);
});

test('a rule that would run for long ends by its cost', async () => {
  await using t = await testServer();
  await serve(t, {
    type: 'object',
    properties: {
      l: {
        type: 'array',
        maxItems: 100,
        items: { type: 'integer' },
        'x-kubernetes-validations': [
          { rule: 'self.all(a, self.all(b, self.all(c, a + b + c >= 0)))', message: 'deep' },
        ],
      },
    },
  }).catch(() => {});
  // The estimate refuses that one; the same with a small bound estimated, and many values.
  const refusedByEstimate = await refused(t, {
    type: 'object',
    properties: {
      l: {
        type: 'array',
        maxItems: 100,
        items: { type: 'integer' },
        'x-kubernetes-validations': [{ rule: 'self.all(a, self.all(b, self.all(c, a + b + c >= 0)))' }],
      },
    },
  });
  assert.equal(refusedByEstimate.length, 0);
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  const started = Date.now();
  const answer = await t.ask('POST', things, thing('slow', { l: numbers }));
  assert.equal(answer.status, 422);
  assert.match(
    causes(answer)[0] ?? '',
    /^spec.l: Invalid value: "array": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: deep$/,
  );
  assert.ok(Date.now() - started < 60_000);
  assert.equal((await t.ask('POST', things, thing('fast', { l: numbers.slice(0, 20) }))).status, 201);
});

test('schemas must be structural', async () => {
  await using t = await testServer();
  const at = `${head}.properties[spec]`;
  const check = async (spec: object, expected: string[]): Promise<void> =>
    assert.deepEqual(await refused(t, spec), expected, JSON.stringify(spec));
  await check({ type: 'object', properties: { a: {} } }, [
    `${at}.properties[a].type: Required value: must not be empty for specified object fields`,
  ]);
  await check({ type: 'array' }, [`${at}.items: Required value: must be specified`]);
  await check({ type: 'array', items: {} }, [
    `${at}.items.type: Required value: must not be empty for specified array items`,
  ]);
  await check({ anyOf: [{ type: 'integer' }, { type: 'string' }] }, [
    `${at}.type: Required value: must not be empty for specified object fields`,
  ]);
  await check({ type: 'odd' }, [
    `${at}.type: Unsupported value: "odd": supported values: "array", "boolean", "integer", "number", "object", "string"`,
  ]);
  await check({ type: 'object', uniqueItems: true }, [
    `${at}.uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic`,
  ]);
  await check({ type: 'object', properties: { a: { type: 'string' } }, additionalProperties: { type: 'string' } }, [
    `${at}.additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive`,
  ]);
  await check({ type: 'object', 'x-kubernetes-preserve-unknown-fields': false }, [
    `${at}.x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined`,
  ]);
  await check({ type: 'string', pattern: '(' }, [
    `${at}.pattern: Invalid value: "(": must be a valid regular expression, but isn't: error parsing regexp: missing closing ): \`(\``,
  ]);
  await check(
    {
      type: 'array',
      items: { type: 'object', properties: { k: { type: 'string' } } },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['k'],
    },
    [
      `${at}.items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property`,
    ],
  );
  // Only junctors at the root are asked whether the schema outside of them knows what they name.
  await check({ type: 'object', anyOf: [{ properties: { a: { minimum: 1 } } }] }, []);
  await check({ type: 'object', anyOf: [{ type: 'object', 'x-kubernetes-list-type': 'set' }] }, [
    `${at}.anyOf[0].type: Forbidden: must be empty to be structural`,
    `${at}.anyOf[0].x-kubernetes-list-type: Forbidden: must be undefined to be structural`,
    `${at}.anyOf[0].type: Invalid value: "object": must be array if x-kubernetes-list-type is specified`,
  ]);
  await check({ type: 'object', 'x-kubernetes-embedded-resource': true }, [
    `${at}.properties: Required value: must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields`,
  ]);
  await check({ type: 'integer', default: 'x' }, [
    `${at}.default: Invalid value: "string":  in body must be of type integer: "string"`,
  ]);
  await check({ 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] }, []);
  await check({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true }, []);
  const selectable = await refused(
    t,
    { type: 'object', properties: { a: { type: 'object' }, b: { type: 'string' } } },
    {
      selectableFields: [{ jsonPath: '.spec.b' }, { jsonPath: '.spec.zz' }, { jsonPath: '.spec.a' }],
    },
  );
  assert.equal(selectable.length, 2, selectable.join('\n'));
});

test('names that are taken are not accepted until they are free', async () => {
  await using t = await testServer();
  const named = (plural: string, shortNames: string[]): object => {
    const one = definition({ type: 'object' }, plural) as Json;
    one.spec.names.shortNames = shortNames;
    return one;
  };
  const settled = async (plural: string, want: (status: Json) => boolean): Promise<Json> => {
    for (let attempt = 0; attempt < 1000; attempt++) {
      const { status } = (await t.ask('GET', `${definitions}/${plural}.rules.example.com`)).body;
      if (want(status)) return status;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error('never settled');
  };
  const accepted = (status: Json): Json => status?.conditions?.find((one: Json) => one.type === 'NamesAccepted');
  await t.ask('POST', definitions, named('firsts', ['f', 'x']));
  await settled('firsts', (status) => accepted(status)?.status === 'True');
  await t.ask('POST', definitions, named('seconds', ['s', 'x']));
  const status = await settled('seconds', (one) => accepted(one)?.status === 'False');
  assert.deepEqual(
    [accepted(status).reason, accepted(status).message],
    ['ShortNamesConflict', '"x" is already in use'],
  );
  assert.deepEqual(status.acceptedNames, {
    plural: 'seconds',
    singular: 'thingseconds',
    kind: 'Thingseconds',
    listKind: 'ThingsecondsList',
  });
  assert.equal(status.conditions.find((one: Json) => one.type === 'Established').status, 'False');
  assert.equal((await t.ask('GET', '/apis/rules.example.com/v1/seconds')).status, 404);
  await t.ask('DELETE', `${definitions}/firsts.rules.example.com`);
  const freed = await settled('seconds', (one) => accepted(one)?.status === 'True');
  assert.deepEqual(freed.acceptedNames.shortNames, ['s', 'x']);
  assert.equal((await t.ask('GET', '/apis/rules.example.com/v1/seconds')).status, 200);
});

test('an object whose form is wrong is not held to rules; other faults are told beside them', async () => {
  await using t = await testServer();
  await serve(t, {
    type: 'object',
    required: ['a'],
    'x-kubernetes-validations': [{ rule: 'self.a != 3', message: 'never 3' }],
    properties: { a: { type: 'integer', maximum: 2 }, s: { type: 'string', pattern: '^x' } },
  });
  assert.deepEqual(causes(await t.ask('POST', things, thing('a', { a: 3, s: 'y' }))), [
    'spec.a: Invalid value: 3: spec.a in body should be less than or equal to 2',
    `spec.s: Invalid value: "y": spec.s in body should match '^x'`,
    'spec: Invalid value: "object": never 3',
  ]);
  assert.deepEqual(causes(await t.ask('POST', things, thing('a', { s: 'y' }))), [
    'spec.a: Required value',
    `spec.s: Invalid value: "y": spec.s in body should match '^x'`,
    '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
  ]);
});

test('definitions in protected groups say who approved them', async () => {
  await using t = await testServer();
  const protectedOne = (annotations?: object): object => {
    const one = definition({ type: 'object' }) as Json;
    one.spec.group = 'example.k8s.io';
    one.metadata = { name: 'things.example.k8s.io', ...(annotations === undefined ? {} : { annotations }) };
    return one;
  };
  const missing = await t.ask('POST', definitions, protectedOne());
  assert.deepEqual(causes(missing), [
    'metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation "api-approved.kubernetes.io", see https://github.com/kubernetes/enhancements/pull/1111',
  ]);
  const url = 'https://github.com/kubernetes/kubernetes/pull/1';
  assert.equal((await t.ask('POST', definitions, protectedOne({ 'api-approved.kubernetes.io': url }))).status, 201);
  let approved: Json;
  for (let attempt = 0; attempt < 1000 && approved === undefined; attempt++) {
    await new Promise((resolve) => setImmediate(resolve));
    const { status } = (await t.ask('GET', `${definitions}/things.example.k8s.io`)).body;
    approved = status.conditions?.find((one: Json) => one.type === 'KubernetesAPIApprovalPolicyConformant');
  }
  assert.deepEqual(
    [approved.status, approved.reason, approved.message],
    ['True', 'ApprovedAnnotation', `approved in ${url}`],
  );
});

test('rules of the whole object see its name; its errors have no path; values of maps keep their old selves', async () => {
  await using t = await testServer();
  const whole = definition({ type: 'object' }) as Json;
  whole.spec.versions[0].subresources = { status: {} };
  whole.spec.versions[0].schema.openAPIV3Schema = {
    type: 'object',
    'x-kubernetes-validations': [
      { rule: "self.metadata.name.startsWith('t')", message: 'begins with t' },
      { rule: '!has(self.status) || self.status.n <= self.spec.n', message: 'status beyond spec' },
    ],
    properties: {
      spec: {
        type: 'object',
        'x-kubernetes-validations': [
          { rule: "!has(self.since) || self.since > timestamp('2020-01-01T00:00:00Z')", message: 'too old' },
          { rule: '!has(self.q) || (type(self.q) == int ? self.q > 0 : isQuantity(self.q))', message: 'no amount' },
        ],
        properties: {
          n: { type: 'integer' },
          since: { type: 'string', format: 'date-time' },
          q: { 'x-kubernetes-int-or-string': true },
          map: {
            type: 'object',
            maxProperties: 9,
            additionalProperties: {
              type: 'string',
              maxLength: 9,
              'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'values stay' }],
            },
          },
        },
      },
      status: { type: 'object', properties: { n: { type: 'integer' } } },
    },
  };
  const made = await t.ask('POST', definitions, whole);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  await t.watch(`${definitions}?watch=1&resourceVersion=${made.body.metadata.resourceVersion}`, 1);
  assert.deepEqual(causes(await t.ask('POST', things, thing('x', { n: 1 }))), [
    '<nil>: Invalid value: "object": begins with t',
  ]);
  assert.deepEqual(causes(await t.ask('POST', things, thing('t', { n: 1, since: '2019-01-01T00:00:00Z', q: -1 }))), [
    'spec: Invalid value: "object": too old',
    'spec: Invalid value: "object": no amount',
  ]);
  assert.equal((await t.ask('POST', things, thing('t', { n: 1, q: '5Gi', map: { a: '1' } }))).status, 201);
  const merge = { 'content-type': 'application/merge-patch+json' };
  const patch = (body: object, sub = ''): Promise<Json> => t.ask('PATCH', `${things}/t${sub}`, body, merge);
  assert.equal((await patch({ spec: { map: { b: '2' } } })).status, 200);
  assert.deepEqual(causes(await patch({ spec: { map: { a: '2' } } })), [
    'spec.map[a]: Invalid value: "string": values stay',
  ]);
  assert.deepEqual(causes(await patch({ status: { n: 2 } }, '/status')), [
    '<nil>: Invalid value: "object": status beyond spec',
  ]);
  assert.equal((await patch({ status: { n: 1 } }, '/status')).status, 200);
  assert.deepEqual(causes(await patch({ spec: { n: 0 } })), ['<nil>: Invalid value: "object": status beyond spec']);
});
