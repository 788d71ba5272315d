import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { nodeHttp } from '#base';
import { type ByteSink, collectBody, type HttpExchange, type ResponseHeaders } from './exchange.ts';
import { certificatesOf } from './peer-certificates.ts';

const nothing = (): void => {};

/** One HTTP/1.1 request, also one that asks to switch protocols. */
export class Http1Exchange implements HttpExchange {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly upgrade: string | undefined;
  readonly #request: IncomingMessage;
  readonly #head: Uint8Array | undefined;
  readonly #readMs: number;
  #response: ServerResponse | undefined;
  #taken = false;

  /** `readMs`: a client that takes nothing of its answer for so long loses the connection. `head`: of a request to switch protocols. */
  constructor(
    request: IncomingMessage,
    more: { readonly readMs: number; readonly response?: ServerResponse; readonly head?: Uint8Array },
  ) {
    const { response, head } = more;
    this.#request = request;
    this.#response = response;
    this.#head = head;
    this.#readMs = more.readMs;
    this.method = request.method ?? '';
    this.target = request.url ?? '';
    this.headers = request.headers as Record<string, string | undefined>;
    this.upgrade = head === undefined ? undefined : (request.headers.upgrade ?? '').toLowerCase();
    request.on('error', nothing);
    response?.on('error', nothing);
  }

  headerValues(name: string): readonly string[] {
    return rawValues(this.#request.rawHeaders, name);
  }

  get remoteAddress(): string {
    return this.#request.socket.remoteAddress ?? '';
  }

  clientCertificates(): readonly Uint8Array[] | undefined {
    return certificatesOf(this.#request.socket as TLSSocket);
  }

  get aborted(): boolean {
    return this.#request.socket.destroyed;
  }

  onAbort(callback: () => void): () => void {
    const { socket } = this.#request;
    if (socket.destroyed) {
      callback();
      return nothing;
    }
    const listener = (): void => {
      if (this.#response === undefined || !this.#response.writableFinished) callback();
    };
    const target = this.#response ?? socket;
    target.once('close', listener);
    return () => void target.removeListener('close', listener);
  }

  body(limitBytes: number): Promise<Uint8Array> {
    return collectBody(this.#request, limitBytes);
  }

  stream(): AsyncIterable<Uint8Array> {
    return this.#request;
  }

  respond(status: number, headers: ResponseHeaders, body?: Uint8Array | readonly Uint8Array[]): void {
    const response = this.#answer();
    if (response === undefined || response.headersSent) return;
    const parts = body === undefined ? [] : body instanceof Uint8Array ? [body] : body;
    const length = parts.reduce((sum, one) => sum + one.length, 0);
    const bodyless = status === 304 || status === 204;
    if (length > 0) this.#request.socket.setTimeout(this.#readMs);
    response.writeHead(status, {
      ...(headers as Record<string, string | string[]>),
      ...(bodyless ? {} : { 'content-length': String(length) }),
      ...this.#closing(),
    });
    if (this.method !== 'HEAD' && !bodyless) for (const part of parts) response.write(part);
    response.end();
    this.#afterUpgradeRefused(response);
  }

  respondStream(status: number, headers: ResponseHeaders, how: { readonly patient?: boolean } = {}): ByteSink {
    const response = this.#answer();
    if (response === undefined) return closedSink;
    this.#request.socket.setTimeout(how.patient === true ? 0 : this.#readMs);
    response.writeHead(status, { ...(headers as Record<string, string | string[]>), ...this.#closing() });
    response.flushHeaders();
    return {
      write: (bytes) => (response.destroyed || response.writableEnded ? true : response.write(bytes)),
      onDrain: (callback) => void response.on('drain', callback),
      get pendingBytes() {
        return response.writableLength;
      },
      end: () => {
        response.end();
        this.#afterUpgradeRefused(response);
      },
      destroy: () => void this.#request.socket.destroy(),
      onClose(callback) {
        if (response.destroyed) callback();
        else response.once('close', callback);
      },
    };
  }

  endConnection(): void {}

  takeOver(): { socket: Duplex; head: Uint8Array } {
    if (this.#head === undefined || this.#taken) throw new TypeError('the connection cannot be taken over');
    this.#taken = true;
    return { socket: this.#request.socket, head: this.#head };
  }

  /** For a request to switch protocols that is answered like any other, the response is made now. */
  #answer(): ServerResponse | undefined {
    if (this.#response === undefined && !this.#taken) {
      const { socket } = this.#request;
      if (socket.destroyed) return undefined;
      this.#response = new nodeHttp.ServerResponse(this.#request);
      this.#response.on('error', nothing);
      this.#response.assignSocket(socket as never);
    }
    return this.#response;
  }

  #closing(): Record<string, string> {
    // What follows a refused switch, or the unread rest of a body, must never be read as a request.
    return this.#head !== undefined || !this.#request.complete ? { connection: 'close' } : {};
  }

  #afterUpgradeRefused(response: ServerResponse): void {
    const { socket } = this.#request;
    if (this.#head !== undefined) response.once('finish', () => void socket.end(() => socket.destroy()));
    else if (!this.#request.complete) this.#request.resume();
  }
}

const closedSink: ByteSink = {
  write: () => true,
  onDrain: nothing,
  pendingBytes: 0,
  end: nothing,
  destroy: nothing,
  onClose: (callback) => callback(),
};

function rawValues(raw: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    if ((raw[i] as string).toLowerCase() === name) values.push(raw[i + 1] as string);
  }
  return values;
}
