import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { ManualClock, silentLog } from '#base';
import type { OpenIdSettings } from '#pki';
import type { AuthenticationResult } from '../contract.ts';
import { checkOpenIdSettings, openOpenIdAuthenticator } from './open-id.authenticator.ts';

const issuerUrl = 'https://login.example.com/realm';
const discovery = `${issuerUrl}/.well-known/openid-configuration`;
const keysUrl = 'https://keys.example.com/jwks';
const unauthorized = { name: 'ApiError', message: 'Unauthorized' };

/** A provider whose documents are made here; signatures are jose's. */
async function open(more: Partial<OpenIdSettings> = {}) {
  const clock = new ManualClock(Date.UTC(2026, 0, 1));
  const first = await generateKeyPair('RS256');
  const second = await generateKeyPair('ES256');
  const jwk = async (key: CryptoKey, kid: string) => ({ ...(await exportJWK(key)), use: 'sig', kid });
  const provider = { up: true, reads: 0, issuer: issuerUrl, keys: [await jwk(first.publicKey, 'one')] as object[] };
  const authenticator = openOpenIdAuthenticator({
    settings: { issuerUrl, clientId: 'k8s', ...more },
    audiences: ['api'],
    async read(url) {
      provider.reads++;
      if (!provider.up) throw new Error('connection refused');
      if (url === discovery) return { issuer: provider.issuer, jwks_uri: keysUrl };
      assert.equal(url, keysUrl);
      return { keys: provider.keys };
    },
    clock,
    log: silentLog,
  });
  const now = (): number => Math.floor(clock.nowMs() / 1000);
  const token = (claims: JWTPayload = {}, key = first.privateKey, alg = 'RS256'): Promise<string> =>
    new SignJWT({ iss: issuerUrl, aud: 'k8s', sub: 'u1', exp: now() + 600, ...claims })
      .setProtectedHeader({ alg })
      .sign(key);
  const ask = async (text: string, audiences = ['api']): Promise<AuthenticationResult | undefined> =>
    authenticator.authenticateToken(text, audiences);
  return { clock, provider, token, ask, second, jwk, now };
}

test('a token of the issuer names its user and groups', async () => {
  const { token, ask } = await open({ groupsClaim: 'roles', groupsPrefix: 'sso:' });
  const found = await ask(await token({ roles: ['dev', 3, 'ops'] }));
  assert.deepEqual(found, {
    identity: { user: `${issuerUrl}#u1`, groups: ['sso:dev', 'sso:ops', 'system:authenticated'] },
    authenticator: 'oidc',
    audiences: ['api'],
  });
  assert.deepEqual((await ask(await token({ roles: 'dev' })))?.identity.groups, ['sso:dev', 'system:authenticated']);
  await assert.rejects(async () => ask(await token(), ['vault']), unauthorized);
  assert.equal(await ask(await token({ iss: 'https://other.example.com' })), undefined, 'another family may know it');
});

test('names: the prefix of the issuer unless told otherwise; an email must be verified', async () => {
  const rows: [Partial<OpenIdSettings>, JWTPayload, string | undefined][] = [
    [{ usernamePrefix: '-' }, {}, 'u1'],
    [{ usernamePrefix: 'sso:' }, {}, 'sso:u1'],
    [{ usernameClaim: 'email' }, { email: 'a@b.c' }, 'a@b.c'],
    [{ usernameClaim: 'email' }, { email: 'a@b.c', email_verified: true }, 'a@b.c'],
    [{ usernameClaim: 'email' }, { email: 'a@b.c', email_verified: false }, undefined],
    [{ usernameClaim: 'name' }, {}, undefined],
    [{ usernameClaim: 'constructor' }, {}, undefined],
  ];
  for (const [settings, claims, user] of rows) {
    const { token, ask } = await open(settings);
    const asked = ask(await token(claims));
    if (user === undefined) await assert.rejects(asked, unauthorized, JSON.stringify([settings, claims]));
    else assert.equal((await asked)?.identity.user, user);
  }
});

test('a token for someone else, of another time, without a required claim, or signed by nobody opens nothing', async () => {
  const { token, ask, second, now } = await open({ requiredClaims: { hd: 'example.com' } });
  const right = { hd: 'example.com' };
  assert.ok(await ask(await token(right)));
  const wrong = [
    await token({ ...right, aud: 'another' }),
    await token({ ...right, exp: now() - 1 }),
    await token({ ...right, nbf: now() + 100 }),
    await token(),
    await token({ hd: 'example.org' }),
    await token(right, second.privateKey, 'ES256'),
    `${(await token(right)).slice(0, -8)}AAAAAAAA`,
  ];
  for (const one of wrong) await assert.rejects(ask(one), unauthorized);
});

test('keys are read when a token needs them: new ones of the issuer are found, made-up tokens do not hammer it', async () => {
  const { token, ask, provider, clock, second, jwk } = await open();
  await ask(await token());
  await ask(await token());
  assert.equal(provider.reads, 2, 'discovery and keys, once');
  provider.keys.push(await jwk(second.publicKey, 'two'));
  const newer = await token({}, second.privateKey, 'ES256');
  await clock.advance(10_000);
  assert.ok(await ask(newer));
  const reads = provider.reads;
  const stranger = (await token({}, (await open()).second.privateKey, 'ES256')) as string;
  for (let i = 0; i < 20; i++) await assert.rejects(ask(stranger), unauthorized);
  assert.equal(provider.reads, reads);
  provider.up = false;
  await clock.advance(3_600_000);
  assert.ok(await ask(await token()), 'known keys go on while the issuer is away');
});

test('a provider that is away, or is another one, lets nobody in, until it is right', async () => {
  const { token, ask, provider, clock } = await open();
  provider.issuer = 'https://evil.example.com';
  await assert.rejects(async () => ask(await token()), unauthorized);
  provider.issuer = issuerUrl;
  await clock.advance(10_000);
  assert.ok(await ask(await token()));
});

test('settings are checked', () => {
  checkOpenIdSettings({ issuerUrl, clientId: 'k8s' });
  for (const wrong of ['http://login.example.com', 'login', 'https://x/?a=b'])
    assert.throws(() => checkOpenIdSettings({ issuerUrl: wrong, clientId: 'k8s' }), { code: 'WrongUsage' });
  assert.throws(() => checkOpenIdSettings({ issuerUrl, clientId: '' }), { code: 'WrongUsage' });
});
