import { createServer as createHttp1Server, type Server as Http1Server, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { constants as cryptoConstants } from 'node:crypto';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { type Log, systemClock } from '#base';
import type { ExchangeHandler } from './exchange.ts';
import { Http1Exchange } from './h1-exchange.ts';
import { Http2Exchange } from './h2-exchange.ts';

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
}

export interface HttpsServer {
  readonly port: number;
  /** New connections get these certificates. */
  setTls(tls: ServerTls): void;
  /** Stops listening, lets requests in flight end for a moment, then breaks all connections. */
  close(): Promise<void>;
}

const handshakeTimeoutMs = 10_000;
const headersTimeoutMs = 15_000;
const requestTimeoutMs = 300_000;
const keepAliveTimeoutMs = 120_000;
const largestHeaders = 64 * 1024;
const mostConnections = 20_000;
const closeGraceMs = 1_000;
const streamWindow = 1 << 20;

/** HTTP/2 and HTTP/1.1 on one TLS port, with limits on everything a stranger can make grow. */
export async function serveHttps(options: ServeHttpsOptions): Promise<HttpsServer> {
  const { host, port, handle } = options;
  const http2 = http2Server(options);
  const http1 = http1Server(handle);
  const tls = createTlsServer(tlsOptions(options.tls));
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
    if (socket.alpnProtocol === 'h2') http2.emit('connection', socket);
    else http1.emit('connection', socket);
  });
  await new Promise<void>((resolve, reject) => {
    tls.once('error', reject);
    tls.listen({ host, port }, () => {
      tls.removeListener('error', reject);
      resolve();
    });
  });
  tls.on('error', () => {});
  const sessions = new Set<ServerHttp2Session>();
  http2.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => void sessions.delete(session));
    session.on('error', () => {});
  });
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
        for (const session of sessions) session.close();
        http1.closeIdleConnections();
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
    handshakeTimeout: handshakeTimeoutMs,
    // No resumption: a session must not outlive the trust that it began with.
    secureOptions: cryptoConstants.SSL_OP_NO_TICKET | cryptoConstants.SSL_OP_NO_RENEGOTIATION,
  };
}

function http2Server({ handle, maxConcurrentStreams = 250 }: ServeHttpsOptions): Http2Server {
  const server = createHttp2Server({
    settings: {
      maxConcurrentStreams,
      initialWindowSize: streamWindow,
      maxHeaderListSize: largestHeaders,
      enablePush: false,
    },
    maxSessionMemory: 64,
    maxSettings: 32,
    maxOutstandingPings: 10,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    // Streams that a client opens only to reset them: above this its connection ends.
    streamResetBurst: 1000,
    streamResetRate: 100,
  } as Parameters<typeof createHttp2Server>[0]);
  server.on('stream', (stream, headers, _flags, raw) => {
    const socket = stream.session?.socket as TLSSocket | undefined;
    if (socket === undefined) return;
    handle(new Http2Exchange(stream as ServerHttp2Stream, headers, raw as unknown as string[], socket));
  });
  server.on('sessionError', (_error, session) => void session.destroy());
  server.on('error', () => {});
  return server;
}

function http1Server(handle: ExchangeHandler): Http1Server {
  const server = createHttp1Server({
    maxHeaderSize: largestHeaders,
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    noDelay: true,
    insecureHTTPParser: false,
  });
  server.maxHeadersCount = 200;
  server.on('request', (request, response: ServerResponse) => handle(new Http1Exchange(request, response)));
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    handle(new Http1Exchange(request, undefined, head));
  });
  server.on('connect', (_request, socket) => void socket.destroy());
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
  });
  return server;
}
