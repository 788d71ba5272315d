import type { KeyObject } from 'node:crypto';
import type { Clock } from '#base';
import { errUnauthorized } from '#machinery';
import type { Certificate } from '#pki';
import type { Identity } from '#wire';
import type { AuthenticationResult, Authenticator, ServerObjects } from '../contract.ts';
import { openBearerAuthenticator } from './bearer.authenticator.ts';
import { openBootstrapTokenAuthenticator } from './bootstrap-token.authenticator.ts';
import { type OpenIdOptions, openOpenIdAuthenticator } from './open-id.authenticator.ts';
import { openRequestHeaderAuthenticator } from './request-header.authenticator.ts';
import { openSecretTokenAuthenticator } from './secret-token.authenticator.ts';
import { openServiceAccountAuthenticator } from './service-account.authenticator.ts';
import { openStaticTokenAuthenticator } from './static-token.authenticator.ts';
import { openX509Authenticator } from './x509.authenticator.ts';

export interface AuthenticationOptions {
  readonly clock: Clock;
  readonly objects: ServerObjects;
  /** Authorities of client certificates. Return the same array until it changes. */
  readonly clientRoots?: () => readonly Certificate[];
  readonly frontProxy?: { readonly roots: () => readonly Certificate[]; readonly allowedNames: readonly string[] };
  readonly serviceAccounts?: { readonly keys: () => readonly KeyObject[]; readonly issuers: readonly string[] };
  /** Audiences that the API server answers to. */
  readonly audiences: readonly string[];
  /** Sign-in by an OpenID Connect provider. */
  readonly openId?: Pick<OpenIdOptions, 'settings' | 'read' | 'log'>;
  readonly bootstrapTokens?: boolean;
  readonly staticTokens?: Readonly<Record<string, Identity>>;
  /** Default true; by the default policy anonymous requests reach health and version only. */
  readonly anonymous?: boolean;
}

const anonymous: AuthenticationResult = Object.freeze({
  identity: Object.freeze({ user: 'system:anonymous', groups: Object.freeze(['system:unauthenticated']) }),
  authenticator: 'anonymous',
});

/**
 * Asks for front-proxy headers, a client certificate, a bearer token, in this order. The first that knows its credential decides; a
 * bad credential is 401 even when another one would do; none at all is system:anonymous.
 */
export function openAuthenticator(options: AuthenticationOptions): Authenticator {
  const { clock, objects, clientRoots, frontProxy, serviceAccounts } = options;
  if (frontProxy !== undefined) refuseSharedAuthority(frontProxy, clientRoots);
  const bearer = openBearerAuthenticator({
    audiences: options.audiences,
    families: [
      ...(serviceAccounts === undefined
        ? []
        : [
            openServiceAccountAuthenticator({ ...serviceAccounts, objects, clock }),
            openSecretTokenAuthenticator({
              ...{ keys: serviceAccounts.keys, audiences: options.audiences, objects, clock },
            }),
          ]),
      ...(options.openId === undefined
        ? []
        : [openOpenIdAuthenticator({ ...options.openId, audiences: options.audiences, clock })]),
      ...(options.bootstrapTokens === true ? [openBootstrapTokenAuthenticator({ objects, clock })] : []),
      ...(options.staticTokens === undefined ? [] : [openStaticTokenAuthenticator(options.staticTokens)]),
    ],
  });
  const chain: readonly Authenticator[] = [
    ...(frontProxy === undefined ? [] : [openRequestHeaderAuthenticator({ ...frontProxy, clock })]),
    ...(clientRoots === undefined ? [] : [openX509Authenticator({ roots: clientRoots, clock })]),
    bearer,
  ];
  return {
    authenticate(request) {
      for (const authenticator of chain) {
        const answer = authenticator.authenticate(request);
        if (answer !== undefined) return answer;
      }
      if (options.anonymous === false) throw errUnauthorized();
      return anonymous;
    },
    authenticateToken: bearer.authenticateToken,
  };
}

function refuseSharedAuthority(
  frontProxy: NonNullable<AuthenticationOptions['frontProxy']>,
  clientRoots: AuthenticationOptions['clientRoots'],
): void {
  const clients = new Set((clientRoots?.() ?? []).map((one) => one.fingerprint));
  if (frontProxy.allowedNames.length === 0 || frontProxy.roots().some((one) => clients.has(one.fingerprint))) {
    throw new TypeError(
      'the front proxy needs an authority of its own and at least one allowed name: else any client could name any user',
    );
  }
}
