import { constants } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type Clock, type Closable, type Log, messageOf } from '#base';
import type { Pod } from '#api';
import type { Client } from '#client';
import { negotiateBytes, offeredProtocols, refuseUpgrade, sendBytesOverWebSocket, UpgradeRefused } from '#wire';
import type { Cri } from '../cri/contract.ts';
import type { StorageService } from '../volumes/storage-service.ts';
import { DriverError } from '../volumes/errors.ts';
import type { MachineFacts } from '../node/machine.ts';
import { identityOf, openAuthorizer } from './authenticate.ts';
import { openTokenAuthenticator } from './bearer-token.ts';
import { findRun, logOptions, openLog, sendChunks } from './container-log.ts';
import { containerMetrics, KubeletMetrics } from './metrics.ts';
import { resourceMetrics, summaryStats } from './stats.ts';
import { accessOf, parseRoute, type Route } from './route.ts';
import { commandStreams, execUrl, portsOf, StreamingError, streamCommand, streamPorts } from './streaming.ts';

export interface KubeletServerOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
  readonly cri: Cri;
  readonly nodeName: string;
  readonly machine: MachineFacts;
  readonly podLogsDir: string;
  readonly tls: { readonly cert: string; readonly key: string; readonly clientCa: string };
  readonly host?: string | undefined;
  readonly port: number;
  /** For the TLS handshake of a connection; default 10,000. */
  readonly handshakeMs?: number;
  readonly pods: () => readonly Pod[];
  readonly findPod: (namespace: string, name: string) => Pod | undefined;
  /** Storage of this node, for the control plane. */
  readonly storage: StorageService;
  /** Looks at the volumes of all pods again. */
  readonly refreshVolumes: () => void;
}

export interface KubeletServer extends Closable {
  readonly port: number;
  /** Takes a renewed serving certificate, or another CA for clients, without dropping connections. */
  setTls(tls: { readonly cert: string; readonly key: string; readonly clientCa: string }): void;
}

const metricsType = 'text/plain; version=0.0.4; charset=utf-8';
const idleMs = 4 * 3600 * 1000;
const longestBody = 1 << 20;
const handshakeTimeoutMs = 10_000;
const mostConnections = 4096;
const posted: ReadonlySet<string> = new Set(['run', 'storage', 'refresh-volumes']);

/**
 * The node's HTTPS server: logs, exec, attach, port-forward, pods, metrics. Only client certificates of the cluster's CA and tokens that
 * the API server knows get in, and only users that may use this node's kubelet get anything.
 */
