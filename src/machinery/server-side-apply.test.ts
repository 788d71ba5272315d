import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type AnyObject, builtinSchema, type SchemaNode } from '#api';
import { type FieldSet, intersect, memberPaths, subtract, unite } from './field-set.ts';
import { applyServerSide, cloneObject, deepEqual, normalizeScalars, trackUpdate } from './index.ts';

type Any = { [key: string]: any };

const node = builtinSchema.type('apps/v1.Deployment');
const apiVersion = 'apps/v1';

function web(): AnyObject {
  const object: Any = {
    apiVersion,
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'd', labels: { app: 'web' } },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'web' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, protocol: 'TCP' }] }] },
      },
    },
  };
  normalizeScalars(object, node);
  return object as unknown as AnyObject;
}

function created(): AnyObject {
  const object = web();
  trackUpdate({ live: undefined, updated: object, manager: 'kubectl-create', node, apiVersion, nowMs: 0 });
  return object;
}

const config = (spec: object, metadata: object = {}): AnyObject =>
  ({ apiVersion, kind: 'Deployment', metadata: { name: 'web', ...metadata }, spec }) as unknown as AnyObject;

const apply = (
  live: AnyObject | undefined,
  what: AnyObject,
  manager = 'me',
  force = false,
  nowMs = 60_000,
): AnyObject => applyServerSide({ live, config: what, manager, force, node, apiVersion, nowMs }).object;

const owned = (object: AnyObject, manager: string): string[] =>
  memberPaths(
    object.metadata.managedFields?.find((one) => one.manager === manager)?.fieldsV1 as FieldSet | undefined,
  ).sort();

test('who creates owns all that is not the server’s', () => {
  const entries = created().metadata.managedFields;
  assert.deepEqual(entries, [
    {
      manager: 'kubectl-create',
      operation: 'Update',
      apiVersion,
      time: '1970-01-01T00:00:00Z',
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
        'f:spec': {
          'f:replicas': {},
          'f:selector': {},
          'f:strategy': { 'f:type': {}, 'f:rollingUpdate': { '.': {}, 'f:maxSurge': {} } },
          'f:template': {
            'f:metadata': { 'f:labels': { '.': {}, 'f:app': {} } },
            'f:spec': {
              'f:containers': {
                'k:{"name":"c"}': {
                  '.': {},
                  'f:name': {},
                  'f:image': {},
                  'f:resources': {},
                  'f:ports': {
                    '.': {},
                    'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {}, 'f:protocol': {} },
                  },
                },
              },
            },
          },
        },
      },
    },
  ]);
});

test('an update moves what it changes, drops what it removes, and nothing else', () => {
  const live = created();
  const updated = cloneObject(live) as Any;
  updated['spec'].replicas = 3;
  delete updated['metadata'].labels;
  trackUpdate({ live, updated: updated as AnyObject, manager: 'scaler', node, apiVersion, nowMs: 5000 });
  assert.deepEqual(owned(updated as AnyObject, 'scaler'), ['.spec.replicas']);
  assert.equal(
    owned(updated as AnyObject, 'kubectl-create').some((path) => /replicas|^\.metadata\.labels/.test(path)),
    false,
  );
  assert.equal(updated['metadata'].managedFields[0].time, '1970-01-01T00:00:00Z');

  const same = cloneObject(live);
  trackUpdate({ live, updated: same, manager: 'scaler', node, apiVersion, nowMs: 9000 });
  assert.equal(deepEqual(same, live), true);
});

test('a client may empty the books, but not through a sub-resource', () => {
  const live = created();
  const updated = cloneObject(live);
  updated.metadata.managedFields = [{}];
  const viaStatus = cloneObject(updated);
  trackUpdate({ live, updated, manager: 'x', node, apiVersion, nowMs: 0 });
  assert.equal(updated.metadata.managedFields, undefined);
  trackUpdate({ live, updated: viaStatus, manager: 'x', node, apiVersion, subresource: 'status', nowMs: 0 });
  assert.deepEqual(viaStatus.metadata.managedFields, live.metadata.managedFields);
});

