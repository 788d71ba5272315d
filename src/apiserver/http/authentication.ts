import type { Identity } from '#wire';
import { errUnauthorized } from '#machinery';
import type { AuthenticationResult, Authenticator, Handler, Link, ServerRequest } from '../contract.ts';

/** Who a request is before anyone has looked. */
export const unauthenticated: Identity = Object.freeze({
  user: 'system:anonymous',
  groups: Object.freeze(['system:unauthenticated']),
});

/** Finds out who asks; in-process callers were named when they got their transport. Nobody: 401. */
export function authenticationLink(
  authenticator: Authenticator,
  onFailure: (request: ServerRequest, error: unknown) => void = () => {},
): Link {
  // Most answers are there at once: a request then costs no promise here.
  return (request, next) => {
    const { trusted } = request.source;
    if (trusted !== undefined) {
      request.identity = trusted;
      return next(request);
    }
    let answer: ReturnType<Authenticator['authenticate']>;
    try {
      answer = authenticator.authenticate(request);
    } catch (error) {
      return refused(request, error);
    }
    return answer instanceof Promise
      ? answer.then(
          (result) => goOn(request, result, next),
          (error: unknown) => refused(request, error),
        )
      : goOn(request, answer, next);
  };

  function goOn(request: ServerRequest, result: AuthenticationResult | undefined, next: Handler) {
    if (result === undefined) return refused(request, errUnauthorized());
    request.identity = result.identity;
    request.authentication = result;
    return next(request);
  }

  function refused(request: ServerRequest, error: unknown): never {
    onFailure(request, error);
    throw error;
  }
}

/** Sockets without an authenticator let nobody in. */
export const nobody: Authenticator = { authenticate: () => undefined };
