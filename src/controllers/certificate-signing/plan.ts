import type { CertificateSigningRequest, Node } from '#api';
import type { CertificateRequest } from '#pki';
import { parseTimeMs } from '#machinery';

export const kubeletClientSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
export const kubeletServingSigner = 'kubernetes.io/kubelet-serving';
export const apiClientSigner = 'kubernetes.io/kube-apiserver-client';

const clientUsages = [
  ['client auth', 'digital signature', 'key encipherment'],
  ['client auth', 'digital signature'],
];
const servingUsages = [
  ['digital signature', 'key encipherment', 'server auth'],
  ['digital signature', 'server auth'],
];

const sameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.toSorted().join() === b.toSorted().join();
const others = ({ names }: Pick<CertificateRequest, 'names'>): number =>
  names.emailAddresses.length + names.uris.length;
const noNames = ({ names }: CertificateRequest): boolean =>
  names.dnsNames.length + names.ipAddresses.length + others({ names }) === 0;

export function conditionOf(request: CertificateSigningRequest, type: string): boolean {
  return request.status?.conditions?.some((one) => one.type === type) ?? false;
}

/** Why the request is not what its signer signs; undefined when it is. */
export function signerObjection(
  signerName: string,
  usages: readonly string[],
  request: CertificateRequest,
): string | undefined {
  const { commonName, organizations } = request.subject;
  switch (signerName) {
    case kubeletClientSigner:
      if (!sameSet(organizations, ['system:nodes'])) return 'subject organization is not system:nodes';
      if (!commonName.startsWith('system:node:')) return 'subject common name does not begin with system:node: ';
      if (!noNames(request)) return 'DNS, IP, email and URI subjectAltNames are not allowed';
      return clientUsages.some((one) => sameSet(one, usages)) ? undefined : 'usages did not match';
    case kubeletServingSigner:
      if (!sameSet(organizations, ['system:nodes'])) return 'subject organization is not system:nodes';
      if (!commonName.startsWith('system:node:')) return 'subject common name does not begin with system:node: ';
      if (request.names.dnsNames.length + request.names.ipAddresses.length === 0)
        return 'DNS or IP subjectAltName is required';
      if (others(request) > 0) return 'email and URI subjectAltNames are not allowed';
      return servingUsages.some((one) => sameSet(one, usages)) ? undefined : 'usages did not match';
    case apiClientSigner:
      return usages.includes('client auth') &&
        usages.every((one) => ['client auth', 'digital signature', 'key encipherment'].includes(one))
        ? undefined
        : 'usages did not match';
    default:
      return 'no such signer';
  }
}

/** Which permission lets a requestor have its kubelet client certificate approved at once; undefined: a person decides. */
export function approvalPermission(
  csr: CertificateSigningRequest,
  request: CertificateRequest,
): 'selfnodeclient' | 'nodeclient' | undefined {
  if (csr.spec.signerName !== kubeletClientSigner) return undefined;
  if (signerObjection(kubeletClientSigner, csr.spec.usages ?? [], request) !== undefined) return undefined;
  return csr.spec.username === request.subject.commonName ? 'selfnodeclient' : 'nodeclient';
}

/**
 * Whether a kubelet may have the serving certificate it asks for: it asks for itself, under its own name and with addresses that its
 * Node reports and no other Node has. `undefined`: its Node does not say yet; false: a person decides.
 */
export function servingApproval(
  csr: CertificateSigningRequest,
  request: CertificateRequest,
  nodes: readonly Node[],
): boolean | undefined {
  if (csr.spec.signerName !== kubeletServingSigner) return false;
  if (signerObjection(kubeletServingSigner, csr.spec.usages ?? [], request) !== undefined) return false;
  if (csr.spec.username !== request.subject.commonName || !csr.spec.groups?.includes('system:nodes')) return false;
  const name = request.subject.commonName.slice('system:node:'.length);
  if (request.names.dnsNames.some((one) => one !== name)) return false;
  const addressesOf = (node: Node): string[] => (node.status?.addresses ?? []).map((one) => one.address);
  const own = nodes.find((one) => one.metadata.name === name);
  const asked = request.names.ipAddresses.filter((one) => one !== '127.0.0.1' && one !== '::1');
  const others = new Set(nodes.filter((one) => one !== own).flatMap(addressesOf));
  if (asked.some((one) => others.has(one))) return false;
  const reported = own === undefined ? [] : addressesOf(own);
  return asked.every((one) => reported.includes(one)) ? true : undefined;
}

const hourMs = 3_600_000;

/** How long a request may stay: pending 24 h, decided 1 h; one whose certificate has ended goes. */
export function expiresInMs(csr: CertificateSigningRequest, nowMs: number): number {
  const decided = csr.status?.conditions?.find(
    (one) => one.type === 'Approved' || one.type === 'Denied' || one.type === 'Failed',
  );
  if (decided === undefined) return parseTimeMs(csr.metadata.creationTimestamp) + 24 * hourMs - nowMs;
  return parseTimeMs(decided.lastUpdateTime ?? csr.metadata.creationTimestamp) + hourMs - nowMs;
}
