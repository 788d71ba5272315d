import type { IncomingMessage, Server as Http1Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { constants as cryptoConstants } from 'node:crypto';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { type Log, nodeHttp, systemClock, type Timer } from '#base';
import type { ExchangeHandler } from './exchange.ts';
import { Http1Exchange } from './h1-exchange.ts';
import { Http2Connection } from '../http2/connection.ts';

export interface ServerTls {
  /** PEM; the chain after the leaf. */
  readonly cert: string;
  readonly key: string;
  /** PEM of the authorities that clients' certificates come from: sent as a hint. Trust is judged by the handler. Absent: none is asked for. */
  readonly clientCa?: string | undefined;
}

export interface ServeHttpsOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls: ServerTls;
  readonly handle: ExchangeHandler;
  readonly log?: Log;
  /** Default 250. */
  readonly maxConcurrentStreams?: number;
  readonly timeouts?: ServeTimeouts;
}

/** How long a peer may keep others waiting; in milliseconds. */
export interface ServeTimeouts {
  /** For the TLS handshake; default 10,000. */
  readonly handshakeMs?: number;
  /** For the head of a request (HTTP/1.1) and the preface of a connection (HTTP/2); default 15,000. How bodies come is the handler's to judge. */
  readonly headMs?: number;
  /** A connection without a request; default 120,000. */
  readonly idleMs?: number;
  /** For a client to take some of an answer that waits for it; default 60,000. Answers given `patient`ly wait on. */
  readonly readMs?: number;
}

export interface HttpsServer {
  readonly port: number;
  /** New connections get these certificates. */
  setTls(tls: ServerTls): void;
  /** Stops listening, lets requests in flight end for a moment, then breaks all connections. */
  close(): Promise<void>;
}

const handshakeTimeoutMs = 10_000;
const headTimeoutMs = 15_000;
const idleTimeoutMs = 120_000;
const readTimeoutMs = 60_000;
/** Late connections are looked for so many times in the time that they have. */
const looksPerTimeout = 3;
const largestHeaders = 64 * 1024;
const mostHeaderFields = 200;
const mostConnections = 20_000;
const closeGraceMs = 1_000;

/** HTTP/2 and HTTP/1.1 on one TLS port, with limits on everything a stranger can make grow. */
export async function serveHttps(options: ServeHttpsOptions): Promise<HttpsServer> {
  const { host, port, handle } = options;
  const timeouts = {
    handshakeMs: handshakeTimeoutMs,
    headMs: headTimeoutMs,
    idleMs: idleTimeoutMs,
    readMs: readTimeoutMs,
    ...options.timeouts,
  };
  const limits = {
    maxConcurrentStreams: options.maxConcurrentStreams ?? 250,
    largestHeaderBytes: largestHeaders,
    mostHeaderFields,
  };
  const connections = new Set<Http2Connection>();
  const http1 = http1Server(handle, timeouts);
  const tls = createTlsServer({ ...tlsOptions(options.tls), handshakeTimeout: timeouts.handshakeMs });
  const sockets = new Set<Socket>();
  tls.maxConnections = mostConnections;
  tls.on('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once('close', () => void sockets.delete(socket));
    socket.on('error', () => {});
  });
  tls.on('tlsClientError', (_error, socket) => void socket.destroy());
  tls.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => {});
    if (socket.alpnProtocol !== 'h2') {
      http1.emit('connection', socket);
      return;
    }
    const connection = new Http2Connection(socket, handle, limits);
    connections.add(connection);
    socket.once('close', () => void connections.delete(connection));
  });
  const everyMs = Math.ceil(Math.min(timeouts.headMs, timeouts.readMs) / looksPerTimeout);
  const looks = {
    greetingLooks: Math.ceil(timeouts.headMs / everyMs),
    idleLooks: Math.ceil(timeouts.idleMs / everyMs),
    readLooks: Math.ceil(timeouts.readMs / everyMs),
  };
  const look = (): Timer =>
    systemClock.setTimer(() => {
      for (const connection of connections) connection.look(looks);
      looking = look();
    }, everyMs);
  let looking = look();
  await new Promise<void>((resolve, reject) => {
    tls.once('error', reject);
    tls.listen({ host, port }, () => {
      tls.removeListener('error', reject);
      resolve();
    });
  });
  tls.on('error', () => {});
  let closing: Promise<void> | undefined;
  return {
    port: (tls.address() as AddressInfo).port,
    setTls: (next) => tls.setSecureContext(tlsOptions(next)),
    close() {
      closing ??= new Promise((resolve) => {
        const timer = systemClock.setTimer(() => {
          for (const socket of sockets) socket.destroy();
        }, closeGraceMs);
        tls.close(() => {
          timer.cancel();
          resolve();
        });
        looking.cancel();
        for (const connection of connections) connection.close();
        http1.close();
        if (sockets.size === 0) timer.cancel();
      });
      return closing;
    },
  };
}

function tlsOptions({ cert, key, clientCa }: ServerTls): TlsOptions {
  return {
    cert,
    key,
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    requestCert: clientCa !== undefined,
    // The handler judges: a connection without a good certificate may still carry a token.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2', 'http/1.1'],
    // No resumption: a session must not outlive the trust that it began with.
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET | cryptoConstants.SSL_OP_NO_RENEGOTIATION,
  };
}

function http1Server(handle: ExchangeHandler, timeouts: Required<ServeTimeouts>): Http1Server {
  const { readMs } = timeouts;
  const server = nodeHttp.createServer({
    maxHeaderSize: largestHeaders,
    headersTimeout: timeouts.headMs,
    // The handler bounds bodies: those that are handed on may take their time.
    requestTimeout: 0,
    keepAliveTimeout: timeouts.idleMs,
    connectionsCheckingInterval: Math.ceil(timeouts.headMs / looksPerTimeout),
    noDelay: true,
    insecureHTTPParser: false,
  });
  // All fields are seen, then counted: what Node leaves out beyond its own count would still frame the body.
  server.maxHeadersCount = 0;
  // It never listens itself, and looks for late heads only once it does.
  server.emit('listening');
  server.on('request', (request, response: ServerResponse) => {
    if (!hasTooManyFields(request)) return handle(new Http1Exchange(request, { readMs, response }));
    refuse(request.socket, '431 Request Header Fields Too Large');
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    if (hasTooManyFields(request)) return refuse(socket, '431 Request Header Fields Too Large');
    handle(new Http1Exchange(request, { readMs, head }));
  });
  server.on('connect', (_request, socket) => void socket.destroy());
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    refuse(socket, clientErrors.get(error.code ?? '') ?? '400 Bad Request');
  });
  return server;
}

const hasTooManyFields = (request: IncomingMessage): boolean => request.rawHeaders.length > mostHeaderFields * 2;

function refuse(socket: Duplex, status: string): void {
  if (!socket.writable) return void socket.destroy();
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => void socket.destroy());
}

const clientErrors = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
]);
