import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type SecureContext, type TLSSocket } from 'node:tls';
import { type Clock, CodedError, type Log, type Random } from '#base';
import { Http2Connection, type ServerStream } from '#wire';
import { rewriteTarget } from '../annotations.ts';
import type { KeyPair } from '../certificates.ts';
import { hasDotElements } from '../paths.ts';
import type { RouteTable } from '../route-table.ts';
import type { Endpoint } from './endpoint.ts';
import type { Inbound } from './exchange.ts';
import { answerText, Forwarding } from './forwarding.ts';
import { hopsField } from './heads.ts';
import { ClientConnection } from './http1-client.ts';
import { Http2Inbound } from './http2-client.ts';
import { Ticker, type Watched } from './ticker.ts';
import type { Endpoints, Upstream } from './upstream.ts';

export interface ProxyOptions {
  readonly endpoints: Endpoints;
  readonly certificateOf: (serverName: string) => SecureContext;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What all clients together may leave unread; default 256 MiB. Who has most of it is cut off first. */
  readonly mostHeldBytes?: number;
  /** For the TLS handshake of a client; default 10,000. */
  readonly handshakeMs?: number;
}

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

const mostConnections = 16_384;
const handshakeTimeoutMs = 10_000;
const http2IdleMs = 75_000;
const tellEveryMs = 10_000;
const mostHops = 8;
const defaultHeldBytes = 256 << 20;
const leastHighWaterBytes = 16 * 1024;
const mostHighWaterBytes = 128 * 1024;
const http2Limits = {
  maxConcurrentStreams: 128,
  largestHeaderBytes: 64 * 1024,
  mostHeaderFields: 200,
  windows: { streamBytes: 128 * 1024, connectionBytes: 512 * 1024 },
};
/** Protocols to switch to that are HTTP again: behind them, requests would pass unseen. */
const unseen = /^(?:h2|http\/|tls\/)/i;

