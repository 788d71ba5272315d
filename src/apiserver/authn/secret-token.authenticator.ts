import { timingSafeEqual, type KeyObject } from 'node:crypto';
import type { Clock } from '#base';
import { errUnauthorized } from '#machinery';
import { peekIssuer, type SecretTokenClaims, secretTokenIssuer, verifySecretToken } from '#pki';
import type { AuthenticationResult, ObjectView, ServerObjects } from '../contract.ts';
import type { TokenAuthenticator } from './bearer.authenticator.ts';
import { isGone, serviceAccountIdentity } from './service-account.authenticator.ts';

export interface SecretTokenOptions {
  readonly keys: () => readonly KeyObject[];
  /** The API server's own audiences: these tokens name none, and are good for these alone. */
  readonly audiences: readonly string[];
  readonly objects: ServerObjects;
  readonly clock: Clock;
}

interface Known {
  readonly claims: SecretTokenClaims;
  readonly keys: readonly KeyObject[];
}

const remembered = 1000;

/**
 * Tokens of Secrets of type kubernetes.io/service-account-token. The signature is checked once a token; at every use the Secret must
 * be there and hold this very token, and the account live with the same uid.
 */
export function openSecretTokenAuthenticator(options: SecretTokenOptions): TokenAuthenticator {
  const { objects, clock } = options;
  const known = new Map<string, Known>();

  const claimsOf = (token: string): SecretTokenClaims => {
    const keys = options.keys();
    const found = known.get(token);
    if (found !== undefined && found.keys === keys) return found.claims;
    let claims: SecretTokenClaims;
    try {
      claims = verifySecretToken(token, keys);
    } catch {
      throw errUnauthorized();
    }
    if (known.size >= remembered) known.delete(known.keys().next().value as string);
    known.set(token, { claims, keys });
    return claims;
  };
  const isLive = (token: string, { namespace, secretName, serviceAccount }: SecretTokenClaims): boolean => {
    const account = objects.view('v1', 'serviceaccounts').get(namespace, serviceAccount.name);
    if (account?.metadata.uid !== serviceAccount.uid || isGone(account.metadata.deletionTimestamp, clock.nowMs()))
      return false;
    const secret = objects.view('v1', 'secrets').get(namespace, secretName);
    if (secret === undefined || isGone(secret.metadata.deletionTimestamp, clock.nowMs())) return false;
    const held = (secret as { readonly data?: Readonly<Record<string, string>> }).data?.token;
    return held !== undefined && isSame(Buffer.from(held, 'base64'), Buffer.from(token));
  };

  /** A view may trail a write that the caller has seen acknowledged. */
  const secondLook = async (
    token: string,
    claims: SecretTokenClaims,
    { views, result }: { readonly views: readonly ObjectView[]; readonly result: AuthenticationResult },
  ): Promise<AuthenticationResult> => {
    await Promise.all(views.map((view) => view.ready));
    if (!isLive(token, claims)) await Promise.all(views.map((view) => view.current()));
    if (!isLive(token, claims)) throw errUnauthorized();
    return result;
  };

  return {
    name: 'serviceaccount',
    authenticateToken(token, audiences) {
      if (peekIssuer(token) !== secretTokenIssuer) return undefined;
      const claims = claimsOf(token);
      const common = audiences.filter((one) => options.audiences.includes(one));
      if (common.length === 0) throw errUnauthorized();
      const { namespace, serviceAccount } = claims;
      const result: AuthenticationResult = {
        identity: serviceAccountIdentity(namespace, serviceAccount),
        authenticator: 'serviceaccount',
        audiences: common,
      };
      const views = [objects.view('v1', 'serviceaccounts'), objects.view('v1', 'secrets')];
      if (views.every((view) => view.isReady) && isLive(token, claims)) return result;
      return secondLook(token, claims, { views, result });
    },
  };
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
