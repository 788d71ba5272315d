import type { Clock } from '#base';
import { encodeJson } from '#codec';
import type { Identity, Transport, TransportRequest, TransportResponse } from '#wire';
import type { ByteSink, Handler, RequestInfo, ServerRequest, ServerResponse } from '../contract.ts';

const noInfo = Object.freeze({}) as RequestInfo;
const noBytes = new Uint8Array();
const noHeaders = Object.freeze({});

/** A Transport straight into the server's handler: no bytes where the caller takes objects. */
export function inProcessTransport(options: { handler: Handler; identity: Identity; clock: Clock }): Transport {
  const { handler, identity, clock } = options;
  const source = { remoteAddress: '', trusted: identity };
  let closed = false;
  return {
    async request(request) {
      if (closed) throw new Error('the transport is closed');
      request.signal?.throwIfAborted();
      const aborts = new Aborts(request.signal);
      const response = await handler({
        method: request.method,
        target: request.target,
        headers: request.headers ?? noHeaders,
        source,
        receivedMs: clock.nowMs(),
        body: async () => request.body ?? (request.objectBody === undefined ? noBytes : encodeJson(request.objectBody)),
        stream: () => oneChunk(request),
        ...(request.objectBody === undefined ? {} : { objectBody: request.objectBody }),
        objects: request.objects === true,
        onAbort: (callback) => aborts.add(callback),
        get aborted() {
          return request.signal?.aborted === true;
        },
        info: noInfo,
        identity,
        warnings: [],
        annotations: new Map(),
      } satisfies ServerRequest);
      return transportResponse(response, request, aborts);
    },
    async close() {
      closed = true;
    },
  };
}

async function* oneChunk(request: TransportRequest): AsyncIterable<Uint8Array> {
  if (request.body !== undefined) yield request.body;
  else if (request.objectBody !== undefined) yield encodeJson(request.objectBody);
}

/** Who wants to know when the caller gives up. */
class Aborts {
  readonly #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  add(callback: () => void): () => void {
    const signal = this.#signal;
    if (signal === undefined) return () => {};
    signal.addEventListener('abort', callback, { once: true });
    return () => signal.removeEventListener('abort', callback);
  }
}

function transportResponse(response: ServerResponse, request: TransportRequest, aborts: Aborts): TransportResponse {
  const { object, events } = response;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(response.headers)) {
    headers[name] = typeof value === 'string' ? value : value.join(', ');
  }
  const chunks = (): AsyncIterable<Uint8Array> => {
    if (response.stream !== undefined) return streamed(response.stream, aborts);
    return pieces(response);
  };
  return {
    status: response.status,
    headers,
    ...(request.objects === true && object !== undefined ? { object } : {}),
    ...(request.objects === true && events !== undefined ? { events } : {}),
    chunks,
    async bytes() {
      if (response.stream === undefined && response.body instanceof Uint8Array) return response.body;
      const parts: Uint8Array[] = [];
      for await (const part of chunks()) parts.push(part);
      return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
    },
  };
}

async function* pieces(response: ServerResponse): AsyncIterable<Uint8Array> {
  const { body, object } = response;
  if (body instanceof Uint8Array) yield body;
  else if (body !== undefined) yield* body;
  else if (object !== undefined) yield encodeJson(object);
}

const highWaterBytes = 1 << 20;

/** A pushed body, pulled. */
async function* streamed(start: (sink: ByteSink) => void, aborts: Aborts): AsyncIterable<Uint8Array> {
  const queue: Uint8Array[] = [];
  let pending = 0;
  let ended = false;
  let broken = false;
  let wake: (() => void) | undefined;
  const drains: (() => void)[] = [];
  const closes: (() => void)[] = [];
  const close = (): void => {
    for (const callback of closes.splice(0)) callback();
  };
  const stir = (): void => {
    wake?.();
    wake = undefined;
  };
  start({
    write(bytes) {
      queue.push(bytes);
      pending += bytes.length;
      stir();
      return pending < highWaterBytes;
    },
    onDrain: (callback) => void drains.push(callback),
    get pendingBytes() {
      return pending;
    },
    end() {
      ended = true;
      stir();
    },
    destroy() {
      broken = true;
      stir();
    },
    onClose: (callback) => void closes.push(callback),
  });
  const forget = aborts.add(() => {
    broken = true;
    close();
    stir();
  });
  try {
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) {
        pending -= next.length;
        yield next;
        if (queue.length === 0) for (const callback of drains) callback();
        continue;
      }
      if (broken) throw new DOMException('the response was broken off', 'AbortError');
      if (ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    forget();
    close();
  }
}
