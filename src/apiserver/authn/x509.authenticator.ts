import { errUnauthorized } from '#machinery';
import { type Certificate, parseCertificate, verifyChain } from '#pki';
import type { Clock } from '#base';
import type { AuthenticationResult, Authenticator, RequestSource } from '../contract.ts';

export interface X509Options {
  /** Current client authorities; asked at each first sight of a certificate, so that a renewed bundle counts at once. */
  readonly roots: () => readonly Certificate[];
  readonly clock: Clock;
}

interface Checked {
  readonly result: AuthenticationResult;
  readonly notAfterMs: number;
  readonly roots: readonly Certificate[];
}

/**
 * A client certificate that chains to the client authority: its CN is the user, each O a group, both decoded from DER. A
 * certificate is checked once and remembered with the connection that holds it.
 */
export function openX509Authenticator(options: X509Options): Authenticator {
  const checked = new WeakMap<Uint8Array, Checked>();
  return {
    authenticate({ source }) {
      const leaf = source.clientCertificates?.[0];
      if (leaf === undefined) return undefined;
      const roots = options.roots();
      const known = checked.get(leaf);
      if (known !== undefined && known.roots === roots && options.clock.nowMs() <= known.notAfterMs)
        return known.result;
      const certificate = trustedCertificate(source, roots, options.clock.nowMs());
      if (certificate.subject.commonName === '') throw errUnauthorized();
      const result: AuthenticationResult = {
        identity: {
          user: certificate.subject.commonName,
          groups: withAuthenticated(certificate.subject.organizations),
          extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${certificate.fingerprint}`] },
        },
        authenticator: 'x509',
        credentialId: `X509SHA256=${certificate.fingerprint}`,
      };
      checked.set(leaf, { result, notAfterMs: certificate.notAfterMs, roots });
      return result;
    },
  };
}

/** The leaf, proven to lead to one of the roots for client use. Throws 401. */
export function trustedCertificate(source: RequestSource, roots: readonly Certificate[], nowMs: number): Certificate {
  try {
    const chain = (source.clientCertificates ?? []).map((one) => parseCertificate(one));
    verifyChain({ chain, roots, usage: 'client', nowMs });
    return chain[0] as Certificate;
  } catch {
    throw errUnauthorized();
  }
}

/** Everyone whose credential was good is in `system:authenticated`. */
export function withAuthenticated(groups: readonly string[]): readonly string[] {
  return groups.includes('system:authenticated') || groups.includes('system:unauthenticated')
    ? groups
    : [...groups, 'system:authenticated'];
}
