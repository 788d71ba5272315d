import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { connect } from 'node:tls';
import type { Json } from '../test-server.ts';
import {
  addService,
  addSlice,
  aggregatingServer,
  caBundle,
  group,
  register,
  services,
  servingPair,
  startBackend,
  untilAvailable,
} from './test-backend.ts';

const aggregated = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' };

test('availability says in upstream’s words what is missing, one after the other, as soon as it changes', async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await register(t, 'v1', { service: { namespace: 'default', name: 'flunders', port: 444 } });
  const is = (reason: string) => untilAvailable(t, 'v1', (one) => one.reason === reason);
  assert.equal((await is('ServiceNotFound')).message, 'service/flunders in "default" is not present');
  const unavailable = await t.ask('GET', `/apis/${group}/v1/flunders`);
  assert.deepEqual([unavailable.status, unavailable.body], [503, 'service unavailable\n']);
  assert.match(unavailable.headers['content-type'] as string, /^text\/plain/);
  await addService(t);
  assert.equal((await is('ServicePortError')).message, 'service/flunders in "default" is not listening on port 444');
  const patched = await t.ask('PATCH', `${services}/v1.${group}`, '{"spec":{"service":{"port":443}}}', {
    'content-type': 'application/merge-patch+json',
  });
  assert.equal(patched.status, 200, JSON.stringify(patched.body));
  assert.equal((await is('EndpointsNotFound')).message, 'cannot find endpointslices for service/flunders in "default"');
  const list = backend.answers.get(`/apis/${group}/v1`) as object;
  backend.answers.set(`/apis/${group}/v1`, (_request, response) => void response.writeHead(500).end());
  await addSlice(t);
  const url = `https://127.0.0.1:${backend.port}/apis/${group}/v1`;
  assert.equal(
    (await is('FailedDiscoveryCheck')).message,
    `failing or missing response from ${url}: bad status from ${url}: 500`,
  );
  backend.answers.set(`/apis/${group}/v1`, list);
  const condition = await is('Passed');
  assert.deepEqual([condition.status, condition.message], ['True', 'all checks passed']);
  assert.deepEqual(
    [backend.seen[0]?.headers['x-remote-user'], backend.seen[0]?.groups],
    ['system:kube-aggregator', ['system:masters']],
  );
  const slice = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/flunders-1';
  await t.ask('PATCH', slice, '[{"op":"replace","path":"/endpoints/0/conditions/ready","value":false}]', {
    'content-type': 'application/json-patch+json',
  });
  assert.equal(
    (await is('MissingEndpoints')).message,
    'endpointslices for service/flunders in "default" have no addresses with port name "https"',
  );
});

test('certificates: the bundle counts, unless verification is switched off', async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await addService(t);
  await addSlice(t);
  await register(t, 'v1', { caBundle: undefined });
  const failed = await untilAvailable(t, 'v1', (one) => one.reason === 'FailedDiscoveryCheck');
  assert.match(
    failed.message,
    /^failing or missing response from (https:\S+): Get "\1": tls: failed to verify certificate: x509: certificate signed by unknown authority$/,
  );
  await t.ask('DELETE', `${services}/v1.${group}`);
  await register(t, 'v1', { caBundle: undefined, insecureSkipTLSVerify: true });
  await untilAvailable(t, 'v1', (one) => one.status === 'True');
  const both = await t.ask('POST', services, {
    metadata: { name: `v2.${group}` },
    spec: {
      ...{ group, version: 'v2', groupPriorityMinimum: 1, versionPriority: 1, caBundle, insecureSkipTLSVerify: true },
      service: { namespace: 'default', name: 'flunders' },
    },
  });
  assert.equal(both.status, 422);
  assert.match(
    both.body.message,
    /spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present/,
  );
});

