import type { KindDefinition } from '#kinds';
import type { ByteSink, ServerRequest, ServerResponse } from '../contract.ts';
import { acceptsGzip, compressed, gzipHeaders, gzipSink } from '../http/compress.ts';
import { nextTurn } from '../http/turn.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';

const wholeBytes = 128 * 1024;
const chunkBytes = 128 * 1024;
const copiesPerTurn = 2000;
const tail = Buffer.from(']}\n');
const comma = 0x2c;
const headers = { 'content-type': 'application/json' };

/** A JSON list from the objects' cached bytes: small ones in one piece, large ones streamed at the receiver's pace. */
export function streamJsonList(options: {
  readonly request: ServerRequest;
  readonly head: object;
  readonly objects: readonly CachedObject[];
  readonly definition: KindDefinition;
}): ServerResponse | Promise<ServerResponse> {
  const { request, objects, definition } = options;
  const head = openArray(options.head, 'items');
  let length = head.length + tail.length;
  for (const object of objects) {
    length += object.jsonAs(definition).length + 1;
    if (length > wholeBytes) break;
  }
  const piece = (object: CachedObject): Uint8Array => object.jsonAs(definition);
  if (length > wholeBytes) return streamed({ request, head, objects, piece, perTurn: copiesPerTurn });
  const bytes = Buffer.allocUnsafe(Math.max(length, 64));
  let used = head.copy(bytes);
  for (const [index, object] of objects.entries()) {
    if (index > 0) bytes[used++] = comma;
    const json = piece(object);
    bytes.set(json, used);
    used += json.length;
  }
  used += tail.copy(bytes, used);
  return compressed(request, { status: 200, headers: { ...headers }, body: bytes.subarray(0, used) });
}

/** A JSON object whose last field is an array with one made piece for each object; many are made in turns. */
export function streamJsonArray(options: {
  readonly request: ServerRequest;
  readonly head: object;
  readonly field: string;
  readonly objects: readonly CachedObject[];
  readonly piece: (object: CachedObject) => Uint8Array;
  readonly perTurn: number;
}): ServerResponse | Promise<ServerResponse> {
  const { request, objects, piece, perTurn } = options;
  const head = openArray(options.head, options.field);
  if (objects.length > perTurn * 3) return streamed({ request, head, objects, piece, perTurn });
  const parts: Uint8Array[] = [head];
  const separator = Buffer.from(',');
  for (const [index, object] of objects.entries()) {
    if (index > 0) parts.push(separator);
    parts.push(piece(object));
  }
  parts.push(tail);
  return compressed(request, { status: 200, headers: { ...headers }, body: Buffer.concat(parts) });
}

function openArray(head: object, field: string): Buffer {
  return Buffer.from(`${JSON.stringify(head).slice(0, -1)},${JSON.stringify(field)}:[`);
}

interface Streaming {
  readonly request: ServerRequest;
  readonly head: Buffer;
  readonly objects: readonly CachedObject[];
  readonly piece: (object: CachedObject) => Uint8Array;
  readonly perTurn: number;
}

function streamed(streaming: Streaming): ServerResponse {
  const zipped = acceptsGzip(streaming.request);
  return {
    status: 200,
    headers: zipped ? { ...headers, ...gzipHeaders } : { ...headers },
    stream: (sink) => {
      const target = zipped ? gzipSink(sink) : sink;
      // Half a list may have left: the receiver must see that it is not whole.
      write(streaming, target).catch(() => target.destroy());
    },
  };
}

/** Writes the pieces in chunks, pausing when the receiver is behind and when others should have a turn. */
async function write({ head, objects, piece, perTurn }: Streaming, sink: ByteSink): Promise<void> {
  let closed = false;
  let resume: (() => void) | undefined;
  const wake = (): void => {
    resume?.();
    resume = undefined;
  };
  sink.onDrain(wake);
  sink.onClose(() => {
    closed = true;
    wake();
  });
  let chunk = Buffer.allocUnsafeSlow(chunkBytes);
  let used = head.copy(chunk);
  for (let i = 0; i < objects.length && !closed; i++) {
    const json = piece(objects[i] as CachedObject);
    if (used + json.length + 1 + tail.length > chunk.length) {
      if (used > 0 && !sink.write(chunk.subarray(0, used)) && !closed) {
        await new Promise<void>((resolve) => {
          resume = resolve;
        });
      }
      chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, json.length + 1 + tail.length));
      used = 0;
    }
    if (i > 0) chunk[used++] = comma;
    chunk.set(json, used);
    used += json.length;
    if ((i + 1) % perTurn === 0) await nextTurn();
  }
  if (closed) return;
  used += tail.copy(chunk, used);
  sink.write(chunk.subarray(0, used));
  sink.end();
}
