import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent, request as httpsRequest } from 'node:https';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, constants } from 'node:http2';
import type { Readable } from 'node:stream';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { CodedError, messageOf, systemClock, type Timer } from '#base';
import type { Transport, TransportRequest, TransportResponse } from '../transport.ts';

export interface HttpsTransportOptions {
  /** `https://host:port`, a path prefix is kept. */
  readonly server: string;
  /** PEM of the authorities that the server's certificate comes from. Default: the system's. */
  readonly ca?: string;
  /** PEM, both or none. */
  readonly clientCert?: string;
  readonly clientKey?: string;
  /** Files instead of texts (they may be one): read at each new connection, for credentials that are renewed. */
  readonly clientCertFile?: string;
  readonly clientKeyFile?: string;
  readonly token?: string;
  /** Read again when it is older than ten seconds: projected tokens change. */
  readonly tokenFile?: string;
  /** Name in the server's certificate when it is not the host. */
  readonly serverName?: string;
  /** Tests only. */
  readonly insecureSkipTlsVerify?: boolean;
  /** Default 15,000. */
  readonly connectTimeoutMs?: number;
  /** A connection is asked for a sign of life so often, and given up without one; default 30,000 and 15,000. */
  readonly pingEveryMs?: number;
  readonly pingTimeoutMs?: number;
}

/** A transport over connections that can be changed for new ones. */
export interface HttpsTransport extends Transport {
  /** Later requests take a new connection, with the credentials as they are then; requests in flight, watches too, go on. */
  reconnect(): void;
  /** Requests in flight go on; connections end with their last one. */
  retire(): void;
}

/** No connection, or it broke before an answer came: the request may or may not have been done. */
export class ConnectionFailed extends CodedError {
  /** There was no connection: the request was certainly not done. */
  readonly notSent: boolean;
  constructor(server: string, why: string, options: ErrorOptions & { readonly notSent?: boolean } = {}) {
    super('ConnectionFailed', `${server}: ${why}`, options);
    this.notSent = options.notSent === true;
  }
}

const connectTimeoutMs = 15_000;
const pingEveryMs = 30_000;
const pingTimeoutMs = 15_000;
const tokenMaxAgeMs = 10_000;
const windowBytes = 4 << 20;
const mostStreams = 200;

/**
 * Speaks to one server over TLS: HTTP/2 on one connection (more when the server's stream limit is reached), HTTP/1.1 when the server
 * has no other. Connects at the first request and again after a break; a connection that does not answer pings is given up.
 */
export function openHttpsTransport(options: HttpsTransportOptions): HttpsTransport {
  return new ConnectionPool(options);
}

class ConnectionPool implements HttpsTransport {
  readonly #options: HttpsTransportOptions;
  readonly #url: URL;
  readonly #prefix: string;
  readonly #sessions = new Set<PooledSession>();
  #connecting: Promise<PooledSession | 'http1'> | undefined;
  #agent: Agent | undefined;
  #token: { readonly value: string; readonly readMs: number } | undefined;
  #closed = false;

  constructor(options: HttpsTransportOptions) {
    this.#options = options;
    this.#url = new URL(options.server);
    this.#prefix = this.#url.pathname === '/' ? '' : this.#url.pathname.replace(/\/$/, '');
  }

