import assert from 'node:assert/strict';
import { request as httpsRequest } from 'node:https';
import { after, before, test } from 'node:test';
import {
  auditLink,
  auditRefusal,
  bootstrapPolicy,
  metadataPolicy,
  openAuthenticator,
  openAuthorizer,
  openTokenIssuer,
  type AdmissionPlugin,
} from '#apiserver';
import { seededRandom, systemClock, systemRandom } from '#base';
import { errForbidden } from '#machinery';
import { type Credential, openClusterPki } from '#pki';
import { startCluster, type TestCluster } from '#testkit';

// biome-ignore lint: answers and events of any kind
type Json = any;

const limit = { timeout: 60_000 };
const clock = systemClock;
const pki = openClusterPki({ clock, etcd: { names: ['etcd'], addresses: ['127.0.0.1'] } });
const ca = pki.ca.certificatePem;
const audiences = ['https://test'];
const serving = pki.issue({ commonName: 'kube-apiserver', usages: ['server'], ipAddresses: ['127.0.0.1'] });
const events: Json[] = [];
const audit = {
  policy: metadataPolicy,
  sink: { write: (event: object) => void events.push(event) },
  clock,
  random: systemRandom,
};

/** Refuses to delete what is named `kept`. */
const keeper: AdmissionPlugin = {
  name: 'Keeper',
  async validate({ operation, oldObject, name }) {
    if (operation === 'DELETE' && (oldObject?.metadata.name ?? name) === 'kept')
      throw errForbidden({ group: '', plural: 'configmaps' }, 'kept', 'it is to be kept');
  },
};

let cluster: TestCluster;
let port = 0;

before(async () => {
  cluster = await startCluster({
    nodes: 0,
    controllers: [],
    scheduler: false,
    server: {
      authenticator: (objects) =>
        openAuthenticator({
          clock,
          objects,
          clientRoots: () => [pki.ca.certificate],
          frontProxy: { roots: () => [pki.frontProxyCa.certificate], allowedNames: ['front-proxy-client'] },
          serviceAccounts: { keys: () => pki.serviceAccountPublicKeys, issuers: audiences },
          audiences,
          bootstrapTokens: true,
        }),
      authorizer: (objects) => openAuthorizer({ objects }),
      policy: bootstrapPolicy(),
      tokens: openTokenIssuer({
        key: () => pki.serviceAccountKey,
        issuer: audiences[0] as string,
        audiences,
        clock,
        random: systemRandom,
      }),
      admission: () => [keeper],
      audit: auditLink(audit),
      onUnauthenticated: auditRefusal(audit),
    },
  });
  const tls = { cert: serving.certificatePem, key: serving.keyPem, clientCa: ca + pki.frontProxyCa.certificatePem };
  port = (await cluster.server.listen({ host: '127.0.0.1', port: 0, tls })).port;
});
after(() => cluster.close());

interface Asked {
  readonly method?: string;
  readonly as?: Credential;
  readonly headers?: Record<string, string>;
  readonly body?: object | string;
}

/** One request on a connection of its own. */
function ask(
  path: string,
  { method = 'GET', as, headers = {}, body }: Asked = {},
): Promise<{ status: number; body: Json }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpsRequest({
      ...{ host: '127.0.0.1', port, ca, method, path, agent: false },
      ...(as === undefined ? {} : { cert: as.certificatePem, key: as.keyPem }),
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        const isJson = response.headers['content-type']?.startsWith('application/json') === true;
        resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
      });
    });
    outgoing.end(typeof body === 'object' ? JSON.stringify(body) : body);
  });
}

