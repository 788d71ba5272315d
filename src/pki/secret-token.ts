import type { KeyObject } from 'node:crypto';
import { UntrustedError } from './errors.ts';
import { type ObjectReference, signClaims, verifiedClaims } from './service-account-token.ts';

/** The issuer of tokens that lie in Secrets, of every cluster. */
export const secretTokenIssuer = 'kubernetes/serviceaccount';

export interface SecretTokenClaims {
  readonly namespace: string;
  readonly secretName: string;
  readonly serviceAccount: ObjectReference;
}

const prefix = 'kubernetes.io/serviceaccount/';

/**
 * Makes a token for a Secret of type kubernetes.io/service-account-token: without an end, good while the Secret that holds it lives.
 * Claims as upstream's.
 */
export function signSecretToken(key: KeyObject, { namespace, secretName, serviceAccount }: SecretTokenClaims): string {
  return signClaims(key, {
    iss: secretTokenIssuer,
    [`${prefix}namespace`]: namespace,
    [`${prefix}secret.name`]: secretName,
    [`${prefix}service-account.name`]: serviceAccount.name,
    [`${prefix}service-account.uid`]: serviceAccount.uid,
    sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
  });
}

/** Checks signature, issuer and shape. Throws UntrustedError. That the Secret holds this very token is the caller's to check. */
export function verifySecretToken(token: string, keys: readonly KeyObject[]): SecretTokenClaims {
  const claims = verifiedClaims(token, keys);
  const text = (name: string): string => {
    const value = claims?.[name];
    if (typeof value !== 'string' || value === '') throw new UntrustedError(`token has no ${name}`);
    return value;
  };
  if (text('iss') !== secretTokenIssuer) throw new UntrustedError('token is of another issuer');
  const namespace = text(`${prefix}namespace`);
  const name = text(`${prefix}service-account.name`);
  if (text('sub') !== `system:serviceaccount:${namespace}:${name}`)
    throw new UntrustedError('token subject does not match its service account');
  return {
    namespace,
    secretName: text(`${prefix}secret.name`),
    serviceAccount: { name, uid: text(`${prefix}service-account.uid`) },
  };
}
