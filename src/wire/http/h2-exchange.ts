import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type ByteSink, collectBody, type HttpExchange, type ResponseHeaders } from './exchange.ts';
import { certificatesOf } from './peer-certificates.ts';

const { HTTP2_HEADER_METHOD, HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS, NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;
const noBytes = new Uint8Array();
const noAbort = (): void => {};

/** One HTTP/2 stream. */
export class Http2Exchange implements HttpExchange {
  readonly upgrade = undefined;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly #stream: ServerHttp2Stream;
  readonly #raw: readonly string[];
  readonly #socket: TLSSocket;
  #answered = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[], socket: TLSSocket) {
    this.#stream = stream;
    this.#raw = raw;
    this.#socket = socket;
    this.method = (headers as Record<string, string>)[HTTP2_HEADER_METHOD] ?? '';
    this.target = (headers as Record<string, string>)[HTTP2_HEADER_PATH] ?? '';
    this.headers = headers as Record<string, string | undefined>;
    stream.on('error', noAbort);
  }

  headerValues(name: string): readonly string[] {
    return rawValues(this.#raw, name);
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? '';
  }

  clientCertificates(): readonly Uint8Array[] | undefined {
    return certificatesOf(this.#socket);
  }

  get aborted(): boolean {
    return this.#stream.aborted || (this.#stream.destroyed && !this.#answered);
  }

  onAbort(callback: () => void): () => void {
    if (this.#stream.destroyed) {
      callback();
      return noAbort;
    }
    const listener = (): void => {
      if (!this.#stream.writableFinished) callback();
    };
    this.#stream.once('close', listener);
    return () => void this.#stream.removeListener('close', listener);
  }

  body(limitBytes: number): Promise<Uint8Array> {
    if ((this.#stream as { endAfterHeaders?: boolean }).endAfterHeaders === true) return Promise.resolve(noBytes);
    return collectBody(this.#stream, limitBytes);
  }

  stream(): AsyncIterable<Uint8Array> {
    return this.#stream;
  }

  respond(status: number, headers: ResponseHeaders, body?: Uint8Array | readonly Uint8Array[]): void {
    const stream = this.#stream;
    if (this.#answered || stream.destroyed || stream.closed) return;
    this.#answered = true;
    const out: Record<string, string | number | readonly string[]> = { [HTTP2_HEADER_STATUS]: status };
    Object.assign(out, headers);
    const empty =
      body === undefined ||
      (body instanceof Uint8Array && body.length === 0) ||
      this.method === 'HEAD' ||
      status === 304;
    stream.respond(out as never, { endStream: empty });
    if (empty) {
      stream.resume();
    } else if (body instanceof Uint8Array) stream.end(body);
    else {
      for (const part of body) stream.write(part);
      stream.end();
    }
    // A client that still sends must not go on: the rest of its body is not wanted.
    if (!stream.readableEnded && stream.readableFlowing === null) stream.resume();
  }

  respondStream(status: number, headers: ResponseHeaders): ByteSink {
    const stream = this.#stream;
    if (!this.#answered && !stream.destroyed && !stream.closed) {
      this.#answered = true;
      stream.respond({ [HTTP2_HEADER_STATUS]: status, ...headers } as never);
      if (stream.readableFlowing === null) stream.resume();
    }
    return {
      write: (bytes) => (stream.destroyed || stream.writableEnded ? true : stream.write(bytes)),
      onDrain: (callback) => void stream.on('drain', callback),
      get pendingBytes() {
        return stream.writableLength;
      },
      end: () => void stream.end(),
      destroy: () => stream.close(stream.writableEnded ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL),
      onClose(callback) {
        if (stream.destroyed) callback();
        else stream.once('close', callback);
      },
    };
  }

  takeOver(): { socket: Duplex; head: Uint8Array } {
    throw new TypeError('an HTTP/2 stream cannot switch protocols');
  }
}

export function rawValues(raw: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if ((raw[i] as string).toLowerCase() === name) values.push(raw[i + 1] as string);
  }
  return values;
}
