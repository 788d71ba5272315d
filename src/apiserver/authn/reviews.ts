import type { AnyObject } from '#api';
import { ApiError, errBadRequest } from '#machinery';
import type { Authenticator, ReviewHandler } from '../contract.ts';

/** The answers of authentication.k8s.io, by `group/plural`. */
export function identityReviewHandlers(
  authenticator: Authenticator,
  audiences: readonly string[],
): Readonly<Record<string, ReviewHandler>> {
  return {
    'authentication.k8s.io/tokenreviews': async (review) => {
      const spec = (review.spec ?? {}) as { token?: string; audiences?: readonly string[] };
      if (spec.token === undefined || spec.token === '')
        throw errBadRequest('token is required for TokenReview in authentication');
      return { ...review, status: await tokenStatus(authenticator, spec.token, spec.audiences ?? [], audiences) };
    },
    'authentication.k8s.io/selfsubjectreviews': async (review, { identity }) => ({
      ...review,
      status: {
        userInfo: {
          username: identity.user,
          ...(identity.uid === undefined ? {} : { uid: identity.uid }),
          groups: [...identity.groups],
          ...(identity.extra === undefined || Object.keys(identity.extra).length === 0
            ? {}
            : { extra: identity.extra }),
        },
      },
    }),
  };
}

async function tokenStatus(
  authenticator: Authenticator,
  token: string,
  asked: readonly string[],
  own: readonly string[],
): Promise<AnyObject['status']> {
  try {
    const result = await authenticator.authenticateToken?.(token, asked);
    if (result === undefined) return { authenticated: false, user: {}, error: 'invalid bearer token' };
    const { user, uid, groups, extra } = result.identity;
    const held = result.audiences ?? own;
    const matching = asked.length === 0 ? held : held.filter((one) => asked.includes(one));
    if (asked.length > 0 && matching.length === 0) return { authenticated: false, user: {} };
    return {
      authenticated: true,
      user: {
        username: user,
        ...(uid === undefined ? {} : { uid }),
        groups: [...groups],
        ...(extra === undefined ? {} : { extra }),
      },
      audiences: [...matching],
    };
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 401) throw error;
    return { authenticated: false, user: {}, error: 'invalid bearer token' };
  }
}
