export { type AlternativeNames, coversNames } from './alternative-names.ts';
export {
  type Authority,
  authorityOf,
  type Certificate,
  type CertificateOptions,
  type Credential,
  createAuthority,
  issueCertificate,
  isSignedBy,
  parseCertificate,
  signCertificate,
} from './certificate.ts';
export { type ChainOptions, verifyChain } from './chain.ts';
export {
  type CertificateExpiry,
  type ClusterPki,
  type ClusterPkiOptions,
  certificateExpiry,
  type LeafName,
  openClusterPki,
} from './cluster-pki.ts';
export { MalformedError, UntrustedError } from './errors.ts';
export { generateKey, parsePrivateKey, parsePublicKey, privateKeyPem, publicKeyPem } from './keys.ts';
export { type KubeconfigOptions, kubeconfigOf } from './kubeconfig.ts';
export type { DistinguishedName } from './name.ts';
export { certificatesFromPem, decodePem, encodePem } from './pem.ts';
export {
  type CertificateRequest,
  createCertificateRequest,
  parseCertificateRequest,
  type RequestOptions,
  signCertificateRequest,
} from './request.ts';
export type { OpenIdConfiguration, OpenIdSettings } from './open-id-settings.ts';
export { type SecretTokenClaims, secretTokenIssuer, signSecretToken, verifySecretToken } from './secret-token.ts';
export {
  jsonWebKeySet,
  keyId,
  type ObjectReference,
  openIdConfiguration,
  peekIssuer,
  signServiceAccountToken,
  type TokenChecks,
  type TokenClaims,
  type TokenOptions,
  verifiedClaims,
  verifyServiceAccountToken,
} from './service-account-token.ts';
