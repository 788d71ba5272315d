import { createHash, createPublicKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import {
  type AlternativeNames,
  encodeAlternativeNames,
  noAlternativeNames,
  parseAlternativeNames,
} from './alternative-names.ts';
import {
  bitString,
  DerReader,
  derTrue,
  explicit,
  implicit,
  octetString,
  oid,
  oidText,
  sequence,
  tag,
  time,
  timeMs,
  unsignedInteger,
} from './der.ts';
import { MalformedError } from './errors.ts';
import { generateKey, keyIdentifier, privateKeyPem, publicKeyDer, signatureAlgorithm, signDer } from './keys.ts';
import { type DistinguishedName, encodeName, parseName } from './name.ts';
import { decodePem, encodePem } from './pem.ts';

/** What a certificate says, decoded from its DER. Nothing here means that anyone should believe it: see `verifyChain`. */
export interface Certificate {
  readonly der: Uint8Array;
  readonly subject: DistinguishedName;
  readonly issuer: DistinguishedName;
  /** Hexadecimal. */
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly names: AlternativeNames;
  readonly isCa: boolean;
  readonly maxPathLength?: number;
  /** Key usage bits, most significant first (digitalSignature is 0); absent when the extension is. */
  readonly keyUsage?: ReadonlySet<number>;
  /** Extended key usages; absent when the extension is (any use). */
  readonly usages?: readonly string[];
  readonly publicKeyDer: Uint8Array;
  /** SHA-256 of the DER, hexadecimal. */
  readonly fingerprint: string;
}

export const usage = {
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
  any: '2.5.29.37.0',
} as const;

const extensionOid = {
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  authorityKeyIdentifier: '2.5.29.35',
  subjectKeyIdentifier: '2.5.29.14',
} as const;

const knownExtensions: ReadonlySet<string> = new Set(Object.values(extensionOid));

/** Decodes a certificate (DER, or the first of a PEM text). Throws MalformedError, also on a critical extension it does not know. */
export function parseCertificate(input: Uint8Array | string): Certificate {
  const bytes =
    typeof input === 'string' ? decodePem(input).find((block) => block.label === 'CERTIFICATE')?.bytes : input;
  if (bytes === undefined) throw new MalformedError('text without a certificate in PEM');
  const outer = new DerReader(bytes);
  const whole = outer.enter(tag.sequence);
  outer.end();
  const body = whole.enter(tag.sequence);
  if (body.peekTag() === 0xa0) body.read();
  const serial = body.read(tag.integer).content;
  body.read(tag.sequence);
  const issuer = parseName(body.read(tag.sequence));
  const validity = body.enter(tag.sequence);
  const notBeforeMs = timeMs(validity.read());
  const notAfterMs = timeMs(validity.read());
  const subject = parseName(body.read(tag.sequence));
  const publicKey = body.read(tag.sequence).raw;
  while (!body.atEnd && body.peekTag() !== 0xa3) body.read();
  return {
    der: bytes,
    subject,
    issuer,
    serialNumber: Buffer.from(serial).toString('hex'),
    notBeforeMs,
    notAfterMs,
    names: noAlternativeNames,
    isCa: false,
    ...(body.atEnd ? {} : parseExtensions(body.enter(0xa3).read(tag.sequence).content)),
    publicKeyDer: publicKey,
    fingerprint: createHash('sha256').update(bytes).digest('hex'),
  };
}

type ExtensionFacts = Partial<Pick<Certificate, 'names' | 'isCa' | 'maxPathLength' | 'keyUsage' | 'usages'>>;

function parseExtensions(content: Uint8Array): ExtensionFacts {
  const facts: { -readonly [K in keyof ExtensionFacts]: ExtensionFacts[K] } = {};
  const seen = new Set<string>();
  const list = new DerReader(content);
  while (!list.atEnd) {
    const { type, critical, value } = readExtension(list);
    if (seen.has(type)) throw new MalformedError(`certificate with extension ${type} twice`);
    seen.add(type);
    if (critical && !knownExtensions.has(type))
      throw new MalformedError(`certificate with unknown critical extension ${type}`);
    const inner = new DerReader(value);
    if (type === extensionOid.alternativeNames) facts.names = parseAlternativeNames(value);
    else if (type === extensionOid.keyUsage) facts.keyUsage = parseBits(inner.read(tag.bitString).content);
    else if (type === extensionOid.extendedKeyUsage) {
      const usages: string[] = [];
      for (const uses = inner.enter(tag.sequence); !uses.atEnd; ) usages.push(oidText(uses.read(tag.oid).content));
      facts.usages = usages;
    } else if (type === extensionOid.basicConstraints) {
      const constraints = inner.enter(tag.sequence);
      facts.isCa = constraints.peekTag() === tag.boolean && constraints.read().content[0] === 0xff;
      if (!constraints.atEnd) facts.maxPathLength = constraints.read(tag.integer).content[0] ?? 0;
    }
  }
  return facts;
}

/** One Extension of a certificate or of a request's extension list. */
export function readExtension(list: DerReader): { type: string; critical: boolean; value: Uint8Array } {
  const extension = list.enter(tag.sequence);
  const type = oidText(extension.read(tag.oid).content);
  const critical = extension.peekTag() === tag.boolean && extension.read().content[0] === 0xff;
  const value = extension.read(tag.octetString).content;
  extension.end();
  return { type, critical, value };
}

function parseBits(content: Uint8Array): Set<number> {
  const bits = new Set<number>();
  for (let bit = 0; bit < (content.length - 1) * 8; bit++) {
    if (((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) bits.add(bit);
  }
  return bits;
}

/** A certificate with its private key, both as PEM files hold them. */
export interface Credential {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface Authority extends Credential {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
}

export interface CertificateOptions {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly usages: readonly ('client' | 'server')[];
  /** Validity; never longer than the authority's. */
  readonly days: number;
  readonly nowMs: number;
}

const dayMs = 86_400_000;
/** Certificates begin a little in the past, for machines whose clocks run late. */
const backdateMs = 5 * 60_000;

/** A self-signed certificate authority. */
export function createAuthority(options: { commonName: string; days: number; nowMs: number }): Authority {
  const { privateKey, publicKey } = generateKey();
  const name = encodeName(options.commonName);
  const identifier = keyIdentifier(publicKey);
  const certificate = encodeCertificate({
    issuer: name,
    subject: name,
    notBeforeMs: options.nowMs - backdateMs,
    notAfterMs: options.nowMs + options.days * dayMs,
    publicKey: publicKeyDer(publicKey),
    signer: privateKey,
    extensions: [
      extension(extensionOid.keyUsage, Uint8Array.of(tag.bitString, 2, 2, 0b1010_0100), true),
      extension(extensionOid.basicConstraints, sequence(derTrue), true),
      extension(extensionOid.subjectKeyIdentifier, octetString(identifier)),
      extension(extensionOid.alternativeNames, encodeAlternativeNames([options.commonName], [])),
    ],
  });
  return authorityOf(encodePem('CERTIFICATE', certificate), privateKeyPem(privateKey), privateKey);
}

/** Puts a certificate and its key together again, as loaded from files. */
export function authorityOf(certificatePem: string, keyPem: string, privateKey: KeyObject): Authority {
  return { certificatePem, keyPem, certificate: parseCertificate(certificatePem), privateKey };
}

/** A new key and a certificate for it, signed by the authority. */
export function issueCertificate(ca: Authority, options: CertificateOptions): Credential {
  const { privateKey, publicKey } = generateKey();
  const certificate = signCertificate(ca, {
    subject: encodeName(options.commonName, options.organizations),
    publicKey: publicKeyDer(publicKey),
    dnsNames: options.dnsNames ?? [],
    ipAddresses: options.ipAddresses ?? [],
    usages: options.usages,
    notBeforeMs: options.nowMs - backdateMs,
    notAfterMs: options.nowMs + options.days * dayMs,
  });
  return { certificatePem: encodePem('CERTIFICATE', certificate), keyPem: privateKeyPem(privateKey) };
}

export interface SigningOptions {
  /** DER of the subject's name. */
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly usages: readonly ('client' | 'server')[];
  readonly notBeforeMs: number;
  /** Cut to the authority's own end. */
  readonly notAfterMs: number;
}

/** DER of a leaf certificate for someone else's key. */
export function signCertificate(ca: Authority, options: SigningOptions): Uint8Array {
  const names = options.dnsNames.length + options.ipAddresses.length > 0;
  const key = createPublicKey({ key: Buffer.from(options.publicKey), format: 'der', type: 'spki' });
  return encodeCertificate({
    issuer: ca.certificate.subject.raw,
    subject: options.subject,
    notBeforeMs: options.notBeforeMs,
    notAfterMs: Math.min(options.notAfterMs, ca.certificate.notAfterMs),
    publicKey: options.publicKey,
    signer: ca.privateKey,
    extensions: [
      extension(
        extensionOid.keyUsage,
        key.asymmetricKeyType === 'rsa'
          ? Uint8Array.of(tag.bitString, 2, 5, 0b1010_0000)
          : Uint8Array.of(tag.bitString, 2, 7, 0b1000_0000),
        true,
      ),
      ...(options.usages.length > 0
        ? [extension(extensionOid.extendedKeyUsage, sequence(...options.usages.map((one) => oid(usage[one]))))]
        : []),
      extension(extensionOid.basicConstraints, sequence(), true),
      extension(extensionOid.subjectKeyIdentifier, octetString(keyIdentifier(key))),
      extension(extensionOid.authorityKeyIdentifier, sequence(implicit(0, authorityKeyIdentifier(ca)))),
      ...(names
        ? [extension(extensionOid.alternativeNames, encodeAlternativeNames(options.dnsNames, options.ipAddresses))]
        : []),
    ],
  });
}

/** What the authority's own certificate calls its key, so that chains match even for authorities made elsewhere. */
function authorityKeyIdentifier(ca: Authority): Uint8Array {
  const named = subjectKeyIdentifier(ca.certificate.der);
  return (
    named ??
    keyIdentifier(createPublicKey({ key: Buffer.from(ca.certificate.publicKeyDer), format: 'der', type: 'spki' }))
  );
}

function subjectKeyIdentifier(certificate: Uint8Array): Uint8Array | undefined {
  const body = new DerReader(certificate).enter(tag.sequence).enter(tag.sequence);
  while (!body.atEnd && body.peekTag() !== 0xa3) body.read();
  if (body.atEnd) return undefined;
  for (const list = body.enter(0xa3).enter(tag.sequence); !list.atEnd; ) {
    const { type, value } = readExtension(list);
    if (type === extensionOid.subjectKeyIdentifier) return new DerReader(value).read(tag.octetString).content;
  }
  return undefined;
}

function extension(type: string, value: Uint8Array, critical = false): Uint8Array {
  return critical ? sequence(oid(type), derTrue, octetString(value)) : sequence(oid(type), octetString(value));
}

interface EncodeOptions {
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly publicKey: Uint8Array;
  readonly signer: KeyObject;
  readonly extensions: readonly Uint8Array[];
}

function encodeCertificate(options: EncodeOptions): Uint8Array {
  const algorithm = signatureAlgorithm(options.signer);
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const body = sequence(
    explicit(0, Uint8Array.of(tag.integer, 1, 2)),
    unsignedInteger(serial),
    algorithm,
    options.issuer,
    sequence(time(options.notBeforeMs), time(options.notAfterMs)),
    options.subject,
    options.publicKey,
    explicit(3, sequence(...options.extensions)),
  );
  return sequence(body, algorithm, bitString(signDer(options.signer, body)));
}

/** Whether `issuer`'s key signed `certificate`. Says nothing of dates and uses. */
export function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  if (Buffer.compare(certificate.issuer.raw, issuer.subject.raw) !== 0) return false;
  try {
    const key = createPublicKey({ key: Buffer.from(issuer.publicKeyDer), format: 'der', type: 'spki' });
    return new X509Certificate(certificate.der).verify(key);
  } catch {
    return false;
  }
}
