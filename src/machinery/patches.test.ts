import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import jsonPatchLibrary from 'fast-json-patch';
import { builtinSchema } from '#api';
import { applyJsonPatch, applyMergePatch, applyStrategicMergePatch } from './index.ts';

const deployment = builtinSchema.type('apps/v1.Deployment');

type Any = { [key: string]: any };

test('JSON patch operations', () => {
  const object: Any = { a: { b: [1, 2] }, 'x/y': 1, '~': 2 };
  const run = (...operations: object[]): unknown => applyJsonPatch(object, operations);
  assert.deepEqual(run({ op: 'add', path: '/a/b/1', value: 9 }), { ...object, a: { b: [1, 9, 2] } });
  assert.deepEqual(run({ op: 'add', path: '/a/b/-', value: 9 }), { ...object, a: { b: [1, 2, 9] } });
  assert.deepEqual(run({ op: 'replace', path: '/x~1y', value: 5 }), { ...object, 'x/y': 5 });
  assert.deepEqual(run({ op: 'remove', path: '/~0' }), { a: object['a'], 'x/y': 1 });
  assert.deepEqual(run({ op: 'move', from: '/a/b', path: '/c' }), { a: {}, c: [1, 2], 'x/y': 1, '~': 2 });
  assert.deepEqual(run({ op: 'copy', from: '/a/b/0', path: '/c' }), { ...object, c: 1 });
  assert.deepEqual(
    run({ op: 'test', path: '/a/b', value: [1, 2] }, { op: 'test', path: '/none', value: null }),
    object,
  );
  // As upstream's library, beyond the RFC.
  assert.deepEqual(run({ op: 'replace', path: '/none', value: 1 }), { ...object, none: 1 });
  assert.deepEqual(run({ op: 'copy', from: '/none', path: '/c' }), { ...object, c: null });
  // From behind, as upstream's library counts.
  assert.deepEqual(run({ op: 'remove', path: '/a/b/-1' }), { ...object, a: { b: [1] } });
  assert.deepEqual(run({ op: 'replace', path: '/a/b/-2', value: 9 }), { ...object, a: { b: [9, 2] } });
  assert.deepEqual(run({ op: 'add', path: '/a/b/-1', value: 9 }), { ...object, a: { b: [1, 2, 9] } });
  assert.deepEqual(run({ op: 'add', path: '/a/b/-3', value: 9 }), { ...object, a: { b: [9, 1, 2] } });
  assert.deepEqual(object, { a: { b: [1, 2] }, 'x/y': 1, '~': 2 });
  const bad: object[] = [
    { op: 'test', path: '/a', value: 1 },
    { op: 'remove', path: '/none' },
    { op: 'replace', path: '/none/x', value: 1 },
    { op: 'replace', path: '/a/b/2', value: 1 },
    { op: 'copy', from: '/none/x', path: '/c' },
    { op: 'move', from: '/none', path: '/c' },
    { op: 'add', path: '/none/x', value: 1 },
    { op: 'add', path: '/a/b/7', value: 1 },
    { op: 'add', path: '/a/b/-4', value: 1 },
    { op: 'remove', path: '/a/b/-3' },
    { op: 'remove', path: '/a/b/x' },
    { op: 'remove', path: '' },
    { op: 'replace', path: '', value: 1 },
    { op: 'move', from: '/a', path: '/a/b' },
    { op: 'jump', path: '/a' },
    { op: 'add', path: 'a', value: 1 },
    { op: 'add', value: 1 },
    { op: 'remove', path: '/constructor' },
  ];
  for (const one of bad) {
    assert.throws(
      () => run(one),
      { code: 422, message: 'the server rejected our request due to an error in our request' },
      JSON.stringify(one),
    );
  }
  assert.throws(() => applyJsonPatch({}, {}), { code: 400 });
  assert.throws(() => applyJsonPatch({}, [1]), { code: 400 });
  assert.throws(() => applyJsonPatch({}, new Array(10_001).fill({ op: 'test', path: '', value: {} })), {
    code: 413,
    message: /The allowed maximum operations in a JSON patch is 10000, got 10001/,
  });
});

test('doubling by copy is bounded', () => {
  const operations: object[] = [{ op: 'add', path: '/a', value: 'x'.repeat(1000) }];
  for (let i = 0; i < 40; i++)
    operations.push({ op: 'add', path: `/b${i}`, value: [] }, { op: 'copy', from: '', path: `/b${i}/0` });
  const start = performance.now();
  assert.throws(() => applyJsonPatch({}, operations), { code: 422 });
  assert.ok(performance.now() - start < 500);
});

