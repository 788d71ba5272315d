import type { Server as Http1Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { constants as cryptoConstants } from 'node:crypto';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { type Log, nodeHttp, systemClock } from '#base';
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

/** HTTP/2 and HTTP/1.1 on one TLS port, with limits on everything a stranger can make grow. */
export async function serveHttps(options: ServeHttpsOptions): Promise<HttpsServer> {
  const { host, port, handle } = options;
  const limits = {
    maxConcurrentStreams: options.maxConcurrentStreams ?? 250,
    largestHeaderBytes: largestHeaders,
    mostHeaderFields: 200,
  };
  const connections = new Set<Http2Connection>();
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
    if (socket.alpnProtocol !== 'h2') {
      http1.emit('connection', socket);
      return;
    }
    const connection = new Http2Connection(socket, handle, limits);
    connections.add(connection);
    socket.once('close', () => void connections.delete(connection));
  });
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
        for (const connection of connections) connection.close();
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

function http1Server(handle: ExchangeHandler): Http1Server {
  const server = nodeHttp.createServer({
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
