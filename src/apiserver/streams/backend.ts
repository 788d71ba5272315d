import type { ClientRequest, IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { type Duplex, pipeline, type Readable, type Transform } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import { createGunzip, createInflate } from 'node:zlib';
import ipaddr from 'ipaddr.js';
import { nodeHttp } from '#base';
import { errBadRequest, errServiceUnavailable, errStatus } from '#machinery';
import { acceptUpgrade, type ByteSink, tunnel } from '#wire';
import type { ServerRequest, ServerResponse } from '../contract.ts';
import { dialFailure } from './dial-failure.ts';
import { rewriteHtmlLinks, rewriteLink } from './link-rewriter.ts';

/** Another server that a request is handed on to. */
export interface Backend {
  readonly scheme: 'http' | 'https';
  /** An address, never a name: what was checked is what is dialled. */
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly target: string;
  readonly tls?: Pick<
    ConnectionOptions,
    'ca' | 'cert' | 'key' | 'rejectUnauthorized' | 'servername' | 'checkServerIdentity'
  >;
  /** The path of this server under which the backend's root is reached: its redirects and the links of its pages are put below it. */
  readonly linksBelow?: string;
  /** Answers that point elsewhere are an error: nothing is followed, and clients are not sent on either. */
  readonly refuseRedirects?: boolean;
}

const answerTimeoutMs = 30_000;
const longestRefusal = 64 * 1024;
/** For the words of a refusal that do not come. */
const refusalTimeoutMs = 5_000;
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'http2-settings',
]);
/** Never handed on: credentials and claims of identity are for this server alone. Some servers read `_` as `-`. */
const secretHeaders = /^(authorization|impersonate[-_].*|x[-_]remote[-_].*)$/;

/** As which a server names itself in `Via`; who has been named so often already goes round in circles. */
const viaSelf = '1.1 kube-apiserver';
const mostHops = 4;

function refuseLoops({ headers }: ServerRequest): void {
  if ((headers.via?.split(viaSelf).length ?? 1) > mostHops)
    throw errStatus(508, 'InternalError', 'the request goes round in circles: a backend leads back to this server');
}

/** Hands a request on and its answer back, both streamed; also one that switches protocols. */
export async function forward(
  request: ServerRequest,
  backend: Backend,
  more: Readonly<Record<string, string | string[]>> = {},
): Promise<ServerResponse> {
  if (request.upgrade !== undefined) return forwardUpgrade(request, backend, more);
  refuseLoops(request);
  const asked = headersFor(request, {});
  // Announced, but not handed on: the backend would wait for it.
  if (isBodyless(request)) delete asked['content-length'];
  const outgoing = await dial(request, backend, { ...asked, ...more });
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('error', (error) => reject(unreachable(error)));
    outgoing.on('upgrade', (_response, socket: Duplex) => {
      socket.destroy();
      reject(unreachable(new Error('it switched protocols unasked')));
    });
    request.onAbort(() => void outgoing.destroy());
    sendBody(request, outgoing).catch(
      (error: unknown) => void outgoing.destroy(error instanceof Error ? error : undefined),
    );
  });
  outgoing.setTimeout(0);
  const status = incoming.statusCode ?? 502;
  if (backend.refuseRedirects === true && status >= 300 && status < 400 && status !== 304) {
    incoming.destroy();
    throw errStatus(502, 'InternalError', 'the backend attempted to redirect this request, which is not permitted');
  }
  const headers = headersBack(incoming);
  const body = backend.linksBelow === undefined ? incoming : relinked(request, backend, incoming, headers);
  return {
    status,
    headers,
    stream: (sink) => void pump(incoming, body, sink),
  };
}

