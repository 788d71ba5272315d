import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { startHttpsServer, type TestHttpsServer } from '#testkit';
import type { HttpsTransport } from '#wire';

const limit = { timeout: 60_000 };
const configMaps = '/api/v1/namespaces/default/configmaps';
const bodyMs = 1500;

let server: TestHttpsServer;
let admin: HttpsTransport;

before(async () => {
  server = await startHttpsServer({ timeouts: { bodyMs, readMs: 900 } });
  admin = server.transport();
});
after(() => server.close());

async function statusOf(method: string, target: string, body?: object): Promise<number> {
  const answer = await admin.request({
    method: method as 'GET',
    target,
    ...(body === undefined ? {} : { objectBody: body }),
  });
  await answer.bytes();
  return answer.status;
}

/** Sends a body byte by byte, a byte each `everyMs`, and gives what came back until the connection closed. */
async function dripped(socket: TLSSocket, name: string, everyMs: number): Promise<string> {
  const body = Buffer.from(JSON.stringify({ metadata: { name } }));
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write(
    `POST ${configMaps} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  let sent = 0;
  const drip = setInterval(() => {
    if (sent < body.length && socket.writable) socket.write(body.subarray(sent, ++sent));
  }, everyMs);
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(drip);
  return text;
}

test('a body that comes a byte a second is given up, one that is only slow is taken', limit, async () => {
  const [slow, fair] = await Promise.all([
    dripped(await server.socket('http/1.1', 'administrator'), 'slow', 1000),
    dripped(await server.socket('http/1.1', 'administrator'), 'fair', 15),
  ]);
  assert.match(slow, /^HTTP\/1\.1 504 /);
  assert.match(slow, /the request body did not arrive in time/);
  assert.match(fair, /^HTTP\/1\.1 201 /);
  assert.equal(await statusOf('GET', `${configMaps}/slow`), 404);
});

test('bodies that do not come hold the places of writers for a while only', limit, async () => {
  const writer = { name: 'writer' };
  const bound = await admin.request({
    method: 'POST',
    target: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
    objectBody: {
      metadata: { name: 'writer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'writer' }],
    },
  });
  assert.equal(bound.status, 201);
  const session = await sessionOf(server.credentials(writer));
  assert.equal(await post(session, 'whole', true), 201);
  const held = Array.from({ length: 230 }, (_, i) => post(session, `held-${i}`, false));
  const later = await sessionOf(server.credentials(writer));
  assert.equal(await post(later, 'later', true), 201, 'who comes later gets a place');
  const statuses = new Set(await Promise.all(held));
  assert.deepEqual([...statuses], [504]);
  session.destroy();
  later.destroy();
});

test('a client that reads nothing of a large list loses it; watchers may pause', limit, async () => {
  const big = 'x'.repeat(900_000);
  await Promise.all(
    Array.from({ length: 12 }, (_, i) =>
      statusOf('POST', configMaps, { metadata: { name: `big-${i}` }, data: { big } }),
    ),
  );
  for (const accept of ['application/json', 'application/vnd.kubernetes.protobuf', 'application/yaml']) {
    const session = await sessionOf(server.credentials());
    const ask = async (path: string) => {
      const stream = session.request({ ':path': path, accept });
      stream.on('error', () => {});
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      assert.equal(headers[':status'], 200);
      return stream;
    };
    const paused = accept.endsWith('yaml') ? undefined : await ask(`${configMaps}?watch=1&resourceVersion=0`);
    const stuck = await ask(configMaps);
    const reading = await ask(configMaps);
    let length = 0;
    reading.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    await once(reading, 'end');
    assert.ok(length > 12 * big.length, `${accept}: ${length}`);
    if (!stuck.closed) await once(stuck, 'close');
    assert.equal(stuck.rstCode, constants.NGHTTP2_CANCEL, accept);
    let seen = 0;
    paused?.on('data', (chunk: Buffer) => {
      seen += chunk.length;
    });
    while (paused !== undefined && seen < 12 * big.length) await once(paused, 'data');
    session.destroy();
  }
});

test('strangers may not keep an HTTP/2 connection, users may', limit, async () => {
  for (const headers of [{}, { authorization: 'Bearer nonsense' }]) {
    const stranger = await sessionOf({});
    const told = once(stranger, 'goaway');
    const closed = once(stranger, 'close');
    const stream = stranger.request({ ':path': '/version', ...headers });
    const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
    stream.resume();
    assert.equal(answer[':status'], 'authorization' in headers ? 401 : 200);
    assert.equal(((await told) as [number])[0], constants.NGHTTP2_NO_ERROR);
    await closed;
  }
  const user = await sessionOf(server.credentials({ name: 'somebody' }));
  let told = false;
  user.on('goaway', () => {
    told = true;
  });
  for (const path of ['/version', configMaps, '/api/v1/..']) {
    const stream = user.request({ ':path': path });
    await once(stream, 'response');
    stream.resume();
    await once(stream, 'close');
  }
  assert.equal(told, false);
  user.destroy();
});

async function sessionOf(credentials: object): Promise<ClientHttp2Session> {
  const session = connectHttp2(server.url, { ca: server.ca, ...credentials });
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

/** Sends a POST, its body whole or hardly begun. The status; 0: none came. */
function post(session: ClientHttp2Session, name: string, whole: boolean): Promise<number> {
  return new Promise((resolve) => {
    const stream = session.request({ ':method': 'POST', ':path': configMaps, 'content-type': 'application/json' });
    stream.on('response', (headers) => resolve(Number(headers[':status'])));
    stream.on('error', () => resolve(0));
    stream.on('close', () => resolve(0));
    stream.resume();
    const body = JSON.stringify({ metadata: { name } });
    if (whole) stream.end(body);
    else stream.write(body.slice(0, 5));
  });
}
