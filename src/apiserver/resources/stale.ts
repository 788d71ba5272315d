import type { ServerRequest } from '../contract.ts';
import type { ResourceContext } from './context.ts';

/** Tells the reader when the answer is not certainly the newest: the store has no majority just now. */
export function warnIfStale({ feed }: ResourceContext, request: ServerRequest): void {
  if (feed.isStale)
    request.warnings.push(
      `the store does not answer: this was known at resourceVersion ${feed.revision}, and may be old`,
    );
}
