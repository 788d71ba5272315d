import assert from 'node:assert/strict';
import { request as httpsRequest } from 'node:https';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { openHttpsTransport, type Transport } from '#wire';
import { openAuthenticator } from '../authn/index.ts';
import { openAuthorizer } from '../authz/index.ts';
import { testServer } from '../test-server.ts';

const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'kube-apiserver', usages: ['server'], ipAddresses: ['127.0.0.1'] });
const admin = pki.issue({ commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
const roots = [pki.ca.certificate];

async function socketServer() {
  const t = await testServer({
    clock: systemClock as never,
    authenticator: (objects) =>
      openAuthenticator({ clock: systemClock, objects, clientRoots: () => roots, audiences: ['api'] }),
    authorizer: (objects) => openAuthorizer({ objects }),
  });
  const listening = await t.server.listen({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: serving.certificatePem, key: serving.keyPem, clientCa: pki.ca.certificatePem },
  });
  return { t, port: listening.port, server: `https://127.0.0.1:${listening.port}` };
}

const credentials = { ca: pki.ca.certificatePem, clientCert: admin.certificatePem, clientKey: admin.keyPem };
const jsonOf = async (transport: Transport, method: string, target: string, body?: object) => {
  const response = await transport.request({
    method: method as 'GET',
    target,
    ...(body === undefined ? {} : { objectBody: body }),
  });
  return { status: response.status, body: JSON.parse(Buffer.from(await response.bytes()).toString()) };
};

test('HTTP/2 serves the chain: writes, reads, a watch, and its end', async () => {
  const { t, server } = await socketServer();
  const transport = openHttpsTransport({ server, ...credentials });
  const stop = new AbortController();
  const watch = await transport.request({
    method: 'GET',
    target: '/api/v1/configmaps?watch=1&resourceVersion=0',
    signal: stop.signal,
  });
  assert.equal(watch.status, 200);
  const made = await jsonOf(transport, 'POST', '/api/v1/namespaces/default/configmaps', {
    metadata: { name: 'x' },
    data: { a: 'ü' },
  });
  assert.equal(made.status, 201);
  const read = await jsonOf(transport, 'GET', '/api/v1/namespaces/default/configmaps/x');
  assert.deepEqual(read.body, made.body);
  for await (const chunk of watch.chunks()) {
    const event = JSON.parse(Buffer.from(chunk).toString());
    assert.deepEqual(event, { type: 'ADDED', object: made.body });
    break;
  }
  stop.abort();
  const many = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      jsonOf(transport, 'POST', '/api/v1/namespaces/default/configmaps', {
        metadata: { name: `m${i}` },
        data: { text: 'y'.repeat(2000) },
      }),
    ),
  );
  assert.ok(many.every((one) => one.status === 201));
  const list = await jsonOf(transport, 'GET', '/api/v1/configmaps');
  assert.equal(list.body.items.length, 201);
  await transport.close();
  await t[Symbol.asyncDispose]();
});

test('strangers get 401 or 403, and a switch of protocols is judged like any request', async () => {
  const { t, port, server } = await socketServer();
  const stranger = openHttpsTransport({ server, ca: pki.ca.certificatePem });
  const anonymous = await jsonOf(stranger, 'GET', '/api/v1/namespaces/default/secrets');
  assert.equal(anonymous.status, 403);
  assert.match(
    anonymous.body.message,
    /^secrets is forbidden: User "system:anonymous" cannot list resource "secrets" in API group "" in the namespace "default"/,
  );
  const bad = openHttpsTransport({ server, ca: pki.ca.certificatePem, token: 'nonsense' });
  assert.equal((await jsonOf(bad, 'GET', '/version')).status, 401);
  for (const method of ['GET', 'POST']) {
    const status = await new Promise<number>((resolve, reject) => {
      const request = httpsRequest({
        host: '127.0.0.1',
        port,
        ca: pki.ca.certificatePem,
        method,
        path: '/api/v1/namespaces/default/pods/p/exec?command=id',
        headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
        agent: false,
      });
      request.on('response', (response) => {
        assert.equal(response.headers.connection, 'close');
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on('upgrade', () => reject(new Error('switched')));
      request.on('error', reject);
      request.end();
    });
    assert.equal(status, 403);
  }
  await Promise.all([stranger.close(), bad.close()]);
  await t[Symbol.asyncDispose]();
});

test('HTTP/1.1 serves too; a body beyond the limit is 413', async () => {
  const { t, port } = await socketServer();
  const ask = (method: string, path: string, body?: Buffer) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const request = httpsRequest({
        host: '127.0.0.1',
        port,
        ca: credentials.ca,
        cert: credentials.clientCert,
        key: credentials.clientKey,
        method,
        path,
        agent: false,
      });
      request.on('response', (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.on('error', reject);
      request.end(body);
    });
  const version = await ask('GET', '/version');
  assert.match(JSON.parse(version.text).gitVersion, /^v1\.36\.\d+\+k8ts\./);
  assert.equal((await ask('GET', '/api/v1/namespaces/../pods')).status, 400);
  const large = await ask('POST', '/api/v1/namespaces/default/configmaps', Buffer.alloc(4 << 20, 0x20));
  assert.equal(large.status, 413);
  const half = connect({ host: '127.0.0.1', port, ca: credentials.ca, ALPNProtocols: ['http/1.1'] });
  await new Promise((resolve) => half.once('secureConnect', resolve));
  half.destroy();
  await t[Symbol.asyncDispose]();
});
