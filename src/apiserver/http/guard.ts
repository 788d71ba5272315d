import { type Log, messageOf } from '#base';
import { statusOf } from '#machinery';
import type { Link, ServerResponse } from '../contract.ts';
import type { RequestMetrics } from './metrics.ts';
import type { RequestLog } from './request-log.ts';
import { statusResponse } from './respond.ts';

export interface GuardOptions {
  readonly log: Log;
  readonly metrics?: RequestMetrics;
  readonly requestLog?: RequestLog;
}

/** The outermost link: anything thrown becomes a Status; warnings and the audit id become headers; what was asked is counted. */
export function guardLink({ log, metrics, requestLog }: GuardOptions): Link {
  return async (request, next) => {
    const began = metrics?.begin(request) ?? 0;
    let response: ServerResponse;
    try {
      response = await next(request);
    } catch (error) {
      const status = statusOf(error);
      if ((status.code ?? 500) >= 500 && status.code !== 504) {
        const stack = error instanceof Error ? error.stack : undefined;
        log.error(
          { method: request.method, path: pathOf(request.target), error: messageOf(error), stack },
          'request failed',
        );
      }
      response = statusResponse(status, request);
    }
    if (request.warnings.length > 0) response.headers.warning = warningHeaders(request.warnings);
    const { flow } = request;
    if (flow !== undefined) {
      response.headers['x-kubernetes-pf-flowschema-uid'] = flow.schema;
      response.headers['x-kubernetes-pf-prioritylevel-uid'] = flow.level;
    }
    if (request.auditId !== undefined) response.headers['audit-id'] = request.auditId;
    const running = metrics?.end(request, response, began);
    const { stream, takeOver } = response;
    if (stream === undefined && takeOver === undefined) {
      requestLog?.answered(request, response, began);
      return response;
    }
    const end = (): void => {
      running?.end();
      requestLog?.answered(request, response, began);
    };
    if (takeOver !== undefined)
      return {
        ...response,
        takeOver(socket, head) {
          socket.once('close', end);
          takeOver(socket, head);
        },
      };
    return {
      ...response,
      stream(target) {
        target.onClose(end);
        stream?.(target);
      },
    };
  };
}

/** The query may hold what a log must not. */
function pathOf(target: string): string {
  const question = target.indexOf('?');
  return question < 0 ? target : target.slice(0, question);
}

const largestWarning = 256;
const largestWarnings = 4 * 1024;

/** `299 - "text"`, each text once, cut when they would fill a client's header buffer. */
function warningHeaders(texts: readonly string[]): string[] {
  const unique = [...new Set(texts)];
  const total = unique.reduce((sum, text) => sum + text.length, 0);
  let left = largestWarnings;
  const headers: string[] = [];
  for (const text of unique) {
    const cut = total > largestWarnings && text.length > largestWarning ? text.slice(0, largestWarning) : text;
    left -= cut.length;
    if (left < 0) break;
    // biome-ignore lint: control characters must not reach a header
    const clean = cut.replace(/[\x00-\x1f\x7f-\uffff]/g, ' ').replace(/["\\]/g, '\\$&');
    headers.push(`299 - "${clean}"`);
  }
  return headers;
}
