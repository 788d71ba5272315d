import type { KindDefinition } from '#kinds';
import type { ByteSink, ServerRequest, ServerResponse } from '../contract.ts';
import { acceptsGzip, compressed, gzipHeaders, gzipSink } from '../http/compress.ts';
import { nextTurn } from '../http/turn.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';

const wholeBytes = 128 * 1024;
const chunkBytes = 128 * 1024;
const chunksPerTurn = 8;
const tail = Buffer.from(']}\n');
const comma = 0x2c;

/** A JSON list from the objects' cached bytes: small ones in one piece, large ones streamed at the receiver's pace. */
export function streamJsonList(options: {
  readonly request: ServerRequest;
  /** Everything up to and with `"items":[`. */
  readonly head: string;
  readonly objects: readonly CachedObject[];
  readonly definition: KindDefinition;
}): ServerResponse | Promise<ServerResponse> {
  const { request, objects, definition } = options;
  const head = Buffer.from(options.head);
  let length = head.length + tail.length;
  for (const object of objects) {
    length += object.jsonAs(definition).length + 1;
    if (length > wholeBytes) break;
  }
  const headers = { 'content-type': 'application/json' };
  if (length <= wholeBytes) {
    const filler = new Filler(head, Math.max(length, 64));
    for (const object of objects) filler.add(object.jsonAs(definition));
    return compressed(request, { status: 200, headers, body: filler.finish() });
  }
  const zipped = acceptsGzip(request);
  return {
    status: 200,
    headers: zipped ? { ...headers, ...gzipHeaders } : headers,
    stream: (sink) => void new ListWriter(zipped ? gzipSink(sink) : sink, head, objects, definition).run(),
  };
}

/** Copies pieces into one buffer. */
class Filler {
  readonly #bytes: Buffer;
  #used: number;
  #first = true;

  constructor(head: Buffer, size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
    this.#used = head.copy(this.#bytes);
  }

  add(json: Uint8Array): void {
    if (this.#first) this.#first = false;
    else this.#bytes[this.#used++] = comma;
    this.#bytes.set(json, this.#used);
    this.#used += json.length;
  }

  finish(): Uint8Array {
    this.#used += tail.copy(this.#bytes, this.#used);
    return this.#bytes.subarray(0, this.#used);
  }
}

class ListWriter {
  readonly #sink: ByteSink;
  readonly #head: Buffer;
  readonly #objects: readonly CachedObject[];
  readonly #definition: KindDefinition;
  #closed = false;
  #resume: (() => void) | undefined;

  constructor(sink: ByteSink, head: Buffer, objects: readonly CachedObject[], definition: KindDefinition) {
    this.#sink = sink;
    this.#head = head;
    this.#objects = objects;
    this.#definition = definition;
    const wake = (): void => {
      this.#resume?.();
      this.#resume = undefined;
    };
    sink.onDrain(wake);
    sink.onClose(() => {
      this.#closed = true;
      wake();
    });
  }

  async run(): Promise<void> {
    const objects = this.#objects;
    let chunk = Buffer.allocUnsafeSlow(chunkBytes);
    let used = this.#head.copy(chunk);
    let chunks = 0;
    for (let i = 0; i < objects.length && !this.#closed; i++) {
      const json = (objects[i] as CachedObject).jsonAs(this.#definition);
      if (used + json.length + 1 + tail.length > chunk.length) {
        if (used > 0 && !this.#sink.write(chunk.subarray(0, used))) await this.#drained();
        else if (++chunks % chunksPerTurn === 0) await nextTurn();
        chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, json.length + 1 + tail.length));
        used = 0;
      }
      if (i > 0) chunk[used++] = comma;
      chunk.set(json, used);
      used += json.length;
    }
    if (this.#closed) return;
    used += tail.copy(chunk, used);
    this.#sink.write(chunk.subarray(0, used));
    this.#sink.end();
  }

  #drained(): Promise<void> | undefined {
    if (this.#closed) return undefined;
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }
}