const admin = pki.issue({ commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
const user = (name: string): Credential => pki.issue({ commonName: name, usages: ['client'] });
const self = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const whoami = async (asked: Asked): Promise<string | number> => {
  const answer = await ask(self, { ...asked, method: 'POST', body: { metadata: {} } });
  return answer.status === 201 ? answer.body.status.userInfo.username : answer.status;
};

test('certificates that are not for users open nothing, whoever signed them', limit, async () => {
  assert.equal(await whoami({ as: user('somebody') }), 'somebody');
  assert.equal(await whoami({ as: pki.credential('apiserver-kubelet-client') }), 'kube-apiserver-kubelet-client');
  const kubelet = { commonName: 'system:node:n', organizations: ['system:nodes'], ipAddresses: ['127.0.0.1'] };
  const serves = pki.issue({ ...kubelet, usages: ['server'] });
  assert.equal(await whoami({ as: serves }), 401, 'what a kubelet serves with');
  assert.equal(await whoami({ as: pki.issue({ ...kubelet, usages: ['client'] }) }), 'system:node:n');
  for (const name of [
    'apiserver',
    'front-proxy-client',
    'apiserver-etcd-client',
    'etcd/server',
    'etcd/peer',
    'etcd/healthcheck-client',
  ] as const)
    assert.equal(await whoami({ as: pki.credential(name) }), 401, name);
  // The front proxy's certificate vouches for others, and for nobody without their name.
  const headers = { 'X-Remote-User': 'claimed', 'X-Remote-Group': 'system:masters' };
  const proxy = pki.credential('front-proxy-client');
  assert.equal(await whoami({ as: proxy, headers: { 'X-Remote-User': 'claimed' } }), 'claimed');
  assert.equal(await whoami({ as: user('somebody'), headers }), 'somebody');
  assert.equal(await whoami({ as: proxy, headers: { X_Remote_User: 'claimed' } }), 401);
  assert.equal(await whoami({ headers }), 403, 'system:anonymous');
});

test('an audit event says how its user was found out, and holds no credential', limit, async () => {
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  assert.equal((await ask(accounts, { method: 'POST', as: admin, body: { metadata: { name: 'app' } } })).status, 201);
  const issued = await ask(`${accounts}/app/token`, { method: 'POST', as: admin, body: { spec: {} } });
  const token: string = issued.body.status.token;
  const stringData = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    'usage-bootstrap-authentication': 'true',
    expiration: new Date(clock.nowMs() + 60_000).toISOString(),
  };
  const secret = { metadata: { name: 'bootstrap-token-abcdef' }, type: 'bootstrap.kubernetes.io/token', stringData };
  assert.equal(
    (await ask('/api/v1/namespaces/kube-system/secrets', { method: 'POST', as: admin, body: secret })).status,
    201,
  );
  const bearer = (text: string): Asked => ({ headers: { authorization: `Bearer ${text}` } });
  const rows: [asked: Asked, username: string, how: string, credential: RegExp][] = [
    [{ as: user('somebody') }, 'somebody', 'x509', /^X509SHA256=[0-9a-f]{64}$/],
    [bearer(token), 'system:serviceaccount:default:app', 'serviceaccount', /^JTI=/],
    [bearer('abcdef.0123456789abcdef'), 'system:bootstrap:abcdef', 'bootstrap', /^abcdef$/],
    [
      { as: pki.credential('front-proxy-client'), headers: { 'X-Remote-User': 'claimed' } },
      'claimed',
      'requestheader',
      /^X509SHA256=/,
    ],
    [{}, 'system:anonymous', 'anonymous', /^undefined$/],
  ];
  for (const [asked, username, how, credential] of rows) {
    events.length = 0;
    await ask('/api/v1/namespaces/default/configmaps', asked);
    const event = events.find((one) => one.stage === 'ResponseComplete');
    assert.equal(event?.user.username, username);
    assert.match(event.annotations['authentication.k8s.io/authenticator'], new RegExp(`^${how}`, 'i'), username);
    const id =
      event.user.extra?.['authentication.kubernetes.io/credential-id']?.[0] ??
      event.annotations['authentication.k8s.io/credential-id'];
    assert.match(String(id), credential, username);
    assert.doesNotMatch(JSON.stringify(events), new RegExp(`${token}|0123456789abcdef`));
  }
  for (const asked of [
    bearer(`${token.slice(0, -4)}AAAA`),
    bearer('abcdef.fedcba9876543210'),
    { as: pki.credential('etcd/peer') },
  ]) {
    events.length = 0;
    assert.equal((await ask('/api/v1/namespaces/default/configmaps', asked)).status, 401);
    assert.equal(events.length, 1);
    assert.equal(events[0].user.username ?? '', '');
    assert.match(events[0].responseStatus.message, /^authentication failed/i);
    assert.doesNotMatch(JSON.stringify(events), /fedcba9876543210|AAAA"/);
  }
});

async function grant(name: string, namespace: string, rules: object[]): Promise<Credential> {
  const api = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const made = await ask(`${api}/roles`, { method: 'POST', as: admin, body: { metadata: { name }, rules } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }];
  await ask(`${api}/rolebindings`, { method: 'POST', as: admin, body: { metadata: { name }, roleRef, subjects } });
  return user(name);
}

test('whoever may change what is there may not therefore make it', limit, async () => {
  const apply = { 'content-type': 'application/apply-patch+yaml' };
  const changer = await grant('changer', 'default', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['patch', 'update'] },
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['patch', 'update'] },
  ]);
  const maker = await grant('maker', 'default', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['patch', 'update', 'create'] },
    { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['patch', 'update', 'create'] },
  ]);
  const map = '/api/v1/namespaces/default/configmaps/made';
  const lease = '/apis/coordination.k8s.io/v1/namespaces/default/leases/made';
  const ways: [string, Asked][] = [
    [
      `${map}?fieldManager=x`,
      {
        method: 'PATCH',
        headers: apply,
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made' }, data: { a: '1' } },
      },
    ],
    [
      `${map}?fieldManager=x&force=true&dryRun=All`,
      {
        method: 'PATCH',
        headers: apply,
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'made' }, data: { a: '1' } },
      },
    ],
    [
      lease,
      {
        method: 'PUT',
        body: { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'made' }, spec: {} },
      },
    ],
  ];
  for (const [path, asked] of ways) {
    const refused = await ask(path, { ...asked, as: changer });
    assert.equal(refused.status, 403, `${path}: ${JSON.stringify(refused.body)}`);
    assert.match(refused.body.message, /User "changer" cannot create resource "(configmaps|leases)"/);
  }
  assert.equal((await ask(map, { as: admin })).status, 404);
  assert.equal((await ask(lease, { as: admin })).status, 404);
  for (const [path, asked] of ways.toReversed()) {
    const made = await ask(path, { ...asked, as: maker });
    assert.equal(made.status, 201, `${path}: ${JSON.stringify(made.body)}`);
  }
  for (const [path, asked] of ways) assert.notEqual((await ask(path, { ...asked, as: changer })).status, 403, path);
});

