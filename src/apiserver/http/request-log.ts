import type { Clock, Log } from '#base';
import type { ServerRequest, ServerResponse } from '../contract.ts';

export interface RequestLogOptions {
  readonly log: Log;
  readonly clock: Clock;
  /** Requests that take so long or longer are told; default 1,000. 0: all are. */
  readonly thresholdMs?: number;
}

export const slowRequestMs = 1000;
/** Sub-resources whose query is a command line, or belongs to somebody else's program. */
const foreignQueries = new Set(['exec', 'attach', 'proxy', 'portforward']);
const longestUri = 2000;

/**
 * One line of JSON for a request that was slow, or for each: who, what, how it ended, how long it took and how many bytes were
 * answered. Never a header, a body, or a query that is not this server's own. Watches and other streams are only told where all
 * requests are, when they end: their length says nothing.
 */
export class RequestLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #thresholdMs: number;

  constructor(options: RequestLogOptions) {
    this.#log = options.log;
    this.#clock = options.clock;
    this.#thresholdMs = options.thresholdMs ?? slowRequestMs;
  }

  answered(request: ServerRequest, response: ServerResponse, beganMs: number): void {
    const latencyMs = this.#clock.monotonicMs() - beganMs;
    if (latencyMs < this.#thresholdMs) return;
    const all = this.#thresholdMs <= 0;
    if (!all && isLongRunning(request, response)) return;
    const { info, identity, headers, source, auditId } = request;
    this.#log.info(
      {
        verb: info.verb ?? request.method.toLowerCase(),
        uri: uriOf(request),
        code: response.status,
        latencyMs: Math.round(latencyMs * 1000) / 1000,
        user: identity.user,
        ...(request.impersonator === undefined ? {} : { impersonator: request.impersonator.user }),
        ...(auditId === undefined ? {} : { auditId }),
        ...bytesOf(response),
        ...(headers['user-agent'] === undefined ? {} : { userAgent: headers['user-agent'].slice(0, 200) }),
        ...(source.remoteAddress === '' ? {} : { source: source.remoteAddress }),
      },
      all ? 'request' : 'slow request',
    );
  }
}

function isLongRunning({ info }: ServerRequest, { takeOver }: ServerResponse): boolean {
  return takeOver !== undefined || info.verb === 'watch' || info.subresource === 'log' || info.subresource === 'proxy';
}

/** The target as it was asked for; the path alone where the query may hold what a log must not. */
function uriOf({ target, info }: ServerRequest): string {
  const question = target.indexOf('?');
  const ours = info.isResource === true && !foreignQueries.has(info.subresource);
  return (question < 0 || ours ? target : target.slice(0, question)).slice(0, longestUri);
}

function bytesOf({ body }: ServerResponse): { readonly bytes?: number } {
  if (body === undefined) return {};
  if (body instanceof Uint8Array) return { bytes: body.length };
  return { bytes: body.reduce((sum, one) => sum + one.length, 0) };
}
