import type { Route } from '../route-table.ts';
import type { Endpoint, Waiting } from './endpoint.ts';
import type { Inbound, InboundConsumer, Outbound, OutboundConsumer, OutboundRequest } from './exchange.ts';
import type { ResponseHead } from './heads.ts';
import { BackendConnection } from './http1-backend.ts';
import type { BackendSession } from './http2-backend.ts';
import type { Ticker, Watched } from './ticker.ts';
import { startTunnel } from './tunnel.ts';
import type { Upstream } from './upstream.ts';

export interface ForwardingOptions {
  readonly inbound: Inbound;
  readonly route: Route;
  readonly upstream: Upstream;
  readonly request: OutboundRequest;
  readonly ticker: Ticker;
  readonly onDone: () => void;
  /** An endpoint failed a request. */
  readonly onTrouble: (endpoint: Endpoint, why: string) => void;
}

const mostTries = 4;
/** After so long without an answer the endpoint is asked whether it lives. */
const doubtMs = 500;
const doubtEveryMs = 5_000;
const bodyIdleMs = 300_000;
/** Sending them again does what sending them once does (RFC 9110, section 9.2.2). */
const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/**
 * One request on its way to an endpoint and its answer back. A request that no endpoint has begun to work on goes to another; so does
 * one that may be sent twice, as long as none of its body is gone.
 */
export class Forwarding implements InboundConsumer, OutboundConsumer, Waiting, Watched {
  readonly #inbound: Inbound;
  readonly #route: Route;
  readonly #upstream: Upstream;
  readonly #request: OutboundRequest;
  readonly #ticker: Ticker;
  readonly #onDone: () => void;
  readonly #onTrouble: (endpoint: Endpoint, why: string) => void;
  readonly #tried: Endpoint[] = [];
  #endpoint: Endpoint | undefined;
  #outbound: Outbound | undefined;
  #sentMs = 0;
  #heardMs = 0;
  #doubtedMs = Number.NEGATIVE_INFINITY;
  #bodyBytes = 0;
  #bodyBegun = false;
  #headSent = false;
  #over = false;

  constructor(options: ForwardingOptions) {
    this.#inbound = options.inbound;
    this.#route = options.route;
    this.#upstream = options.upstream;
    this.#request = options.request;
    this.#ticker = options.ticker;
    this.#onDone = options.onDone;
    this.#onTrouble = options.onTrouble;
    options.inbound.attach(this);
  }

