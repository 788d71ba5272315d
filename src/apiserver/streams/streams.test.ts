import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { openAuthenticator } from '../authn/index.ts';
import { type TestServer, testServer } from '../test-server.ts';
import { isProxyable } from './backend.ts';
import { splitProxyName } from './proxy.ts';

const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'x', usages: ['server'], ipAddresses: ['127.0.0.1'] });
const admin = pki.issue({ commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
const roots = [pki.ca.certificate];
const credentials = { ca: pki.ca.certificatePem, cert: admin.certificatePem, key: admin.keyPem };

const seen: string[] = [];
let answerToUpgrade = 101;
let bytesAfter = 0;
const kubelet = createServer(
  { cert: serving.certificatePem, key: serving.keyPem, ca: pki.ca.certificatePem, requestCert: true },
  (request, response) => {
    seen.push(`${request.method} ${request.url}`);
    assert.equal(request.headers.authorization, undefined);
    if (request.url?.startsWith('/containerLogs/default/p/c')) {
      if (request.url.includes('previous')) {
        response.statusCode = 400;
        return void response.end('previous terminated container "c" in pod "p" not found');
      }
      return void response.end('hello\n');
    }
    if (request.url === '/redirect') {
      response.statusCode = 302;
      response.setHeader('location', 'https://127.0.0.1:1/');
      return void response.end();
    }
    response.end(`you asked ${request.url}`);
  },
);
kubelet.on('upgrade', (request, socket: Socket) => {
  seen.push(`upgrade ${request.url}`);
  if (answerToUpgrade !== 101) {
    socket.write(`HTTP/1.1 ${answerToUpgrade} X\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 4\r\n\r\nnope`);
    socket.on('data', (chunk: Buffer) => {
      bytesAfter += chunk.length;
    });
    return;
  }
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\nearly',
  );
  socket.pipe(socket);
});

let t: TestServer;
let port = 0;

before(async () => {
  kubelet.listen(0, '127.0.0.1');
  await once(kubelet, 'listening');
  t = await testServer({
    clock: systemClock as never,
    authenticator: (objects) =>
      openAuthenticator({ clock: systemClock, objects, clientRoots: () => roots, audiences: ['api'] }),
    kubelet: {
      ca: pki.ca.certificatePem,
      clientCert: admin.certificatePem,
      clientKey: admin.keyPem,
      allowLoopback: true,
    },
  });
  port = (
    await t.server.listen({
      host: '127.0.0.1',
      port: 0,
      tls: { cert: serving.certificatePem, key: serving.keyPem, clientCa: pki.ca.certificatePem },
    })
  ).port;
  const status = {
    addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: (kubelet.address() as AddressInfo).port } },
  };
  await t.ask('POST', '/api/v1/nodes', { metadata: { name: 'n' }, status });
  await t.ask('PATCH', '/api/v1/nodes/n/status', { status }, { 'content-type': 'application/merge-patch+json' });
  await t.ask('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'p' },
    spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
  });
});

after(async () => {
  await t[Symbol.asyncDispose]();
  kubelet.closeAllConnections();
  kubelet.close();
});

const pod = '/api/v1/namespaces/default/pods/p';

test('logs come from the kubelet, refusals with its words', async () => {
  const log = await t.ask('GET', `${pod}/log?tailLines=5&follow=true`);
  assert.equal(log.body, 'hello\n', JSON.stringify(log));
  assert.equal(seen.at(-1), 'GET /containerLogs/default/p/c?follow=true&tailLines=5');
  const refused = await t.ask('GET', `${pod}/log?previous=true`);
  assert.equal(refused.status, 400);
  assert.equal(refused.body.message, 'previous terminated container "c" in pod "p" not found');
  const unknown = await t.ask('GET', `${pod}/log?container=zz`);
  assert.equal(unknown.body.message, 'container zz is not valid for pod p');
});

test('nodes/proxy hands on; redirects go nowhere', async () => {
  assert.equal((await t.ask('GET', '/api/v1/nodes/n/proxy/pods?x=1')).body, 'you asked /pods?x=1');
  assert.equal((await t.ask('GET', '/api/v1/nodes/n/proxy/redirect')).status, 502);
});

function upgrade(path: string): Promise<{ status: number; socket?: Socket; head?: Buffer }> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({
      host: '127.0.0.1',
      port,
      ...credentials,
      method: 'POST',
      path,
      agent: false,
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' },
    });
    request.on('upgrade', (response, socket, head) =>
      resolve({ status: response.statusCode ?? 0, socket: socket as Socket, head }),
    );
    request.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0 });
    });
    request.on('error', reject);
    request.end();
  });
}

test('exec joins the connections, byte for byte', async () => {
  const { status, socket, head } = await upgrade(`${pod}/exec?command=ls&stdin=true&tty=true`);
  assert.equal(status, 101);
  assert.equal(seen.at(-1), 'upgrade /exec/default/p/c?input=1&output=1&tty=1&command=ls');
  let text = (head as Buffer).toString();
  (socket as Socket).on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  (socket as Socket).write('ping');
  while (!text.includes('ping')) await once(socket as Socket, 'data');
  assert.equal(text, 'earlyping');
  (socket as Socket).destroy();
});

test('a refused switch closes the backend connection and never follows', async () => {
  for (const code of [200, 204, 301, 302, 307, 400, 401, 403, 404, 500]) {
    answerToUpgrade = code;
    const { status } = await upgrade(`${pod}/exec?command=ls`);
    if (code < 400) assert.ok(status === 502 || status === 503, `${code} became ${status}`);
    else assert.equal(status, code);
  }
  answerToUpgrade = 101;
  assert.equal(bytesAfter, 0);
});

test('addresses that lead back here are no backends', () => {
  for (const bad of [
    '127.0.0.1',
    '::1',
    '::ffff:127.0.0.1',
    '169.254.169.254',
    '0.0.0.0',
    '::',
    'fe80::1',
    '224.0.0.1',
    'localhost',
    '',
  ]) {
    assert.equal(isProxyable(bad), false, bad);
  }
  for (const good of ['10.0.0.1', '192.168.1.1', '8.8.8.8', 'fd00::1', '172.16.0.9'])
    assert.equal(isProxyable(good), true, good);
  assert.deepEqual(splitProxyName('https:web:443'), { scheme: 'https', name: 'web', port: '443' });
  assert.throws(() => splitProxyName('ftp:web:443'));
});
