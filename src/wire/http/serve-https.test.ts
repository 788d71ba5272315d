import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { serveHttps, type ServeTimeouts } from './serve-https.ts';

const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'x', usages: ['server'], ipAddresses: ['127.0.0.1'] });
const ca = pki.ca.certificatePem;

const serve = (timeouts?: ServeTimeouts) =>
  serveHttps({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: serving.certificatePem, key: serving.keyPem },
    handle: (exchange) => {
      if (exchange.target === '/never') return;
      exchange.respond(200, {}, Buffer.from('ok'));
    },
    ...(timeouts === undefined ? {} : { timeouts }),
  });

async function raw(port: number, protocol: 'h2' | 'http/1.1'): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', port, ca, ALPNProtocols: [protocol] });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** All that comes until the peer ends. */
async function heard(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca });
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

async function statusOf(session: ClientHttp2Session, path: string): Promise<number> {
  const stream = session.request({ ':path': path });
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  stream.resume();
  return Number(headers[':status']);
}

const slow = ['GET / HTTP/1.1\r\nHost: x\r\nX-A: ', 'a', 'a', 'a'];

test('who does not come to the point is cut off: no hello, no head, half a head, no preface', {
  timeout: 60_000,
}, async () => {
  const server = await serve({ handshakeMs: 300, headMs: 300, idleMs: 60_000 });
  const { port } = server;
  const silent = connectTcp(port, '127.0.0.1');
  silent.on('error', () => {});
  silent.resume();
  const noHead = await raw(port, 'http/1.1');
  const halfHead = await raw(port, 'http/1.1');
  const noPreface = await raw(port, 'h2');
  halfHead.write(slow[0] as string);
  const drip = setInterval(() => halfHead.write('a'), 50);
  const ended = [once(silent, 'close'), heard(noHead), heard(halfHead), heard(noPreface)];
  const [, first, second] = await Promise.all(ended);
  clearInterval(drip);
  assert.match(String(first), /^HTTP\/1\.1 408 /);
  assert.match(String(second), /^HTTP\/1\.1 408 /);
  await server.close();
});

test('with time enough the same connections are served', { timeout: 60_000 }, async () => {
  const server = await serve();
  const late = await raw(server.port, 'http/1.1');
  for (const part of slow) {
    late.write(part);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  late.write('\r\nConnection: close\r\n\r\n');
  assert.match(await heard(late), /^HTTP\/1\.1 200 /);
  await server.close();
});

test('a connection without requests is told and closed, one with a request is not', { timeout: 60_000 }, async () => {
  const server = await serve({ headMs: 150, idleMs: 300 });
  const idle = await openSession(server.port);
  const busy = await openSession(server.port);
  assert.equal(await statusOf(idle, '/'), 200);
  const waiting = busy.request({ ':path': '/never' });
  waiting.on('error', () => {});
  const told = once(idle, 'goaway');
  await once(idle, 'close');
  assert.equal(((await told) as [number])[0], 0);
  assert.equal(await statusOf(busy, '/'), 200);
  busy.destroy();
  await server.close();
});

test('a head beyond the limits is refused', { timeout: 60_000 }, async () => {
  const server = await serve();
  for (const [flood, status] of [
    [`X-A: ${'a'.repeat(70_000)}\r\n`, 431],
    [Array.from({ length: 5000 }, (_, i) => `X-${i}: ${'a'.repeat(10)}\r\n`).join(''), 431],
    ['X-A: a\r\n', 200],
  ] as const) {
    const socket = await raw(server.port, 'http/1.1');
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${flood}\r\n`);
    const answer = await heard(socket);
    // Who is still writing when the connection ends may not get to read why.
    if (answer !== '' || status === 200) assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
  }
  await server.close();
});
