import type { CertificateSigningRequest } from '#api';
import { type FieldError, goQuote, validateDns1123Label, validateDns1123Subdomain } from '#machinery';
import { Findings, sameValue } from '../findings.ts';

const usages: readonly string[] = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
const statuses: readonly string[] = ['False', 'True', 'Unknown'];
const minExpirationSeconds = 600;
/** What a name of 253 bytes leaves beside a label. */
const maxSignerPath = 253 - 63 - 1;

export function validateCertificateRequest(request: CertificateSigningRequest): FieldError[] {
  const found = new Findings();
  const spec = request.spec;
  if (!isPemRequest(spec?.request ?? ''))
    found.invalid('spec.request', spec?.request ?? '', 'PEM block type must be CERTIFICATE REQUEST');
  if (!spec?.usages?.length) found.required('spec.usages', 'usages must be provided');
  const seen = new Set<string>();
  for (const [index, usage] of (spec?.usages ?? []).entries()) {
    if (!usages.includes(usage)) found.notSupported(`spec.usages[${index}]`, usage, usages);
    if (seen.has(usage)) found.duplicate(`spec.usages[${index}]`, usage);
    seen.add(usage);
  }
  if (spec?.signerName === 'kubernetes.io/legacy-unknown')
    found.invalid('spec.signerName', spec.signerName, 'the legacy signerName is not allowed via this API version');
  else validateSignerName(spec?.signerName ?? '', 'spec.signerName', found);
  if (spec?.expirationSeconds != null && spec.expirationSeconds < minExpirationSeconds)
    found.invalid(
      'spec.expirationSeconds',
      spec.expirationSeconds,
      'may not specify a duration less than 600 seconds (10 minutes)',
    );
  validateConditions(request, found);
  return found.list;
}

function isPemRequest(base64: string): boolean {
  return Buffer.from(base64, 'base64').toString('latin1').includes('-----BEGIN CERTIFICATE REQUEST-----');
}

function validateSignerName(name: string, field: string, found: Findings): void {
  if (name === '') return found.required(field);
  const [domain = '', path, ...rest] = name.split('/');
  if (path === undefined || rest.length > 0)
    return found.invalid(
      field,
      name,
      "must be a fully qualified domain and path of the form 'example.com/signer-name'",
    );
  if (domain.length > 253) found.tooLong(field, domain, 253);
  const labels = domain.split('.');
  for (const label of labels)
    for (const message of validateDns1123Label(label))
      found.invalid(field, domain, `validating label ${goQuote(label)}: ${message}`);
  if (labels.length < 2)
    found.invalid(field, domain, 'should be a domain with at least two segments separated by dots');
  for (const label of path.split('.'))
    for (const message of validateDns1123Subdomain(label))
      found.invalid(field, path, `validating label ${goQuote(label)}: ${message}`);
  if (path.length > maxSignerPath) found.tooLong(field, path, maxSignerPath);
}

function validateConditions({ status }: CertificateSigningRequest, found: Findings): void {
  const seen = new Set<string>();
  for (const [index, condition] of (status?.conditions ?? []).entries()) {
    const field = `status.conditions[${index}]`;
    if (!condition.type) found.required(`${field}.type`);
    found.oneOf(`${field}.status`, condition.status, statuses);
    const other = condition.type === 'Approved' ? 'Denied' : condition.type === 'Denied' ? 'Approved' : undefined;
    if (other !== undefined) {
      if (condition.status && condition.status !== 'True')
        found.notSupported(`${field}.status`, condition.status, ['True']);
      if (seen.has(other))
        found.invalid(`${field}.type`, condition.type, 'Approved and Denied conditions are mutually exclusive');
    }
    if (seen.has(condition.type)) found.duplicate(`${field}.type`, condition.type);
    seen.add(condition.type);
  }
}

/** Why a text is no chain of certificates in PEM. */
function certificateProblem(text: string): string | undefined {
  const blocks = [...text.matchAll(/-----BEGIN ([^-\n]{1,64})-----\r?\n([^-]*)-----END /g)];
  if (blocks.length === 0) return 'must contain at least one CERTIFICATE PEM block';
  for (const [, type = '', body = ''] of blocks) {
    if (type !== 'CERTIFICATE') return `only CERTIFICATE PEM blocks are allowed, found ${goQuote(type)}`;
    if (body.includes(':')) return 'no PEM block headers are permitted';
  }
  return undefined;
}

/** Part of the object that an update is for: `''` the whole, `'status'`, `'approval'`. */
export function validateCertificateRequestUpdate(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest,
  part: '' | 'status' | 'approval',
): FieldError[] {
  const found = new Findings();
  const now = request.status?.conditions ?? [];
  const before = old.status?.conditions ?? [];
  for (const type of ['Approved', 'Denied', 'Failed']) {
    const oldOne = before.find((one) => one.type === type);
    const newOne = now.find((one) => one.type === type);
    const mayAdd = type === 'Failed' ? part === 'status' : part === 'approval';
    if (oldOne !== undefined && newOne === undefined)
      found.forbidden('status.conditions', `updates may not remove a condition of type "${type}"`);
    else if (oldOne === undefined && newOne !== undefined && !mayAdd)
      found.forbidden('status.conditions', `updates may not add a condition of type "${type}"`);
    else if (oldOne !== undefined && !sameValue(oldOne, newOne))
      found.forbidden('status.conditions', `updates may not modify a condition of type "${type}"`);
  }
  if (!sameValue(request.status?.certificate, old.status?.certificate)) {
    if (part !== 'status') found.forbidden('status.certificate', 'updates may not set certificate content');
    else if (old.status?.certificate)
      found.forbidden('status.certificate', 'updates may not modify existing certificate content');
  }
  if (part === 'status' && request.status?.certificate) {
    const problem = certificateProblem(Buffer.from(request.status.certificate, 'base64').toString('latin1'));
    if (problem !== undefined) found.invalid('status.certificate', '<certificate data>', problem);
  }
  if (part !== 'approval' && part !== 'status' && !sameValue(request.spec, old.spec))
    found.forbidden('spec', 'updates may not change the spec');
  validateConditions(request, found);
  return found.list;
}
