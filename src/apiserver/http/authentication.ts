import type { Identity } from '#wire';
import { errUnauthorized } from '#machinery';
import type { AuthenticationResult, Authenticator, Link, ServerRequest } from '../contract.ts';

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
  return async (request, next) => {
    const { trusted } = request.source;
    if (trusted !== undefined) {
      request.identity = trusted;
      return next(request);
    }
    let result: AuthenticationResult | undefined;
    try {
      const answer = authenticator.authenticate(request);
      result = answer instanceof Promise ? await answer : answer;
      if (result === undefined) throw errUnauthorized();
    } catch (error) {
      onFailure(request, error);
      throw error;
    }
    request.identity = result.identity;
    request.authentication = result;
    return next(request);
  };
}

/** Sockets without an authenticator let nobody in. */
export const nobody: Authenticator = { authenticate: () => undefined };
