import { type CertificateSigningRequest, resource } from '#api';
import { type Clock, CodedError, sleep } from '#base';
import type { Client } from '#client';
import { type Credential, createCertificateRequest } from '#pki';

const requests = resource('certificates.k8s.io/v1', 'certificatesigningrequests');
const lookEveryMs = 50;
const lookSeldomMs = 5_000;

export interface NodeCertificateOptions {
  /** Speaks as the node, or with a bootstrap token. */
  readonly client: Client;
  readonly clock: Clock;
  readonly nodeName: string;
  readonly purpose: 'client' | 'serving';
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly signal?: AbortSignal;
  /** How long to wait for a signature; default 15 minutes. */
  readonly timeoutMs?: number;
}

/**
 * Asks the cluster to sign a certificate for a node (kubelet TLS bootstrap and rotation) with a new key, and waits for it. Throws
 * CodedError `RequestDenied`, `RequestFailed` or `NotSigned`, and ApiError.
 */
export async function requestNodeCertificate(options: NodeCertificateOptions): Promise<Credential> {
  const { client, clock, nodeName, purpose, signal, timeoutMs = 900_000 } = options;
  const { requestPem, keyPem } = createCertificateRequest({
    commonName: `system:node:${nodeName}`,
    organizations: ['system:nodes'],
    dnsNames: options.dnsNames ?? [],
    ipAddresses: options.ipAddresses ?? [],
  });
  const created = await client.create<CertificateSigningRequest>(requests, {
    metadata: { generateName: purpose === 'client' ? 'node-csr-' : 'csr-' },
    spec: {
      request: Buffer.from(requestPem).toString('base64'),
      signerName:
        purpose === 'client' ? 'kubernetes.io/kube-apiserver-client-kubelet' : 'kubernetes.io/kubelet-serving',
      usages: ['digital signature', purpose === 'client' ? 'client auth' : 'server auth'],
    },
  });
  const { name } = created.metadata;
  const startMs = clock.monotonicMs();
  for (;;) {
    const { status } = await client.get<CertificateSigningRequest>(requests, name);
    if (status?.certificate)
      return { certificatePem: Buffer.from(status.certificate, 'base64').toString('utf8'), keyPem };
    for (const one of status?.conditions ?? []) {
      if (one.type === 'Denied' || one.type === 'Failed') {
        const why = one.message || one.reason || 'no reason given';
        throw new CodedError(
          `Request${one.type}`,
          `the certificate request ${name} of node ${nodeName} was ${one.type === 'Denied' ? 'denied' : 'not signed'}: ${why}`,
        );
      }
    }
    const waitedMs = clock.monotonicMs() - startMs;
    if (waitedMs > timeoutMs) {
      throw new CodedError(
        'NotSigned',
        `nobody signed the certificate request ${name} of node ${nodeName} within ${Math.round(timeoutMs / 1000)} s: kubectl get csr ${name} shows it, kubectl certificate approve ${name} approves it`,
      );
    }
    await sleep(clock, waitedMs < 30_000 ? lookEveryMs : lookSeldomMs, signal);
  }
}
