import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resource } from '#api';
import { encodeJson } from '#codec';
import { isNotFound } from '#machinery';
import type { Transport, TransportRequest, TransportResponse } from '#wire';
import { openClient } from './client.ts';

const pods = resource('v1', 'pods');
const deployments = resource('apps/v1', 'deployments');

/** Answers each request with the next of the given responses and keeps what was asked. */
function scripted(
  ...responses: { status?: number; body?: unknown; object?: object; chunks?: string[]; events?: unknown[] }[]
) {
  const asked: TransportRequest[] = [];
  const transport: Transport = {
    async request(request): Promise<TransportResponse> {
      asked.push(request);
      const { status = 200, body, object, chunks, events } = responses.shift() ?? {};
      return {
        status,
        headers: {},
        ...(object === undefined ? {} : { object }),
        ...(events === undefined ? {} : { events: iterate(events) as never }),
        bytes: async () => (typeof body === 'string' ? Buffer.from(body) : encodeJson(body ?? {})),
        chunks: () => iterate((chunks ?? []).map((one) => Buffer.from(one))),
      };
    },
    close: async () => {},
  };
  return { asked, client: openClient({ transport, userAgent: 'test/1' }) };
}

async function* iterate<T>(items: readonly T[]): AsyncIterable<T> {
  yield* items;
}

test('targets and bodies of each verb', async () => {
  const { asked, client } = scripted();
  await client.get(pods, 'a b', { namespace: 'x' });
  await client.list(deployments, { namespace: 'x', labelSelector: 'a=b,c in (d)', limit: 5, fieldSelector: '' });
  await client.create(pods, { metadata: { namespace: 'x', generateName: 'p-' }, spec: { containers: [] } } as never, {
    dryRun: true,
  });
  await client.patch(
    deployments,
    'web',
    { type: 'apply', body: {}, force: true },
    { namespace: 'x', subresource: 'status' },
  );
  await client.delete(pods, 'a', { namespace: 'x', gracePeriodSeconds: 0, preconditions: { uid: 'u' } });
  await client.createSubresource(pods, 'a', 'binding', {}, { namespace: 'x' });
  assert.deepEqual(
    asked.map((one) => `${one.method} ${one.target}`),
    [
      'GET /api/v1/namespaces/x/pods/a%20b',
      'GET /apis/apps/v1/namespaces/x/deployments?labelSelector=a%3Db%2Cc+in+%28d%29&limit=5',
      'POST /api/v1/namespaces/x/pods?dryRun=All',
      'PATCH /apis/apps/v1/namespaces/x/deployments/web/status?fieldManager=test&force=true',
      'DELETE /api/v1/namespaces/x/pods/a',
      'POST /api/v1/namespaces/x/pods/a/binding',
    ],
  );
  assert.deepEqual(
    asked.map((one) => one.headers?.['content-type']),
    [undefined, undefined, 'application/json', 'application/apply-patch+yaml', 'application/json', 'application/json'],
  );
  assert.deepEqual(asked[2]?.objectBody, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'x', generateName: 'p-' },
    spec: { containers: [] },
  });
  assert.deepEqual(asked[4]?.objectBody, {
    apiVersion: 'v1',
    kind: 'DeleteOptions',
    gracePeriodSeconds: 0,
    preconditions: { uid: 'u' },
  });
});

test('a Status becomes an ApiError, as object or bytes; anything else gets a Status made up', async () => {
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    code: 404,
    reason: 'NotFound',
    message: 'pods "a" not found',
  };
  const { client } = scripted(
    { status: 404, body: status },
    { status: 404, object: status },
    { status: 502, body: '<html>bad gateway' },
  );
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      client.get(pods, 'a', { namespace: 'x' }),
      (error) => isNotFound(error) && (error as Error).message === status.message,
    );
  }
  await assert.rejects(client.get(pods, 'a', { namespace: 'x' }), /502: <html>bad gateway/);
});

test('items of a list get their kind; frozen ones are left as they are', async () => {
  const frozen = Object.freeze({ metadata: { name: 'b' } });
  const { client } = scripted(
    { body: { items: [{ metadata: { name: 'a' } }] } },
    { object: { items: [frozen] } },
    { body: { items: null } },
  );
  assert.deepEqual((await client.list(deployments)).items, [
    { metadata: { name: 'a' }, apiVersion: 'apps/v1', kind: 'Deployment' },
  ]);
  assert.equal((await client.list(deployments)).items[0], frozen);
  assert.deepEqual((await client.list(deployments)).items, []);
});

test('a watch over bytes is cut at newlines wherever the pieces end', async () => {
  const lines =
    '{"type":"ADDED","object":{"metadata":{"name":"ä"}}}\n\n{"type":"DELETED","object":{"metadata":{"name":"b"}}}\n';
  for (const size of [1, 7, 1000]) {
    const bytes = Buffer.from(lines);
    const transport: Transport = {
      request: async () => ({
        status: 200,
        headers: {},
        bytes: async () => bytes,
        chunks: () =>
          iterate(
            Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)),
          ),
      }),
      close: async () => {},
    };
    const seen: string[] = [];
    for await (const event of openClient({ transport }).watch(pods))
      seen.push(`${event.type} ${event.object.metadata.name}`);
    assert.deepEqual(seen, ['ADDED ä', 'DELETED b']);
  }
});

test('an ERROR event is thrown', async () => {
  const { client } = scripted({
    events: [{ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } }],
  });
  await assert.rejects(async () => {
    for await (const event of client.watch(pods)) assert.fail(event.type);
  }, /too old/);
});
