import type { IncomingMessage } from 'node:http';
import type { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import { CodedError } from '#base';
import { dialFailure } from '../../streams/dial-failure.ts';
import type { Webhook } from './webhook-rules.ts';

/** Where a Service's port is reached from here. `connect` replaces a plain TCP connection. */
export type ServiceResolver = (service: {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}) => Promise<{
  readonly host: string;
  readonly port: number;
  readonly connect?: () => Duplex;
}>;

const longestAnswer = 8 << 20;

/** Posts a review and returns the answer's JSON. HTTPS only; a redirect is a failure, and nothing of a failure's body is repeated. */
export async function callWebhook(webhook: Webhook, body: string, resolve: ServiceResolver): Promise<unknown> {
  const target = await targetOf(webhook, resolve);
  let answer: string;
  try {
    answer = await post(target, body, webhook.timeoutSeconds * 1000);
  } catch (error) {
    const failed =
      error instanceof StatusFailure ? error.message : `Post ${JSON.stringify(target.text)}: ${dialFailure(error)}`;
    throw new CodedError('WebhookFailed', `failed to call webhook: ${failed}`);
  }
  try {
    return JSON.parse(answer);
  } catch {
    throw new CodedError('WebhookFailed', `failed to call webhook: couldn't get version/kind; json parse error`);
  }
}

/** An answer that is none: its body is not repeated, it may be that of a server which never was a webhook. */
class StatusFailure extends Error {
  override readonly name = 'StatusFailure';
  constructor(status: number) {
    super(
      Object.hasOwn(statusTexts, status)
        ? (statusTexts[status] as string)
        : status >= 500
          ? 'an error on the server ("unknown") has prevented the request from succeeding'
          : `the server responded with the status code ${status} but did not return more information`,
    );
  }
}

const statusTexts: Readonly<Record<number, string>> = {
  400: 'the server rejected our request for an unknown reason',
  401: 'the server has asked for the client to provide credentials',
  403: 'the server does not allow access to the requested resource',
  404: 'the server could not find the requested resource',
  405: 'the server does not allow this method on the requested resource',
  409: 'the server reported a conflict',
  422: 'the server rejected our request due to an error in our request',
  429: 'the server has received too many requests and has asked us to try again later',
  503: 'the server is currently unable to handle the request',
  504: 'the server was unable to return a response in the time allotted, but may still be processing the request',
};

interface Target {
  readonly url: URL;
  /** As messages name it. */
  readonly text: string;
  readonly host: string;
  readonly port: number;
  readonly servername: string;
  readonly ca?: string;
  readonly connect?: () => Duplex;
}

async function targetOf(webhook: Webhook, resolve: ServiceResolver): Promise<Target> {
  const { url, service, caBundle } = webhook.clientConfig;
  const ca = caBundle === undefined || caBundle === '' ? {} : { ca: Buffer.from(caBundle, 'base64').toString('utf8') };
  if (service !== undefined) {
    const port = service.port ?? 443;
    const name = `${service.name}.${service.namespace}.svc`;
    const full = new URL(`https://${name}:${port}${service.path ?? '/'}`);
    full.searchParams.set('timeout', `${webhook.timeoutSeconds}s`);
    const text = `https://${name}:${port}${full.pathname}${full.search}`;
    try {
      return {
        url: full,
        text,
        ...(await resolve({ namespace: service.namespace, name: service.name, port })),
        servername: name,
        ...ca,
      };
    } catch (error) {
      throw new CodedError(
        'WebhookFailed',
        `failed to call webhook: Post ${JSON.stringify(text)}: ${dialFailure(error)}`,
      );
    }
  }
  const full = new URL(url ?? '');
  if (full.protocol !== 'https:') throw new CodedError('WebhookFailed', 'failed to call webhook: the URL is not https');
  full.searchParams.set('timeout', `${webhook.timeoutSeconds}s`);
  const host = full.hostname.replace(/^\[|\]$/g, '');
  return { url: full, text: full.href, host, port: Number(full.port || '443'), servername: host, ...ca };
}

/**
 * Connections stay open a while: a handshake costs more than a question. Kept by address, name and authority, so that servers of one
 * process may share them.
 */
let connections: Agent | undefined;
const idleMs = 30_000;
const mostIdle = 16;
const goneWhileIdle: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

async function post(target: Target, body: string, timeoutMs: number): Promise<string> {
  const { Agent, request } = await import('node:https');
  const { isIP } = await import('node:net');
  const { connect: tlsConnect } = await import('node:tls');
  connections ??= new Agent({ keepAlive: true, maxFreeSockets: mostIdle, timeout: idleMs, scheduling: 'lifo' });
  const kept = connections;
  const { connect } = target;
  const tls = {
    ...(target.ca === undefined ? {} : { ca: target.ca }),
    ...(isIP(target.servername) === 0 ? { servername: target.servername } : {}),
  };
  const signal = AbortSignal.timeout(timeoutMs);
  const attempt = (agent: Agent | false): Promise<string> =>
    new Promise((resolve, reject) => {
      const call = request(
        {
          method: 'POST',
          host: target.host,
          port: target.port,
          path: `${target.url.pathname}${target.url.search}`,
          headers: {
            host: target.url.host,
            'content-type': 'application/json',
            accept: 'application/json',
            'content-length': Buffer.byteLength(body),
          },
          agent,
          ...tls,
          ...(connect === undefined ? {} : { createConnection: () => tlsConnect({ socket: connect(), ...tls }) }),
          signal,
        },
        (response) => readAll(response).then(resolve, reject),
      );
      call.on('error', (error: Error & { code?: string }) => {
        if (signal.aborted) reject(new Error('context deadline exceeded'));
        // The webhook has closed a connection that we had kept: it has not seen the question.
        else if (call.reusedSocket && goneWhileIdle.has(error.code ?? '')) attempt(false).then(resolve, reject);
        else reject(error);
      });
      call.end(body);
    });
  return attempt(connect === undefined ? kept : false);
}

async function readAll(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) {
    response.resume();
    throw new StatusFailure(response.statusCode ?? 500);
  }
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    length += (part as Buffer).length;
    if (length > longestAnswer) throw new Error('the answer is too long');
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}