test('apply creates, repeats without effect, and removes what it no longer names', () => {
  const wanted = config(
    {
      replicas: 2,
      template: {
        spec: {
          containers: [
            { name: 'a', image: 'x' },
            { name: 'b', image: 'y' },
          ],
        },
      },
    },
    { annotations: { k: 'v' } },
  );
  const first = apply(undefined, wanted);
  assert.deepEqual(owned(first, 'me'), [
    '.metadata.annotations.k',
    '.spec.replicas',
    '.spec.template.spec.containers[name="a"]',
    '.spec.template.spec.containers[name="a"].image',
    '.spec.template.spec.containers[name="a"].name',
    '.spec.template.spec.containers[name="b"]',
    '.spec.template.spec.containers[name="b"].image',
    '.spec.template.spec.containers[name="b"].name',
  ]);
  assert.equal(deepEqual(apply(first, wanted, 'me', false, 999_000), first), true);
  const less = apply(first, config({ template: { spec: { containers: [{ name: 'b', image: 'y' }] } } })) as Any;
  assert.equal(less['spec'].replicas, undefined);
  assert.equal(less['metadata'].annotations, undefined);
  assert.deepEqual(less['spec'].template.spec.containers, [{ name: 'b', image: 'y' }]);
});

test('a field given up stays while another owns it', () => {
  const wanted = config({ replicas: 2, paused: true });
  const shared = apply(apply(undefined, wanted, 'one'), wanted, 'two');
  const left = apply(shared, config({}), 'one') as Any;
  assert.equal(left['spec'].replicas, 2);
  assert.deepEqual(owned(left as AnyObject, 'two'), ['.spec.paused', '.spec.replicas']);
  assert.equal((apply(left as AnyObject, config({}), 'two') as Any)['spec']?.replicas, undefined);
});

test('conflicts', () => {
  assert.throws(() => apply(created(), config({ replicas: 5 })), {
    code: 409,
    message: 'Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: .spec.replicas',
  });
  assert.throws(
    () => apply(created(), config({ replicas: 5, template: { spec: { containers: [{ name: 'c', image: 'j' }] } } })),
    {
      message:
        'Apply failed with 2 conflicts: conflicts with "kubectl-create" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name="c"].image',
    },
  );
  const applied = apply(undefined, config({ replicas: 1 }), 'other');
  assert.throws(() => apply(applied, config({ replicas: 5 })), {
    message: 'Apply failed with 1 conflict: conflict with "other": .spec.replicas',
  });
  const forced = apply(created(), config({ replicas: 5 }), 'me', true) as Any;
  assert.equal(forced['spec'].replicas, 5);
  assert.equal(owned(forced as AnyObject, 'kubectl-create').includes('.spec.replicas'), false);
  apply(created(), config({ replicas: 1 }));
});

test('kubectl takes over what its own last-applied annotation says', () => {
  const live = created();
  const last = JSON.stringify({ apiVersion, kind: 'Deployment', spec: { replicas: 1 } });
  live.metadata.annotations = { 'kubectl.kubernetes.io/last-applied-configuration': last };
  assert.equal((apply(live, config({ replicas: 5 }), 'kubectl') as Any)['spec'].replicas, 5);
  assert.throws(() => apply(live, config({ replicas: 5 }), 'me'), { code: 409 });
});

test('lists: order of the configuration, neighbours kept', () => {
  const named = (...names: string[]): object => ({
    template: { spec: { containers: names.map((name) => ({ name })) } },
  });
  const order = (live: string[], wanted: string[]): string => {
    const object = apply(apply(undefined, config(named(...live)), 'other'), config(named(...wanted))) as Any;
    return object['spec'].template.spec.containers.map((one: Any) => one['name']).join('');
  };
  assert.equal(order(['a', 'b'], ['b']), 'ab');
  assert.equal(order(['a', 'b'], ['x', 'a']), 'xab');
  assert.equal(order(['a', 'b', 'c'], ['c', 'a']), 'bca');
  assert.equal(order(['a', 'b'], ['b', 'a']), 'ba');
});

