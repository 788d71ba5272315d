import { messageOf } from '#base';

interface DialError {
  readonly code?: string;
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly host?: string;
  readonly errors?: readonly unknown[];
  readonly cert?: { readonly subjectaltname?: string };
}

const refusals: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
};
const unverified = 'tls: failed to verify certificate: x509: ';
const unknownAuthority: ReadonlySet<string> = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]);

/** Why another server was not reached, in the words that upstream's users search for. */
export function dialFailure(error: unknown): string {
  if (typeof error !== 'object' || error === null) return messageOf(error);
  const { code = '', address, port, hostname, host, errors, cert } = error as DialError;
  // Several addresses of one name were tried: the first one's failure stands for all.
  if (errors !== undefined && errors.length > 0 && address === undefined) return dialFailure(errors[0]);
  if (Object.hasOwn(refusals, code) && address !== undefined)
    return `dial tcp ${address.includes(':') ? `[${address}]` : address}:${port}: ${refusals[code]}`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${hostname ?? host}: no such host`;
  if (unknownAuthority.has(code)) return `${unverified}certificate signed by unknown authority`;
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return `${unverified}certificate has expired or is not yet valid`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = [...(cert?.subjectaltname ?? '').matchAll(/(?:DNS|IP Address):([^,\s]+)/g)].map((one) => one[1]);
    return names.length === 0
      ? `${unverified}certificate is not valid for any names, but wanted to match ${host}`
      : `${unverified}certificate is valid for ${names.join(', ')}, not ${host}`;
  }
  if (code === 'ECONNRESET') return 'EOF';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return 'http: server gave HTTP response to HTTPS client';
  return messageOf(error);
}
