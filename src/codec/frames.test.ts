import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  decodeWatchEventProtobuf,
  encodeWatchEventJson,
  encodeWatchEventProtobuf,
  JsonLineSplitter,
  LengthFrameSplitter,
} from './frames.ts';

/** The stream in pieces of the given sizes, round and round. */
function* pieces(stream: Buffer, sizes: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < stream.length; i++) {
    const size = sizes[i % sizes.length] as number;
    yield stream.subarray(at, at + size);
    at += size;
  }
}

const someSizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });
const someObjects = fc.array(
  fc.jsonValue().map((value) => Buffer.from(JSON.stringify({ value }))),
  { maxLength: 12 },
);

test('JSON events are the bytes around the object', () => {
  assert.equal(encodeWatchEventJson('ADDED', Buffer.from('{"a":1}')).toString(), '{"type":"ADDED","object":{"a":1}}\n');
});

test('protobuf events are a length, the type and the document', () => {
  assert.equal(
    encodeWatchEventProtobuf('ADDED', Buffer.from('abc')).toString('hex'),
    '0000000e0a0541444445441205' + '0a03616263',
  );
  const long = Buffer.alloc(70_000, 7);
  const event = decodeWatchEventProtobuf(encodeWatchEventProtobuf('MODIFIED', long).subarray(4));
  assert.equal(event.type, 'MODIFIED');
  assert.ok(long.equals(event.object));
  assert.throws(() => decodeWatchEventProtobuf(Buffer.from('12020a05', 'hex')), { code: 'InvalidProtobuf' });
});

test('lines come out whole however the stream is cut', () => {
  fc.assert(
    fc.property(someObjects, someSizes, (objects, sizes) => {
      const events = objects.map((object) => encodeWatchEventJson('ADDED', object));
      const splitter = new JsonLineSplitter();
      const lines = [...pieces(Buffer.concat(events), sizes)].flatMap((piece) => splitter.push(piece));
      assert.deepEqual(
        lines.map(String),
        events.map((event) => event.toString().trimEnd()),
      );
      assert.equal(splitter.pendingBytes, 0);
    }),
  );
});

test('frames come out whole however the stream is cut', () => {
  fc.assert(
    fc.property(someObjects, someSizes, (objects, sizes) => {
      const stream = Buffer.concat(objects.map((object) => encodeWatchEventProtobuf('DELETED', object)));
      const splitter = new LengthFrameSplitter();
      const frames = [...pieces(stream, sizes)].flatMap((piece) => splitter.push(piece));
      assert.deepEqual(
        frames.map((frame) => String(decodeWatchEventProtobuf(frame).object)),
        objects.map(String),
      );
      assert.equal(splitter.pendingBytes, 0);
    }),
  );
});

test('a frame beyond the limit ends the stream before it is collected', () => {
  const lines = new JsonLineSplitter({ maxFrameBytes: 10 });
  lines.push(Buffer.from('12345678'));
  assert.throws(() => lines.push(Buffer.from('12345678')), { code: 'TooLarge' });
  assert.throws(() => new JsonLineSplitter({ maxFrameBytes: 10 }).push(Buffer.from('12345678901\n')), {
    code: 'TooLarge',
  });
  assert.throws(() => new LengthFrameSplitter({ maxFrameBytes: 10 }).push(Buffer.from('7fffffff', 'hex')), {
    code: 'TooLarge',
  });
  const splitter = new JsonLineSplitter();
  assert.equal(splitter.push(Buffer.from('{"a":')).length, 0);
  assert.equal(splitter.pendingBytes, 5);
});