test('a collection is deleted by those who may, object by object, through admission', limit, async () => {
  const maps = '/api/v1/namespaces/default/configmaps';
  for (const name of ['kept', 'loose-1', 'loose-2'])
    await ask(maps, { method: 'POST', as: admin, body: { metadata: { name, labels: { batch: 'yes' } } } });
  const one = await grant('one-by-one', 'default', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['delete', 'list', 'get'] },
  ]);
  assert.equal((await ask(`${maps}?labelSelector=batch`, { method: 'DELETE', as: one })).status, 403);
  const many = await grant('all-at-once', 'default', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['deletecollection'] },
  ]);
  const refused = await ask(`${maps}?labelSelector=batch`, { method: 'DELETE', as: many });
  assert.equal(refused.status, 403);
  assert.match(refused.body.message, /it is to be kept/);
  const left = await ask(`${maps}?labelSelector=batch`, { as: admin });
  assert.ok(left.body.items.some((item: Json) => item.metadata.name === 'kept'));
  assert.equal(
    (await ask(`${maps}?labelSelector=batch&fieldSelector=metadata.name!%3Dkept`, { method: 'DELETE', as: many }))
      .status,
    200,
  );
  const rest = await ask(`${maps}?labelSelector=batch`, { as: admin });
  assert.deepEqual(
    rest.body.items.map((item: Json) => item.metadata.name),
    ['kept'],
  );
});