test('what cannot be applied', () => {
  assert.throws(() => apply(undefined, { ...config({}), apiVersion: 'apps/v2' }), {
    code: 400,
    message: /^Incorrect version specified in apply patch/,
  });
  assert.throws(() => apply(undefined, config({}, { managedFields: [] })), {
    code: 400,
    message: 'metadata.managedFields must be nil',
  });
  assert.throws(() => apply(undefined, config({ foo: 1 })), {
    message:
      'failed to create typed patch object (/web; apps/v1, Kind=Deployment): .spec.foo: field not declared in schema',
  });
  assert.throws(() => apply(undefined, config({ template: { spec: { containers: [{ image: 'x' }] } } })), {
    message:
      /element 0: associative list with keys has an element that omits all key fields \["name"\] \(and doesn't have default values for any key fields\)$/,
  });
  assert.throws(
    () => apply(undefined, config({ template: { spec: { containers: [{ name: 'x' }, { name: 'x' }] } } })),
    { message: /duplicate entries for key \[name="x"\]/ },
  );
});

test('what does not fit the schema, as upstream prints it', () => {
  const spec = (values: object): object => ({ template: { spec: values } });
  const rows: [object, string][] = [
    [{ replicas: 'x' }, '.spec.replicas: expected numeric (int or float), got string'],
    [spec({ nodeName: 5 }), '.spec.template.spec.nodeName: expected string, got &value.valueUnstructured{Value:5}'],
    [
      spec({ nodeName: [{ a: 'b' }] }),
      '.spec.template.spec.nodeName: expected string, got &value.valueUnstructured{Value:[]interface {}{map[string]interface {}{"a":"b"}}}',
    ],
    [{ template: 'x' }, '.spec.template: expected map, got &{x}'],
    [spec({ containers: 'x' }), '.spec.template.spec.containers: expected list, got &{x}'],
    [
      spec({ containers: ['x'] }),
      '.spec.template.spec.containers: element 0: associative list with keys may not have non-map elements',
    ],
  ];
  for (const [values, message] of rows) {
    assert.throws(() => apply(undefined, config(values)), {
      code: 400,
      message: `failed to create typed patch object (/web; apps/v1, Kind=Deployment): ${message}`,
    });
  }
});

test('custom resources: granular objects, whole lists, unknown fields where kept', () => {
  const any: SchemaNode = { form: 'any' };
  const field = (name: string, child: SchemaNode): [string, any] => [
    name,
    { name, node: child, numbers: [], required: false, pointer: false },
  ];
  const custom: SchemaNode = {
    form: 'struct',
    fields: new Map([
      field('apiVersion', { form: 'scalar', scalar: 'string' }),
      field('kind', { form: 'scalar', scalar: 'string' }),
      field('metadata', builtinSchema.type('meta/v1.ObjectMeta')),
      field('spec', { form: 'struct', fields: new Map([field('free', any)]), preserveUnknown: true }),
    ]),
  };
  const object = {
    apiVersion: 'x/v1',
    kind: 'X',
    metadata: { name: 'x' },
    spec: { free: { a: 1, b: [1] }, other: 'y' },
  } as unknown as AnyObject;
  trackUpdate({ live: undefined, updated: object, manager: 'm', node: custom, apiVersion: 'x/v1', nowMs: 0 });
  assert.deepEqual(owned(object, 'm'), ['.spec', '.spec.free', '.spec.free.a', '.spec.free.b', '.spec.other']);
});

test('custom resources: null is a value that is owned, and says nothing about what is looked into', () => {
  const text: SchemaNode = { form: 'scalar', scalar: 'string' };
  const field = (name: string, child: SchemaNode): [string, any] => [
    name,
    { name, node: child, numbers: [], required: false, pointer: false },
  ];
  const spec: SchemaNode = {
    form: 'struct',
    fields: new Map([field('a', text), field('map', { form: 'map', element: text })]),
  };
  const custom: SchemaNode = {
    form: 'struct',
    fields: new Map([
      field('apiVersion', text),
      field('kind', text),
      field('metadata', builtinSchema.type('meta/v1.ObjectMeta')),
      field('spec', spec),
    ]),
  };
  const object = (values: object): AnyObject =>
    ({ apiVersion: 'x/v1', kind: 'X', metadata: { name: 'x' }, spec: values }) as unknown as AnyObject;
  const common = { node: custom, apiVersion: 'x/v1', nowMs: 0 };
  const live = object({ a: null, map: { k: '1' } });
  trackUpdate({ ...common, live: undefined, updated: live, manager: 'm' });
  assert.deepEqual(owned(live, 'm'), ['.spec', '.spec.a', '.spec.map', '.spec.map.k']);
  const applied = applyServerSide({
    ...common,
    live,
    config: object({ map: null }),
    manager: 'n',
    force: false,
  }).object;
  assert.deepEqual([(applied as Any)['spec'].map, owned(applied, 'n')], [{ k: '1' }, ['.spec.map']]);
  const changed = cloneObject(live) as Any;
  changed['spec'] = { a: 'x', map: null };
  trackUpdate({ ...common, live, updated: changed as AnyObject, manager: 'o' });
  assert.deepEqual(owned(changed as AnyObject, 'o'), ['.spec.a']);
  assert.deepEqual(owned(changed as AnyObject, 'm'), ['.spec', '.spec.map']);
});

test('who joins without changing anything has no time; books that were emptied stay so until someone applies', () => {
  const first = apply(undefined, config({ replicas: 2 }), 'one');
  const joined = apply(first, config({ replicas: 2 }), 'two');
  assert.deepEqual(
    joined.metadata.managedFields?.map((one) => [one.manager, one.time]),
    [
      ['two', undefined],
      ['one', '1970-01-01T00:01:00Z'],
    ],
  );
  for (const given of [[], [{}]]) {
    const emptied = cloneObject(joined);
    emptied.metadata.managedFields = given;
    trackUpdate({ live: joined, updated: emptied, manager: 'x', node, apiVersion, nowMs: 0 });
    assert.equal(emptied.metadata.managedFields, undefined);
    const changed = cloneObject(emptied) as Any;
    changed['spec'].paused = true;
    trackUpdate({ live: emptied, updated: changed as AnyObject, manager: 'x', node, apiVersion, nowMs: 0 });
    assert.equal(changed['metadata'].managedFields, undefined);
    const again = apply(changed as AnyObject, config({ replicas: 2 }), 'one');
    assert.deepEqual(owned(again, 'before-first-apply'), ['.spec.paused', '.spec.replicas']);
    // At creation there is nothing to empty.
    const fresh = web();
    fresh.metadata.managedFields = given;
    trackUpdate({ live: undefined, updated: fresh, manager: 'x', node, apiVersion, nowMs: 0 });
    assert.equal(fresh.metadata.managedFields?.length, 1);
  }
  const spoiled = cloneObject(joined);
  spoiled.metadata.managedFields = [{ manager: 'x', operation: 'Bad' }] as never;
  trackUpdate({ live: joined, updated: spoiled, manager: 'x', node, apiVersion, nowMs: 0 });
  assert.deepEqual(spoiled.metadata.managedFields, joined.metadata.managedFields);
});

test('what kubectl may take over is what still is as its annotation says; the rest is told', () => {
  const live = created();
  const container = { name: 'c', image: 'i', ports: [{ containerPort: 80, protocol: 'TCP' }] };
  const last = {
    apiVersion,
    kind: 'Deployment',
    spec: { replicas: 1, template: { spec: { containers: [container] } } },
  };
  live.metadata.annotations = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(last) };
  const changed = cloneObject(live) as Any;
  changed['spec'].template.spec.containers[0].image = 'other';
  trackUpdate({ live, updated: changed as AnyObject, manager: 'sc', node, apiVersion, nowMs: 0 });
  const wanted = config({ replicas: 5, template: { spec: { containers: [{ name: 'c', image: 'mine' }] } } });
  assert.throws(() => apply(changed as AnyObject, wanted, 'kubectl'), {
    message:
      'Apply failed with 1 conflict: conflict with "sc" using apps/v1: .spec.template.spec.containers[name="c"].image',
  });
  assert.equal((apply(changed as AnyObject, config({ replicas: 5 }), 'kubectl') as Any)['spec'].replicas, 5);
});

