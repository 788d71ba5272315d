import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Answer, decode, encode, type Packet } from 'dns-packet';
import type { KubeObject, ResourceInfo } from '#api';
import { silentLog, systemClock, systemRandom } from '#base';
import type { Change, Informers } from '#client';
import { startDnsServer } from './dns-server.ts';

const service = {
  metadata: { name: 'web', namespace: 'default' },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.7', ports: [] },
} as unknown as KubeObject;
const settings = (address: string, port: number) =>
  ({
    metadata: { name: 'kube-dns', namespace: 'kube-system' },
    data: { upstreamNameservers: JSON.stringify([`${address}:${port}`]) },
  }) as unknown as KubeObject;

/** Informers that hold what is given and never change. */
function informersOf(objects: Readonly<Record<string, readonly KubeObject[]>>): Informers {
  const of = ({ plural }: ResourceInfo) => ({
    synced: Promise.resolve(),
    onChange(handler: (change: Change<KubeObject>) => void) {
      for (const object of objects[plural] ?? []) handler({ type: 'added', object });
      return () => {};
    },
  });
  return { of } as unknown as Informers;
}

async function start(t: TestContext, more: (port: number) => KubeObject[] = () => []): Promise<number> {
  for (;;) {
    const port = 20_000 + systemRandom.int(20_000);
    try {
      const server = await startDnsServer({
        addresses: ['127.0.0.1'],
        port,
        domain: 'cluster.local',
        upstreams: [],
        ranges: ['10.244.0.0/16'],
        informers: informersOf({ services: [service], configmaps: more(port) }),
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
      });
      t.after(() => server.close());
      return port;
    } catch (error) {
      if ((error as { code?: string }).code !== 'DnsNotListening') throw error;
    }
  }
}

const query = (name: string, id: number): Uint8Array =>
  encode({ type: 'query', id, flags: 0x100, questions: [{ type: 'A', name }] });
const data = (packet: Packet): unknown[] =>
  (packet.answers ?? []).map((one: Answer) => (one as { data: unknown }).data);

async function askUdp(port: number, name: string): Promise<Packet & { rcode: string }> {
  const socket = createSocket('udp4');
  try {
    return await new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.on('message', (message) => resolve(decode(message) as unknown as Packet & { rcode: string }));
      socket.send(query(name, 1), port, '127.0.0.1');
    });
  } finally {
    socket.close();
  }
}

test('names are answered over UDP; questions to the outside never come back to this server', async (t) => {
  const port = await start(t, (own) => [settings('127.0.0.1', own)]);
  assert.deepEqual(data(await askUdp(port, 'web.default.svc.cluster.local')), ['10.96.0.7']);
  const beganMs = performance.now();
  assert.equal((await askUdp(port, 'example.org')).rcode, 'SERVFAIL');
  assert.ok(performance.now() - beganMs < 1_900, 'without waiting for anybody');
});

test('many questions pass over one TCP connection, in pieces too; a client has a few dozen connections at most', async (t) => {
  const port = await start(t);
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const open = (): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket));
      socket.on('error', () => {});
      sockets.push(socket);
    });
  const socket = await open();
  const messages = Array.from({ length: 20 }, (_, id) => {
    const message = query('web.default.svc.cluster.local', id);
    return Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message]);
  });
  const all = Buffer.concat(messages);
  const ids = new Set<number>();
  const done = new Promise<void>((resolve) => {
    let received = Buffer.alloc(0);
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE()) {
        const packet = decode(received.subarray(2, 2 + received.readUInt16BE()));
        assert.deepEqual(data(packet), ['10.96.0.7']);
        ids.add(packet.id as number);
        received = received.subarray(2 + received.readUInt16BE());
      }
      if (ids.size === messages.length) resolve();
    });
  });
  socket.write(all.subarray(0, 7));
  await new Promise((resolve) => setImmediate(resolve));
  socket.write(all.subarray(7));
  await done;

  const more = await Promise.all(Array.from({ length: 40 }, open));
  let closed = 0;
  await new Promise<void>((resolve) => {
    for (const one of more) {
      one.once('close', () => ++closed === 9 && resolve());
      one.resume();
    }
  });
  assert.equal(more.filter((one) => one.destroyed).length, 9, 'the others stay open');
});