test('what is authorized is what is done, however the target is written', limit, async () => {
  for (const name of ['mine', 'theirs'])
    await ask('/api/v1/namespaces', { method: 'POST', as: admin, body: { metadata: { name } } });
  for (const namespace of ['mine', 'theirs']) {
    for (const [plural, body] of [
      ['configmaps', { data: { secret: `of-${namespace}` } }],
      ['secrets', { stringData: { secret: `of-${namespace}` } }],
    ] as const)
      await ask(`/api/v1/namespaces/${namespace}/${plural}`, {
        method: 'POST',
        as: admin,
        body: { metadata: { name: 'x' }, ...body },
      });
  }
  const reader = await grant('reader', 'mine', [
    { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] },
  ]);
  const transport = cluster.server.transport({ user: 'reader', groups: ['system:authenticated'] });
  assert.equal((await ask('/api/v1/namespaces/mine/configmaps', { as: reader })).status, 200);
  assert.equal((await ask('/api/v1/namespaces/theirs/configmaps', { as: reader })).status, 403);
  const random = seededRandom(7);
  const pick = <T>(of: readonly T[]): T => of[random.int(of.length)] as T;
  const spell = (text: string): string =>
    [...text]
      .map((char) => {
        const how = random.int(40);
        const hex = char.charCodeAt(0).toString(16);
        return how === 0 ? `%${hex}` : how === 1 ? `%25${hex}` : how === 2 ? char.toUpperCase() : char;
      })
      .join('');
  const pieces = [
    'namespaces',
    'mine',
    'theirs',
    'configmaps',
    'secrets',
    'x',
    '..',
    '.',
    '',
    'watch',
    'status',
    '%2e%2e',
    'proxy',
  ];
  const token = (start: string): string =>
    Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: -1, start })).toString('base64url');
  const queries = [
    ...[
      '',
      'fieldSelector=metadata.namespace%3Dtheirs',
      'fieldSelector=metadata.name%3Dx',
      'namespace=theirs',
      'watch=0',
      'limit=1',
      'pretty=1',
    ],
    ...['theirs/', 'theirs/x', '../secrets/mine/x', 'mine/x\0', 'mine/../theirs/', 'a', 'zz'].map(
      (one) => `limit=500&continue=${token(one)}`,
    ),
  ];
  const tells = /of-theirs|"kind":"Secret(List)?"/;
  const told: string[] = [];
  let fine = 0;
  for (let i = 0; i < 3000; i++) {
    const usual = [
      'namespaces',
      pick(['mine', 'theirs']),
      pick(['configmaps', 'secrets']),
      ...(random.int(2) === 0 ? ['x'] : []),
    ];
    const segments = usual.flatMap((one) =>
      random.int(12) === 0 ? [pick(pieces), one] : random.int(12) === 0 ? [pick(pieces)] : [one],
    );
    const query = pick(queries);
    const target = `/api/v1/${segments.map(spell).join('/')}${query === '' ? '' : `?${query}`}`;
    const answer = await transport.request({ method: 'GET', target });
    const text = Buffer.from(await answer.bytes()).toString();
    assert.ok(answer.status < 500, target);
    if (answer.status === 200) fine++;
    if (tells.test(text)) told.push(target);
  }
  const all = await ask('/api/v1/namespaces/theirs/configmaps', { as: admin });
  assert.match(JSON.stringify(all.body), tells);
  assert.deepEqual(told, []);
  assert.ok(fine > 100, `${fine} were answered`);
});
