import { type CertificateSigningRequest, resource } from '#api';
import { humanDuration } from '#machinery';
import { ageColumn, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { readWriteVerbs } from '../verbs.ts';
import {
  validateCertificateRequest,
  validateCertificateRequestUpdate,
} from './certificate-signing-request-validation.ts';
import { pathSegmentName } from '../names.ts';

function conditionText({ status }: CertificateSigningRequest): string {
  const has = (type: string) => (status?.conditions ?? []).some((one) => one.type === type);
  let text = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  if (has('Failed')) text += ',Failed';
  if (status?.certificate) text += ',Issued';
  return text;
}

export const certificateSigningRequestKind = defineKind<CertificateSigningRequest>({
  resource: resource('certificates.k8s.io/v1', 'certificatesigningrequests'),
  storageSegment: 'certificatesigningrequests',
  status: true,
  initialStatus: {},
  subresources: [{ name: 'approval', verbs: readWriteVerbs }],
  validateName: pathSegmentName,
  validate: validateCertificateRequest,
  validateUpdate: (request, old) => validateCertificateRequestUpdate(request, old, ''),
  validateStatusUpdate: (request, old) => validateCertificateRequestUpdate(request, old, 'status'),
  columns: [
    nameColumn,
    ageColumn,
    textColumn('SignerName', 'Who is to sign it.', (object) => object.spec?.signerName || '<none>'),
    textColumn('Requestor', 'Who asked for it.', (object) => object.spec?.username ?? ''),
    textColumn('RequestedDuration', 'Life of the certificate asked for.', (object) =>
      object.spec?.expirationSeconds == null ? '<none>' : humanDuration(object.spec.expirationSeconds * 1000),
    ),
    textColumn('Condition', 'Approved or denied, and issued.', conditionText),
  ],
  fieldSelectors: { 'spec.signerName': (object) => object.spec?.signerName ?? '' },
});
