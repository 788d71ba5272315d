import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { after, before, test } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { type ByteSource, type ExchangeHandler, type HttpsServer, serveHttps } from '../index.ts';
import { DynamicTable } from './header-table.ts';
import { HeaderDecoder, tooLarge } from './header-decoder.ts';
import { HeaderEncoder } from './header-encoder.ts';

const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'x', usages: ['server'], ipAddresses: ['127.0.0.1'] });
let server: HttpsServer;
let aborted = 0;

const handle: ExchangeHandler = async (exchange) => {
  const [path, size = '0'] = exchange.target.split('?');
  try {
    if (path === '/echo')
      exchange.respond(200, { 'content-type': 'application/json', 'x-a': ['1', '2'] }, await exchange.body(1 << 20));
    else if (path === '/headers')
      exchange.respond(
        200,
        {},
        Buffer.from(JSON.stringify([exchange.headers, exchange.headerValues('impersonate-group')])),
      );
    else if (path === '/large')
      exchange.respond(200, { 'content-type': 'text/plain' }, Buffer.alloc(Number(size), 'x'));
    else if (path === '/stream') {
      const sink = exchange.respondStream(200, {});
      let left = Number(size);
      const more = (): void => {
        while (left > 0) {
          const bytes = Buffer.alloc(Math.min(left, 100_000), 'y');
          left -= bytes.length;
          if (!sink.write(bytes)) return;
        }
        sink.end();
      };
      sink.onDrain(more);
      sink.onClose(() => {
        left = 0;
      });
      more();
    } else if (path === '/relay') {
      const sink = exchange.respondStream(200, {});
      for await (const chunk of exchange.stream()) sink.write(chunk);
      sink.end();
    } else if (path === '/hang') exchange.onAbort(() => aborted++);
    else if (path === '/pull' || path === '/pull-break')
      exchange.respondStream(200, {}).pull?.(numbers(Number(size), path === '/pull-break'));
    else if (path === '/break') {
      const sink = exchange.respondStream(200, {});
      sink.write(Buffer.from('part'));
      sink.destroy();
    } else exchange.respond(404, {}, Buffer.from('nothing here'));
  } catch (error) {
    exchange.respond((error as { code?: string }).code === 'BodyTooLarge' ? 413 : 500, {});
  }
};

/** `size` bytes, each four the number of their place; one that fails does so in its middle. */
function numbers(size: number, fails: boolean): ByteSource {
  let sent = 0;
  return {
    fill(target, start, end) {
      if (fails && sent > size / 2) throw new Error('it cannot be made');
      const length = Math.min(end - start, size - sent);
      for (let i = 0; i < length; i++, sent++) target[start + i] = (sent >> 2) >>> (8 * (sent & 3));
      return length;
    },
  };
}

before(async () => {
  server = await serveHttps({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: serving.certificatePem, key: serving.keyPem },
    handle: (exchange) => void handle(exchange),
    maxConcurrentStreams: 100,
  });
});
after(() => server.close());

