import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import {
  type AlternativeNames,
  encodeAlternativeNames,
  noAlternativeNames,
  parseAlternativeNames,
} from './alternative-names.ts';
import { type Authority, readExtension, signCertificate } from './certificate.ts';
import {
  bitString,
  DerReader,
  explicit,
  octetString,
  oid,
  oidText,
  sequence,
  set,
  tag,
  unsignedInteger,
} from './der.ts';
import { MalformedError } from './errors.ts';
import { generateKey, privateKeyPem, publicKeyDer, signatureAlgorithm, signDer } from './keys.ts';
import { type DistinguishedName, encodeName, parseName } from './name.ts';
import { decodePem, encodePem } from './pem.ts';

/** A decoded and signature-checked PKCS #10 request. */
export interface CertificateRequest {
  readonly subject: DistinguishedName;
  readonly names: AlternativeNames;
  readonly publicKeyDer: Uint8Array;
}

const extensionRequest = '1.2.840.113549.1.9.14';
const alternativeNames = '2.5.29.17';

export interface RequestOptions {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** Absent: a new ECDSA P-256 key. */
  readonly key?: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
}

/** Makes a `CERTIFICATE REQUEST` and gives back the key that it is for. */
export function createCertificateRequest(options: RequestOptions): { requestPem: string; keyPem: string } {
  const { privateKey, publicKey } = options.key ?? generateKey();
  const { dnsNames = [], ipAddresses = [] } = options;
  const names =
    dnsNames.length + ipAddresses.length > 0
      ? [sequence(oid(alternativeNames), octetString(encodeAlternativeNames(dnsNames, ipAddresses)))]
      : [];
  const attributes = names.length > 0 ? [sequence(oid(extensionRequest), set(sequence(...names)))] : [];
  const body = sequence(
    unsignedInteger(Uint8Array.of(0)),
    encodeName(options.commonName, options.organizations),
    publicKeyDer(publicKey),
    explicit(0, ...attributes),
  );
  const request = sequence(body, signatureAlgorithm(privateKey), bitString(signDer(privateKey, body)));
  return { requestPem: encodePem('CERTIFICATE REQUEST', request), keyPem: privateKeyPem(privateKey) };
}

const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null,
};

/** Decodes `CERTIFICATE REQUEST` PEM and proves that its sender holds the key. Throws MalformedError. */
export function parseCertificateRequest(pem: string): CertificateRequest {
  const block = decodePem(pem).find(
    (one) => one.label === 'CERTIFICATE REQUEST' || one.label === 'NEW CERTIFICATE REQUEST',
  );
  if (block === undefined) throw new MalformedError('PEM block type must be CERTIFICATE REQUEST');
  const outer = new DerReader(block.bytes);
  const whole = outer.enter(tag.sequence);
  outer.end();
  const signed = whole.read(tag.sequence);
  const algorithm = oidText(whole.enter(tag.sequence).read(tag.oid).content);
  const signature = whole.read(tag.bitString).content.subarray(1);
  const body = new DerReader(signed.content);
  body.read(tag.integer);
  const subject = parseName(body.read(tag.sequence));
  const publicKey = body.read(tag.sequence).raw;
  const names = body.atEnd ? noAlternativeNames : parseAttributes(body.enter(0xa0));
  if (!Object.hasOwn(digests, algorithm))
    throw new MalformedError(`request signed with unknown algorithm ${algorithm}`);
  if (!isValid(digests[algorithm] ?? null, signed.raw, publicKey, signature))
    throw new MalformedError('request whose signature does not fit its key');
  return { subject, names, publicKeyDer: publicKey };
}

function isValid(digest: string | null, signed: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verify(
      digest,
      signed,
      createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }),
      signature,
    );
  } catch {
    return false;
  }
}

function parseAttributes(attributes: DerReader): AlternativeNames {
  while (!attributes.atEnd) {
    const attribute = attributes.enter(tag.sequence);
    if (oidText(attribute.read(tag.oid).content) !== extensionRequest) continue;
    for (const extensions = attribute.enter(tag.set).enter(tag.sequence); !extensions.atEnd; ) {
      const { type, value } = readExtension(extensions);
      if (type === alternativeNames) return parseAlternativeNames(value);
    }
  }
  return noAlternativeNames;
}

/** Signs a request as it stands: the caller has decided that its subject, names and uses are to be granted. PEM. */
export function signCertificateRequest(
  ca: Authority,
  request: CertificateRequest,
  options: { usages: readonly ('client' | 'server')[]; notBeforeMs: number; notAfterMs: number },
): string {
  const certificate = signCertificate(ca, {
    subject: request.subject.raw,
    publicKey: request.publicKeyDer,
    dnsNames: request.names.dnsNames,
    ipAddresses: request.names.ipAddresses,
    ...options,
  });
  return encodePem('CERTIFICATE', certificate);
}
