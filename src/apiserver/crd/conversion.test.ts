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

test('what a webhook answers wrongly is told; the other objects are read all the same', async () => {
  const pki = openClusterPki({ clock: systemClock });
  const serving = pki.issue({ commonName: 'x', usages: ['server'], ipAddresses: ['127.0.0.1'] });
  let answer: (objects: Json[], uid: string) => Json = () => undefined;
  const webhook = createServer({ cert: serving.certificatePem, key: serving.keyPem }, async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { request: asked, ...review } = JSON.parse(text);
    response.end(JSON.stringify({ ...review, response: answer(asked.objects, asked.uid) }));
  });
  webhook.listen(0, '127.0.0.1');
  await once(webhook, 'listening');
  const version = (name: string, storage: boolean) => ({
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
  });
  await using t = await testServer({ clock: systemClock as never });
  const made = await t.ask('POST', definitions, {
    metadata: { name: 'ends.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'ends', kind: 'End' },
      versions: [version('v1', true), version('v2', false)],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          conversionReviewVersions: ['v1'],
          clientConfig: {
            url: `https://127.0.0.1:${(webhook.address() as AddressInfo).port}/convert`,
            caBundle: Buffer.from(pki.ca.certificatePem).toString('base64'),
          },
        },
      },
    },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  await settled(t, 'ends.example.com', established);
  const ends = (version: string): string => `/apis/example.com/${version}/namespaces/default/ends`;
  await t.ask('POST', ends('v1'), { apiVersion: 'example.com/v1', kind: 'End', metadata: { name: 'a' } });
  const good = (objects: Json[]): Json[] => objects.map((one) => ({ ...one, apiVersion: 'example.com/v2' }));
  const success = { status: 'Success' };
  const changed = (change: Json): typeof answer => {
    return (objects, uid) => ({
      uid,
      result: success,
      convertedObjects: good(objects).map((one) => ({
        ...one,
        ...change,
        metadata: { ...one.metadata, ...change.metadata },
      })),
    });
  };
  const about = 'conversion webhook for example.com/v1, Kind=End';
  const invalid = `${about} returned invalid converted object at index 0:`;
  const wrong: readonly (readonly [typeof answer, RegExp | string])[] = [
    [() => undefined, `${about} failed: no response provided`],
    [
      (objects) => ({ uid: 'other', result: success, convertedObjects: good(objects) }),
      /failed: expected response.uid="[^"]+", got "other"$/,
    ],
    [(_, uid) => ({ uid, result: { status: 'Failed', message: 'I will not' } }), `${about} failed: I will not`],
    [
      (_, uid) => ({ uid, result: { status: 'Odd' } }),
      `${about} failed: response.result.status was 'Odd', not 'Success'`,
    ],
    [(_, uid) => ({ uid, result: success, convertedObjects: [] }), `${about} returned 0 objects, expected 1`],
    [
      changed({ apiVersion: 'example.com/v1' }),
      `${invalid} invalid groupVersion (expected example.com/v2, received example.com/v1)`,
    ],
    [changed({ kind: 'Other' }), `${invalid} invalid kind (expected End, received Other)`],
    [changed({ metadata: { name: 'b' } }), `${invalid} must have the same name: a != b`],
    [changed({ metadata: { uid: 'u' } }), /must have the same UID: [0-9a-f-]+ != u$/],
    [changed({ metadata: { labels: { 'a b': 'c' } } }), /metadata.labels: Invalid value: "a b"/],
  ];
  for (const [behaviour, message] of wrong) {
    answer = behaviour;
    const { status, body } = await t.ask('GET', `${ends('v2')}/a`);
    assert.equal(status, 500, JSON.stringify(body));
    const text = body.message.replace('Internal error occurred: ', '');
    if (typeof message === 'string') assert.equal(text, message);
    else assert.match(text, message);
    assert.equal((await t.ask('GET', ends('v2'))).status, 500);
    assert.equal((await t.ask('GET', `${ends('v1')}/a`)).status, 200);
  }
  // Metadata but labels and annotations stays as it was.
  answer = changed({ metadata: { labels: { x: 'y' }, generation: 99, finalizers: ['q/r'] } });
  const { body } = await t.ask('GET', `${ends('v2')}/a`);
  assert.deepEqual(
    [body.metadata.labels, body.metadata.generation, body.metadata.finalizers],
    [{ x: 'y' }, 1, undefined],
  );
  webhook.closeAllConnections();
  webhook.close();
});