async function client(settings: object = {}): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${server.port}`, { ca: pki.ca.certificatePem, settings });
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  return session;
}

function ask(
  session: ClientHttp2Session,
  headers: Record<string, string | string[]>,
  body?: Buffer,
): Promise<{ status: number; headers: Record<string, unknown>; bytes: Buffer }> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ':method': body === undefined ? 'GET' : 'POST', ...headers },
      { endStream: body === undefined },
    );
    const parts: Buffer[] = [];
    let answer: Record<string, unknown> = {};
    stream.on('response', (one) => {
      answer = one;
    });
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('end', () =>
      resolve({ status: Number(answer[':status']), headers: answer, bytes: Buffer.concat(parts) }),
    );
    stream.on('error', reject);
    if (body !== undefined) stream.end(body);
  });
}

test('bodies of all sizes go both ways, many at once', async () => {
  const session = await client();
  const sizes = [0, 1, 1000, 16_384, 16_385, 70_000, 1 << 20];
  await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const body = Buffer.alloc(sizes[i % sizes.length] as number, String(i % 10));
      const answer = await ask(session, { ':path': '/echo' }, body);
      assert.equal(answer.status, 200);
      assert.ok(answer.bytes.equals(body));
      assert.equal(answer.headers['content-length'], String(body.length));
    }),
  );
  assert.equal((await ask(session, { ':path': '/echo' }, Buffer.alloc(2 << 20))).status, 413);
  assert.equal((await ask(session, { ':path': '/nothing' })).bytes.toString(), 'nothing here');
  session.close();
});

test('small windows of the receiver are kept', async () => {
  const session = await client({ initialWindowSize: 1000 });
  const [large, streamed, small] = await Promise.all([
    ask(session, { ':path': '/large?3000000' }),
    ask(session, { ':path': '/stream?5000000' }),
    ask(session, { ':path': '/echo' }, Buffer.from('small')),
  ]);
  assert.equal(large.bytes.length, 3_000_000);
  assert.equal(streamed.bytes.length, 5_000_000);
  assert.equal(small.bytes.toString(), 'small');
  const relayed = await ask(session, { ':path': '/relay' }, Buffer.alloc(4_000_000, 'z'));
  assert.equal(relayed.bytes.length, 4_000_000);
  session.close();
});

test('a body that is pulled comes whole at the pace of its receiver, many on one connection, and is seen as broken when its making fails', async () => {
  const sizes = [0, 1, 16_383, 16_384, 16_385, 8 * 16_384, 8 * 16_384 + 1, 1_000_000, 3_000_000];
  for (const settings of [{}, { initialWindowSize: 1000 }, { initialWindowSize: 8 << 20 }]) {
    const session = await client(settings);
    const answers = await Promise.all(sizes.map((size) => ask(session, { ':path': `/pull?${size}` })));
    for (const [index, { bytes }] of answers.entries()) {
      const wanted = Buffer.alloc(sizes[index] as number);
      numbers(wanted.length, false).fill(wanted, 0, wanted.length);
      assert.ok(bytes.equals(wanted), `${wanted.length} bytes, ${JSON.stringify(settings)}`);
    }
    await assert.rejects(ask(session, { ':path': '/pull-break?600000' }));
    const left = session.request({ ':path': '/pull?90000000' });
    left.on('error', () => {});
    await once(left, 'data');
    left.close(constants.NGHTTP2_CANCEL);
    assert.equal((await ask(session, { ':path': '/pull?5000' })).bytes.length, 5000, 'the connection works on');
    session.close();
  }
});

test('header fields come whole: Huffman, repeated ones, a table that grows and shrinks', async () => {
  const session = await client({ headerTableSize: 0 });
  for (let i = 0; i < 50; i++) {
    const long = `${'abcdefgh/?&%$'.repeat(i)}~${i}`;
    const answer = await ask(session, {
      ':path': '/headers',
      'user-agent': `agent ${i % 7}`,
      'x-long': long,
      'impersonate-group': ['a, b', 'c'],
    });
    const [headers, groups] = JSON.parse(answer.bytes.toString());
    assert.equal(headers['x-long'], long);
    assert.deepEqual(groups, ['a, b', 'c']);
    assert.equal(headers.host, `127.0.0.1:${server.port}`);
  }
  // A long value is remembered by its code: one of the same length that differs in a byte is another value.
  for (const credential of ['a', 'a', 'b', 'a', 'c'].map((last) => `${'t'.repeat(300)}${last}${'t'.repeat(40)}`)) {
    const answer = await ask(session, { ':path': '/headers', authorization: credential, 'x-other': `${credential}/` });
    const [headers] = JSON.parse(answer.bytes.toString());
    assert.equal(headers.authorization, credential);
    assert.equal(headers['x-other'], `${credential}/`);
  }
  const large = await ask(session, { ':path': '/headers', 'x-large': 'v'.repeat(70_000) }).catch(
    (error: Error) => error,
  );
  if (!(large instanceof Error)) assert.equal(large.status, 431);
  assert.equal((await ask(session, { ':path': '/headers', 'x-after': '1' })).status, 200, 'the table is still in step');
  session.close();
});

test('a client that goes away is noticed, a broken answer is seen as broken', async () => {
  const session = await client();
  const before = aborted;
  const hanging = session.request({ ':path': '/hang' });
  hanging.on('error', () => {});
  await new Promise((resolve) => setTimeout(resolve, 20));
  hanging.close(constants.NGHTTP2_CANCEL);
  const other = await client();
  const second = other.request({ ':path': '/hang' });
  second.on('error', () => {});
  await ask(other, { ':path': '/headers' });
  other.destroy();
  await ask(session, { ':path': '/headers' });
  while (aborted < before + 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await assert.rejects(ask(session, { ':path': '/break' }));
  session.close();
});

const head = (length: number, type: number, flags: number, stream: number): Buffer => {
  const bytes = Buffer.alloc(9);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(stream, 5);
  return bytes;
};
const opening = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), head(0, 4, 0, 0)]);
/** GET /headers, in fields of the static table and two literals. */
const request = Buffer.concat([
  Buffer.from([0x82, 0x87, 0x44, 8]),
  Buffer.from('/headers'),
  Buffer.from([0x41, 1]),
  Buffer.from('x'),
]);

async function raw(): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', port: server.port, ca: pki.ca.certificatePem, ALPNProtocols: ['h2'] });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

async function endsAfter(bytes: Buffer): Promise<void> {
  const socket = await raw();
  socket.resume();
  const closed = once(socket, 'close');
  socket.write(Buffer.concat([opening, bytes]));
  await closed;
}

test('floods end the connection, and nothing else', async () => {
  const floods: [string, Buffer][] = [
    [
      'rapid reset',
      Buffer.concat(
        Array.from({ length: 5000 }, (_, i) =>
          Buffer.concat([
            head(request.length, 1, 5, i * 2 + 1),
            request,
            head(4, 3, 0, i * 2 + 1),
            Buffer.from([0, 0, 0, 8]),
          ]),
        ),
      ),
    ],
    ['pings', Buffer.concat(Array.from({ length: 5000 }, () => Buffer.concat([head(8, 6, 0, 0), Buffer.alloc(8)])))],
    ['settings', Buffer.concat(Array.from({ length: 5000 }, () => head(0, 4, 0, 0)))],
    [
      'continuations',
      Buffer.concat([head(request.length, 1, 0, 1), request, ...Array.from({ length: 200 }, () => head(0, 9, 0, 1))]),
    ],
    [
      'empty data',
      Buffer.concat([head(request.length, 1, 4, 1), request, ...Array.from({ length: 5000 }, () => head(0, 0, 0, 1))]),
    ],
    ['large frame', head(20_000, 0, 0, 1)],
    ['push', Buffer.concat([head(4, 5, 4, 1), Buffer.alloc(4)])],
    ['data of no stream', Buffer.concat([head(1, 0, 0, 0), Buffer.alloc(1)])],
    ['even stream', Buffer.concat([head(request.length, 1, 5, 2), request])],
    ['bad index', Buffer.concat([head(1, 1, 5, 1), Buffer.from([0xff - 1])])],
    ['window overflow', Buffer.concat([head(4, 8, 0, 0), Buffer.from([0x7f, 0xff, 0xff, 0xff])])],
  ];
  for (const [name, bytes] of floods) {
    await Promise.race([
      endsAfter(bytes),
      new Promise((_, reject) => setTimeout(() => reject(new Error(`${name} went on`)), 3000).unref()),
    ]);
  }
  const session = await client();
  assert.equal((await ask(session, { ':path': '/headers' })).status, 200);
  session.close();
});

test('random bytes never end the process', async () => {
  let state = 12345;
  const random = (): number => {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    return state >>> 8;
  };
  for (let round = 0; round < 30; round++) {
    const frames: Buffer[] = [opening];
    for (let i = 0; i < 50; i++) {
      const length = random() % 60;
      const payload = Buffer.from(Array.from({ length }, () => random() & 255));
      frames.push(head(length, random() % 11, random() & 0x2d, random() % 9), payload);
    }
    const socket = await raw();
    socket.resume();
    socket.end(Buffer.concat(frames));
    await once(socket, 'close');
  }
  const session = await client();
  assert.equal((await ask(session, { ':path': '/headers' })).status, 200);
  session.close();
});

test('encoder and decoder agree', () => {
  const encoder = new HeaderEncoder();
  const decoder = new HeaderDecoder({ largestBytes: 100_000, mostFields: 100 });
  for (let i = 0; i < 300; i++) {
    const headers = {
      'content-type': `type/${i % 40}`,
      'cache-control': 'no-cache',
      'x-any': 'v'.repeat(i),
      vary: i % 2 ? 'a' : 'b',
    };
    if (i === 150) encoder.setLimit(1500);
    const out = Buffer.alloc(HeaderEncoder.largest(headers));
    const block = out.subarray(0, encoder.encode(out, 0, i % 3 === 0 ? 201 : 200, headers, i));
    const fields = decoder.decode(block);
    assert.ok(fields !== tooLarge);
    const map = Object.fromEntries(
      Array.from({ length: fields.length / 2 }, (_, k) => [fields[k * 2], fields[k * 2 + 1]]),
    );
    assert.deepEqual(map, { ':status': i % 3 === 0 ? '201' : '200', ...headers, 'content-length': String(i) });
  }
  const table = new DynamicTable(100);
  for (let i = 0; i < 1000; i++) table.add(`n${i}`, 'v');
  assert.deepEqual(table.at(0), ['n999', 'v']);
  assert.equal(table.length, 2);
});
