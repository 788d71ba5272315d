import { type Log, messageOf } from '#base';
import { statusOf } from '#machinery';
import type { Link, ServerResponse } from '../contract.ts';
import type { RequestMetrics } from './metrics.ts';
import { statusResponse } from './respond.ts';

/** The outermost link: anything thrown becomes a Status; warnings and the audit id become headers. */
export function guardLink(log: Log, metrics?: RequestMetrics): Link {
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
    if (request.auditId !== undefined) response.headers['audit-id'] = request.auditId;
    metrics?.end(request, response, began);
    return response;
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