test('requests, users, redirects, watches, other protocols; the end of the backend', async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await addService(t);
  await addSlice(t);
  await register(t, 'v1');
  await untilAvailable(t, 'v1', (one) => one.status === 'True');
  const root = `/apis/${group}/v1`;
  backend.answers.set(`${root}/flunders`, (request, response) => {
    if (!request.url?.includes('watch')) return void response.end('{"kind":"FlunderList"}');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n');
    request.on('close', () => gone.resolve());
  });
  const gone = Promise.withResolvers<void>();
  const identity = {
    user: 'jane',
    uid: 'u-1',
    groups: ['devs', 'system:authenticated', 'system:masters'],
    extra: { 'example.com/Scope(s)': ['a', 'b'] },
  };
  const transport = t.server.transport(identity);
  const answer = await transport.request({ method: 'GET', target: `${root}/flunders?x=1%2F2` });
  assert.equal(Buffer.from(await answer.bytes()).toString(), '{"kind":"FlunderList"}');
  const asked = backend.seen.at(-1) as (typeof backend.seen)[number];
  assert.equal(asked.request, `GET ${root}/flunders?x=1%2F2`);
  assert.deepEqual(
    [asked.headers['x-remote-user'], asked.headers['x-remote-uid'], asked.groups],
    ['jane', 'u-1', identity.groups],
  );
  assert.equal(asked.headers['x-remote-extra-example.com%2fscope%28s%29'], 'a, b');
  // Nobody else's word reaches the backend.
  await t.ask('GET', `${root}/flunders`, undefined, {
    'x-remote-user': 'eve',
    authorization: 'Bearer secret',
  });
  const honest = backend.seen.at(-1) as (typeof backend.seen)[number];
  assert.deepEqual([honest.headers['x-remote-user'], honest.headers.authorization], ['admin', undefined]);
  backend.answers.set(
    `${root}/redirect`,
    (_request, response) => void response.writeHead(307, { location: 'https://elsewhere/' }).end(),
  );
  assert.equal((await t.ask('GET', `${root}/redirect`)).status, 502);
  assert.deepEqual(
    (await t.watch(`${root}/flunders?watch=1`, 1)).map(({ type, object }) => [type, object.metadata.name]),
    [['ADDED', 'a']],
  );
  await gone.promise;
  backend.server.closeAllConnections();
  backend.server.close();
  await once(backend.server, 'close');
  const refused = await t.ask('GET', `${root}/flunders`);
  assert.deepEqual(
    [refused.status, refused.body],
    [503, `dial tcp 127.0.0.1:${backend.port}: connect: connection refused\n`],
  );
});

test('a connection that switches protocols is joined with the backend’s, for the user who asked', async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await addService(t);
  await addSlice(t);
  await register(t, 'v1');
  await untilAvailable(t, 'v1', (one) => one.status === 'True');
  backend.server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.write(`for ${request.headers['x-remote-user']}: `);
    socket.pipe(socket);
  });
  const listening = await t.server.listen({ host: '127.0.0.1', port: 0, tls: servingPair });
  const socket = connect({ host: '127.0.0.1', port: listening.port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  socket.write(
    `GET /apis/${group}/v1/flunders/a/attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`,
  );
  let text = '';
  const until = async (what: RegExp): Promise<void> => {
    while (!what.test(text)) text += String((await once(socket, 'data'))[0]);
  };
  await until(/101 Switching Protocols[^]*for jane: /);
  socket.write('hello');
  await until(/hello$/);
  assert.match(text, /Upgrade: echo/i);
  socket.destroy();
});