test('ten updaters at most', () => {
  let live = created();
  for (let i = 0; i < 14; i++) {
    const updated = cloneObject(live) as Any;
    updated['metadata'].annotations = { ...updated['metadata'].annotations, [`a${i}`]: 'x' };
    trackUpdate({ live, updated: updated as AnyObject, manager: `m${i}`, node, apiVersion, nowMs: i * 1000 });
    live = updated as AnyObject;
  }
  const names = live.metadata.managedFields?.map((one) => one.manager) ?? [];
  assert.equal(names.length, 10);
  assert.equal(names[0], 'ancient-changes');
  assert.equal(names.at(-1), 'm13');
});

const label = fc.constantFrom('f:a', 'f:b', 'v:1');
const { set } = fc.letrec((tie) => ({
  set: fc.oneof(
    { depthSize: 'small' },
    fc.constant({}),
    fc.dictionary(label, tie('set'), { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
    fc
      .dictionary(label, tie('set'), { minKeys: 1, maxKeys: 3, noNullPrototype: true })
      .map((children) => ({ '.': {}, ...children })),
  ),
}));
const root = fc.dictionary(label, set as fc.Arbitrary<FieldSet>, { minKeys: 1, maxKeys: 3, noNullPrototype: true });

test('set algebra is that of sets of paths', () => {
  fc.assert(
    fc.property(root, root, (a, b) => {
      const left = new Set(memberPaths(a));
      const right = new Set(memberPaths(b));
      assert.deepEqual(memberPaths(unite(a, b)).sort(), [...left.union(right)].sort());
      assert.deepEqual(memberPaths(subtract(a, b)).sort(), [...left.difference(right)].sort());
      assert.deepEqual(memberPaths(intersect(a, b)).sort(), [...left.intersection(right)].sort());
    }),
    { numRuns: 500 },
  );
});

const container = fc.record(
  {
    name: fc.constantFrom('a', 'b', 'c'),
    image: fc.constantFrom('x', 'y'),
    // An empty list of named items names nothing, so that repeating it may bring the empty list back.
    env: fc.uniqueArray(fc.record({ name: fc.constantFrom('A', 'B'), value: fc.constantFrom('1', '2') }), {
      selector: (one) => one.name,
      minLength: 1,
    }),
    args: fc.array(fc.constantFrom('p', 'q'), { maxLength: 2 }),
  },
  { requiredKeys: ['name'] },
);
const randomConfig = fc
  .record(
    {
      replicas: fc.nat(2),
      containers: fc.uniqueArray(container, { selector: (one) => one.name, minLength: 1 }),
      annotations: fc.dictionary(fc.constantFrom('k', 'l'), fc.constantFrom('1', '2'), { noNullPrototype: true }),
    },
    { requiredKeys: [] },
  )
  .map(({ replicas, containers, annotations }) =>
    config(
      {
        ...(replicas === undefined ? {} : { replicas }),
        ...(containers === undefined ? {} : { template: { spec: { containers } } }),
      },
      annotations === undefined ? {} : { annotations },
    ),
  );

test('whoever applies in whatever order: repeating changes nothing, giving all up leaves nothing', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('one', 'two', 'three'), randomConfig), { minLength: 1, maxLength: 8 }),
      (steps) => {
        let live: AnyObject | undefined;
        for (const [manager, wanted] of steps) {
          const before = live === undefined ? undefined : JSON.stringify(live);
          const result = apply(live, wanted, manager, true);
          if (live !== undefined) assert.equal(JSON.stringify(live), before, 'the live object was changed');
          assert.equal(deepEqual(apply(result, wanted, manager, false, 999_000), result), true, 'not repeatable');
          for (const path of owned(result, manager)) {
            const others = (result.metadata.managedFields ?? []).filter((one) => one.manager !== manager);
            if (!others.some((one) => memberPaths(one.fieldsV1 as FieldSet).includes(path))) continue;
            assert.doesNotThrow(() => apply(result, wanted, manager), 'shared fields must agree');
          }
          live = result;
        }
        for (const manager of ['one', 'two', 'three']) live = apply(live, config({}), manager);
        const { spec, metadata } = live as Any;
        assert.deepEqual(
          [spec?.replicas, spec?.template?.spec?.containers, metadata.annotations ?? {}],
          [undefined, undefined, {}],
        );
      },
    ),
    { numRuns: 200 },
  );
});
