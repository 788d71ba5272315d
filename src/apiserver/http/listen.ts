import type { Duplex } from 'node:stream';
import { type Clock, type Log, messageOf, type Timer } from '#base';
import { errTimeout, errTooLarge } from '#machinery';
import {
  BodyTooLarge,
  type HttpExchange,
  type HttpsServer,
  type Identity,
  type ServerTls,
  type ServeTimeouts,
  serveHttps,
} from '#wire';
import type {
  AuthenticationResult,
  Handler,
  RequestInfo,
  RequestSource,
  ServerRequest,
  ServerResponse,
} from '../contract.ts';
import { unauthenticated } from './authentication.ts';
import { isLongRunning } from './long-running.ts';

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: ServerTls;
  readonly timeouts?: ServeTimeouts & {
    /** For the whole body of a request that is not handed on; default 60,000. */
    readonly bodyMs?: number;
  };
}

export type Listening = HttpsServer;

export const largestBodyBytes = 3 * 1024 * 1024;
const bodyTimeoutMs = 60_000;

/** Serves the chain on a TLS port, HTTP/2 and HTTP/1.1, requests to switch protocols included. */
export function listenHttps(options: ListenOptions & { handler: Handler; clock: Clock; log: Log }): Promise<Listening> {
  const { host, port, tls, timeouts, handler, clock, log } = options;
  return serveHttps({
    host,
    port,
    tls,
    log,
    ...(timeouts === undefined ? {} : { timeouts }),
    handle: (exchange) => {
      const request = new SocketRequest(exchange, { clock, bodyMs: timeouts?.bodyMs ?? bodyTimeoutMs });
      handler(request).then(
        (response) => answer(exchange, request, response),
        (error: unknown) => {
          log.error({ error: messageOf(error) }, 'a request was not answered');
          exchange.respond(500, {});
        },
      );
    },
  });
}

function answer(exchange: HttpExchange, request: ServerRequest, response: ServerResponse): void {
  if (response.takeOver !== undefined) {
    const { socket, head } = exchange.takeOver();
    response.takeOver(socket as Duplex, head);
  } else if (response.stream !== undefined) {
    const patient = isLongRunning(request.info);
    response.stream(exchange.respondStream(response.status, response.headers, { patient }));
  } else exchange.respond(response.status, response.headers, response.body);
  if (isFromStranger(request, response)) exchange.endConnection();
}

/** Strangers may not keep an HTTP/2 connection: many requests at once are for those who said who they are, as upstream holds it. */
function isFromStranger({ authentication, source }: ServerRequest, { status }: ServerResponse): boolean {
  if (authentication !== undefined) return authentication.authenticator === 'anonymous';
  return status === 401 || source.clientCertificates === undefined;
}

const noInfo = Object.freeze({}) as RequestInfo;

/** A request from a socket. */
class SocketRequest implements ServerRequest {
  readonly objects = false;
  readonly warnings: string[] = [];
  readonly receivedMs: number;
  info: RequestInfo = noInfo;
  identity: Identity = unauthenticated;
  authentication?: AuthenticationResult;
  impersonator?: Identity;
  audited?: NonNullable<ServerRequest['audited']>;
  objectMeta?: NonNullable<ServerRequest['objectMeta']>;
  auditId?: string;
  flow?: NonNullable<ServerRequest['flow']>;
  waitedMs?: number;
  readonly #exchange: HttpExchange;
  readonly #clock: Clock;
  readonly #bodyMs: number;
  #annotations: Map<string, string> | undefined;
  #source: RequestSource | undefined;
  #body: Promise<Uint8Array> | undefined;

  constructor(exchange: HttpExchange, { clock, bodyMs }: { readonly clock: Clock; readonly bodyMs: number }) {
    this.#exchange = exchange;
    this.#clock = clock;
    this.#bodyMs = bodyMs;
    this.receivedMs = clock.nowMs();
  }

  get method(): string {
    return this.#exchange.method;
  }

  get target(): string {
    return this.#exchange.target;
  }

  get headers(): Readonly<Record<string, string | undefined>> {
    return this.#exchange.headers;
  }

  headerValues(name: string): readonly string[] {
    return this.#exchange.headerValues(name);
  }

  get upgrade(): string {
    return this.#exchange.upgrade as string;
  }

  get annotations(): Map<string, string> {
    this.#annotations ??= new Map();
    return this.#annotations;
  }

  get source(): RequestSource {
    if (this.#source === undefined) {
      const certificates = this.#exchange.clientCertificates();
      this.#source = {
        remoteAddress: this.#exchange.remoteAddress,
        ...(certificates === undefined ? {} : { clientCertificates: certificates }),
      };
    }
    return this.#source;
  }

  get aborted(): boolean {
    return this.#exchange.aborted;
  }

  onAbort(callback: () => void): () => void {
    return this.#exchange.onAbort(callback);
  }

  body(): Promise<Uint8Array> {
    if (this.#body === undefined) {
      const atHand = this.#exchange.bodyAtHand?.(largestBodyBytes);
      this.#body = atHand === undefined ? this.#read() : Promise.resolve(atHand);
    }
    return this.#body;
  }

  stream(): AsyncIterable<Uint8Array> {
    return this.#exchange.stream();
  }

  /** A body that does not come in time must not keep a place in a lane. */
  async #read(): Promise<Uint8Array> {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = this.#clock.setTimer(() => reject(errTimeout('the request body did not arrive in time')), this.#bodyMs);
    });
    try {
      return await Promise.race([this.#exchange.body(largestBodyBytes), late]);
    } catch (error) {
      if (error instanceof BodyTooLarge) throw errTooLarge(`limit is ${largestBodyBytes}`);
      throw error;
    } finally {
      timer?.cancel();
    }
  }
}
