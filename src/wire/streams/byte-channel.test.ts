import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { negotiateBytes, sendBytesOverWebSocket } from './byte-channel.ts';

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('one ');
  yield Buffer.from('two');
}

test('bytes arrive in order, in the form asked for, and the connection closes', async () => {
  const server = createServer();
  server.on(
    'upgrade',
    (request, socket, head) => void sendBytesOverWebSocket({ request, socket, head, chunks: pieces() }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  for (const protocol of ['', 'binary.k8s.io', 'base64.binary.k8s.io']) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocol === '' ? [] : [protocol]);
    const received: string[] = [];
    socket.on('message', (data: Buffer) => received.push(data.toString()));
    const code = await new Promise((resolve, reject) => socket.on('close', resolve).on('error', reject));
    assert.equal(code, 1000);
    const text = protocol.startsWith('base64')
      ? received.map((one) => Buffer.from(one, 'base64').toString())
      : received;
    assert.equal(text.join(''), 'one two');
  }
  server.close();
});

test('an unknown sub-protocol is not spoken', () => {
  assert.equal(negotiateBytes(['x']), undefined);
  assert.equal(negotiateBytes(['x', 'binary.k8s.io']), 'binary.k8s.io');
  assert.equal(negotiateBytes([]), '');
});
