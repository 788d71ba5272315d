import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { type Json, type TestServer, testServer } from '../test-server.ts';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const merge = { 'content-type': 'application/merge-patch+json' };

async function settled(t: TestServer, name: string, done: (crd: Json) => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (done((await t.ask('GET', `${definitions}/${name}`)).body)) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error('the definition did not settle');
}
const established = (crd: Json): boolean =>
  crd.status?.conditions?.some((one: Json) => one.type === 'Established' && one.status === 'True') === true;

test('a webhook converts: writes, reads, lists, watches, also after the storage version changed', async () => {
  const pki = openClusterPki({ clock: systemClock });
  const serving = pki.issue({ commonName: 'x', usages: ['server'], ipAddresses: ['127.0.0.1'] });
  let calls = 0;
  const webhook = createServer({ cert: serving.certificatePem, key: serving.keyPem }, async (request, response) => {
    calls++;
    let text = '';
    for await (const chunk of request) text += chunk;
    const review = JSON.parse(text);
    const { desiredAPIVersion, objects, uid } = review.request;
    const convertedObjects = objects.map((one: Json) => {
      if (desiredAPIVersion.endsWith('v2')) {
        const [host, port] = one.hostPort.split(':');
        return { ...one, apiVersion: desiredAPIVersion, hostPort: undefined, host, port };
      }
      return {
        ...one,
        apiVersion: desiredAPIVersion,
        host: undefined,
        port: undefined,
        hostPort: `${one.host}:${one.port}`,
      };
    });
    response.end(JSON.stringify({ ...review, response: { uid, result: { status: 'Success' }, convertedObjects } }));
  });
  webhook.listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  const url = `https://127.0.0.1:${(webhook.address() as AddressInfo).port}/convert`;
  const text = { type: 'string' };
  const version = (name: string, storage: boolean, properties: object) => ({
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema: { type: 'object', properties } },
  });
  const versions = (storage: string) => [
    version('v1', storage === 'v1', { hostPort: text }),
    version('v2', storage === 'v2', { host: text, port: text }),
  ];
  const crd = {
    metadata: { name: 'ends.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'ends', kind: 'End' },
      versions: versions('v1'),
      conversion: {
        strategy: 'Webhook',
        webhook: {
          conversionReviewVersions: ['v1'],
          clientConfig: { url, caBundle: Buffer.from(pki.ca.certificatePem).toString('base64') },
        },
      },
    },
  };
  await using t = await testServer({ clock: systemClock as never });
  assert.equal((await t.ask('POST', definitions, crd)).status, 201);
  await settled(t, 'ends.example.com', established);
  const v1 = '/apis/example.com/v1/namespaces/default/ends';
  const v2 = '/apis/example.com/v2/namespaces/default/ends';
  const first = await t.ask('POST', v1, { metadata: { name: 'a', labels: { l: 'a' } }, hostPort: 'h:1' });
  assert.equal(first.status, 201, JSON.stringify(first.body));
  assert.equal(calls, 0);
  const read = await t.ask('GET', `${v2}/a`);
  assert.deepEqual(
    [read.body.host, read.body.port, read.body.apiVersion, read.body.metadata.uid],
    ['h', '1', 'example.com/v2', first.body.metadata.uid],
  );
  const patched = await t.ask('PATCH', `${v2}/a`, { port: '2' }, merge);
  assert.equal(patched.body.port, '2', JSON.stringify(patched.body));
  assert.equal((await t.ask('GET', `${v1}/a`)).body.hostPort, 'h:2');
  const switched = await t.ask(
    'PATCH',
    `${definitions}/ends.example.com`,
    { spec: { versions: versions('v2') } },
    merge,
  );
  assert.equal(switched.status, 200, JSON.stringify(switched.body));
  await settled(t, 'ends.example.com', (one) => one.status.storedVersions.includes('v2'));
  await t.ask('POST', v2, { metadata: { name: 'b' }, host: 'k', port: '3' });
  const ones = await t.ask('GET', v1);
  assert.deepEqual(
    ones.body.items.map((one: Json) => one.hostPort),
    ['h:2', 'k:3'],
    JSON.stringify(ones.body),
  );
  const twos = await t.ask('GET', v2);
  assert.deepEqual(
    twos.body.items.map((one: Json) => `${one.host} ${one.port} ${one.apiVersion}`),
    ['h 2 example.com/v2', 'k 3 example.com/v2'],
  );
  const watch = t.watch(`${v1}?watch=1`, 4);
  await t.ask('PATCH', `${v2}/b`, { port: '4' }, merge);
  await t.ask('DELETE', `${v1}/a`);
  const events = await watch;
  assert.deepEqual(
    events.map((one) => [one.type, one.object.hostPort]),
    [
      ['ADDED', 'h:2'],
      ['ADDED', 'k:3'],
      ['MODIFIED', 'k:4'],
      ['DELETED', 'h:2'],
    ],
  );
  webhook.closeAllConnections();
  webhook.close();
  const broken = await t.ask('GET', `${v1}/b?x=1`);
  assert.ok(broken.status === 200 || broken.status === 500);
});

test('defaults that a schema gets later are there when old objects are read', async () => {
  await using t = await testServer();
  const schema = (properties: object) => ({
    openAPIV3Schema: { type: 'object', properties: { a: { type: 'string' }, ...properties } },
  });
  const versions = (properties: object) => [{ name: 'v1', served: true, storage: true, schema: schema(properties) }];
  const spec = {
    group: 'example.com',
    scope: 'Cluster',
    names: { plural: 'olds', kind: 'Old' },
    versions: versions({ b: { type: 'string' } }),
  };
  await t.ask('POST', definitions, { metadata: { name: 'olds.example.com' }, spec });
  await settled(t, 'olds.example.com', established);
  const olds = '/apis/example.com/v1/olds';
  assert.equal((await t.ask('POST', olds, { metadata: { name: 'x' }, a: '1' })).body.b, undefined);
  await t.ask(
    'PATCH',
    `${definitions}/olds.example.com`,
    { spec: { versions: versions({ b: { type: 'string', default: 'new' } }) } },
    merge,
  );
  for (let i = 0; i < 100 && (await t.ask('GET', `${olds}/x`)).body.b !== 'new'; i++)
    await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await t.ask('GET', `${olds}/x`)).body.b, 'new');
  assert.equal((await t.ask('GET', olds)).body.items[0].b, 'new');
});
