import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Outbound, OutboundConsumer, OutboundRequest } from './exchange.ts';
import type { ResponseHead } from './heads.ts';

const largestHeaderListBytes = 64 * 1024;
const streamWindowBytes = 256 * 1024;
const connectionWindowBytes = 4 << 20;
/** Fields that an HTTP/2 message cannot have. */
const connectionFields = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** HTTP/2 to one endpoint over a connection that is there already; many requests at once. */
export class BackendSession {
  readonly #session: ClientHttp2Session;
  #open = 0;
  #leaving = false;
  #used = false;

  constructor(options: { readonly socket: Socket; readonly secure: boolean; readonly onClose: () => void }) {
    const { socket, secure } = options;
    this.#session = connect(secure ? 'https://backend' : 'http://backend', {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: streamWindowBytes, maxHeaderListSize: largestHeaderListBytes },
      maxSessionMemory: 32,
    });
    this.#session.on('error', () => {});
    this.#session.on('goaway', () => {
      this.#leaving = true;
    });
    this.#session.once('connect', () => this.#session.setLocalWindowSize(connectionWindowBytes));
    this.#session.once('close', () => {
      this.#leaving = true;
      options.onClose();
    });
  }

  get openStreams(): number {
    return this.#open;
  }

  get usable(): boolean {
    const most = this.#session.remoteSettings?.maxConcurrentStreams ?? 100;
    return !this.#leaving && !this.#session.closed && !this.#session.destroyed && this.#open < Math.min(most, 1000);
  }

  get destroyed(): boolean {
    return this.#session.destroyed;
  }

  begin(request: OutboundRequest, consumer: OutboundConsumer): Outbound {
    const fresh = !this.#used;
    this.#used = true;
    const stream = new BackendStream({
      session: this.#session,
      request,
      consumer,
      fresh,
      onClose: () => {
        this.#open--;
        if (this.#leaving && this.#open === 0) this.#session.close();
      },
    });
    this.#open++;
    return stream;
  }

  /** No new requests; ends with its last one. */
  retire(): void {
    this.#leaving = true;
    if (this.#open === 0) this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }
}

class BackendStream implements Outbound {
  readonly fresh: boolean;
  readonly #stream: ClientHttp2Stream;
  #consumer: OutboundConsumer | undefined;
  #trailers: readonly string[] | undefined;
  #headSeen = false;
  #ended = false;

  constructor(options: {
    readonly session: ClientHttp2Session;
    readonly request: OutboundRequest;
    readonly consumer: OutboundConsumer;
    readonly fresh: boolean;
    readonly onClose: () => void;
  }) {
    const { session, request, consumer } = options;
    this.fresh = options.fresh;
    this.#consumer = consumer;
    const stream = session.request(headersOf(request, session.encrypted ? 'https' : 'http'), {
      endStream: request.contentLength === 0,
    });
    this.#stream = stream;
    let ended = false;
    stream.on('response', (headers, flags, raw) => {
      ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
      this.#headSeen = true;
      this.#consumer?.onHead(headOf(headers, raw as unknown as readonly string[], ended || request.method === 'HEAD'));
    });
    stream.on('headers', (headers) => {
      const status = Number(headers[':status']);
      if (status > 100 && status < 200 && status !== 101) this.#consumer?.onInformation(headOf(headers, [], true));
    });
    stream.on('trailers', (_headers, _flags, raw) => {
      this.#trailers = fieldsOf((raw as unknown as readonly string[]) ?? []);
    });
    stream.on('data', (bytes: Buffer) => this.#consumer?.onData(bytes));
    stream.on('drain', () => this.#consumer?.onRequestDrain());
    stream.on('end', () => {
      // A reset ends the readable side too: only a whole answer counts.
      if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || !this.#headSeen) return;
      this.#ended = true;
      const to = this.#consumer;
      this.#consumer = undefined;
      to?.onEnd(this.#trailers);
      // An answer before its request was whole.
      if (!stream.writableEnded) stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.on('error', () => {});
    stream.on('close', () => {
      options.onClose();
      const to = this.#consumer;
      this.#consumer = undefined;
      if (this.#ended) return;
      to?.onFailed('it reset the stream', stream.rstCode === constants.NGHTTP2_REFUSED_STREAM);
    });
  }

  write(bytes: Buffer): boolean {
    return this.#stream.destroyed ? true : this.#stream.write(bytes);
  }

  end(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  abort(): void {
    this.#consumer = undefined;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  takeOver(): never {
    throw new TypeError('an HTTP/2 stream cannot switch protocols');
  }
}

function headersOf(request: OutboundRequest, scheme: string): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  headers[':method'] = request.method;
  headers[':path'] = request.target;
  headers[':scheme'] = scheme;
  headers[':authority'] = request.authority;
  for (let i = 0; i < request.headers.length; i += 2) {
    const name = request.headers[i] as string;
    const value = request.headers[i + 1] as string;
    if (connectionFields.has(name)) continue;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (name === 'cookie') headers[name] = `${String(before)}; ${value}`;
    else headers[name] = `${String(before)}, ${value}`;
  }
  if (request.contentLength !== undefined && request.contentLength > 0)
    headers['content-length'] = String(request.contentLength);
  return headers;
}

function headOf(headers: IncomingHttpHeaders, raw: readonly string[], ended: boolean): ResponseHead {
  const length = headers['content-length'];
  const fields = fieldsOf(raw);
  return {
    status: Number(headers[':status'] ?? 502),
    reason: '',
    headers: length !== undefined && ended ? [...fields, 'content-length', length] : fields,
    contentLength: ended ? 0 : length === undefined || !/^\d{1,15}$/.test(length) ? undefined : Number(length),
    untilClose: false,
    keepAlive: true,
    idleSeconds: undefined,
    upgrade: undefined,
  };
}

const badValue = /[\0\r\n]/;

function fieldsOf(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    if (name.startsWith(':') || name === 'content-length' || connectionFields.has(name) || badValue.test(value))
      continue;
    fields.push(name, value);
  }
  return fields;
}
