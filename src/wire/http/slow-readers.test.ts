import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { type HttpsServer, serveHttps } from './serve-https.ts';

const limit = { timeout: 60_000 };
const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'x', usages: ['server'], ipAddresses: ['127.0.0.1'] });
const ca = pki.ca.certificatePem;
/** More than all buffers between a server and a client that reads nothing. */
const much = Buffer.alloc(48 << 20, 'x');
const readMs = 600;

let server: HttpsServer;
let closedStreams = 0;

before(async () => {
  server = await serveHttps({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: serving.certificatePem, key: serving.keyPem },
    timeouts: { readMs, headMs: 600, idleMs: 30_000 },
    handle(exchange) {
      const { target } = exchange;
      if (target === '/whole') return exchange.respond(200, {}, much);
      if (target === '/last') {
        exchange.respond(200, {}, Buffer.from('ok'));
        return exchange.endConnection();
      }
      if (target !== '/list' && target !== '/log') return exchange.respond(200, {}, Buffer.from('ok'));
      const sink = exchange.respondStream(200, {}, { patient: target === '/log' });
      sink.onClose(() => closedStreams++);
      let left = much.length;
      const more = (): void => {
        while (left > 0) {
          left -= 1 << 16;
          if (!sink.write(much.subarray(0, 1 << 16))) return;
        }
        sink.end();
      };
      sink.onDrain(more);
      more();
    },
  });
});
after(() => server.close());

async function session(): Promise<ClientHttp2Session> {
  const one = connectHttp2(`https://127.0.0.1:${server.port}`, { ca });
  one.on('error', () => {});
  await once(one, 'remoteSettings');
  return one;
}

/** Asks, and reads nothing of the answer until `resume`. */
async function asked(one: ClientHttp2Session, path: string) {
  const stream = one.request({ ':path': path });
  let error: NodeJS.ErrnoException | undefined;
  let length = 0;
  stream.on('error', (why) => {
    error = why;
  });
  await once(stream, 'response');
  const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
  return {
    stream,
    async rest(): Promise<number> {
      stream.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      await closed;
      if (error !== undefined) throw error;
      return length;
    },
    closed,
  };
}

for (const path of ['/whole', '/list']) {
  test(
    `HTTP/2: who takes nothing of ${path} loses it, who takes it late gets all, others are served`,
    limit,
    async () => {
      const one = await session();
      const stuck = await asked(one, path);
      const reader = await asked(one, path);
      assert.equal(await reader.rest(), much.length, 'a reader gets all');
      await stuck.closed;
      assert.equal(stuck.stream.rstCode, constants.NGHTTP2_CANCEL);
      assert.equal(await (await asked(one, '/small')).rest(), 2, 'the connection goes on');
      one.destroy();
    },
  );
}

test('HTTP/2: a byte now and then does not count as reading', limit, async () => {
  const socket = await raw('h2');
  const request = Buffer.from([0x82, 0x87, 0x44, 6, ...Buffer.from('/whole'), 0x41, 1, 0x78]);
  socket.write(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(1, 5, 1, request)]),
  );
  let resets = 0;
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      if (rest[3] === 3) resets++;
      rest = rest.subarray(9 + rest.readUIntBE(0, 3));
    }
  });
  const drip = setInterval(() => {
    for (const stream of [0, 1]) socket.write(frame(8, 0, stream, Buffer.from([0, 0, 0, 1])));
  }, 20);
  while (resets === 0 && !socket.destroyed) await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(drip);
  assert.equal(resets, 1);
  socket.destroy();
});

test('HTTP/2: logs and watches wait for a reader that pauses', limit, async () => {
  const one = await session();
  const paused = await asked(one, '/log');
  await new Promise((resolve) => setTimeout(resolve, readMs * 4));
  assert.equal(await paused.rest(), much.length);
  one.destroy();
});

test('HTTP/2: a peer that reads nothing from its socket loses the connection', limit, async () => {
  const socket = await raw('h2');
  socket.pause();
  const windows = [
    frame(4, 0, 0, Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])),
    frame(8, 0, 0, Buffer.from([0x7f, 0, 0, 0])),
  ];
  const request = Buffer.from([0x82, 0x87, 0x44, 4, ...Buffer.from('/log'), 0x41, 1, 0x78]);
  const before = closedStreams;
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), ...windows, frame(1, 5, 1, request)]));
  while (closedStreams === before) await new Promise((resolve) => setTimeout(resolve, 20));
  socket.destroy();
});

test('HTTP/1.1: the same', limit, async () => {
  for (const path of ['/whole', '/list']) {
    const stuck = await get(path);
    stuck.pause();
    const reader = await get(path);
    let length = 0;
    reader.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    await once(reader, 'close');
    assert.ok(length >= much.length, `a reader gets all of ${path}: ${length}`);
    // Reading on shows what was under way, and then that the connection is gone.
    await new Promise((resolve) => setTimeout(resolve, readMs * 4));
    let taken = 0;
    stuck.on('data', (chunk: Buffer) => {
      taken += chunk.length;
    });
    stuck.resume();
    if (!stuck.destroyed) await new Promise((resolve) => stuck.once('close', resolve));
    assert.ok(taken < much.length, `${path}: ${taken} bytes`);
  }
  const paused = await get('/log');
  paused.pause();
  await new Promise((resolve) => setTimeout(resolve, readMs * 4));
  let length = 0;
  paused.on('data', (chunk: Buffer) => {
    length += chunk.length;
  });
  paused.resume();
  await once(paused, 'close');
  assert.ok(length >= much.length, `${length}`);
});

test(
  'the last request of a connection: the client is told, what is in flight ends, and the socket is closed',
  limit,
  async () => {
    const one = await session();
    const reading = await asked(one, '/list');
    const told = once(one, 'goaway');
    const closed = once(one, 'close');
    assert.equal(await (await asked(one, '/last')).rest(), 2);
    assert.equal(((await told) as [number])[0], 0);
    assert.equal(await reading.rest(), much.length);
    await closed;
  },
);

test('a peer that does not end its side is cut off', limit, async () => {
  const socket = await raw('h2', true);
  let ended = false;
  socket.on('end', () => {
    ended = true;
  });
  socket.resume();
  const request = Buffer.from([0x82, 0x87, 0x44, 5, ...Buffer.from('/last'), 0x41, 1, 0x78]);
  socket.write(
    Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0), frame(1, 5, 1, request)]),
  );
  // Its own side stays open: only the server's patience ends it.
  while (!ended) await new Promise((resolve) => setTimeout(resolve, 20));
  while (!socket.destroyed && socket.writable) {
    socket.write(frame(6, 0, 0, Buffer.alloc(8)));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  socket.destroy();
});

async function raw(protocol: 'h2' | 'http/1.1', allowHalfOpen = false): Promise<TLSSocket> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: server.port,
    ca,
    ALPNProtocols: [protocol],
    allowHalfOpen,
  } as never);
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

async function get(path: string): Promise<TLSSocket> {
  const socket = await raw('http/1.1');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  return socket;
}

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
