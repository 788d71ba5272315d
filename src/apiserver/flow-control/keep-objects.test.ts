import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Json, testServer } from '../test-server.ts';

const group = '/apis/flowcontrol.apiserver.k8s.io/v1';

test('upstream’s schemas and levels are there, come back, and follow what users say', { timeout: 60_000 }, async () => {
  await using one = await testServer({ flowControl: { keepObjects: true } });
  const read = async (path: string): Promise<Json> => (await one.ask('GET', `${group}/${path}`)).body;
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    for (let turn = 0; turn < 500; turn++) {
      if (await holds()) return;
      await one.clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.fail(what);
  };
  const found = (schema: Json): string | undefined =>
    schema.status?.conditions?.find(({ type }: Json) => type === 'Dangling')?.status;
  await until('all are marked', async () => {
    const { items } = await read('flowschemas');
    return items.length === 11 && items.every((schema: Json) => found(schema) === 'False');
  });
  assert.deepEqual(
    (await read('prioritylevelconfigurations')).items.map(({ metadata }: Json) => metadata.name),
    [
      ...['catch-all', 'exempt', 'global-default', 'leader-election', 'node-high', 'system', 'workload-high'],
      'workload-low',
    ],
  );
  // What says autoupdate-spec is kept; what no longer says it is the user's; what is mandatory stays in any case.
  const merge = { 'content-type': 'application/merge-patch+json' };
  const patch = (name: string, body: object) =>
    one.ask('PATCH', `${group}/prioritylevelconfigurations/${name}`, body, merge);
  const shares = async (name: string): Promise<number> =>
    (await read(`prioritylevelconfigurations/${name}`)).spec.limited.nominalConcurrencyShares;
  const mine = { annotations: { 'apf.kubernetes.io/autoupdate-spec': 'false' } };
  await patch('workload-low', { spec: { limited: { nominalConcurrencyShares: 7 } } });
  await patch('system', { metadata: mine, spec: { limited: { nominalConcurrencyShares: 7 } } });
  await patch('catch-all', { metadata: mine, spec: { limited: { nominalConcurrencyShares: 7 } } });
  await until(
    'they are as meant',
    async () => (await shares('workload-low')) === 100 && (await shares('catch-all')) === 5,
  );
  assert.equal(await shares('system'), 7);
  assert.equal((await one.ask('DELETE', `${group}/prioritylevelconfigurations/exempt`)).status, 200);
  await until('exempt is back', async () => (await read('prioritylevelconfigurations/exempt')).kind !== 'Status');
  await one.ask('POST', `${group}/flowschemas`, {
    apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
    kind: 'FlowSchema',
    metadata: { name: 'lost' },
    spec: { priorityLevelConfiguration: { name: 'nowhere' } },
  });
  await until('a schema without its level is marked', async () => found(await read('flowschemas/lost')) === 'True');
});
