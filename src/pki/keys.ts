import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { derNull, oid, sequence } from './der.ts';
import { MalformedError } from './errors.ts';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A new ECDSA P-256 key (about 0.1 ms). */
export function generateKey(): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

/** `EC PRIVATE KEY` (SEC 1) for ECDSA, `RSA PRIVATE KEY` (PKCS #1) for RSA, as kubeadm writes them. */
export function privateKeyPem(key: KeyObject): string {
  const type = key.asymmetricKeyType === 'ec' ? 'sec1' : key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'pkcs8';
  return key.export({ type, format: 'pem' }) as string;
}

export function publicKeyPem(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }) as string;
}

/** Any private key PEM (SEC 1, PKCS #1, PKCS #8). Throws MalformedError without quoting the text. */
export function parsePrivateKey(pem: string): KeyPair {
  try {
    const privateKey = createPrivateKey(pem);
    return { privateKey, publicKey: createPublicKey(privateKey) };
  } catch {
    throw new MalformedError('text that is not a private key in PEM');
  }
}

export function parsePublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch {
    throw new MalformedError('text that is not a public key in PEM');
  }
}

/** SubjectPublicKeyInfo. */
export function publicKeyDer(key: KeyObject): Uint8Array {
  return key.export({ type: 'spki', format: 'der' }) as Uint8Array;
}

/** RFC 7093 form: the leftmost 160 bits of the SHA-256 of the public key. */
export function keyIdentifier(key: KeyObject): Uint8Array {
  return createHash('sha256').update(publicKeyDer(key)).digest().subarray(0, 20);
}

const ecdsaWithSha256 = sequence(oid('1.2.840.10045.4.3.2'));
const sha256WithRsa = sequence(oid('1.2.840.113549.1.1.11'), derNull);
const ed25519 = sequence(oid('1.3.101.112'));

/** AlgorithmIdentifier of signatures made with the key by `signDer`. */
export function signatureAlgorithm(key: KeyObject): Uint8Array {
  return key.asymmetricKeyType === 'ec' ? ecdsaWithSha256 : key.asymmetricKeyType === 'rsa' ? sha256WithRsa : ed25519;
}

export function signDer(key: KeyObject, bytes: Uint8Array): Uint8Array {
  return sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', bytes, key);
}
