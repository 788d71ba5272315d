import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { anIngress, openBed } from './bed.fixture.ts';

test('who does not begin the TLS handshake is cut off, who is a little late is served', {
  timeout: 60_000,
}, async () => {
  const bed = await openBed({ ingresses: [anIngress({})], services: {}, handshakeMs: 500 });
  const open = async () => {
    const socket = connectTcp(bed.https, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    return socket;
  };
  const silent = await Promise.all(Array.from({ length: 50 }, open));
  const half = await open();
  half.write(Buffer.from([0x16, 0x03, 0x01]));
  const late = connectTcp(bed.https, '127.0.0.1');
  await once(late, 'connect');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const served = connectTls({ socket: late, ca: bed.ca, servername: 'localhost' });
  await once(served, 'secureConnect');
  served.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
  const [answer] = (await once(served, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 503 /);
  served.destroy();
  await Promise.all([...silent, half].map((one) => (one.destroyed ? undefined : once(one, 'close'))));
  await bed.close();
});
