import type { KeyObject } from 'node:crypto';
import { type Clock, CodedError, type Log } from '#base';
import { errUnauthorized } from '#machinery';
import { type OpenIdSettings, peekIssuer, verifiedClaims } from '#pki';
import type { AuthenticationResult } from '../contract.ts';
import type { TokenAuthenticator } from './bearer.authenticator.ts';
import { OpenIdKeys, type ReadDocument } from './open-id-keys.ts';

export interface OpenIdOptions {
  readonly settings: OpenIdSettings;
  /** The API server's own audiences: whoever signs in so is known to it alone. */
  readonly audiences: readonly string[];
  readonly read: ReadDocument;
  readonly clock: Clock;
  readonly log: Log;
}

/** Seconds that the issuer's clock may be ahead. */
const leewaySeconds = 60;

/** Checks settings that a person wrote. Throws WrongUsage. */
export function checkOpenIdSettings({ issuerUrl, clientId }: OpenIdSettings): void {
  const url = URL.canParse(issuerUrl) ? new URL(issuerUrl) : undefined;
  if (url?.protocol !== 'https:' || url.search !== '' || url.hash !== '')
    throw new CodedError(
      'WrongUsage',
      `--oidc-issuer-url: "${issuerUrl}" is no https:// URL without query and fragment`,
    );
  if (clientId === '') throw new CodedError('WrongUsage', '--oidc-issuer-url goes with --oidc-client-id');
}

/**
 * ID tokens of an OpenID Connect provider: signature by the issuer's published keys, issuer, audience, dates, required claims; then
 * name and groups from claims.
 */
export function openOpenIdAuthenticator(options: OpenIdOptions): TokenAuthenticator {
  const { settings, read, clock, log } = options;
  const { issuerUrl } = settings;
  const keys = new OpenIdKeys({ issuerUrl, read, clock, log });

  const signedBy = (token: string, known: readonly KeyObject[]): Record<string, unknown> | undefined => {
    try {
      return verifiedClaims(token, known);
    } catch {
      return undefined;
    }
  };
  const authenticate = async (token: string, audiences: readonly string[]): Promise<AuthenticationResult> => {
    const known = await keys.current();
    const claims = signedBy(token, known) ?? signedBy(token, await keys.newer(known));
    if (claims === undefined) throw errUnauthorized();
    const why = problemOf(claims, settings, clock.nowMs());
    if (why !== undefined) {
      log.debug({ issuer: issuerUrl, why }, 'an ID token was refused');
      throw errUnauthorized();
    }
    return {
      identity: {
        user: prefixOf(settings) + String(claims[settings.usernameClaim ?? 'sub']),
        groups: [...groupsOf(claims, settings), 'system:authenticated'],
      },
      authenticator: 'oidc',
      audiences,
    };
  };
  return {
    name: 'oidc',
    authenticateToken(token, audiences) {
      if (peekIssuer(token) !== issuerUrl) return undefined;
      const common = audiences.filter((one) => options.audiences.includes(one));
      if (common.length === 0) throw errUnauthorized();
      return authenticate(token, common);
    },
  };
}

/** Why claims that the issuer signed do not open this server; undefined when they do. */
function problemOf(claims: Record<string, unknown>, settings: OpenIdSettings, nowMs: number): string | undefined {
  const { iss, aud, exp, nbf } = claims;
  const now = Math.floor(nowMs / 1000);
  if (iss !== settings.issuerUrl) return 'it is of another issuer';
  if (!(Array.isArray(aud) ? aud : [aud]).includes(settings.clientId)) return 'it is for another client';
  if (typeof exp !== 'number' || now > exp) return 'it has expired';
  if (typeof nbf === 'number' && now + leewaySeconds < nbf) return 'it is not valid yet';
  const claim = settings.usernameClaim ?? 'sub';
  const name = Object.hasOwn(claims, claim) ? claims[claim] : undefined;
  if (typeof name !== 'string' || name === '') return `it has no claim ${claim}`;
  if (claim === 'email' && Object.hasOwn(claims, 'email_verified') && claims['email_verified'] !== true)
    return 'its email is not verified';
  for (const [key, value] of Object.entries(settings.requiredClaims ?? {}))
    if (!Object.hasOwn(claims, key) || claims[key] !== value) return `its claim ${key} is another one`;
  return undefined;
}

function prefixOf({ issuerUrl, usernameClaim = 'sub', usernamePrefix }: OpenIdSettings): string {
  if (usernamePrefix !== undefined && usernamePrefix !== '') return usernamePrefix === '-' ? '' : usernamePrefix;
  return usernameClaim === 'email' ? '' : `${issuerUrl}#`;
}

function groupsOf(claims: Record<string, unknown>, { groupsClaim, groupsPrefix = '' }: OpenIdSettings): string[] {
  if (groupsClaim === undefined || !Object.hasOwn(claims, groupsClaim)) return [];
  const found = claims[groupsClaim];
  const groups = Array.isArray(found) ? found : [found];
  return groups.filter((one): one is string => typeof one === 'string').map((one) => groupsPrefix + one);
}