/** Takes requests on any number of ports and sends them where the table says. The table and what is behind it may change any time. */
export class Proxy {
  readonly ticker: Ticker;
  readonly #options: ProxyOptions;
  readonly #connections = new Set<ClientConnection>();
  readonly #http2 = new Set<Http2Connection>();
  readonly #sockets = new Set<Socket>();
  readonly #idPrefix: string;
  #idCounter = 0;
  #table: RouteTable | undefined;
  #upstreams: ReadonlyMap<string, Upstream> = new Map();
  #active = 0;
  #httpsPort = 443;
  #draining = false;
  readonly #mostHeldBytes: number;
  #toldMs = 0;
  #written = 0;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#mostHeldBytes = options.mostHeldBytes ?? defaultHeldBytes;
    this.ticker = new Ticker(options.clock);
    this.#idPrefix = Buffer.from(options.random.bytes(8)).toString('hex');
    this.ticker.add({ tick: (nowMs) => options.endpoints.tick(nowMs) });
  }

  /** Requests from now on follow this. */
  setRoutes(table: RouteTable, upstreams: ReadonlyMap<string, Upstream>): void {
    this.#table = table;
    this.#upstreams = upstreams;
  }

  /** Requests on their way. */
  get active(): number {
    return this.#active;
  }

  listenHttp(host: string, port: number): Promise<Listening> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket, false));
    return this.#listen(server, host, port);
  }

  /** `pair`: for clients that name no host. */
  async listenHttps(host: string, port: number, pair: KeyPair): Promise<Listening & { setPair(pair: KeyPair): void }> {
    const { certificateOf } = this.#options;
    const server = createTlsServer({
      ...pair,
      ALPNProtocols: ['h2', 'http/1.1'],
      minVersion: 'TLSv1.2',
      handshakeTimeout: this.#options.handshakeMs ?? handshakeTimeoutMs,
      allowHalfOpen: true,
      SNICallback(name, done) {
        try {
          done(null, certificateOf(name));
        } catch (error) {
          done(error as Error);
        }
      },
    });
    server.on('connection', (socket: Socket) => this.#track(socket));
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    server.on('secureConnection', (socket: TLSSocket) => {
      if (socket.alpnProtocol === 'h2') this.#acceptHttp2(socket, true);
      else this.#accept(socket, true);
    });
    const listening = await this.#listen(server, host, port);
    this.#httpsPort = listening.port;
    return { ...listening, setPair: (next) => server.setSecureContext({ ...next, minVersion: 'TLSv1.2' }) };
  }

  /** Takes no new connections' requests, lets those on their way end for a moment, then breaks off what is left. */
  async close(graceMs: number): Promise<void> {
    this.#draining = true;
    for (const one of this.#connections) one.drain();
    for (const one of this.#http2) one.close();
    const endMs = this.#options.clock.monotonicMs() + graceMs;
    while (this.#active > 0 && this.#options.clock.monotonicMs() < endMs)
      await new Promise<void>((resolve) => void this.#options.clock.setTimer(resolve, 10));
    for (const socket of this.#sockets) socket.destroy();
    this.ticker.close();
  }

  #listen(server: Server, host: string, port: number): Promise<Listening> {
    server.maxConnections = mostConnections;
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new CodedError(
            'PortNotAvailable',
            error.code === 'EADDRINUSE'
              ? `port ${port} of ${host} is taken by another program`
              : `port ${port} of ${host} cannot be listened on: ${error.message}`,
            { cause: error },
          ),
        ),
      );
      // Shared with the process that is about to be replaced, and with nobody else's.
      server.listen({ host, port, reusePort: port !== 0, backlog: 1024 }, () => {
        server.removeAllListeners('error');
        server.on('error', () => {});
        resolve({
          port: (server.address() as { port: number }).port,
          close: () => new Promise((closed) => void server.close(() => closed())),
        });
      });
    });
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => void this.#sockets.delete(socket));
  }

  #accept(socket: Socket, secure: boolean): void {
    if (!secure) this.#track(socket);
    else socket.on('error', () => {});
    const connection: ClientConnection = new ClientConnection({
      socket,
      secure,
      ticker: this.ticker,
      handle: (inbound) => this.#handle(inbound),
      onHttp2: (plain) => {
        this.#connections.delete(connection);
        this.#acceptHttp2(plain, secure);
      },
      onClose: () => void this.#connections.delete(connection),
      highWaterBytes: this.#highWaterBytes,
      onWritten: this.#onWritten,
    });
    this.#connections.add(connection);
    if (this.#draining) connection.drain();
  }

  #acceptHttp2(socket: Socket, secure: boolean): void {
    socket.on('error', () => {});
    const connection = new Http2Connection(
      socket,
      (exchange) => {
        const inbound = Http2Inbound.of(exchange as ServerStream, { socket, secure, onWritten: this.#onWritten });
        if (inbound !== undefined) this.#handle(inbound);
      },
      http2Limits,
    );
    this.#http2.add(connection);
    let idleSinceMs = this.ticker.nowMs;
    let stuckBytes = 0;
    let stuckSinceMs = 0;
    const watched: Watched = {
      tick: (nowMs) => {
        if (connection.isBusy) idleSinceMs = nowMs;
        else if (nowMs - idleSinceMs > http2IdleMs) connection.close();
        if (nowMs - idleSinceMs > http2IdleMs + 10_000) socket.destroy();
        // A client that reads nothing of what it asked for.
        const read = socket.bytesWritten - connection.output.pendingBytes;
        if (connection.output.pendingBytes === 0 || read !== stuckBytes) {
          stuckBytes = read;
          stuckSinceMs = nowMs;
        } else if (nowMs - stuckSinceMs > 60_000) socket.destroy();
      },
    };
    this.ticker.add(watched);
    socket.once('close', () => {
      this.#http2.delete(connection);
      this.ticker.delete(watched);
    });
    if (this.#draining) connection.close();
  }

  #handle(inbound: Inbound): void {
    const { target } = inbound;
    const question = target.indexOf('?');
    const path = question === -1 ? target : target.slice(0, question);
    if (path.includes('\\') || hasDotElements(path))
      return answerText(inbound, 400, 'the path has elements that point upwards');
    if (inbound.method === 'TRACE') return answerText(inbound, 405, 'TRACE is not served');
    if (isLooping(inbound.headers)) return answerText(inbound, 508, 'the request goes round in circles');
    const host = hostOf(inbound.authority);
    const table = this.#table;
    const route = table?.find(host, path);
    if (table === undefined || route === undefined)
      return answerText(inbound, 404, 'no rule of an Ingress matches this host and path');
    const { options } = route;
    if (options.refused !== undefined)
      return answerText(inbound, 503, 'this address is not served: see the events of its Ingress');
    if (route.allow !== undefined && !isAllowed(route.allow, inbound.remoteAddress))
      return answerText(inbound, 403, 'not from this address');
    if (!inbound.secure && (options.forceSslRedirect || (options.sslRedirect && table.hasTls(host))))
      return this.#redirect(inbound, host);
    const upstream = this.#upstreams.get(route.backendKey);
    if (upstream === undefined) return answerText(inbound, 503, 'the Service is not there');
    this.#active++;
    new Forwarding({
      inbound,
      route,
      upstream,
      request: {
        method: inbound.method,
        target: route.rewrite === undefined ? target : rewriteTarget(target, route.rewrite),
        authority: inbound.authority,
        headers: this.#forwardedHeaders(inbound),
        contentLength: inbound.contentLength,
        upgrade: usableUpgrade(inbound),
      },
      ticker: this.ticker,
      onDone: this.#onDone,
      onTrouble: this.#onTrouble,
    }).start();
  }

  readonly #highWaterBytes = (): number =>
    Math.max(leastHighWaterBytes, Math.min(mostHighWaterBytes, this.#mostHeldBytes / (this.#connections.size + 1)));

  readonly #onWritten = (bytes: number): void => {
    this.#written += bytes;
    if (this.#written < this.#mostHeldBytes / 8) return;
    this.#written = 0;
    this.#shed();
  };

  /** Clients that ask for much and read nothing must not fill the memory. */
  #shed(): void {
    let held = 0;
    for (const one of this.#connections) held += one.heldBytes;
    for (const one of this.#http2) held += one.heldBytes;
    if (held < this.#mostHeldBytes) return;
    const all = [
      ...[...this.#connections].map((one) => ({ bytes: one.heldBytes, cut: () => one.abort() })),
      ...[...this.#http2].map((one) => ({ bytes: one.heldBytes, cut: () => void one.socket.destroy() })),
    ].sort((a, b) => b.bytes - a.bytes);
    let cut = 0;
    for (const one of all) {
      if (held < this.#mostHeldBytes / 2) break;
      one.cut();
      held -= one.bytes;
      cut++;
    }
    this.#options.log.warn({ clients: cut }, 'clients that did not read their answers were cut off to spare memory');
  }

  readonly #onDone = (): void => {
    this.#active--;
  };

  /** Told at most every ten seconds: a dead Service under load must not fill the disk. */
  readonly #onTrouble = ({ address, port }: Endpoint, why: string): void => {
    const nowMs = this.ticker.nowMs;
    if (nowMs - this.#toldMs < tellEveryMs && this.#toldMs !== 0) return;
    this.#toldMs = nowMs;
    this.#options.log.warn({ address, port, why }, 'an endpoint failed a request');
  };

  #redirect(inbound: Inbound, host: string): void {
    if (host === '') return answerText(inbound, 400, 'https is needed, and there is no Host to send you to');
    const port = this.#httpsPort === 443 ? '' : `:${this.#httpsPort}`;
    answerText(inbound, 308, 'https is needed', ['location', `https://${host}${port}${inbound.target}`]);
  }

  /** The client's fields and what a backend should know of the client; nothing of that is taken from the client itself. */
  #forwardedHeaders(inbound: Inbound): readonly string[] {
    const { headers, remoteAddress, secure, authority, localPort } = inbound;
    const proto = secure ? 'https' : 'http';
    const more = [
      'x-forwarded-for',
      remoteAddress,
      'x-forwarded-host',
      authority,
      'x-forwarded-port',
      String(localPort),
      'x-forwarded-proto',
      proto,
      'x-forwarded-scheme',
      proto,
      'x-scheme',
      proto,
      'x-real-ip',
      remoteAddress,
    ];
    if (valueOf(headers, 'x-request-id') === undefined) more.push('x-request-id', this.#nextId());
    const hops = valueOf(headers, hopsField);
    if (hops === undefined) more.push(hopsField, '1');
    else more.push(hopsField, String(Number(hops) + 1));
    const own = hops === undefined ? headers : headers.filter((_, i) => headers[i - (i % 2)] !== hopsField);
    return own.length === 0 ? more : own.concat(more);
  }

  #nextId(): string {
    this.#idCounter = (this.#idCounter + 1) % 0xffffffffffff;
    return this.#idPrefix + this.#idCounter.toString(16).padStart(16, '0');
  }
}

function valueOf(headers: readonly string[], name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) if (headers[i] === name) return headers[i + 1];
  return undefined;
}

/** A Service that leads back to an Ingress would be asked without end. */
function isLooping(headers: readonly string[]): boolean {
  const hops = valueOf(headers, hopsField);
  return hops !== undefined && !(Number(hops) < mostHops);
}

/** Lower case, without port and last dot. */
function hostOf(authority: string): string {
  const end = authority.startsWith('[') ? authority.indexOf(']') + 1 : authority.indexOf(':');
  const host = (end <= 0 ? authority : authority.slice(0, end)).toLowerCase();
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

function usableUpgrade({ upgrade, contentLength }: Inbound): string | undefined {
  return upgrade === undefined || contentLength !== 0 || unseen.test(upgrade) ? undefined : upgrade;
}

function isAllowed(list: { check(address: string, family: 'ipv4' | 'ipv6'): boolean }, address: string): boolean {
  return address !== '' && list.check(address, address.includes(':') ? 'ipv6' : 'ipv4');
}
