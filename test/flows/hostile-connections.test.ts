import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { after, before, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { startHttpsServer, type TestHttpsServer } from '#testkit';
import type { HttpsTransport } from '#wire';

const limit = { timeout: 60_000 };
const configMaps = '/api/v1/namespaces/default/configmaps';
const bodyMs = 3000;

let server: TestHttpsServer;
let admin: HttpsTransport;

before(async () => {
  server = await startHttpsServer({ timeouts: { bodyMs, readMs: 2000 } });
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
  // In-process: the time for bodies is short here.
  const inside = server.cluster.server.transport({ user: 'admin', groups: ['system:masters'] });
  for (let i = 0; i < 12; i++) {
    const objectBody = { metadata: { name: `big-${i}` }, data: { big } };
    assert.equal((await inside.request({ method: 'POST', target: configMaps, objectBody })).status, 201);
  }
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

/** All that comes on a connection of HTTP/1.1 until the server ends it. */
async function heard(lines: string): Promise<string> {
  const socket = await server.socket('http/1.1');
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write(lines);
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

test('every way in is guarded: methods, switches of protocol, expectations, tunnels', limit, async () => {
  const bad = 'Authorization: Bearer nonsense\r\n';
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND'];
  const ways = [
    'Connection: close\r\n',
    'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n',
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n',
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n',
    'Connection: close\r\nExpect: 100-continue\r\n',
  ];
  const pod = '/api/v1/namespaces/default/pods/p';
  for (const way of ways) {
    for (const method of methods) {
      for (const path of [configMaps, `${pod}/exec?command=id`, '/version']) {
        const text = await heard(`${method} ${path} HTTP/1.1\r\nHost: x\r\n${bad}${way}Content-Length: 0\r\n\r\n`);
        const statuses = text.match(/^HTTP\/1\.1 \d+/gm)?.filter((one) => !one.endsWith(' 100'));
        assert.deepEqual(statuses, ['HTTP/1.1 401'], `${method} ${path} ${way}: ${text.slice(0, 200)}`);
      }
    }
  }
  // What asks for something else gets nothing.
  assert.match(
    await heard(`GET /version HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nConnection: close\r\n\r\n`),
    /^(HTTP\/1\.1 417 |$)/,
  );
  assert.doesNotMatch(await heard('CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n'), / 200 /);
  assert.match(
    await heard('GET https://evil/api/v1/secrets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
    /^HTTP\/1\.1 400 /,
  );
  assert.match(await heard('GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 200 /);
});

const frame = (type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

test('frames that cost nothing: a few are answered, a flood ends the connection', limit, async () => {
  const opening = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);
  const version = Buffer.concat([
    Buffer.from([0x82, 0x87, 0x44, 8]),
    Buffer.from('/version'),
    Buffer.from([0x41, 1, 0x78]),
  ]);
  const kinds: [string, Buffer][] = [
    ['pings', frame(6, 0, 0, Buffer.alloc(8))],
    ['settings', frame(4, 0, 0)],
    ['priorities', frame(2, 0, 9, Buffer.alloc(5))],
    ['empty data', frame(0, 0, 1)],
    ['unknown frames', frame(99, 0, 0)],
  ];
  for (const [name, one] of kinds) {
    for (const [count, isFlood] of [
      [200, false],
      [20_000, true],
    ] as const) {
      const socket = await server.socket('h2', 'administrator');
      let received = Buffer.alloc(0);
      let answered = false;
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
          if (received[3] === 1 && received.readUInt32BE(5) === 3) answered = true;
          received = received.subarray(9 + received.readUIntBE(0, 3));
        }
      });
      // Stream 1 is a request whose body does not end: the place for empty data.
      socket.write(
        Buffer.concat([
          opening,
          frame(1, 4, 1, version),
          ...new Array<Buffer>(count).fill(one),
          frame(1, 5, 3, version),
        ]),
      );
      while (!answered && !socket.destroyed) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(answered, !isFlood, `${count} ${name}`);
      socket.destroy();
    }
    assert.equal(await statusOf('GET', '/version'), 200);
  }
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
