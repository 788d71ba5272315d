import { type Certificate, isSignedBy, usage } from './certificate.ts';
import { UntrustedError } from './errors.ts';

export interface ChainOptions {
  /** Leaf first, then whatever intermediates the peer sent. */
  readonly chain: readonly Certificate[];
  readonly roots: readonly Certificate[];
  readonly usage: 'client' | 'server';
  readonly nowMs: number;
}

const longestChain = 6;
const keyCertSignBit = 5;

/**
 * Throws UntrustedError unless the leaf leads to one of the roots over valid signatures, every certificate is in its
 * dates, every issuer may issue, and every usage list on the way allows the use.
 */
export function verifyChain({ chain, roots, usage: use, nowMs }: ChainOptions): void {
  let current = chain[0];
  if (current === undefined) throw new UntrustedError('no certificate was shown');
  const intermediates = new Set(chain.slice(1, longestChain));
  checkDates(current, nowMs);
  checkUsage(current, use);
  for (let depth = 0; depth < longestChain; depth++) {
    const child: Certificate = current;
    const root = roots.find((one) => one.fingerprint === child.fingerprint || isSignedBy(child, one));
    if (root !== undefined) return checkIssuer(root, depth, nowMs);
    const parent = [...intermediates].find((one) => isSignedBy(child, one));
    if (parent === undefined) break;
    intermediates.delete(parent);
    checkIssuer(parent, depth, nowMs);
    checkUsage(parent, use);
    current = parent;
  }
  throw new UntrustedError('x509: certificate signed by unknown authority');
}

function checkIssuer(issuer: Certificate, depth: number, nowMs: number): void {
  checkDates(issuer, nowMs);
  if (!issuer.isCa || (issuer.keyUsage !== undefined && !issuer.keyUsage.has(keyCertSignBit))) {
    throw new UntrustedError('x509: issuer is not a certificate authority');
  }
  if (issuer.maxPathLength !== undefined && depth > issuer.maxPathLength)
    throw new UntrustedError('x509: too many intermediates for path length constraint');
}

function checkDates(certificate: Certificate, nowMs: number): void {
  if (nowMs < certificate.notBeforeMs || nowMs > certificate.notAfterMs) {
    throw new UntrustedError('x509: certificate has expired or is not yet valid');
  }
}

function checkUsage(certificate: Certificate, use: 'client' | 'server'): void {
  const allowed = certificate.usages;
  if (allowed !== undefined && !allowed.includes(usage[use]) && !allowed.includes(usage.any)) {
    throw new UntrustedError('x509: certificate specifies an incompatible key usage');
  }
}