/** The answer's body with links that lead through this server, when it is a page; changes `headers` to fit. */
function relinked(
  request: ServerRequest,
  backend: Backend,
  incoming: IncomingMessage,
  headers: Record<string, string | string[]>,
): Readable {
  const place = {
    prefix: backend.linksBelow ?? '',
    hosts: [authority(backend), request.headers[':authority'] ?? request.headers.host ?? ''],
  };
  if (typeof headers.location === 'string') headers.location = rewriteLink(headers.location, place);
  const decode = decoders[incoming.headers['content-encoding'] ?? 'identity'];
  if (
    !/^text\/html\b/i.test(incoming.headers['content-type'] ?? '') ||
    decode === undefined ||
    request.method === 'HEAD'
  )
    return incoming;
  delete headers['content-length'];
  delete headers['content-encoding'];
  return pipeline([incoming, ...decode(), rewriteHtmlLinks(place)], () => {}) as unknown as Readable;
}

const decoders: Readonly<Record<string, (() => Transform[]) | undefined>> = {
  identity: () => [],
  gzip: () => [createGunzip()],
  deflate: () => [createInflate()],
};

const isBodyless = ({ method }: ServerRequest): boolean => method === 'GET' || method === 'HEAD';

async function sendBody(request: ServerRequest, outgoing: ClientRequest): Promise<void> {
  if (isBodyless(request)) {
    outgoing.end();
    return;
  }
  for await (const chunk of request.stream()) {
    if (!outgoing.write(chunk)) {
      await new Promise<void>((resolve, reject) => {
        outgoing.once('drain', resolve);
        outgoing.once('close', () => reject(new Error('closed')));
      });
    }
  }
  outgoing.end();
}

function pump(incoming: IncomingMessage, body: Readable, sink: ByteSink): void {
  body.on('data', (chunk: Buffer) => {
    if (!sink.write(chunk)) body.pause();
  });
  sink.onDrain(() => void body.resume());
  sink.onClose(() => void incoming.destroy());
  body.on('end', () => sink.end());
  body.on('error', () => sink.destroy());
  incoming.on('close', () => {
    if (!incoming.complete) sink.destroy();
  });
}

/**
 * Asks the backend to switch protocols; only when it does (101) are the two connections joined, byte for byte. Any other answer becomes
 * an error for the client, and the backend's connection is closed: nothing of the client's ever reaches it afterwards.
 */
export async function forwardUpgrade(
  request: ServerRequest,
  backend: Backend,
  more: Readonly<Record<string, string | string[]>> = {},
): Promise<ServerResponse> {
  const protocol = request.upgrade;
  if (protocol === undefined) throw errBadRequest('Upgrade request required');
  refuseLoops(request);
  const asked = { connection: 'Upgrade', upgrade: request.headers.upgrade ?? protocol };
  const outgoing = await dial(request, backend, { ...headersFor(request, asked), ...more });
  return new Promise((resolve, reject) => {
    const forget = request.onAbort(() => void outgoing.destroy());
    outgoing.on('error', (error) => reject(unreachable(error)));
    // A 101 that is no switch would be waited out: nothing comes after it.
    outgoing.on('information', ({ statusCode }) => {
      if (statusCode === 101) outgoing.destroy(new Error('it did not switch to the protocol asked for'));
    });
    outgoing.on('upgrade', (incoming, far, farHead) => {
      forget();
      outgoing.setTimeout(0);
      far.on('error', () => {});
      const agreed = (incoming.headers.upgrade ?? '').toLowerCase() === protocol;
      if (incoming.statusCode !== 101 || !agreed) {
        far.destroy();
        reject(unreachable(new Error('it did not switch to the protocol asked for')));
        return;
      }
      resolve({
        status: 101,
        headers: {},
        takeOver(near, nearHead) {
          near.on('error', () => {});
          if (near.destroyed) return void far.destroy();
          acceptUpgrade(near, upgradeHeaders(incoming));
          if (farHead.length > 0) near.write(farHead);
          if (nearHead.length > 0) far.write(nearHead);
          void tunnel(near, far);
        },
      });
    });
    outgoing.on('response', (incoming) => {
      const { statusCode = 502 } = incoming;
      if (statusCode < 400) {
        forget();
        outgoing.destroy();
        return reject(refusal(statusCode, ''));
      }
      outgoing.setTimeout(refusalTimeoutMs);
      const parts: Buffer[] = [];
      let length = 0;
      incoming.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= longestRefusal) parts.push(chunk);
        else incoming.destroy();
      });
      incoming.on('error', () => {});
      incoming.on('close', () => {
        forget();
        outgoing.destroy();
        reject(refusal(statusCode, Buffer.concat(parts).toString()));
      });
    });
    outgoing.end();
  });
}