test('discovery: groups by priority, versions of one group together, what is not available is stale', async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await addService(t);
  await addSlice(t);
  const custom = (of: string, kind: string) =>
    t.ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
      metadata: { name: `${kind}s.${of}` },
      spec: {
        ...{ group: of, scope: 'Namespaced', names: { plural: `${kind}s`, kind: kind.toUpperCase() } },
        versions: [{ name: 'v2', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
      },
    });
  await custom('a.example.com', 'thing');
  await custom(group, 'fischer');
  await register(t, 'v1');
  await register(t, 'v1beta1', { versionPriority: 200 });
  await untilAvailable(t, 'v1', (one) => one.status === 'True');
  await untilAvailable(t, 'v1beta1', (one) => one.reason === 'FailedDiscoveryCheck');
  while (t.server.catalogue.byPlural(group, 'v2', 'fischers') === undefined)
    await new Promise((resolve) => setImmediate(resolve));
  const { groups } = (await t.ask('GET', '/apis')).body;
  const names: string[] = groups.map((one: Json) => one.name);
  assert.deepEqual(names.slice(0, 3), ['apiregistration.k8s.io', 'apps', 'events.k8s.io']);
  assert.deepEqual(names.slice(-3), [group, 'a.example.com', 'metrics.k8s.io']);
  const one = groups.find(({ name }: Json) => name === group);
  assert.deepEqual(
    one.versions.map(({ version }: Json) => version),
    ['v1beta1', 'v2', 'v1'],
  );
  assert.equal(one.preferredVersion.groupVersion, `${group}/v1beta1`);
  assert.deepEqual((await t.ask('GET', `/apis/${group}`)).body, { ...one, kind: 'APIGroup', apiVersion: 'v1' });
  const { items } = (await t.ask('GET', '/apis', undefined, aggregated)).body;
  const shown = items.find((item: Json) => item.metadata.name === group).versions;
  assert.deepEqual(
    shown.map(({ version, freshness }: Json) => [version, freshness]),
    [
      ['v1beta1', 'Stale'],
      ['v2', 'Current'],
      ['v1', 'Current'],
    ],
  );
  assert.deepEqual(shown[2].resources[0].subresources, [
    { subresource: 'status', responseKind: { group, version: 'v1', kind: 'Flunder' }, verbs: ['get', 'update'] },
  ]);
  // What another server says of itself is taken with care: everybody reads it.
  backend.answers.set(`/apis/${group}/v1`, { resources: [null, { name: 7 }, { name: 'ok', kind: 'Ok', verbs: 'x' }] });
  await t.ask('PATCH', `${services}/v1.${group}`, '{"spec":{"groupPriorityMinimum":900}}', {
    'content-type': 'application/merge-patch+json',
  });
  for (;;) {
    await new Promise((resolve) => setImmediate(resolve));
    const { body } = await t.ask('GET', '/apis', undefined, aggregated);
    const { resources } = body.items.find((item: Json) => item.metadata.name === group).versions[2];
    if (resources[0].resource === 'flunders') continue;
    assert.deepEqual([resources.length, resources[0].resource, resources[0].verbs], [1, 'ok', []]);
    break;
  }
  await t.ask('DELETE', `${services}/v1.${group}`);
  assert.equal((await t.ask('GET', `/apis/${group}/v1/flunders`)).status, 404);
});

const swagger = (spec: object): object => ({
  swagger: '2.0',
  info: { title: 'Wardle', version: '1' },
  parameters: { 'pretty-1': { name: 'pretty', in: 'query', type: 'string' } },
  paths: {
    [`/apis/${group}/v1/namespaces/{namespace}/flunders`]: {
      get: {
        operationId: 'listFlunders',
        parameters: [{ $ref: '#/parameters/pretty-1' }],
        produces: ['application/json'],
        responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/com.example.wardle.v1.FlunderList' } } },
      },
      parameters: [{ name: 'namespace', in: 'path', required: true, type: 'string' }],
    },
    '/api/v1/pods': { get: { operationId: 'stolen', responses: {} } },
  },
  definitions: {
    'com.example.wardle.v1.FlunderList': {
      type: 'object',
      properties: {
        items: { type: 'array', items: { $ref: '#/definitions/com.example.wardle.v1.Flunder' } },
        metadata: { $ref: '#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta' },
      },
    },
    'com.example.wardle.v1.Flunder': {
      type: 'object',
      description: 'A flunder.',
      properties: { spec: spec },
      'x-kubernetes-group-version-kind': [{ group, kind: 'Flunder', version: 'v1' }],
    },
    'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta': { type: 'object', properties: { odd: { type: 'string' } } },
    'unused.Thing': { type: 'object' },
  },
});

