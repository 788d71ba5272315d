import { createHash, createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto';
import { UntrustedError } from './errors.ts';
import { publicKeyDer } from './keys.ts';

/** An object of the API by name and uid, as tokens name it. */
export interface ObjectReference {
  readonly name: string;
  readonly uid: string;
}

export interface TokenOptions {
  readonly key: KeyObject;
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly namespace: string;
  readonly serviceAccount: ObjectReference;
  readonly pod?: ObjectReference;
  readonly node?: ObjectReference;
  readonly secret?: ObjectReference;
  readonly expirationSeconds: number;
  readonly nowMs: number;
  /** The token's id; default a new UUID. */
  readonly id?: string;
}

/** What a verified token says. */
export interface TokenClaims {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly subject: string;
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: ObjectReference;
  readonly pod?: ObjectReference;
  readonly node?: ObjectReference;
  readonly secret?: ObjectReference;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Makes a bound service-account token: a JWT, ES256 for an ECDSA P-256 key and RS256 for an RSA key. */
export function signServiceAccountToken(options: TokenOptions): string {
  const { key, namespace, serviceAccount, pod, node, secret } = options;
  const now = Math.floor(options.nowMs / 1000);
  return signClaims(key, {
    aud: options.audiences,
    exp: now + options.expirationSeconds,
    iat: now,
    iss: options.issuer,
    jti: options.id ?? randomUUID(),
    'kubernetes.io': {
      namespace,
      ...(node === undefined ? {} : { node: { name: node.name, uid: node.uid } }),
      ...(pod === undefined ? {} : { pod: { name: pod.name, uid: pod.uid } }),
      ...(secret === undefined ? {} : { secret: { name: secret.name, uid: secret.uid } }),
      serviceaccount: { name: serviceAccount.name, uid: serviceAccount.uid },
    },
    nbf: now,
    sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
  });
}

/** A JWT, signed with ES256 or RS256 as the key is. */
export function signClaims(key: KeyObject, claims: object): string {
  const header = { alg: key.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256', kid: keyId(key) };
  const signed = `${base64Url(JSON.stringify(header))}.${base64Url(JSON.stringify(claims))}`;
  const signature = sign(
    'sha256',
    Buffer.from(signed),
    key.asymmetricKeyType === 'rsa' ? key : { key, dsaEncoding: 'ieee-p1363' },
  );
  return `${signed}.${signature.toString('base64url')}`;
}

export interface TokenChecks {
  /** Public keys that may have signed it. */
  readonly keys: readonly KeyObject[];
  readonly issuers: readonly string[];
  /** At least one of these must be in the token; the result carries those that are. */
  readonly audiences: readonly string[];
  readonly nowMs: number;
}

/** Seconds that other clocks may differ. */
const leewaySeconds = 60;
const longestToken = 16 << 10;

/**
 * The token's issuer, without believing it: to tell our tokens from others' cheaply. Undefined when it is no JWT.
 */
export function peekIssuer(token: string): string | undefined {
  if (token.length > longestToken) return undefined;
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  const issuer = parseObject(payload)?.iss;
  return typeof issuer === 'string' ? issuer : undefined;
}

/**
 * Checks signature, issuer, dates, audience and shape. Throws UntrustedError. Whether the objects that the token is bound to
 * still live is the caller's to check.
 */
export function verifyServiceAccountToken(token: string, checks: TokenChecks): TokenClaims {
  return readClaims(verifiedClaims(token, checks.keys), checks);
}

/** The claims of a JWT that one of the keys signed; undefined when they are no object. Throws UntrustedError. */
export function verifiedClaims(token: string, keys: readonly KeyObject[]): Record<string, unknown> | undefined {
  if (token.length > longestToken) throw new UntrustedError('token is too long');
  const parts = token.split('.');
  const [header64, payload64, signature64] = parts;
  if (parts.length !== 3 || header64 === undefined || payload64 === undefined || signature64 === undefined)
    throw new UntrustedError('token is not a JWT');
  const header = parseObject(header64);
  if (header === undefined || header.crit !== undefined)
    throw new UntrustedError('token has a header that is not understood');
  checkSignature(`${header64}.${payload64}`, Buffer.from(signature64, 'base64url'), header, keys);
  return parseObject(payload64);
}

function checkSignature(
  signed: string,
  signature: Uint8Array,
  header: Record<string, unknown>,
  keys: readonly KeyObject[],
): void {
  const wanted = header.alg === 'ES256' ? 'ec' : header.alg === 'RS256' ? 'rsa' : undefined;
  if (wanted === undefined) throw new UntrustedError('token is signed with an algorithm that is not allowed');
  const fitting = keys.filter((key) => key.asymmetricKeyType === wanted);
  const named = fitting.filter((key) => keyId(key) === header.kid);
  const bytes = Buffer.from(signed);
  for (const key of named.length > 0 ? named : fitting) {
    if (verify('sha256', bytes, wanted === 'rsa' ? key : { key, dsaEncoding: 'ieee-p1363' }, signature)) return;
  }
  throw new UntrustedError('invalid signature');
}

function readClaims(claims: Record<string, unknown> | undefined, checks: TokenChecks): TokenClaims {
  if (claims === undefined) throw new UntrustedError('token claims are not an object');
  const now = Math.floor(checks.nowMs / 1000);
  const { iss, exp, nbf, iat, sub, jti } = claims;
  if (typeof iss !== 'string' || !checks.issuers.includes(iss)) throw new UntrustedError('token is of another issuer');
  if (typeof exp !== 'number' || now > exp) throw new UntrustedError('service account token has expired');
  if (typeof nbf === 'number' && now + leewaySeconds < nbf)
    throw new UntrustedError('service account token is not valid yet');
  const held = (Array.isArray(claims.aud) ? claims.aud : [claims.aud]).filter(
    (one): one is string => typeof one === 'string',
  );
  const audiences = held.filter((one) => checks.audiences.includes(one));
  if (audiences.length === 0)
    throw new UntrustedError(
      `token audiences ${JSON.stringify(held)} is invalid for the target audiences ${JSON.stringify(checks.audiences)}`,
    );
  const bound = claims['kubernetes.io'];
  if (!isObject(bound) || typeof bound.namespace !== 'string') throw new UntrustedError('token names no namespace');
  const serviceAccount = reference(bound.serviceaccount);
  if (serviceAccount === undefined) throw new UntrustedError('token names no service account');
  if (sub !== `system:serviceaccount:${bound.namespace}:${serviceAccount.name}`)
    throw new UntrustedError('token subject does not match its service account');
  const pod = reference(bound.pod);
  const node = reference(bound.node);
  const secret = reference(bound.secret);
  return {
    issuer: iss,
    audiences,
    subject: sub,
    id: typeof jti === 'string' ? jti : '',
    namespace: bound.namespace,
    serviceAccount,
    ...(pod === undefined ? {} : { pod }),
    ...(node === undefined ? {} : { node }),
    ...(secret === undefined ? {} : { secret }),
    issuedAtMs: typeof iat === 'number' ? iat * 1000 : 0,
    expiresAtMs: exp * 1000,
  };
}

function reference(value: unknown): ObjectReference | undefined {
  return isObject(value) && typeof value.name === 'string' && typeof value.uid === 'string'
    ? { name: value.name, uid: value.uid }
    : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseObject(base64: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64, 'base64url').toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const base64Url = (text: string): string => Buffer.from(text).toString('base64url');

const publicOf = (key: KeyObject): KeyObject => (key.type === 'private' ? createPublicKey(key) : key);

const keyIds = new WeakMap<KeyObject, string>();

/** `kid` as upstream makes it: base64url of the SHA-256 of the public key's DER. */
export function keyId(key: KeyObject): string {
  let id = keyIds.get(key);
  if (id === undefined) {
    id = createHash('sha256')
      .update(publicKeyDer(publicOf(key)))
      .digest('base64url');
    keyIds.set(key, id);
  }
  return id;
}

/** `/openid/v1/jwks` for the keys that sign service-account tokens. */
export function jsonWebKeySet(keys: readonly KeyObject[]): { keys: object[] } {
  return {
    keys: keys.map((key) => {
      const { kty, crv, x, y, n, e } = publicOf(key).export({ format: 'jwk' });
      const kid = keyId(key);
      return kty === 'RSA'
        ? { use: 'sig', kty, kid, alg: 'RS256', n, e }
        : { use: 'sig', kty, kid, crv, alg: 'ES256', x, y };
    }),
  };
}

/** `/.well-known/openid-configuration`. */
export function openIdConfiguration(options: { issuer: string; jwksUri: string; keys: readonly KeyObject[] }): object {
  const algorithms = [...new Set(options.keys.map((key) => (key.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256')))];
  return {
    issuer: options.issuer,
    jwks_uri: options.jwksUri,
    response_types_supported: ['id_token'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: algorithms,
  };
}