/** The backend's refusal as an error of ours: its text, its code when that is an error, 502 when it would send the client elsewhere. */
export function refusal(code: number, text: string): Error {
  if (code < 400)
    return errStatus(502, 'InternalError', `the backend answered ${code} to a request to switch protocols`);
  const reasons: Readonly<Record<number, string>> = {
    400: 'BadRequest',
    401: 'Unauthorized',
    403: 'Forbidden',
    404: 'NotFound',
    409: 'Conflict',
    429: 'TooManyRequests',
    500: 'InternalError',
    503: 'ServiceUnavailable',
    504: 'Timeout',
  };
  return errStatus(
    code,
    reasons[code] ?? 'InternalError',
    text.trim() === '' ? `the server answered ${code}` : text.trim(),
  );
}

async function dial(
  request: ServerRequest,
  backend: Backend,
  headers: Record<string, string | string[]>,
): Promise<ClientRequest> {
  const options = {
    host: backend.host,
    port: backend.port,
    path: backend.target,
    method: request.method,
    headers: { ...headers, host: authority(backend) },
    agent: false as const,
    timeout: answerTimeoutMs,
  };
  const { request: dialHttp } = backend.scheme === 'https' ? await import('node:https') : nodeHttp;
  const outgoing = dialHttp({
    ...options,
    ...(backend.scheme === 'https' ? { ...backend.tls, minVersion: 'TLSv1.2' } : {}),
  } as never);
  outgoing.on('timeout', () => void outgoing.destroy(new Error('it does not answer')));
  return outgoing;
}

function authority({ host, port }: Backend): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function headersFor(request: ServerRequest, more: Record<string, string>): Record<string, string | string[]> {
  const named = new Set((request.headers.connection ?? '').split(',').map((one) => one.trim().toLowerCase()));
  const headers: Record<string, string | string[]> = {};
  for (const name of Object.keys(request.headers)) {
    const value = request.headers[name];
    if (
      value === undefined ||
      name.startsWith(':') ||
      hopByHop.has(name) ||
      named.has(name) ||
      secretHeaders.test(name)
    )
      continue;
    const all = request.headerValues?.(name);
    headers[name] = all !== undefined && all.length > 1 ? [...all] : value;
  }
  if (request.source.remoteAddress !== '') headers['x-forwarded-for'] = request.source.remoteAddress;
  headers.via = [request.headers.via, viaSelf].filter((one) => one !== undefined).join(', ');
  return { ...headers, ...more };
}

function headersBack(incoming: IncomingMessage): Record<string, string | string[]> {
  const named = new Set((incoming.headers.connection ?? '').split(',').map((one) => one.trim().toLowerCase()));
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined && !hopByHop.has(name) && !named.has(name)) headers[name] = value;
  }
  return headers;
}

const upgradeAnswer = new Set([
  'x-stream-protocol-version',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
]);

function upgradeHeaders(incoming: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = { Connection: 'Upgrade', Upgrade: incoming.headers.upgrade ?? '' };
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (upgradeAnswer.has(name) && typeof value === 'string') headers[name] = value;
  }
  return headers;
}

function unreachable(error: unknown): Error {
  return errServiceUnavailable(`error trying to reach service: ${dialFailure(error)}`);
}

/** False for addresses that a proxy must not be talked into dialling: this machine, its links, everybody; also for names. */
export function isProxyable(address: string): boolean {
  // Only what everyone reads alike: `127.1` and `0177.0.0.1` are addresses to some, names to others.
  if (isIP(address) === 0 || !ipaddr.isValid(address)) return false;
  const range = ipaddr.process(address).range();
  return (
    range === 'unicast' ||
    range === 'private' ||
    range === 'uniqueLocal' ||
    range === 'carrierGradeNat' ||
    range === 'reserved'
  );
}