test('operations on long arrays are bounded, those on short ones are not', () => {
  const cpuMs = (act: () => unknown): number => {
    const before = process.cpuUsage();
    act();
    return process.cpuUsage(before).user / 1000;
  };
  const many = (one: object): object[] => Array.from({ length: 10_000 }, () => one);
  const long = { a: new Array(700_000).fill(1) };
  for (const one of [
    { op: 'remove', path: '/a/1' },
    { op: 'add', path: '/a/1', value: 1 },
    { op: 'move', from: '/a/1', path: '/a/-' },
  ]) {
    assert.ok(cpuMs(() => assert.throws(() => applyJsonPatch(long, many(one)), { code: 422 })) < 1500);
    assert.doesNotThrow(() =>
      applyJsonPatch({ a: new Array(10_001).fill(1) }, one.op === 'move' ? many(one).slice(5000) : [one]),
    );
  }
});

test('operations cannot nest a document deeper than the decoder lets it be', () => {
  const nested = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`);
  const below = '/a'.repeat(600);
  const deepen = [
    { op: 'add', path: '', value: nested(600) },
    { op: 'add', path: below, value: nested(600) },
  ];
  assert.throws(() => applyJsonPatch({}, deepen), { code: 422 });
  assert.throws(() => applyJsonPatch({}, [deepen[0], { op: 'copy', from: '', path: below }]), { code: 422 });
  assert.throws(() => applyJsonPatch({}, [deepen[0], { op: 'replace', path: below, value: nested(600) }]), {
    code: 422,
  });
  assert.throws(
    () =>
      applyJsonPatch({ b: nested(900) }, [
        deepen[0],
        { op: 'add', path: '/b', value: nested(900) },
        { op: 'move', from: '/b', path: below },
      ]),
    { code: 422 },
  );
  assert.doesNotThrow(() => applyJsonPatch({}, [deepen[0], { op: 'add', path: below, value: nested(300) }]));
});

test('patches never reach a prototype', () => {
  const hostile = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}') as object;
  applyMergePatch({}, hostile);
  applyStrategicMergePatch({}, hostile, deployment);
  applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: 1 } }]);
  assert.throws(() => applyJsonPatch({}, [{ op: 'add', path: '/__proto__/polluted', value: 1 }]), { code: 422 });
  assert.throws(() => applyJsonPatch({}, [{ op: 'add', path: '/constructor/prototype/polluted', value: 1 }]), {
    code: 422,
  });
  assert.equal(({} as Any)['polluted'], undefined);
  assert.equal(Object.hasOwn(applyMergePatch({}, hostile), '__proto__'), true);
});

const key = fc.constantFrom('a', 'b', 'c');
const { json } = fc.letrec((tie) => ({
  json: fc.oneof({ depthSize: 'small' }, fc.integer(), fc.constant('x'), fc.boolean(), tie('list'), tie('object')),
  list: fc.array(tie('json'), { maxLength: 3 }),
  object: fc.dictionary(key, tie('json'), { maxKeys: 3 }),
}));
const object = fc.dictionary(key, json as fc.Arbitrary<unknown>, { maxKeys: 3 });
const path = fc
  .array(fc.constantFrom('a', 'b', '0', '1', '-'), { minLength: 1, maxLength: 3 })
  .map((steps) => `/${steps.join('/')}`);
const operation = fc.oneof(
  fc.record({ op: fc.constantFrom('add', 'replace', 'test'), path, value: json as fc.Arbitrary<unknown> }),
  fc.record({ op: fc.constant('remove'), path }),
);

test('JSON patch agrees with fast-json-patch', () => {
  fc.assert(
    fc.property(object, fc.array(operation, { maxLength: 4 }), (given, operations) => {
      let want: unknown = given;
      try {
        for (const one of operations) {
          // The library refuses to replace what an object does not have; upstream's adds it.
          const known = one.op !== 'replace' || jsonPatchLibrary.getValueByPointer(want, one.path) !== undefined;
          const parent = known ? undefined : jsonPatchLibrary.getValueByPointer(want, one.path.replace(/\/[^/]*$/, ''));
          const asked = known || Array.isArray(parent) ? one : { ...one, op: 'add' };
          want = jsonPatchLibrary.applyPatch(want, [asked] as never, true, false).newDocument;
        }
      } catch {
        assert.throws(() => applyJsonPatch(given, operations));
        return;
      }
      assert.deepEqual(plain(applyJsonPatch({ ...given }, operations)), plain(want));
    }),
    { numRuns: 500 },
  );
});

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function naiveMerge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Any = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = naiveMerge(result[name], value);
  }
  return result;
}

test('merge patch is RFC 7386', () => {
  const holes = fc.dictionary(
    key,
    fc.oneof(json as fc.Arbitrary<unknown>, fc.constant(null), fc.dictionary(key, fc.constant(null))),
  );
  fc.assert(
    fc.property(object, holes, (given, patch) =>
      assert.deepEqual(plain(applyMergePatch(given, patch)), plain(naiveMerge(given, patch))),
    ),
  );
  assert.throws(() => applyMergePatch({}, [1]), { code: 400, message: /^error decoding patch/ });
});

const web = (): Any => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', finalizers: ['a/1', 'a/2'], annotations: { old: '1' } },
  spec: {
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } },
    template: {
      spec: {
        volumes: [{ name: 'v', configMap: { name: 'c' } }],
        containers: [
          { name: 'a', image: 'a:1', args: ['x', 'y'], env: [{ name: 'A', value: '1' }] },
          { name: 'b', image: 'b:1' },
        ],
        tolerations: [{ key: 'k' }],
      },
    },
  },
});

const podSpec = (patch: object): Any => ({ spec: { template: { spec: patch } } });
const patched = (patch: object): Any => applyStrategicMergePatch(web(), patch, deployment);
const containers = (patch: object): Any[] => patched(podSpec(patch))['spec'].template.spec.containers;

test('strategic merge: what kubectl sends', () => {
  assert.deepEqual(containers({ containers: [{ name: 'b', image: 'b:2' }] }), [
    web()['spec'].template.spec.containers[0],
    { name: 'b', image: 'b:2' },
  ]);
  assert.deepEqual(
    containers({
      '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }],
      containers: [
        {
          name: 'a',
          '$setElementOrder/env': [{ name: 'B' }, { name: 'A' }],
          env: [{ name: 'B', value: '2' }],
          args: ['z'],
        },
      ],
    }),
    [
      { name: 'b', image: 'b:1' },
      {
        name: 'a',
        image: 'a:1',
        args: ['z'],
        env: [
          { name: 'B', value: '2' },
          { name: 'A', value: '1' },
        ],
      },
    ],
  );
  assert.deepEqual(
    containers({
      containers: [
        { $patch: 'delete', name: 'a' },
        { name: 'c', image: 'c:1', stdin: null },
      ],
    }),
    [
      { name: 'c', image: 'c:1' },
      { name: 'b', image: 'b:1' },
    ],
  );
  assert.deepEqual(containers({ containers: [{ $patch: 'replace' }, { name: 'c' }] }), [{ name: 'c' }]);
  assert.deepEqual(patched(podSpec({ tolerations: [{ key: 'n' }] }))['spec'].template.spec.tolerations, [{ key: 'n' }]);
  assert.deepEqual(patched({ metadata: { finalizers: ['a/3', 'a/1'] } })['metadata'].finalizers, ['a/3', 'a/1', 'a/2']);
  assert.deepEqual(patched({ metadata: { '$deleteFromPrimitiveList/finalizers': ['a/1'] } })['metadata'].finalizers, [
    'a/2',
  ]);
  assert.deepEqual(patched({ metadata: { annotations: { old: null, new: '2' } } })['metadata'].annotations, {
    new: '2',
  });
  assert.deepEqual(patched({ spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } })['spec'].strategy, {
    type: 'Recreate',
  });
  assert.deepEqual(
    patched(podSpec({ volumes: [{ name: 'v', $retainKeys: ['name', 'emptyDir'], emptyDir: {} }] }))['spec'].template
      .spec.volumes,
    [{ name: 'v', emptyDir: {} }],
  );
  assert.deepEqual(patched({ metadata: { $patch: 'replace', name: 'web' } })['metadata'], { name: 'web' });
  assert.deepEqual(
    patched(podSpec({ '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] }))[
      'spec'
    ].template.spec.containers.map((c: Any) => c['name']),
    ['b', 'a'],
  );
});

test('strategic merge: errors', () => {
  assert.throws(() => containers({ containers: [{ image: 'x' }] }), {
    code: 422,
    message: /does not contain declared merge key: name/,
  });
  assert.throws(() => patched({ metadata: { $patch: 'grow' } }), {
    code: 422,
    message: 'unknown patch type: grow in map: map[$patch:grow]',
  });
  assert.throws(() => containers({ '$setElementOrder/containers': [{ name: 'a' }], containers: [{ name: 'b' }] }), {
    message: "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
  });
  assert.throws(() => patched({ metadata: { $deleteFromPrimitiveListx: ['a'] } }), { code: 400 });
  assert.throws(() => patched({ spec: { strategy: { $retainKeys: ['x'], type: 'Recreate' } } }), { code: 400 });
  assert.throws(() => applyStrategicMergePatch({}, {}, { form: 'struct', fields: new Map() }), { code: 415 });
  assert.throws(() => applyStrategicMergePatch({}, {}, undefined), { code: 415 });
});
