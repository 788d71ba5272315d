import type { KeyObject } from 'node:crypto';
import type { Clock } from '#base';
import { errUnauthorized } from '#machinery';
import { peekIssuer, type TokenClaims, verifyServiceAccountToken } from '#pki';
import type { Identity } from '#wire';
import type { AuthenticationResult, ServerObjects } from '../contract.ts';
import type { TokenAuthenticator } from './bearer.authenticator.ts';

export interface ServiceAccountOptions {
  readonly keys: () => readonly KeyObject[];
  /** The first one issues; all are accepted. */
  readonly issuers: readonly string[];
  readonly objects: ServerObjects;
  readonly clock: Clock;
}

interface Known {
  readonly claims: TokenClaims;
  readonly result: AuthenticationResult;
  readonly keys: readonly KeyObject[];
}

const remembered = 10_000;
const rememberedAudiences = 16;
/** A pod's tokens stay good for a while after its deletion is due, so that it can say goodbye. */
const deletionLeewaySeconds = 60;

/**
 * Bound service-account tokens. The signature is checked once a token (remembered until it expires); that the account
 * and the pod, node or secret it is bound to still live, with the same uid, is checked at every use against the live views.
 */
export function openServiceAccountAuthenticator(options: ServiceAccountOptions): TokenAuthenticator {
  const { objects, clock, issuers } = options;
  const accounts = objects.view('v1', 'serviceaccounts');
  const pods = objects.view('v1', 'pods');
  /** Audiences → token → what it says. */
  const known = new Map<string, Map<string, Known>>();

  const isLive = (claims: TokenClaims): boolean => {
    const { namespace, serviceAccount, pod, secret, node } = claims;
    const account = accounts.get(namespace, serviceAccount.name);
    if (account?.metadata.uid !== serviceAccount.uid || isGone(account.metadata.deletionTimestamp, clock.nowMs()))
      return false;
    if (pod !== undefined) {
      const found = pods.get(namespace, pod.name);
      if (found?.metadata.uid !== pod.uid || isGone(found.metadata.deletionTimestamp, clock.nowMs())) return false;
    }
    if (secret !== undefined && objects.view('v1', 'secrets').get(namespace, secret.name)?.metadata.uid !== secret.uid)
      return false;
    return (
      node === undefined ||
      pod !== undefined ||
      objects.view('v1', 'nodes').get(undefined, node.name)?.metadata.uid === node.uid
    );
  };

  const isReady = (claims: TokenClaims): Promise<unknown> | undefined => {
    const views = [
      accounts,
      ...(claims.pod === undefined ? [] : [pods]),
      ...(claims.secret === undefined ? [] : [objects.view('v1', 'secrets')]),
    ];
    if (claims.node !== undefined && claims.pod === undefined) views.push(objects.view('v1', 'nodes'));
    return views.every((view) => view.isReady) ? undefined : Promise.all(views.map((view) => view.ready));
  };

  /** What was found out about a token before, while it is good. Asked at every request: one look-up by the token itself. */
  const recalled = (token: string, audiences: readonly string[]): Known | undefined => {
    const found = known.get(audiences.length === 1 ? (audiences[0] as string) : audiences.join('\0'))?.get(token);
    return found !== undefined && found.keys === options.keys() && clock.nowMs() <= found.claims.expiresAtMs
      ? found
      : undefined;
  };

  const verified = (token: string, audiences: readonly string[]): Known => {
    const keys = options.keys();
    let claims: TokenClaims;
    try {
      claims = verifyServiceAccountToken(token, { keys, issuers, audiences, nowMs: clock.nowMs() });
    } catch {
      throw errUnauthorized();
    }
    const fresh = { claims, result: resultOf(claims), keys };
    const audience = audiences.join('\0');
    let same = known.get(audience);
    if (same === undefined) {
      if (known.size >= rememberedAudiences) known.delete(known.keys().next().value as string);
      same = new Map();
      known.set(audience, same);
    }
    same.delete(token);
    if (same.size >= remembered) same.delete(same.keys().next().value as string);
    same.set(token, fresh);
    return fresh;
  };

  /** A view may trail a write that the caller has seen acknowledged: before refusing, look once more when it has caught up. */
  const secondLook = async (claims: TokenClaims, result: AuthenticationResult): Promise<AuthenticationResult> => {
    await isReady(claims);
    if (!isLive(claims)) await Promise.all([accounts.current(), claims.pod === undefined ? undefined : pods.current()]);
    if (!isLive(claims)) throw errUnauthorized();
    return result;
  };

  return {
    name: 'serviceaccount',
    authenticateToken(token, audiences) {
      let found = recalled(token, audiences);
      if (found === undefined) {
        const issuer = peekIssuer(token);
        if (issuer === undefined || !issuers.includes(issuer)) return undefined;
        found = verified(token, audiences);
      }
      const { claims, result } = found;
      if (isReady(claims) === undefined && isLive(claims)) return result;
      return secondLook(claims, result);
    },
  };
}

/** Whether an object counts as gone: deleted, and the time that its tokens have to say goodbye is over. */
export function isGone(deletionTimestamp: string | undefined, nowMs: number): boolean {
  return deletionTimestamp !== undefined && Date.parse(deletionTimestamp) + deletionLeewaySeconds * 1000 < nowMs;
}

/** Who a token of an account makes its bearer. */
export function serviceAccountIdentity(
  namespace: string,
  { name, uid }: { readonly name: string; readonly uid: string },
): Identity {
  return {
    user: `system:serviceaccount:${namespace}:${name}`,
    uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}

const extraPrefix = 'authentication.kubernetes.io/';

function resultOf(claims: TokenClaims): AuthenticationResult {
  const { namespace, serviceAccount, pod, node, id } = claims;
  const extra: Record<string, readonly string[]> = {};
  if (id !== '') extra[`${extraPrefix}credential-id`] = [`JTI=${id}`];
  if (node !== undefined) {
    extra[`${extraPrefix}node-name`] = [node.name];
    extra[`${extraPrefix}node-uid`] = [node.uid];
  }
  if (pod !== undefined) {
    extra[`${extraPrefix}pod-name`] = [pod.name];
    extra[`${extraPrefix}pod-uid`] = [pod.uid];
  }
  return {
    identity: { ...serviceAccountIdentity(namespace, serviceAccount), extra },
    authenticator: 'serviceaccount',
    credentialId: `JTI=${id}`,
    audiences: claims.audiences,
  };
}
