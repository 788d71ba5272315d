import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errForbidden } from '#machinery';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import { type Answer, type Json, type TestServer, testServer } from '../test-server.ts';

const forms: readonly (readonly [name: string, type: string, body: (labels: object) => object])[] = [
  ['merge', 'application/merge-patch+json', (labels) => ({ metadata: { labels } })],
  ['strategic', 'application/strategic-merge-patch+json', (labels) => ({ metadata: { labels } })],
  ['JSON', 'application/json-patch+json', (labels) => [{ op: 'add', path: '/metadata/labels', value: labels }]],
  [
    'apply',
    'application/apply-patch+yaml',
    (labels) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', labels } }),
  ],
];

const nodes = '/api/v1/nodes';

async function write(t: TestServer, name: string, labels: object): Promise<Answer> {
  if (name === 'PUT') {
    const { body } = await t.ask('GET', `${nodes}/n`);
    return t.ask('PUT', `${nodes}/n`, { ...body, metadata: { ...body.metadata, labels } });
  }
  const [, type, body] = forms.find(([one]) => one === name) as (typeof forms)[number];
  return t.ask('PATCH', `${nodes}/n?fieldManager=x${name === 'apply' ? '&force=true' : ''}`, body(labels), {
    'content-type': type,
  });
}

test('admission compares with what is stored, whatever earlier plugins did, and nobody can change that', async () => {
  const seen: { operation: string; old: Json; object: Json }[] = [];
  const refusals: unknown[] = [];
  const meddler: AdmissionPlugin = {
    name: 'Meddler',
    async mutate({ object, oldObject }: AdmissionAttributes) {
      if (object !== undefined) object.metadata.annotations = { meddled: 'yes' };
      try {
        if (oldObject !== undefined) (oldObject.metadata as Json).labels = { gate: 'forged' };
      } catch (error) {
        refusals.push(error);
      }
      try {
        if (oldObject?.metadata.labels !== undefined) (oldObject.metadata.labels as Json).gate = 'forged';
      } catch (error) {
        refusals.push(error);
      }
    },
  };
  const witness: AdmissionPlugin = {
    name: 'Witness',
    async validate({ operation, oldObject, object }: AdmissionAttributes) {
      seen.push({ operation, old: structuredClone(oldObject), object: structuredClone(object) });
    },
  };
  await using t = await testServer({ admission: () => [meddler, witness] });
  const made = await t.ask('POST', nodes, { metadata: { name: 'n', labels: { gate: 'closed' } } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  for (const [index, way] of ['PUT', ...forms.map(([name]) => name)].entries()) {
    const before = (await t.ask('GET', `${nodes}/n`)).body;
    seen.length = 0;
    refusals.length = 0;
    const changed = await write(t, way, { gate: `open-${index}` });
    assert.equal(changed.status, 200, `${way}: ${JSON.stringify(changed.body)}`);
    const update = seen.find(({ operation }) => operation === 'UPDATE');
    assert.ok(update !== undefined, way);
    assert.deepEqual(update.old, before, `${way}: what is stored`);
    assert.equal(update.object.metadata.labels.gate, `open-${index}`, `${way}: what it becomes`);
    assert.equal(update.object.metadata.annotations.meddled, 'yes', `${way}: as others changed it`);
    assert.equal(refusals.length, 2, `${way}: the stored object cannot be written to`);
    assert.equal((await t.ask('GET', `${nodes}/n`)).body.metadata.labels.gate, `open-${index}`);
  }
  const last = (await t.ask('GET', `${nodes}/n`)).body;
  seen.length = 0;
  await t.ask(
    'PATCH',
    `${nodes}/n/status`,
    { status: { phase: 'Running' } },
    { 'content-type': 'application/merge-patch+json' },
  );
  assert.deepEqual(seen[0]?.old, last);
  const stored = (await t.ask('GET', `${nodes}/n`)).body;
  seen.length = 0;
  await t.ask('DELETE', `${nodes}/n`);
  assert.deepEqual(
    seen.map(({ operation, old }) => [operation, old]),
    [['DELETE', stored]],
  );
});

test('every form of a write runs through admission and validation', async () => {
  const guard: AdmissionPlugin = {
    name: 'Guard',
    async validate({ object }: AdmissionAttributes) {
      if (object?.metadata.labels?.gate === 'forbidden')
        throw errForbidden({ group: '', plural: 'nodes' }, 'n', 'the gate stays as it is');
    },
  };
  await using t = await testServer({ admission: () => [guard] });
  assert.equal((await t.ask('POST', nodes, { metadata: { name: 'n' } })).status, 201);
  for (const way of ['PUT', ...forms.map(([name]) => name)]) {
    assert.equal((await write(t, way, { gate: 'fine' })).status, 200, way);
    const refused = await write(t, way, { gate: 'forbidden' });
    assert.equal(refused.status, 403, way);
    assert.match(refused.body.message, /the gate stays as it is/);
    assert.equal((await write(t, way, { gate: 'no good value' })).status, 422, way);
    assert.equal((await t.ask('GET', `${nodes}/n`)).body.metadata.labels.gate, 'fine');
  }
});
