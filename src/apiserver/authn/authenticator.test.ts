import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom } from '#base';
import { certificatesFromPem, openClusterPki, parseCertificate, signSecretToken } from '#pki';
import { FakeView } from '../authz/fake-view.ts';
import type { AuthenticationResult, ServerObjects } from '../contract.ts';
import { openAuthenticator, openTokenIssuer } from './index.ts';

const issuer = 'https://kubernetes.default.svc';

function open(more: Partial<Parameters<typeof openAuthenticator>[0]> = {}) {
  const clock = new ManualClock();
  const pki = openClusterPki({ clock });
  const views: Record<string, FakeView> = {
    serviceaccounts: new FakeView([{ metadata: { name: 'sa', namespace: 'ns', uid: 'u-sa' } }]),
    pods: new FakeView([{ metadata: { name: 'p', namespace: 'ns', uid: 'u-p' } }]),
    secrets: new FakeView(),
    nodes: new FakeView([{ metadata: { name: 'n', uid: 'u-n' } }]),
  };
  const objects = { view: (_groupVersion: string, plural: string) => views[plural] } as unknown as ServerObjects;
  const clientRoots = [parseCertificate(pki.ca.certificatePem)];
  const proxyRoots = [parseCertificate(pki.frontProxyCa.certificatePem)];
  const authenticator = openAuthenticator({
    clock,
    objects,
    clientRoots: () => clientRoots,
    frontProxy: { roots: () => proxyRoots, allowedNames: ['front-proxy-client'] },
    serviceAccounts: { keys: () => pki.serviceAccountPublicKeys, issuers: [issuer] },
    audiences: ['api'],
    bootstrapTokens: true,
    ...more,
  });
  const tokens = openTokenIssuer({
    key: () => pki.serviceAccountKey,
    issuer,
    audiences: ['api'],
    clock,
    random: seededRandom(1),
  });
  const request = { namespace: 'ns', name: 'sa', uid: 'u-sa', audiences: [], expirationSeconds: 600 };
  return {
    clock,
    pki,
    views,
    issue: async (extra: object = {}): Promise<string> => (await tokens.issue({ ...request, ...extra })).token,
    async ask(headers: Record<string, string>, certificatePem?: string): Promise<AuthenticationResult> {
      const clientCertificates =
        certificatePem === undefined ? {} : { clientCertificates: certificatesFromPem(certificatePem) };
      const found = await authenticator.authenticate({
        headers,
        source: { remoteAddress: '10.0.0.1', ...clientCertificates },
      });
      assert.ok(found !== undefined);
      return found;
    },
    authenticator,
  };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const unauthorized = { name: 'ApiError', message: 'Unauthorized' };

test('nobody in particular is system:anonymous; a bad credential is not', async () => {
  const { ask } = open();
  assert.deepEqual((await ask({})).identity, { user: 'system:anonymous', groups: ['system:unauthenticated'] });
  await assert.rejects(() => ask(bearer('nonsense')), unauthorized);
  await assert.rejects(() => ask(bearer('a.b.c')), unauthorized);
  await assert.rejects(() => open({ anonymous: false }).ask({}), unauthorized);
});

test('a client certificate: CN and O, only of the client authority, only while it lasts', async () => {
  const { ask, pki, clock } = open();
  const jane = pki.issue({ commonName: 'jane', organizations: ['dev', 'system:masters'], usages: ['client'], days: 1 });
  const found = await ask({}, jane.certificatePem);
  assert.equal(found.identity.user, 'jane');
  assert.deepEqual([...found.identity.groups].sort(), ['dev', 'system:authenticated', 'system:masters']);
  assert.match(found.credentialId ?? '', /^X509SHA256=[0-9a-f]{64}$/);
  await assert.rejects(() => ask({}, pki.credential('apiserver').certificatePem), unauthorized);
  await assert.rejects(() => ask({}, pki.credential('front-proxy-client').certificatePem), unauthorized);
  await clock.advance(2 * 86_400_000);
  await assert.rejects(() => ask({}, jane.certificatePem), unauthorized);
});

test('front-proxy headers count only with the front proxy certificate', async () => {
  const { ask, pki } = open();
  const headers = {
    'x-remote-user': 'root',
    'x-remote-group': 'system:masters',
    'x-remote-extra-acme.com%2fproject': 'p',
  };
  assert.equal((await ask(headers)).identity.user, 'system:anonymous');
  const jane = pki.issue({ commonName: 'jane', usages: ['client'] });
  assert.equal((await ask(headers, jane.certificatePem)).identity.user, 'jane');
  const proxied = await ask(headers, pki.credential('front-proxy-client').certificatePem);
  assert.equal(proxied.identity.user, 'root');
  assert.deepEqual(proxied.identity.groups, ['system:masters', 'system:authenticated']);
  assert.deepEqual(proxied.identity.extra?.['acme.com/project'], ['p']);
  const other = open({
    frontProxy: { roots: () => [parseCertificate(pki.frontProxyCa.certificatePem)], allowedNames: ['someone-else'] },
  });
  await assert.rejects(() => other.ask(headers, pki.credential('front-proxy-client').certificatePem), unauthorized);
});

test('a front proxy on the client authority is refused at start', () => {
  const { pki } = open();
  const shared = [parseCertificate(pki.ca.certificatePem)];
  assert.throws(
    () => open({ clientRoots: () => shared, frontProxy: { roots: () => shared, allowedNames: ['x'] } }),
    TypeError,
  );
});

test('a bound token lives as long as what it is bound to', async () => {
  const { ask, issue, views, clock } = open();
  const token = await issue({
    boundObject: { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u-p' },
    node: { name: 'n', uid: 'u-n' },
  });
  const found = await ask(bearer(token));
  assert.equal(found.identity.user, 'system:serviceaccount:ns:sa');
  assert.deepEqual(found.identity.groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:ns',
    'system:authenticated',
  ]);
  assert.deepEqual(found.identity.extra?.['authentication.kubernetes.io/pod-name'], ['p']);
  views.pods?.put({ metadata: { name: 'p', namespace: 'ns', uid: 'another' } });
  await assert.rejects(() => ask(bearer(token)), unauthorized);
  views.pods?.put({ metadata: { name: 'p', namespace: 'ns', uid: 'u-p' } });
  assert.equal((await ask(bearer(token))).identity.uid, 'u-sa');
  views.serviceaccounts?.remove('ns', 'sa');
  await assert.rejects(() => ask(bearer(token)), unauthorized);
  views.serviceaccounts?.put({ metadata: { name: 'sa', namespace: 'ns', uid: 'u-sa' } });
  await clock.advance(601_000);
  await assert.rejects(() => ask(bearer(token)), unauthorized);
});

test('a token for another audience opens nothing here, and TokenReview can ask for it', async () => {
  const { ask, issue, authenticator } = open();
  const token = await issue({ audiences: ['vault'] });
  await assert.rejects(() => ask(bearer(token)), unauthorized);
  assert.deepEqual((await authenticator.authenticateToken?.(token, ['vault', 'x']))?.audiences, ['vault']);
});

test('the token of a Secret lives as long as its Secret holds it and its account is there', async () => {
  const { ask, views, pki, authenticator } = open();
  const serviceAccount = { name: 'sa', uid: 'u-sa' };
  const token = signSecretToken(pki.serviceAccountKey, { namespace: 'ns', secretName: 'sa-token', serviceAccount });
  const hold = (held: string): void =>
    views.secrets?.put({
      metadata: { name: 'sa-token', namespace: 'ns', uid: 'u-t' },
      data: { token: Buffer.from(held).toString('base64') },
    });
  await assert.rejects(() => ask(bearer(token)), unauthorized);
  hold(token);
  const { identity } = await ask(bearer(token));
  assert.deepEqual([identity.user, identity.uid], ['system:serviceaccount:ns:sa', 'u-sa']);
  assert.deepEqual((await authenticator.authenticateToken?.(token, ['api', 'vault']))?.audiences, ['api']);
  await assert.rejects(async () => authenticator.authenticateToken?.(token, ['vault']), unauthorized);
  hold(signSecretToken(pki.serviceAccountKey, { namespace: 'ns', secretName: 'other', serviceAccount }));
  await assert.rejects(() => ask(bearer(token)), unauthorized);
  hold(token);
  views.serviceaccounts?.put({ metadata: { name: 'sa', namespace: 'ns', uid: 'another' } });
  await assert.rejects(() => ask(bearer(token)), unauthorized);
  views.serviceaccounts?.put({ metadata: { name: 'sa', namespace: 'ns', uid: 'u-sa' } });
  await ask(bearer(token));
  views.secrets?.remove('ns', 'sa-token');
  await assert.rejects(() => ask(bearer(token)), unauthorized);
});

test('bootstrap tokens: only good, current and meant for this', async () => {
  const { ask, views, clock } = open();
  const encoded = (data: Record<string, string>): object =>
    Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const put = (data: Record<string, string>, type = 'bootstrap.kubernetes.io/token'): void =>
    views.secrets?.put({
      type,
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system' },
      data: encoded({
        'token-id': 'abcdef',
        'token-secret': '0123456789abcdef',
        'usage-bootstrap-authentication': 'true',
        ...data,
      }),
    });
  const headers = bearer('abcdef.0123456789abcdef');
  await assert.rejects(() => ask(headers), unauthorized);
  put({
    'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
    expiration: new Date(clock.nowMs() + 1000).toISOString(),
  });
  const found = await ask(headers);
  assert.equal(found.identity.user, 'system:bootstrap:abcdef');
  assert.deepEqual(found.identity.groups, [
    'system:bootstrappers',
    'system:bootstrappers:kubeadm:default-node-token',
    'system:authenticated',
  ]);
  await assert.rejects(() => ask(bearer('abcdef.0123456789abcdee')), unauthorized);
  await clock.advance(1001);
  await assert.rejects(() => ask(headers), unauthorized);
  for (const [data, type] of [
    [{ 'usage-bootstrap-authentication': 'false' }],
    [{ 'auth-extra-groups': 'system:masters' }],
    [{}, 'Opaque'],
    [{ 'token-id': 'abcdeg' }],
  ] as const) {
    put(data as Record<string, string>, type);
    await assert.rejects(() => ask(headers), unauthorized);
  }
});

test('browsers send the token as a WebSocket sub-protocol', async () => {
  const { ask, issue } = open();
  const encoded = Buffer.from(await issue()).toString('base64url');
  const found = await ask({
    'sec-websocket-protocol': `v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.${encoded}`,
  });
  assert.equal(found.identity.user, 'system:serviceaccount:ns:sa');
});