  async request(request: TransportRequest): Promise<TransportResponse> {
    if (this.#closed) throw new ConnectionFailed(this.#options.server, 'the transport is closed');
    request.signal?.throwIfAborted();
    const headers = await this.#headers(request);
    const body =
      request.body ??
      (request.objectBody === undefined ? undefined : Buffer.from(JSON.stringify(request.objectBody, bigInts)));
    if (body !== undefined && headers['content-type'] === undefined) headers['content-type'] = 'application/json';
    for (let attempt = 1; ; attempt++) {
      const session = await this.#session();
      if (session === 'http1') return this.#overHttp1(request, headers, body);
      try {
        return await session.send(request, {
          headers,
          body,
          path: this.#prefix + request.target,
          authority: this.#url.host,
        });
      } catch (error) {
        if (error instanceof NotSent && attempt <= 3) continue;
        if (error instanceof NotSent)
          throw new ConnectionFailed(this.#options.server, messageOf(error.cause ?? error), { notSent: true });
        throw error;
      }
    }
  }

  reconnect(): void {
    for (const session of this.#sessions) session.retire();
    this.#agent = undefined;
  }

  retire(): void {
    this.reconnect();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#agent?.destroy();
    for (const session of this.#sessions) session.destroy();
    const connecting = await this.#connecting?.catch(() => undefined);
    if (connecting !== undefined && connecting !== 'http1') connecting.destroy();
  }

  async #headers(request: TransportRequest): Promise<Record<string, string>> {
    const headers: Record<string, string> = { ...request.headers };
    const token =
      this.#options.tokenFile === undefined ? this.#options.token : await this.#fileToken(this.#options.tokenFile);
    if (token !== undefined && headers['authorization'] === undefined) headers['authorization'] = `Bearer ${token}`;
    return headers;
  }

  async #fileToken(file: string): Promise<string> {
    const nowMs = systemClock.monotonicMs();
    if (this.#token === undefined || nowMs - this.#token.readMs > tokenMaxAgeMs) {
      this.#token = { value: (await readFile(file, 'utf8')).trim(), readMs: nowMs };
    }
    return this.#token.value;
  }

  async #session(): Promise<PooledSession | 'http1'> {
    if (this.#agent !== undefined) return 'http1';
    for (const session of this.#sessions) if (session.hasRoom) return session;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  #tlsOptions(): ConnectionOptions {
    const { ca, clientCertFile, clientKeyFile, serverName, insecureSkipTlsVerify } = this.#options;
    const clientCert = clientCertFile === undefined ? this.#options.clientCert : readFileSync(clientCertFile);
    const clientKey = clientKeyFile === undefined ? this.#options.clientKey : readFileSync(clientKeyFile);
    const host = this.#url.hostname.replace(/^\[|\]$/g, '');
    const isAddress = /^[\d.]+$/.test(host) || host.includes(':');
    const name = serverName ?? (isAddress ? undefined : host);
    return {
      host,
      port: Number(this.#url.port || 443),
      ...(ca === undefined ? {} : { ca }),
      ...(clientCert === undefined ? {} : { cert: clientCert }),
      ...(clientKey === undefined ? {} : { key: clientKey }),
      ...(name === undefined ? {} : { servername: name }),
      rejectUnauthorized: insecureSkipTlsVerify !== true,
      minVersion: 'TLSv1.2',
    };
  }

  async #connect(): Promise<PooledSession | 'http1'> {
    const { server } = this.#options;
    const tlsOptions = { ...this.#tlsOptions(), ALPNProtocols: ['h2', 'http/1.1'] };
    const socket = await openTls(tlsOptions, server, this.#options.connectTimeoutMs ?? connectTimeoutMs);
    if (this.#closed) {
      socket.destroy();
      throw new ConnectionFailed(server, 'the transport is closed');
    }
    if (socket.alpnProtocol !== 'h2') {
      socket.destroy();
      this.#agent = new Agent({
        ...this.#tlsOptions(),
        keepAlive: true,
        maxSockets: 64,
        maxCachedSessions: 0,
      } as never);
      return 'http1';
    }
    socket.setNoDelay(true);
    const session = connectHttp2(server, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: windowBytes },
      maxSessionMemory: 256,
    } as Parameters<typeof connectHttp2>[1]);
    const pooled: PooledSession = new PooledSession(session, this.#options, () => void this.#sessions.delete(pooled));
    this.#sessions.add(pooled);
    return pooled;
  }

  #overHttp1(
    request: TransportRequest,
    headers: Record<string, string>,
    body: Uint8Array | undefined,
  ): Promise<TransportResponse> {
    const { server } = this.#options;
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest({
        ...this.#tlsOptions(),
        agent: this.#agent,
        method: request.method,
        path: this.#prefix + request.target,
        headers: {
          ...headers,
          host: this.#url.host,
          ...(body === undefined ? {} : { 'content-length': String(body.length) }),
        },
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      });
      outgoing.on('response', (incoming) => {
        const flat: Record<string, string> = {};
        for (const [name, value] of Object.entries(incoming.headers))
          flat[name] = Array.isArray(value) ? value.join(', ') : (value ?? '');
        resolve(responseOf(incoming.statusCode ?? 0, flat, incoming, server, request.signal));
      });
      outgoing.on('error', (error) =>
        reject(
          request.signal?.aborted === true
            ? request.signal.reason
            : new ConnectionFailed(server, error.message, { cause: error }),
        ),
      );
      outgoing.end(body);
    });
  }
}

