import type { AnyObject, Status } from '#api';
import { partialMetadataOf } from '#codec';
import type { KindDefinition } from '#kinds';
import type { ByteSink, ServerRequest } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { Change } from '../watchcache/change.ts';
import type { EventEncoder } from './watch-frames.ts';
import type { ChangeType, WatchOutput, WatchSession } from './watch-session.ts';

/** A watch as bytes on a connection. */
export class ByteOutput implements WatchOutput {
  readonly takesObjects = false;
  readonly #sink: ByteSink;
  readonly #encoder: EventEncoder;

  constructor(sink: ByteSink, encoder: EventEncoder) {
    this.#sink = sink;
    this.#encoder = encoder;
  }

  event(type: ChangeType, object: CachedObject, change: Change | undefined): boolean {
    return this.#sink.write(this.#encoder.event(type, object, change));
  }

  bookmark(object: AnyObject): boolean {
    return this.#sink.write(this.#encoder.bookmark(object));
  }

  error(status: Status): void {
    this.#sink.write(this.#encoder.error(status));
  }

  end(broken: boolean): void {
    if (broken) this.#sink.destroy();
    else this.#sink.end();
  }

  onReady(callback: () => void): void {
    this.#sink.onDrain(callback);
  }

  onClose(callback: () => void): void {
    this.#sink.onClose(callback);
  }
}

interface ObjectEvent {
  readonly type: string;
  readonly object: object;
}

const highWater = 2000;

/** A watch as frozen objects for a reader in this process. Starts when it is first iterated. */
export class ObjectOutput implements WatchOutput, AsyncIterable<ObjectEvent> {
  readonly takesObjects: boolean;
  readonly #definition: KindDefinition;
  readonly #request: ServerRequest;
  readonly #open: (output: WatchOutput) => WatchSession;
  #queue: ObjectEvent[] = [];
  #ended = false;
  #broken = false;
  #wake: (() => void) | undefined;
  #ready: (() => void) | undefined;
  #closed: (() => void) | undefined;

  constructor(options: {
    definition: KindDefinition;
    request: ServerRequest;
    /** The reader gets metadata alone: objects that are decoded for it are not kept. */
    metadataOnly: boolean;
    open: (output: WatchOutput) => WatchSession;
  }) {
    this.#definition = options.definition;
    this.#request = options.request;
    this.takesObjects = !options.metadataOnly;
    this.#open = options.open;
  }

  event(type: ChangeType, object: CachedObject): boolean {
    if (this.takesObjects) return this.#push({ type, object: object.objectAs(this.#definition) });
    const wasDecoded = object.isDecoded;
    const partial = partialMetadataOf(object.objectAs(this.#definition));
    if (!wasDecoded) object.forgetDecoded();
    return this.#push({ type, object: partial });
  }

  bookmark(object: AnyObject): boolean {
    return this.#push({ type: 'BOOKMARK', object });
  }

  error(status: Status): void {
    this.#push({ type: 'ERROR', object: status });
  }

  end(broken: boolean): void {
    this.#ended = true;
    this.#broken = broken;
    this.#stir();
  }

  onReady(callback: () => void): void {
    this.#ready = callback;
  }

  onClose(callback: () => void): void {
    this.#closed = callback;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<ObjectEvent> {
    if (this.#request.aborted) return;
    const forget = this.#request.onAbort(() => this.end(false));
    try {
      this.#open(this).run();
      for (;;) {
        if (this.#queue.length > 0) {
          const batch = this.#queue;
          this.#queue = [];
          for (const event of batch) {
            if (this.#request.aborted) return;
            yield event;
          }
          this.#ready?.();
          continue;
        }
        if (this.#broken) throw new Error('the watch was cut off: its reader fell too far behind');
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      forget();
      this.#closed?.();
    }
  }

  #push(event: ObjectEvent): boolean {
    this.#queue.push(event);
    this.#stir();
    return this.#queue.length < highWater;
  }

  #stir(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