export async function startKubeletServer(options: KubeletServerOptions): Promise<KubeletServer> {
  const { log, cri, client, clock, nodeName } = options;
  const authorize = openAuthorizer({ client, clock, nodeName });
  const identityOfToken = openTokenAuthenticator({ client, clock, log });
  const upgraded = new Set<Duplex>();
  const ownMetrics = new KubeletMetrics({ cri, clock, nodeName, pods: options.pods });

  /** The route of a request that may be served, or the status code and words to refuse it with. */
  async function admit(request: IncomingMessage): Promise<Route | readonly [number, string]> {
    const identity = identityOf(request.socket as TLSSocket) ?? (await identityOfToken(request.headers.authorization));
    if (identity === undefined) return [401, 'Unauthorized'];
    const route = parseRoute(request.url ?? '');
    if (route === undefined) return [404, '404 page not found'];
    const { verb, subresources } = accessOf(route);
    if (await authorize({ identity, verb, subresources })) return route;
    const text = `Forbidden (user=${identity.user}, verb=${verb}, resource=nodes, subresource=[${subresources.join(' ')}])`;
    return [403, text];
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const route = await admit(request);
    if (isRefusal(route)) return sendText(response, route[0], route[1]);
    if (request.method !== (posted.has(route.name) ? 'POST' : 'GET'))
      return sendText(response, 405, 'Method Not Allowed');
    switch (route.name) {
      case 'health':
        return sendText(response, 200, 'ok');
      case 'pods':
        return sendJson(response, { kind: 'PodList', apiVersion: 'v1', metadata: {}, items: options.pods() });
      case 'metrics':
        return sendText(response, 200, await ownMetrics.text(), metricsType);
      case 'resource-metrics':
        return sendText(response, 200, await resourceMetrics(cri, clock), metricsType);
      case 'container-metrics':
        return sendText(response, 200, await containerMetrics({ cri, clock, machine: options.machine }), metricsType);
      case 'stats':
        return sendJson(response, await summaryStats({ cri, clock, nodeName, machine: options.machine }));
      case 'logs':
        return serveLog(route, response);
      case 'run':
        return serveRun(route, response);
      case 'storage':
        return serveStorage(route, request, response);
      case 'refresh-volumes':
        options.refreshVolumes();
        return sendJson(response, {});
      default:
        return sendText(response, 400, 'unable to upgrade: missing upgrade headers in request');
    }
  }

  async function openRunLog(
    route: Extract<Route, { name: 'logs' }>,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const pod = options.findPod(route.namespace, route.pod);
    if (pod === undefined) throw new StreamingError(404, `pod "${route.pod}" does not exist`);
    const asked = logOptions(route.query, clock);
    const previous = route.query.get('previous') === 'true';
    const run = await findRun(cri, { pod, container: route.container, previous });
    return openLog({ cri, clock, podLogsDir: options.podLogsDir, run, options: asked, signal });
  }

  async function serveLog(route: Extract<Route, { name: 'logs' }>, response: ServerResponse): Promise<void> {
    const ending = new AbortController();
    response.on('close', () => ending.abort());
    await sendChunks(response, await openRunLog(route, ending.signal));
  }

  async function serveRun(
    route: Extract<Route, { name: 'exec' | 'attach' | 'run' }>,
    response: ServerResponse,
  ): Promise<void> {
    const { id } = await running(route);
    const command = route.query.get('cmd')?.split(' ') ?? route.query.getAll('command');
    const { stdout, stderr } = await cri.execSync(id, command, 60);
    response.writeHead(200, { 'Content-Type': 'text/plain; charset=utf-8' }).end(Buffer.concat([stdout, stderr]));
  }

  /** A failure is an answer too: the caller must know which it was. */
  async function serveStorage(
    { driver, method }: Extract<Route, { name: 'storage' }>,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const body = await readJson(request);
    try {
      sendJson(response, { result: await options.storage.call(driver, method, body) });
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      sendJson(response, { error: { code: error.code, message: error.message } });
    }
  }

  async function running(route: {
    readonly namespace: string;
    readonly pod: string;
    readonly container: string;
  }): Promise<{ id: string }> {
    const pod = options.findPod(route.namespace, route.pod);
    if (pod === undefined) throw new StreamingError(404, `pod "${route.pod}" does not exist`);
    const containers = await cri.listContainers({ podUid: pod.metadata.uid });
    const found = containers.find(
      ({ metadata, state }) => metadata.name === route.container && state === 'CONTAINER_RUNNING',
    );
    if (found === undefined) throw new StreamingError(404, `container not found ("${route.container}")`);
    return found;
  }

  async function serveUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const route = await admit(request);
    if (isRefusal(route)) return refuseUpgrade(socket, route[0], route[1]);
    const incoming = { request, socket, head };
    if (route.name === 'exec') {
      const { id } = await running(route);
      return streamCommand(incoming, await execUrl(cri, id, route.query), commandStreams(route.query));
    }
    if (route.name === 'attach') {
      const { id } = await running(route);
      const streams = commandStreams(route.query);
      return streamCommand(incoming, await cri.attachUrl({ container_id: id, ...streams }), streams);
    }
    if (route.name === 'port-forward') {
      const pod = options.findPod(route.namespace, route.pod);
      if (pod === undefined) throw new StreamingError(404, `pod "${route.pod}" does not exist`);
      const sandboxes = await cri.listPodSandboxes({ podUid: pod.metadata.uid });
      const sandbox = sandboxes.find(({ state }) => state === 'SANDBOX_READY');
      if (sandbox === undefined) throw new StreamingError(400, `pod "${route.pod}" is not running`);
      const ports = portsOf(route.query);
      return streamPorts(incoming, await cri.portForwardUrl(sandbox.id, ports), ports);
    }
    if (route.name === 'logs' && request.headers.upgrade?.toLowerCase() === 'websocket') {
      const offered = offeredProtocols(request.headers['sec-websocket-protocol']);
      if (negotiateBytes(offered) === undefined) throw new StreamingError(403, 'unable to negotiate protocol');
      const ending = new AbortController();
      socket.on('close', () => ending.abort());
      return sendBytesOverWebSocket({ ...incoming, chunks: await openRunLog(route, ending.signal) });
    }
    refuseUpgrade(socket, 400, 'nothing to upgrade to here');
  }

  const context = ({ cert, key, clientCa }: KubeletServerOptions['tls']): object => ({ cert, key, ca: clientCa });
  const server = createServer({
    ...context(options.tls),
    requestCert: true,
    // Judged request by request, so that a client without a certificate gets an answer instead of a broken handshake.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET,
    maxHeaderSize: 64 << 10,
    // Node's own is two minutes: too long to hold a place for who says nothing.
    handshakeTimeout: options.handshakeMs ?? handshakeTimeoutMs,
    connectionsCheckingInterval: 5_000,
  });
  server.maxConnections = mostConnections;
  server.headersTimeout = 30_000;
  server.requestTimeout = 60_000;
  server.on('request', (request, response) => {
    serve(request, response).catch((error: unknown) => {
      const statusCode = error instanceof StreamingError ? error.statusCode : 500;
      log.debug({ path: request.url?.split('?')[0], error: messageOf(error) }, 'a request failed');
      if (response.headersSent) response.destroy();
      else sendText(response, statusCode, messageOf(error));
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket);
    socket.on('close', () => upgraded.delete(socket));
    socket.on('error', () => {});
    const connection = socket as TLSSocket;
    connection.setTimeout(idleMs, () => connection.destroy());
    connection.setNoDelay(true);
    serveUpgrade(request, socket, head).catch((error: unknown) => {
      log.debug({ path: request.url?.split('?')[0], error: messageOf(error) }, 'a stream failed');
      const statusCode =
        error instanceof StreamingError ? error.statusCode : error instanceof UpgradeRefused ? 502 : 500;
      if (!socket.destroyed && socket.writable) refuseUpgrade(socket, statusCode, messageOf(error));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: options.port, ...(options.host === undefined ? {} : { host: options.host }) }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    setTls: (tls) => server.setSecureContext(context(tls)),
    close: () =>
      new Promise((resolve) => {
        ownMetrics.close();
        for (const socket of upgraded) socket.destroy();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A JSON object of at most 1 MiB. Throws StreamingError 400 or 413. */
async function readJson(request: IncomingMessage): Promise<object> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > longestBody) throw new StreamingError(413, 'the request is larger than 1 MiB');
    chunks.push(chunk as Buffer);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new StreamingError(400, 'the body must be a JSON object');
  return value;
}

function isRefusal(route: Route | readonly [number, string]): route is readonly [number, string] {
  return Array.isArray(route);
}

function sendText(
  response: ServerResponse,
  statusCode: number,
  text: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(statusCode, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) }).end(text);
}

function sendJson(response: ServerResponse, value: object): void {
  sendText(response, 200, JSON.stringify(value), 'application/json');
}
