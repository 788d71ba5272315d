import { createHash } from 'node:crypto';
import type { Identity } from '#wire';
import type { TokenAuthenticator } from './bearer.authenticator.ts';
import { withAuthenticated } from './x509.authenticator.ts';

/** Fixed tokens, for tests and embedders. Looked up by hash: how long a comparison takes says nothing of the token. */
export function openStaticTokenAuthenticator(tokens: Readonly<Record<string, Identity>>): TokenAuthenticator {
  const hash = (token: string): string => createHash('sha256').update(token).digest('base64');
  const known = new Map(
    Object.entries(tokens).map(([token, identity]) => [
      hash(token),
      { identity: { ...identity, groups: withAuthenticated(identity.groups) }, authenticator: 'token' },
    ]),
  );
  return { name: 'token', authenticateToken: (token) => known.get(hash(token)) };
}
