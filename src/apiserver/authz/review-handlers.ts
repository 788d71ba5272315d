import { identityReviewHandlers } from '../authn/reviews.ts';
import type { Authenticator, Authorizer, ReviewHandler } from '../contract.ts';
import { accessReviewHandlers } from './reviews.ts';

/** Every create-only kind that asks about identities and permissions, by `group/plural`. */
export function reviewHandlers(options: {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly audiences: readonly string[];
}): Readonly<Record<string, ReviewHandler>> {
  return {
    ...accessReviewHandlers(options.authorizer),
    ...identityReviewHandlers(options.authenticator, options.audiences),
  };
}
