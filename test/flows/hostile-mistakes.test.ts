import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startCluster, type TestCluster } from '#testkit';
import type { Transport } from '#wire';

// biome-ignore lint: answers of any kind
type Json = any;

const limit = { timeout: 120_000 };
/** Far above what is used, far below what anything that grows with the square would need. */
const mostCpuMs = 6000;
const longestMessage = 4 << 20;

let cluster: TestCluster;
let admin: Transport;

before(async () => {
  cluster = await startCluster({ nodes: 0, controllers: [], scheduler: false });
  admin = cluster.server.transport({ user: 'admin', groups: ['system:masters', 'system:authenticated'] });
  const set = { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'integer' } };
  const item = { type: 'object', required: ['name'], properties: { name: { type: 'string' } } };
  const keyed = { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'], items: item };
  const spec = {
    type: 'object',
    properties: {
      set,
      keyed,
      code: { type: 'string', pattern: '^(a+)+$' },
      plain: { type: 'array', items: { type: 'integer', maximum: 3 } },
    },
  };
  const made = await ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    metadata: { name: 'piles.hostile.example.com' },
    spec: {
      group: 'hostile.example.com',
      names: { kind: 'Pile', plural: 'piles', singular: 'pile', listKind: 'PileList' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        },
      ],
    },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  await ask('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
  while ((await ask('GET', '/apis/hostile.example.com/v1/piles')).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 10));
});
after(() => cluster.close());

async function ask(
  method: string,
  target: string,
  body?: object,
): Promise<{ status: number; body: Json; cpuMs: number }> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  assert.ok((bytes?.length ?? 0) < 3 << 20, `${bytes?.length} bytes`);
  const began = process.cpuUsage();
  const answer = await admin.request({
    method: method as 'GET',
    target,
    headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
    ...(bytes === undefined ? {} : { body: bytes }),
  });
  const text = Buffer.from(await answer.bytes()).toString();
  const { user, system } = process.cpuUsage(began);
  return { status: answer.status, body: JSON.parse(text), cpuMs: (user + system) / 1000 };
}

const configMaps = '/api/v1/namespaces/default/configmaps';
const pods = '/api/v1/namespaces/default/pods';
const piles = '/apis/hostile.example.com/v1/namespaces/default/piles';
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const keys = (count: number, value: unknown): object => Object.fromEntries(times(count, (i) => [`${i} `, value]));
const meta = (more: object): object => ({ metadata: { name: 'x', ...more } });
const owner = { apiVersion: 'v1', kind: 'A', name: 'b', uid: 'c', controller: true };
const pile = (spec: object): object => ({
  apiVersion: 'hostile.example.com/v1',
  kind: 'Pile',
  metadata: { name: 'x' },
  spec,
});

const bad: [what: string, target: string, make: (count: number) => object, count: number][] = [
  ['labels', configMaps, (n) => meta({ labels: keys(n, '') }), 120_000],
  ['annotations', configMaps, (n) => meta({ annotations: keys(n, '') }), 60_000],
  ['keys', configMaps, (n) => ({ ...meta({}), data: keys(n, '') }), 60_000],
  ['finalizers of one name', configMaps, (n) => meta({ finalizers: times(n, () => 'x') }), 200_000],
  ['finalizers', configMaps, (n) => meta({ finalizers: times(n, (i) => `x${i}`) }), 200_000],
  ['owners', configMaps, (n) => meta({ ownerReferences: times(n, () => ({})) }), 200_000],
  ['owners that control', configMaps, (n) => meta({ ownerReferences: times(n, () => owner) }), 30_000],
  [
    'containers of one name',
    pods,
    (n) => ({ ...meta({}), spec: { containers: times(n, () => ({ name: 'c' })) } }),
    100_000,
  ],
  [
    'ports',
    '/api/v1/namespaces/default/services',
    (n) => ({ ...meta({}), spec: { ports: times(n, () => ({ port: 0 })) } }),
    100_000,
  ],
  [
    'environment',
    pods,
    (n) => ({ ...meta({}), spec: { containers: [{ name: 'c', image: 'i', env: times(n, () => ({})) }] } }),
    200_000,
  ],
  ['items of a set', piles, (n) => pile({ set: times(n, () => 1) }), 200_000],
  ['items of one key', piles, (n) => pile({ keyed: times(n, () => ({ name: 'a' })) }), 100_000],
  ['items without a key', piles, (n) => pile({ keyed: times(n, () => ({})) }), 200_000],
  ['items of a wrong type', piles, (n) => pile({ plain: times(n, () => 'a') }), 200_000],
  ['items too large', piles, (n) => pile({ plain: times(n, () => 9) }), 200_000],
];

test('an object of nothing but mistakes is refused as fast as it is read, and not all are listed', limit, async () => {
  for (const [what, target, make, count] of bad) {
    const answer = await ask('POST', target, make(count));
    assert.equal(answer.status, 422, `${what}: ${JSON.stringify(answer.body).slice(0, 300)}`);
    assert.equal(answer.body.reason, 'Invalid', what);
    assert.ok(answer.body.message.length < longestMessage, `${what}: ${answer.body.message.length} characters`);
    assert.ok(answer.cpuMs < mostCpuMs, `${what}: ${answer.cpuMs} ms`);
  }
  assert.equal((await ask('POST', configMaps, { metadata: { name: 'there' } })).status, 201);
  for (const [method, body] of [
    ['PUT', { metadata: { name: 'there' }, data: keys(80_000, '') }],
    ['PATCH', { data: keys(80_000, '') }],
    ['PATCH', { metadata: { labels: keys(80_000, '') } }],
  ] as const) {
    const answer = await ask(method, `${configMaps}/there`, body);
    assert.equal(answer.status, 422);
    assert.ok(answer.cpuMs < mostCpuMs, `${method}: ${answer.cpuMs} ms`);
  }
  const many = (await ask('POST', configMaps, meta({ labels: keys(1000, '') }))).body;
  assert.equal(many.details.causes.length, 250);
  assert.match(many.message, /, and 750 more\]$/);
});

test('a few mistakes are all listed, and what has none is taken', limit, async () => {
  const few = (await ask('POST', configMaps, meta({ labels: keys(20, '') }))).body;
  assert.equal(few.details.causes.length, 20);
  assert.doesNotMatch(few.message, / more\]/);
  const finalizers = times(10_000, (i) => `example.com/f${i}`);
  const made = await ask('POST', configMaps, meta({ finalizers }));
  assert.equal(made.status, 201);
  const again = await ask('PATCH', `${configMaps}/x`, {
    metadata: { finalizers: [...finalizers, 'example.com/one-more'] },
  });
  assert.equal(again.status, 200);
  assert.ok(made.cpuMs + again.cpuMs < mostCpuMs, `${made.cpuMs} + ${again.cpuMs} ms`);
});

test('a pattern that could try for ever takes time by the length of the text', limit, async () => {
  const long = 'a'.repeat(20_000);
  const refused = await ask('POST', piles, pile({ code: `${long}!` }));
  assert.equal(refused.status, 422, JSON.stringify(refused.body).slice(0, 300));
  assert.ok(refused.cpuMs < mostCpuMs, `${refused.cpuMs} ms`);
  assert.equal((await ask('POST', piles, pile({ code: long }))).status, 201);
});
