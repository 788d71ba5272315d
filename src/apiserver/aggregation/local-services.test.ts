import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, testServer } from '../test-server.ts';

const services = '/apis/apiregistration.k8s.io/v1/apiservices';

test('what the server answers itself is an APIService too, custom groups as long as they are there', async () => {
  await using t = await testServer({ localServices: true });
  const names = async (): Promise<string[]> =>
    (await t.ask('GET', services)).body.items.map((one: Json) => one.metadata.name);
  const until = async (what: string, isSo: (names: readonly string[]) => boolean): Promise<void> => {
    for (let i = 0; i < 200; i++) {
      await t.clock.advance(100);
      if (isSo(await names())) return;
    }
    assert.fail(`${what}: ${await names()}`);
  };
  await until('built-in groups', (all) => all.includes('v1.') && all.includes('v1beta1.metrics.k8s.io'));
  const { body } = await t.ask('GET', `${services}/v1.apps`);
  assert.deepEqual(body.spec, { group: 'apps', version: 'v1', groupPriorityMinimum: 17800, versionPriority: 15 });
  assert.equal(body.metadata.labels['kube-aggregator.kubernetes.io/automanaged'], 'onstart');
  assert.deepEqual([body.status.conditions[0].type, body.status.conditions[0].reason], ['Available', 'Local']);
  assert.equal((await t.ask('DELETE', `${services}/v1.apps`)).status, 200);
  await until('one that was deleted is back', (all) => all.includes('v1.apps'));

  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    },
  };
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  assert.equal((await t.ask('POST', definitions, definition)).status, 201);
  await until('the custom group', (all) => all.includes('v1.example.com'));
  assert.equal((await t.ask('DELETE', `${definitions}/things.example.com`)).status, 200);
  await until('the custom group is gone', (all) => !all.includes('v1.example.com'));
});
