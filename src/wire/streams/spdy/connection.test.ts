import assert from 'node:assert/strict';
import { createServer, type Socket, connect } from 'node:net';
import { test } from 'node:test';
import { SpdyConnection, type SpdyStream } from './connection.ts';
import { controlFrame, dataFrame, FrameParser, frameType } from './frames.ts';
import { HeaderDecoder, HeaderEncoder } from './header-block.ts';

async function socketPair(): Promise<{ client: Socket; server: Socket; end: () => void }> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  const accepted = new Promise<Socket>((resolve) => listener.once('connection', resolve));
  const client = connect(port, '127.0.0.1');
  const server = await accepted;
  return { client, server, end: () => listener.close() };
}

async function text(stream: SpdyStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

test('streams carry headers, data both ways, and half-close', async () => {
  const { client, server, end } = await socketPair();
  const seen: Promise<string>[] = [];
  const far = new SpdyConnection({
    socket: server,
    side: 'server',
    onStream: (stream) => {
      seen.push(text(stream).then((received) => `${stream.headers.get('streamtype')}:${received}`));
      stream.end(`hello ${stream.headers.get('streamtype')}`);
    },
  });
  const near = new SpdyConnection({ socket: client, side: 'client' });
  const [first, second] = await Promise.all([near.open({ streamType: 'stdin' }), near.open({ streamType: 'error' })]);
  first.end('abc');
  second.end();
  assert.deepEqual(await Promise.all([text(first), text(second)]), ['hello stdin', 'hello error']);
  assert.deepEqual(await Promise.all(seen), ['stdin:abc', 'error:']);
  near.close();
  await Promise.all([near.closed, far.closed]);
  end();
});

test('a megabyte comes through whole', async () => {
  const { client, server, end } = await socketPair();
  const bytes = Buffer.alloc(1 << 20, 'x');
  const far = new SpdyConnection({ socket: server, side: 'server', onStream: (stream) => stream.pipe(stream) });
  const near = new SpdyConnection({ socket: client, side: 'client' });
  const stream = await near.open({ streamtype: 'data' });
  stream.end(bytes);
  assert.equal((await text(stream)).length, bytes.length);
  near.close();
  await far.closed;
  end();
});

test('a ping is answered, a frame of another version ends the connection', async () => {
  const { client, server, end } = await socketPair();
  const near = new SpdyConnection({ socket: client, side: 'client' });
  const parser = new FrameParser();
  const answered = new Promise((resolve) => {
    server.on('data', (chunk: Buffer) => {
      for (const frame of parser.push(chunk))
        if (frame.kind === 'control' && frame.type === frameType.ping) resolve(frame.payload.readUInt32BE(0));
    });
  });
  const number = Buffer.alloc(4);
  number.writeUInt32BE(2, 0);
  server.write(controlFrame(frameType.ping, 0, number));
  assert.equal(await answered, 2);
  server.write(Buffer.from([0x80, 0x02, 0, 1, 0, 0, 0, 0]));
  await near.closed;
  end();
});

test('losing the connection ends every stream', async () => {
  const { client, server, end } = await socketPair();
  const near = new SpdyConnection({ socket: client, side: 'client' });
  const stream = await near.open({ streamtype: 'stdout' });
  stream.resume();
  const closed = new Promise((resolve) => stream.on('close', resolve));
  server.destroy();
  await closed;
  end();
});

test('frames are cut the same however the bytes arrive', () => {
  const bytes = Buffer.concat([
    ...dataFrame(1, 0, Buffer.from('abc')),
    controlFrame(frameType.goAway, 0, Buffer.alloc(8)),
    ...dataFrame(3, 1, Buffer.alloc(0)),
  ]);
  for (let size = 1; size <= bytes.length; size++) {
    const parser = new FrameParser();
    const frames = [];
    for (let at = 0; at < bytes.length; at += size) frames.push(...parser.push(bytes.subarray(at, at + size)));
    assert.deepEqual(
      frames.map((frame) =>
        frame.kind === 'data' ? [frame.streamId, frame.flags, frame.payload.toString()] : [frame.type],
      ),
      [[1, 0, 'abc'], [frameType.goAway], [3, 1, '']],
    );
  }
});

test('header blocks survive one shared compression, in order', async () => {
  const encoder = new HeaderEncoder();
  const decoder = new HeaderDecoder();
  const blocks: Record<string, string>[] = [
    { streamtype: 'error' },
    { port: '80', requestid: '0', streamtype: 'data' },
    {},
    { streamtype: 'error' },
  ];
  for (const headers of blocks) {
    assert.deepEqual(Object.fromEntries(await decoder.decode(await encoder.encode(headers))), headers);
  }
  await assert.rejects(decoder.decode(Buffer.from('not zlib at all')));
});
