import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { openAuthenticator } from '#apiserver';
import { silentLog, systemClock } from '#base';
import { openClusterPki } from '#pki';
import { startHttpsServer } from '#testkit';
import { openHttpsTransport } from '#wire';
import { checkOpenId, openIdOf } from './open-id.ts';

const folder = mkdtempSync(join(tmpdir(), 'k8ts-open-id-'));
const caFile = join(folder, 'ca.crt');
const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({ commonName: 'login', usages: ['server'], ipAddresses: ['127.0.0.1'] });
const documents = new Map<string, () => string>();
const provider = createServer({ cert: serving.certificatePem, key: serving.keyPem }, ({ url = '' }, response) => {
  const document = documents.get(url);
  if (document !== undefined) return void response.end(document());
  if (url === '/moved') return void response.writeHead(302, { location: '/keys' }).end();
  response.writeHead(404).end();
});
let issuerUrl: string;

before(async () => {
  writeFileSync(caFile, pki.ca.certificatePem);
  await new Promise<void>((resolve) => void provider.listen(0, '127.0.0.1', resolve));
  issuerUrl = `https://127.0.0.1:${(provider.address() as AddressInfo).port}`;
});
after(() => {
  provider.closeAllConnections();
  provider.close();
  rmSync(folder, { recursive: true, force: true });
});

test('people who signed in at a provider speak to the API as themselves', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), use: 'sig', kid: 'one' };
  documents.set('/.well-known/openid-configuration', () =>
    JSON.stringify({ issuer: issuerUrl, jwks_uri: `${issuerUrl}/keys` }),
  );
  documents.set('/keys', () => JSON.stringify({ keys: [jwk] }));
  const settings = { issuerUrl, clientId: 'k8s', usernameClaim: 'email', groupsClaim: 'groups', caFile };
  await using server = await startHttpsServer({
    server: {
      authenticator: (objects) =>
        openAuthenticator({
          ...{ clock: systemClock, objects, audiences: ['api'] },
          openId: { ...openIdOf(settings), log: silentLog },
        }),
    },
  });
  const sign = (claims: Record<string, unknown>): Promise<string> =>
    new SignJWT({ email: 'ann@example.com', groups: ['dev'], ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setIssuer(issuerUrl)
      .setAudience('k8s')
      .setExpirationTime('5m')
      .sign(privateKey);
  const whoami = async (token: string): Promise<{ code: number; body: string }> => {
    const transport = openHttpsTransport({ server: server.url, ca: server.ca, token });
    try {
      const response = await transport.request({
        method: 'POST',
        target: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
        objectBody: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
      });
      return { code: response.status, body: Buffer.from(await response.bytes()).toString() };
    } finally {
      await transport.close();
    }
  };
  const found = await whoami(await sign({}));
  assert.equal(found.code, 201, found.body);
  const { userInfo } = JSON.parse(found.body).status;
  assert.deepEqual([userInfo.username, userInfo.groups], ['ann@example.com', ['dev', 'system:authenticated']]);
  assert.equal((await whoami(await sign({ email_verified: false }))).code, 401);
});

test('documents: not over another authority, not by redirection, not endless', async () => {
  const settings = { issuerUrl, clientId: 'k8s' };
  const { read } = openIdOf({ ...settings, caFile });
  documents.set('/small', () => '{"a":1}');
  documents.set('/large', () => `"${'x'.repeat(2 << 20)}"`);
  assert.deepEqual(await read(`${issuerUrl}/small`), { a: 1 });
  await assert.rejects(read(`${issuerUrl}/large`), /longer than 1 MiB/);
  await assert.rejects(read(`${issuerUrl}/moved`), /answered 302/);
  await assert.rejects(read(`${issuerUrl}/none`), /answered 404/);
  await assert.rejects(openIdOf(settings).read(`${issuerUrl}/small`), /certificate/);
  assert.throws(() => checkOpenId({ ...settings, caFile: join(folder, 'none') }), { code: 'WrongUsage' });
});