test('OpenAPI of another server stands in ours, in every form', async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await addService(t);
  await addSlice(t);
  await register(t, 'v1');
  await untilAvailable(t, 'v1', (one) => one.status === 'True');
  const alone = (await t.ask('GET', '/openapi/v2')).body;
  assert.equal(alone.definitions['com.example.wardle.v1.Flunder'], undefined);
  backend.answers.set('/openapi/v2', swagger({ type: 'object' }));
  // Registered anew: looked at at once, not when its time has come.
  await register(t, 'v1alpha1');
  const { body, headers } = await t.ask('GET', '/openapi/v2');
  assert.deepEqual(body.paths[`/apis/${group}/v1/namespaces/{namespace}/flunders`].get.parameters, [
    { name: 'pretty', in: 'query', type: 'string' },
  ]);
  assert.notEqual(body.paths['/api/v1/pods'].get.operationId, 'stolen');
  assert.equal(body.definitions['unused.Thing'], undefined);
  const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';
  assert.ok(body.definitions[meta].properties.resourceVersion);
  assert.deepEqual(Object.keys(body.definitions[`${meta}_v2`].properties), ['odd']);
  assert.equal(
    body.definitions['com.example.wardle.v1.FlunderList'].properties.metadata.$ref,
    `#/definitions/${meta}_v2`,
  );
  assert.equal((await t.ask('GET', '/openapi/v2', undefined, { 'if-none-match': headers.etag as string })).status, 304);
  const protobuf = await t.transport.request({
    method: 'GET',
    target: '/openapi/v2',
    headers: { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' },
  });
  assert.ok(Buffer.from(await protobuf.bytes()).includes('com.example.wardle.v1.FlunderList'));
  // It has no version 3: made of version 2.
  const index = (await t.ask('GET', '/openapi/v3')).body.paths;
  const made = await t.ask('GET', index[`apis/${group}/v1`].serverRelativeURL);
  assert.equal(made.headers['cache-control'], 'public, immutable');
  const path = made.body.paths[`/apis/${group}/v1/namespaces/{namespace}/flunders`];
  assert.deepEqual(path.get.responses['200'].content['application/json'].schema, {
    $ref: '#/components/schemas/com.example.wardle.v1.FlunderList',
  });
  assert.deepEqual(path.parameters, [{ name: 'namespace', in: 'path', required: true, schema: { type: 'string' } }]);
  assert.equal(made.body.components.schemas['com.example.wardle.v1.Flunder'].description, 'A flunder.');
});

test('OpenAPI 3 of another server is handed through; broken documents harm nobody', async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await addService(t);
  await addSlice(t);
  await register(t, 'v1');
  await untilAvailable(t, 'v1', (one) => one.status === 'True');
  const document = { openapi: '3.0.0', info: {}, paths: {}, components: { schemas: { here: { type: 'object' } } } };
  const hash = createHash('sha256').update(JSON.stringify(document)).digest('hex');
  backend.answers.set('/openapi/v3', {
    paths: {
      [`apis/${group}/v1`]: { serverRelativeURL: `/openapi/v3/apis/${group}/v1?hash=${hash}` },
      'apis/apps/v1': { serverRelativeURL: '/openapi/v3/apis/apps/v1?hash=stolen' },
      'apis/other.example.com/v1': { serverRelativeURL: 7 },
    },
  });
  backend.answers.set(`/openapi/v3/apis/${group}/v1`, document);
  let deep: object = {};
  for (let i = 0; i < 400; i++) deep = { properties: { deep } };
  backend.answers.set('/openapi/v2', swagger(deep));
  const index = (await t.ask('GET', '/openapi/v3')).body.paths;
  assert.equal(index[`apis/${group}/v1`].serverRelativeURL, `/openapi/v3/apis/${group}/v1?hash=${hash}`);
  assert.doesNotMatch(index['apis/apps/v1'].serverRelativeURL, /stolen/);
  assert.equal(index['apis/other.example.com/v1'], undefined);
  assert.deepEqual((await t.ask('GET', index[`apis/${group}/v1`].serverRelativeURL)).body, document);
  const { status, body } = await t.ask('GET', '/openapi/v2');
  assert.equal(status, 200);
  assert.ok(body.definitions['io.k8s.api.core.v1.Pod']);
  assert.equal(body.definitions['com.example.wardle.v1.Flunder'], undefined);
});

test('a server that accepts and says nothing delays the first reader a little, and no other', {
  timeout: 60_000,
}, async () => {
  await using backend = await startBackend();
  await using t = await aggregatingServer(backend.port);
  await addService(t);
  await addSlice(t);
  backend.answers.set('/openapi/v2', () => {});
  backend.answers.set('/openapi/v3', () => {});
  await register(t, 'v1');
  await untilAvailable(t, 'v1', (one) => one.status === 'True');
  const beganMs = performance.now();
  const first = await t.ask('GET', '/openapi/v3');
  assert.equal(first.status, 200);
  assert.ok(first.body.paths['apis/apps/v1']);
  assert.ok(performance.now() - beganMs < 20_000);
});
