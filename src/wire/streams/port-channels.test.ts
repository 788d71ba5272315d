import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { negotiateChannels } from './channels.ts';
import { bridgePortChannels } from './port-channels.ts';
import type { SpdyConnection } from './spdy/connection.ts';

test('what a client says before its streams are open is not lost', async () => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const data = new PassThrough();
  const connection = {
    async open(headers: Record<string, string>) {
      await opened.promise;
      return headers.streamtype === 'data' ? data : new PassThrough();
    },
    close: () => closed.resolve(),
    closed: closed.promise,
  } as unknown as SpdyConnection;
  const protocol = negotiateChannels(['v4.channel.k8s.io']);
  assert.ok(protocol);
  server.on('connection', (socket) => void bridgePortChannels({ socket, protocol, connection, ports: [80] }));
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(client, 'open');
  client.send(Buffer.from('\0first'));
  // Long enough for the message to be there: the stream is opened only now.
  await new Promise((resolve) => setTimeout(resolve, 50));
  opened.resolve();
  const [bytes] = await once(data, 'data');
  assert.equal(String(bytes), 'first');
  client.close();
  await closed.promise;
  server.close();
});