  start(): void {
    const { maxBodyBytes } = this.#route.options;
    const { contentLength } = this.#request;
    if (contentLength !== undefined && maxBodyBytes > 0 && contentLength > maxBodyBytes)
      return this.#answer(413, 'the body is larger than this address takes');
    const preparing = this.#upstream.prepare();
    if (preparing === undefined) this.#try();
    else preparing.then(() => this.#try());
  }

  // ------------------------------------------------------------ towards the backend

  #try(): void {
    if (this.#over) return;
    const endpoint = this.#upstream.pick(this.#inbound.remoteAddress, this.#tried);
    if (endpoint === undefined) return this.#answer(503, 'no endpoint of the Service is ready');
    this.#tried.push(endpoint);
    this.#endpoint = endpoint;
    endpoint.active++;
    endpoint.connect(this, !idempotent.has(this.#request.method));
  }

  onConnection(connection: BackendConnection | BackendSession): void {
    if (this.#over) {
      // The client left while the connection was made.
      if (connection instanceof BackendConnection) (this.#endpoint as Endpoint).free(connection);
      this.#leaveEndpoint();
      return;
    }
    this.#sentMs = this.#ticker.nowMs;
    this.#heardMs = this.#sentMs;
    this.#ticker.add(this);
    if (connection instanceof BackendConnection) {
      this.#outbound = connection;
      connection.begin(this.#request, this);
    } else if (this.#request.upgrade !== undefined) return this.#answer(501, 'the backend speaks HTTP/2 only');
    else {
      try {
        this.#outbound = connection.begin(this.#request, this);
      } catch (error) {
        return this.onFailed(String(error), true);
      }
    }
    if (this.#outbound !== undefined && !this.#inbound.bodyDone) this.#inbound.resumeBody();
  }

  onNoConnection(why: string): void {
    this.#endpoint?.markDown();
    this.onFailed(why, true);
  }

  // ------------------------------------------------------------ the client's body

  onBody(bytes: Buffer): void {
    if (this.#over) return;
    this.#bodyBegun = true;
    this.#bodyBytes += bytes.length;
    const { maxBodyBytes } = this.#route.options;
    if (maxBodyBytes > 0 && this.#bodyBytes > maxBodyBytes && this.#request.contentLength === undefined)
      return this.#answer(413, 'the body is larger than this address takes');
    this.#sentMs = this.#ticker.nowMs;
    if (this.#outbound?.write(bytes) === false) this.#inbound.pauseBody();
  }

  onBodyEnd(): void {
    this.#sentMs = this.#ticker.nowMs;
    if (!this.#over) this.#outbound?.end();
  }

  onRequestDrain(): void {
    if (!this.#over && !this.#inbound.bodyDone) this.#inbound.resumeBody();
  }

  // ------------------------------------------------------------ the answer

  onInformation(head: ResponseHead): void {
    if (!this.#over) this.#inbound.inform(head);
  }

  onHead(head: ResponseHead): void {
    if (this.#over) return;
    this.#heardMs = this.#ticker.nowMs;
    this.#endpoint?.markUp();
    if (head.status === 101) return this.#switch(head);
    this.#headSent = true;
    this.#inbound.respond(head, head.contentLength);
  }

  onData(bytes: Buffer): void {
    if (this.#over) return;
    this.#heardMs = this.#ticker.nowMs;
    if (!this.#inbound.write(bytes)) this.#outbound?.pause();
  }

  onEnd(trailers?: readonly string[]): void {
    if (this.#over) return;
    this.#done();
    this.#inbound.end(trailers);
  }

  onDrain(): void {
    this.#heardMs = this.#ticker.nowMs;
    this.#outbound?.resume();
  }

  onGone(): void {
    if (this.#over) return;
    const outbound = this.#outbound;
    const connecting = outbound === undefined && this.#endpoint !== undefined;
    this.#over = true;
    this.#ticker.delete(this);
    outbound?.abort();
    // A connection that is being made is taken back in `onConnection`.
    if (!connecting) this.#leaveEndpoint();
    this.#onDone();
  }

  onFailed(why: string, unsent: boolean): void {
    const outbound = this.#outbound;
    this.#outbound = undefined;
    this.#ticker.delete(this);
    if (this.#over) return this.#leaveEndpoint();
    if (this.#endpoint !== undefined && outbound?.fresh !== false) this.#onTrouble(this.#endpoint, why);
    this.#leaveEndpoint();
    if (this.#headSent) return this.#breakOff();
    const tooLate = why === noAnswer;
    const again =
      !tooLate &&
      (unsent || idempotent.has(this.#request.method) || outbound === undefined) &&
      !this.#bodyBegun &&
      this.#tried.length < mostTries &&
      this.#inbound.alive;
    if (again) return this.#try();
    this.#answer(tooLate ? 504 : 502, tooLate ? 'the backend did not answer in time' : 'the backend failed');
  }

  tick(nowMs: number): void {
    if (this.#over) return;
    if (!this.#headSent) {
      const waitedMs = nowMs - this.#sentMs;
      if (waitedMs > this.#route.options.readTimeoutMs) return this.#giveUp(noAnswer);
      if (waitedMs >= doubtMs && nowMs - this.#doubtedMs >= doubtEveryMs) {
        this.#doubtedMs = nowMs;
        const outbound = this.#outbound;
        this.#endpoint?.probe(() => {
          if (this.#outbound === outbound && !this.#headSent) this.#giveUp('it takes no connections any more');
        });
      }
    } else if (
      nowMs - Math.max(this.#heardMs, this.#sentMs) >
      Math.max(bodyIdleMs, this.#route.options.readTimeoutMs)
    ) {
      this.#outbound?.abort();
      this.#breakOff();
    }
  }

  // ------------------------------------------------------------ inside

  #giveUp(why: string): void {
    if (this.#over) return;
    this.#outbound?.abort();
    this.onFailed(why, false);
  }

  #switch(head: ResponseHead): void {
    if (this.#request.upgrade === undefined || head.upgrade === undefined || this.#outbound === undefined) {
      this.#outbound?.abort();
      return this.onFailed('it switched protocols without being asked', false);
    }
    const backend = this.#outbound.takeOver();
    const client = this.#inbound.takeOver(head);
    this.#done(true);
    startTunnel({ client, backend, ticker: this.#ticker, onClose: () => this.#onDone() });
  }

  /** An answer of the proxy's own. */
  #answer(status: number, why: string): void {
    if (this.#over) return;
    this.#outbound?.abort();
    this.#done();
    answerText(this.#inbound, status, why);
  }

  #breakOff(): void {
    if (this.#over) return;
    this.#done();
    this.#inbound.abort();
  }

  #done(goesOn = false): void {
    this.#over = true;
    this.#outbound = undefined;
    this.#ticker.delete(this);
    this.#leaveEndpoint();
    if (!goesOn) this.#onDone();
  }

  #leaveEndpoint(): void {
    if (this.#endpoint !== undefined) this.#endpoint.active--;
    this.#endpoint = undefined;
  }
}

const noAnswer = 'no answer in time';

/** Answers with one line of text. `headers`: more fields. */
export function answerText(inbound: Inbound, status: number, why: string, headers: readonly string[] = []): void {
  const body = Buffer.from(`${status}: ${why}\n`);
  const head: ResponseHead = {
    status,
    reason: '',
    headers: ['content-type', 'text/plain; charset=utf-8', 'cache-control', 'no-store', ...headers],
    contentLength: body.length,
    untilClose: false,
    keepAlive: true,
    idleSeconds: undefined,
    upgrade: undefined,
  };
  inbound.respond(head, body.length);
  inbound.write(body);
  inbound.end();
}
