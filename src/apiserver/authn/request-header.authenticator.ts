import type { Clock } from '#base';
import { errUnauthorized } from '#machinery';
import { type Certificate, isSignedBy, parseCertificate } from '#pki';
import type { AuthenticationRequest, Authenticator } from '../contract.ts';
import { trustedCertificate, withAuthenticated } from './x509.authenticator.ts';

export interface RequestHeaderOptions {
  /** The front proxy's authority. Must not be the client authority: whoever it signs may name any user. */
  readonly roots: () => readonly Certificate[];
  /** Common names that may be a front proxy; at least one. */
  readonly allowedNames: readonly string[];
  readonly clock: Clock;
}

const userHeader = 'x-remote-user';
const groupHeader = 'x-remote-group';
const uidHeader = 'x-remote-uid';
const extraPrefix = 'x-remote-extra-';

/**
 * Believes `X-Remote-User` and its kin when, and only when, the connection shows a certificate of the front proxy's own authority.
 * Other certificates, and requests without the headers, are left to the next authenticator.
 */
export function openRequestHeaderAuthenticator(options: RequestHeaderOptions): Authenticator {
  return {
    authenticate(request) {
      const user = request.headers[userHeader];
      const leaf = request.source.clientCertificates?.[0];
      if (user === undefined || user === '' || leaf === undefined) return undefined;
      const roots = options.roots();
      if (!mayBeOurs(leaf, roots)) return undefined;
      const certificate = trustedCertificate(request.source, roots, options.clock.nowMs());
      if (!options.allowedNames.includes(certificate.subject.commonName)) throw errUnauthorized();
      return {
        identity: {
          user,
          groups: withAuthenticated(valuesOf(request, groupHeader)),
          ...(request.headers[uidHeader] === undefined ? {} : { uid: request.headers[uidHeader] }),
          extra: extraOf(request),
        },
        authenticator: 'requestheader',
        credentialId: `X509SHA256=${certificate.fingerprint}`,
      };
    },
  };
}

function mayBeOurs(leaf: Uint8Array, roots: readonly Certificate[]): boolean {
  try {
    const certificate = parseCertificate(leaf);
    return roots.some((root) => isSignedBy(certificate, root));
  } catch {
    return false;
  }
}

function valuesOf(request: AuthenticationRequest, name: string): string[] {
  const all = (request as { headerValues?: (name: string) => readonly string[] | undefined }).headerValues?.(name);
  const values = all ?? (request.headers[name] === undefined ? [] : [request.headers[name] as string]);
  return values.filter((one) => one !== '');
}

function extraOf(request: AuthenticationRequest): Record<string, readonly string[]> {
  const extra: Record<string, readonly string[]> = Object.create(null);
  for (const name of Object.keys(request.headers)) {
    if (!name.startsWith(extraPrefix)) continue;
    try {
      extra[decodeURIComponent(name.slice(extraPrefix.length)).toLowerCase()] = valuesOf(request, name);
    } catch {
      throw errUnauthorized();
    }
  }
  return extra;
}
