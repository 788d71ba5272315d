import type { CertificateSigningRequest } from '#api';
import { deepEqual, goQuote } from '#machinery';
import { parseCertificateRequest } from '#pki';
import type { AdmissionAttributes, AdmissionPlugin } from '../contract.ts';
import type { AdmissionOptions } from './options.ts';
import { refuse } from './refuse.ts';

const isRequest = (definition: { readonly resource: { readonly plural: string } } | undefined): boolean =>
  definition?.resource.plural === 'certificatesigningrequests';

/** Who may `approve` or `sign` for a signer: the signer itself, or all of its domain as `domain/*`. */
async function isAllowed(
  options: AdmissionOptions,
  attributes: AdmissionAttributes,
  verb: string,
  signerName: string,
): Promise<boolean> {
  const domain = signerName.split('/')[0];
  for (const name of [signerName, `${domain}/*`]) {
    const decision = await options.authorizer.authorize({
      identity: attributes.identity,
      verb,
      isResource: true,
      group: 'certificates.k8s.io',
      version: '*',
      resource: 'signers',
      subresource: '',
      namespace: '',
      name,
      path: '',
    });
    if (decision.decision === 'allow') return true;
  }
  return false;
}

export function certificateApproval(options: AdmissionOptions): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    handles: (operation, definition, subresource) =>
      operation === 'UPDATE' && subresource === 'approval' && isRequest(definition),
    async validate(attributes) {
      const { signerName } = (attributes.object as unknown as CertificateSigningRequest).spec;
      if (await isAllowed(options, attributes, 'approve', signerName)) return;
      throw refuse(attributes, `user not permitted to approve requests with signerName ${goQuote(signerName)}`);
    },
  };
}

export function certificateSigning(options: AdmissionOptions): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    handles: (operation, definition, subresource) =>
      operation === 'UPDATE' && subresource === 'status' && isRequest(definition),
    async validate(attributes) {
      const request = attributes.object as unknown as CertificateSigningRequest;
      const old = attributes.oldObject as unknown as CertificateSigningRequest;
      const { signerName } = request.spec;
      const same =
        request.status?.certificate === old.status?.certificate &&
        deepEqual(request.status?.conditions, old.status?.conditions);
      if (same || (await isAllowed(options, attributes, 'sign', signerName))) return;
      throw refuse(attributes, `user not permitted to sign requests with signerName ${goQuote(signerName)}`);
    },
  };
}

/** The client signer makes nobody a master. */
export function certificateSubjectRestriction(): AdmissionPlugin {
  return {
    name: 'CertificateSubjectRestriction',
    handles: (operation, definition, subresource) =>
      operation === 'CREATE' && subresource === '' && isRequest(definition),
    validate(attributes) {
      const { signerName, request } = (attributes.object as unknown as CertificateSigningRequest).spec;
      if (signerName !== 'kubernetes.io/kube-apiserver-client') return;
      let organizations: readonly string[];
      try {
        organizations = parseCertificateRequest(Buffer.from(request, 'base64').toString('utf8')).subject.organizations;
      } catch {
        throw refuse(attributes, 'failed to parse CSR: PEM block type must be CERTIFICATE REQUEST');
      }
      if (organizations.includes('system:masters'))
        throw refuse(
          attributes,
          'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
        );
    },
  };
}
