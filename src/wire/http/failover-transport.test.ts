import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Stream } from 'node:http2';
import { after, test } from 'node:test';
import { createAuthority, issueCertificate } from '#pki';
import { openFailoverTransport } from './failover-transport.ts';

const nowMs = Date.now();
const ca = createAuthority({ commonName: 'test', days: 1, nowMs });
const credential = issueCertificate(ca, {
  ...{ commonName: 'server', usages: ['server'], ipAddresses: ['127.0.0.1'], days: 1, nowMs },
});
const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

interface TestServer {
  readonly url: string;
  readonly asked: string[];
  status: number;
  stop(): void;
}

async function startServer(name: string): Promise<TestServer> {
  const server: Http2SecureServer = createSecureServer({ cert: credential.certificatePem, key: credential.keyPem });
  const sessions = new Set<{ destroy(): void }>();
  server.on('session', (session) => sessions.add(session));
  const one = { asked: [] as string[], status: 200, url: '', stop: () => {} };
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    one.asked.push(`${headers[':method']} ${headers[':path']}`);
    stream.on('error', () => {});
    if (headers[':path'] === '/break') return stream.session?.destroy();
    stream.respond({ ':status': one.status });
    stream.end(name);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  one.url = `https://127.0.0.1:${(server.address() as { port: number }).port}`;
  one.stop = () => {
    for (const session of sessions) session.destroy();
    server.close();
  };
  closing.push(one.stop);
  return one;
}

const text = async (response: { bytes(): Promise<Uint8Array> }): Promise<string> =>
  Buffer.from(await response.bytes()).toString();

test('the next server is asked when one fails; a write that may have been done is not made again', async () => {
  const [a, b] = [await startServer('a'), await startServer('b')];
  const transport = openFailoverTransport({ servers: [a.url, b.url], ca: ca.certificatePem });
  const ask = (method: 'GET' | 'POST', target: string) => transport.request({ method, target });
  try {
    assert.equal(await text(await ask('GET', '/1')), 'a');
    await assert.rejects(ask('POST', '/break'), { code: 'ConnectionFailed', notSent: false });
    assert.deepEqual([a.asked.length, b.asked.length], [2, 0]);
    assert.equal(await text(await ask('POST', '/2')), 'b');
    b.stop();
    assert.equal(await text(await ask('POST', '/3')), 'a', 'nothing was sent to the one that is gone');
    a.status = 503;
    assert.equal((await ask('GET', '/4')).status, 503);
    const c = await startServer('c');
    a.status = 200;
    transport.setServers([c.url, a.url]);
    assert.equal(await text(await ask('GET', '/5')), 'c', 'who was left, or is unknown, gives way to the preferred');
    c.stop();
    a.stop();
    await assert.rejects(ask('GET', '/6'), { code: 'ConnectionFailed' });
  } finally {
    await transport.close();
  }
});

test('a server that takes connections and says nothing is left', async () => {
  const silent: Server = createServer(() => {});
  await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
  closing.push(() => silent.close());
  const b = await startServer('b');
  const url = `https://127.0.0.1:${(silent.address() as { port: number }).port}`;
  const transport = openFailoverTransport({ servers: [url, b.url], ca: ca.certificatePem });
  try {
    assert.equal(await text(await transport.request({ method: 'POST', target: '/1' })), 'b');
  } finally {
    await transport.close();
  }
});