const bigInts = (_key: string, value: unknown): unknown =>
  typeof value === 'bigint' ? (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(String(value)) : value;

/** The request did not leave: it can be sent again on another connection. */
class NotSent extends Error {}

interface Outgoing {
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | undefined;
  readonly path: string;
  readonly authority: string;
}

class PooledSession {
  readonly #session: ClientHttp2Session;
  readonly #server: string;
  readonly #pingEveryMs: number;
  readonly #pingTimeoutMs: number;
  #streams = 0;
  #usable = true;
  #retired = false;
  #ping: Timer | undefined;
  #pong: Timer | undefined;

  constructor(session: ClientHttp2Session, options: HttpsTransportOptions, forget: () => void) {
    this.#session = session;
    this.#server = options.server;
    this.#pingEveryMs = options.pingEveryMs ?? pingEveryMs;
    this.#pingTimeoutMs = options.pingTimeoutMs ?? pingTimeoutMs;
    const end = (): void => {
      this.#usable = false;
      this.#ping?.cancel();
      this.#pong?.cancel();
      forget();
    };
    session.on('error', end);
    session.on('close', end);
    session.on('goaway', () => {
      end();
      session.close();
    });
    session.setLocalWindowSize(windowBytes * 2);
    this.#schedulePing();
  }

  get hasRoom(): boolean {
    const limit = Math.min(mostStreams, this.#session.remoteSettings?.maxConcurrentStreams ?? mostStreams);
    return this.#usable && !this.#retired && !this.#session.closed && !this.#session.destroyed && this.#streams < limit;
  }

  destroy(): void {
    this.#session.destroy();
  }

  /** Takes no new request; the connection ends with its last one. */
  retire(): void {
    this.#retired = true;
    if (this.#streams === 0) this.#session.close();
  }

  send(request: TransportRequest, outgoing: Outgoing): Promise<TransportResponse> {
    const { signal } = request;
    return new Promise((resolve, reject) => {
      let stream: ClientHttp2Stream;
      const { body } = outgoing;
      try {
        stream = this.#session.request(
          {
            ':method': request.method,
            ':path': outgoing.path,
            ':scheme': 'https',
            ':authority': outgoing.authority,
            ...outgoing.headers,
            ...(body === undefined ? {} : { 'content-length': String(body.length) }),
          },
          { endStream: body === undefined },
        );
      } catch (error) {
        this.#usable = false;
        return reject(new NotSent('the connection was closed', { cause: error }));
      }
      this.#streams++;
      let answered = false;
      const abort = (): void => {
        stream.close(constants.NGHTTP2_CANCEL);
        if (!answered) reject(signal?.reason);
      };
      signal?.addEventListener('abort', abort, { once: true });
      stream.once('close', () => {
        this.#streams--;
        if (this.#retired && this.#streams === 0) this.#session.close();
        signal?.removeEventListener('abort', abort);
        if (answered) return;
        const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
        if (refused) return reject(new NotSent('the server refused the stream'));
        reject(new ConnectionFailed(this.#server, 'the connection broke before the answer'));
      });
      stream.once('error', (error) => {
        if (answered || signal?.aborted === true) return;
        const refused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM;
        if (refused) reject(new NotSent('the server refused the stream', { cause: error }));
        else reject(new ConnectionFailed(this.#server, error.message, { cause: error }));
      });
      stream.once('response', (incoming) => {
        answered = true;
        const headers: Record<string, string> = {};
        for (const [name, value] of Object.entries(incoming)) {
          if (!name.startsWith(':')) headers[name] = Array.isArray(value) ? value.join(', ') : String(value);
        }
        resolve(responseOf(incoming[':status'] ?? 0, headers, stream, this.#server, signal));
      });
      if (body !== undefined) stream.end(body);
    });
  }

  #schedulePing(): void {
    this.#ping = systemClock.setTimer(() => {
      if (!this.#usable || this.#session.destroyed) return;
      this.#pong = systemClock.setTimer(
        () => this.#session.destroy(new Error('the server does not answer pings')),
        this.#pingTimeoutMs,
      );
      const sent = this.#session.ping(() => {
        this.#pong?.cancel();
        if (this.#usable) this.#schedulePing();
      });
      if (!sent) this.#session.destroy();
    }, this.#pingEveryMs);
  }
}

function responseOf(
  status: number,
  headers: Record<string, string>,
  body: Readable,
  server: string,
  signal: AbortSignal | undefined,
): TransportResponse {
  body.on('error', () => {});
  const chunks = async function* (): AsyncIterable<Uint8Array> {
    let ended = false;
    body.once('end', () => {
      ended = true;
    });
    try {
      for await (const chunk of body) yield chunk as Uint8Array;
    } catch (error) {
      signal?.throwIfAborted();
      throw new ConnectionFailed(server, `the answer broke off: ${messageOf(error)}`, { cause: error });
    }
    signal?.throwIfAborted();
    if (!ended && !body.readableEnded) throw new ConnectionFailed(server, 'the answer broke off');
  };
  return {
    status,
    headers,
    chunks,
    async bytes() {
      const parts: Uint8Array[] = [];
      for await (const part of chunks()) parts.push(part);
      return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
    },
  };
}

function openTls(options: ConnectionOptions, server: string, withinMs: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(options);
    const timer = systemClock.setTimer(
      () => socket.destroy(new Error(`no connection within ${withinMs} ms`)),
      withinMs,
    );
    socket.once('secureConnect', () => {
      timer.cancel();
      socket.removeAllListeners('error');
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.once('error', (error) => {
      timer.cancel();
      reject(new ConnectionFailed(server, error.message, { cause: error, notSent: true }));
    });
  });
}
