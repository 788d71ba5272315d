export { type AuthenticationOptions, openAuthenticator } from './authenticator.ts';
export { identityReviewHandlers } from './reviews.ts';
export { openTokenIssuer, type TokenIssuerOptions } from './token-issuer.ts';
export { openX509Authenticator } from './x509.authenticator.ts';
export { checkOpenIdSettings } from './open-id.authenticator.ts';
