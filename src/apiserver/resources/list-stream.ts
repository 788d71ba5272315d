import type { KindDefinition } from '#kinds';
import type { ByteSource } from '#wire';
import type { ByteSink, ServerRequest, ServerResponse } from '../contract.ts';
import { acceptsGzip, compressed, gzipHeaders, gzipSink } from '../http/compress.ts';
import { nextTurn } from '../http/turn.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';

const wholeBytes = 128 * 1024;
const chunkBytes = 128 * 1024;
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
  if (length > wholeBytes) return streamed({ request, head, objects, piece });
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
  if (objects.length > perTurn * 3) return streamed({ request, head, objects, piece });
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
}

/** The bytes of the whole list, copied from the objects' own in the moment in which they are sent: a slow receiver holds no copy. */
class ArraySource implements ByteSource {
  readonly #streaming: Streaming;
  /** Objects whose piece was begun. */
  #begun = 0;
  #current: Uint8Array;
  #used = 0;
  #tailBegun = false;

  constructor(streaming: Streaming) {
    this.#streaming = streaming;
    this.#current = streaming.head;
  }

  fill(target: Buffer, start: number, end: number): number {
    let at = start;
    for (;;) {
      const left = this.#current.length - this.#used;
      const length = Math.min(left, end - at);
      const whole = length === this.#current.length;
      target.set(whole ? this.#current : this.#current.subarray(this.#used, this.#used + length), at);
      at += length;
      this.#used += length;
      if (at === end || !this.#advance()) return at - start;
      if (this.#begun > 1 && !this.#tailBegun) {
        target[at++] = comma;
        if (at === end) return at - start;
      }
    }
  }

  /** Goes on to the next piece; false after the last. */
  #advance(): boolean {
    const { objects, piece } = this.#streaming;
    this.#used = 0;
    if (this.#begun < objects.length) this.#current = piece(objects[this.#begun++] as CachedObject);
    else if (this.#tailBegun) return false;
    else {
      this.#tailBegun = true;
      this.#current = tail;
    }
    return true;
  }
}

function streamed(streaming: Streaming): ServerResponse {
  const zipped = acceptsGzip(streaming.request);
  return {
    status: 200,
    headers: zipped ? { ...headers, ...gzipHeaders } : { ...headers },
    stream: (sink) => {
      const source = new ArraySource(streaming);
      const target = zipped ? gzipSink(sink) : sink;
      if (target.pull !== undefined) target.pull(source);
      // Half a list may have left: the receiver must see that it is not whole.
      else write(source, target).catch(() => target.destroy());
    },
  };
}

/** Writes the source in chunks, pausing when the receiver is behind and when others should have a turn. */
async function write(source: ByteSource, sink: ByteSink): Promise<void> {
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
  for (;;) {
    const chunk = Buffer.allocUnsafeSlow(chunkBytes);
    const length = source.fill(chunk, 0, chunkBytes);
    const keepsUp = sink.write(chunk.subarray(0, length));
    if (length < chunkBytes) return sink.end();
    if (!keepsUp && !closed) {
      await new Promise<void>((resolve) => {
        resume = resolve;
      });
    } else await nextTurn();
    if (closed) return;
  }
}
