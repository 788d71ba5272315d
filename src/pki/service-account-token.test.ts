import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { createLocalJWKSet, jwtVerify } from 'jose';
import {
  generateKey,
  jsonWebKeySet,
  keyId,
  openIdConfiguration,
  peekIssuer,
  secretTokenIssuer,
  signSecretToken,
  signServiceAccountToken,
  UntrustedError,
  verifySecretToken,
  verifyServiceAccountToken,
} from './index.ts';

const nowMs = Date.UTC(2026, 0, 1);
const key = generateKey();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const claims = {
  issuer: 'https://issuer',
  audiences: ['api', 'vault'],
  namespace: 'ns',
  serviceAccount: { name: 'sa', uid: 'u1' },
  pod: { name: 'p', uid: 'u2' },
  node: { name: 'n', uid: 'u3' },
  expirationSeconds: 600,
  nowMs,
};
const checks = {
  keys: [key.publicKey, rsa.publicKey] as KeyObject[],
  issuers: ['https://issuer'],
  audiences: ['api'],
  nowMs,
};

test('what is signed is what is read, with either kind of key', () => {
  for (const one of [key.privateKey, rsa.privateKey]) {
    const token = signServiceAccountToken({ ...claims, key: one, id: 'jti-1' });
    assert.equal(peekIssuer(token), 'https://issuer');
    assert.deepEqual(verifyServiceAccountToken(token, checks), {
      issuer: 'https://issuer',
      audiences: ['api'],
      subject: 'system:serviceaccount:ns:sa',
      id: 'jti-1',
      namespace: 'ns',
      serviceAccount: { name: 'sa', uid: 'u1' },
      pod: { name: 'p', uid: 'u2' },
      node: { name: 'n', uid: 'u3' },
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + 600_000,
    });
  }
});

test('another library checks it with the published keys', async () => {
  const token = signServiceAccountToken({ ...claims, key: key.privateKey, nowMs: Date.now() });
  const keys = createLocalJWKSet(jsonWebKeySet(checks.keys) as never);
  const { payload, protectedHeader } = await jwtVerify(token, keys, { issuer: 'https://issuer', audience: 'vault' });
  assert.equal(payload.sub, 'system:serviceaccount:ns:sa');
  assert.equal(protectedHeader.kid, keyId(key.publicKey));
  assert.deepEqual(
    openIdConfiguration({ issuer: 'https://issuer', jwksUri: 'https://issuer/openid/v1/jwks', keys: checks.keys }),
    {
      issuer: 'https://issuer',
      jwks_uri: 'https://issuer/openid/v1/jwks',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256', 'RS256'],
    },
  );
});

const good = signServiceAccountToken({ ...claims, key: key.privateKey });
const [header = '', payload = '', signature = ''] = good.split('.');
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const stranger = generateKey();

/** HMAC with the public key as secret: the classic confusion of algorithms. */
const confused = `${encode({ alg: 'HS256', kid: keyId(key.publicKey) })}.${payload}.${signature}`;

const refused: readonly (readonly [what: string, token: string, more?: object, why?: RegExp])[] = [
  ['no algorithm', `${encode({ alg: 'none' })}.${payload}.`, {}, /algorithm/],
  ['HMAC', confused, {}, /algorithm/],
  ['ES256 signature read as RS256', `${encode({ alg: 'RS256' })}.${payload}.${signature}`, {}, /invalid signature/],
  [
    'changed claims',
    `${header}.${encode({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), sub: 'system:serviceaccount:kube-system:sa' })}.${signature}`,
    {},
    /invalid signature/,
  ],
  ['another key', signServiceAccountToken({ ...claims, key: stranger.privateKey }), {}, /invalid signature/],
  ['critical header', `${encode({ alg: 'ES256', crit: ['x'] })}.${payload}.${signature}`, {}, /not understood/],
  [
    'another issuer',
    signServiceAccountToken({ ...claims, issuer: 'https://other', key: key.privateKey }),
    {},
    /another issuer/,
  ],
  ['another audience', good, { audiences: ['other'] }, /audiences/],
  ['expired', good, { nowMs: nowMs + 601_000 }, /expired/],
  ['not yet', good, { nowMs: nowMs - 120_000 }, /not valid yet/],
  ['too long', `${good}${'A'.repeat(20_000)}`, {}, /too long/],
  ['not a token', 'a.b', {}, /not a JWT/],
  ['empty', '', {}, /not a JWT/],
];

for (const [what, token, more = {}, why = /./] of refused) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => verifyServiceAccountToken(token, { ...checks, ...more }),
      (error: Error) => (error as { code?: string }).code === 'Untrusted' && why.test(error.message),
    );
  });
}

test('the id of a key is that of its public half', () => {
  assert.equal(keyId(key.privateKey), keyId(createPublicKey(key.privateKey)));
});

test('the token of a Secret says whose it is, and has no end', () => {
  const said = { namespace: 'ns', secretName: 'sa-token', serviceAccount: { name: 'sa', uid: 'u1' } };
  for (const one of [key.privateKey, rsa.privateKey]) {
    const token = signSecretToken(one, said);
    assert.equal(peekIssuer(token), secretTokenIssuer);
    assert.deepEqual(verifySecretToken(token, checks.keys), said);
    assert.throws(() => verifySecretToken(token, [generateKey().publicKey]), /invalid signature/);
    assert.throws(() => verifySecretToken(`${token.slice(0, -6)}AAAAAA`, checks.keys), UntrustedError);
  }
  const bound = signServiceAccountToken({ ...claims, key: key.privateKey });
  assert.throws(() => verifySecretToken(bound, checks.keys), /issuer/);
  assert.throws(() => verifyServiceAccountToken(signSecretToken(key.privateKey, said), checks), UntrustedError);
});
