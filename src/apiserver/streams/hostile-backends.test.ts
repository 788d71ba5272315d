import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { systemClock } from '#base';
import { openClusterPki } from '#pki';
import { openAuthenticator } from '../authn/index.ts';
import { bootstrapPolicy, openAuthorizer } from '../authz/index.ts';
import { type Json, type TestServer, testServer } from '../test-server.ts';

const limit = { timeout: 60_000 };
const pki = openClusterPki({ clock: systemClock });
const serving = pki.issue({
  commonName: 'x',
  usages: ['server'],
  ipAddresses: ['127.0.0.1'],
  dnsNames: ['far.default.svc'],
});
const admin = pki.issue({ commonName: 'admin', organizations: ['system:masters'], usages: ['client'] });
const kubeletClient = pki.issue({ commonName: 'kube-apiserver-kubelet-client', usages: ['client'] });
const voucher = pki.issue({ commonName: 'front-proxy-client', usages: ['client'] });
const ca = pki.ca.certificatePem;
/** Endpoints may not be loopback addresses: this machine's own one stays on it all the same. */
const ownAddress = Object.values(networkInterfaces())
  .flat()
  .find((one) => one?.family === 'IPv4' && !one.internal)?.address;

/** A backend that answers every request with the same bytes and keeps what it hears after the head. */
class Backend {
  readonly server: Server;
  answer = '';
  dials = 0;
  heads: string[] = [];
  after = '';
  open = 0;
  #begun = 0;

  constructor() {
    this.server = createTlsServer({ cert: serving.certificatePem, key: serving.keyPem, ca }, (socket) => {
      const begun = this.#begun;
      this.dials++;
      this.open++;
      let head: string | undefined = '';
      socket.on('error', () => {});
      socket.on('close', () => this.open--);
      socket.on('data', (chunk: Buffer) => {
        if (head === undefined) {
          this.after += chunk.toString();
          return;
        }
        head += chunk.toString();
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        if (head.startsWith('GET /metrics/resource ')) {
          // The server itself looks after its nodes now and then.
          if (begun === this.#begun) this.dials--;
          socket.end('HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n');
          return;
        }
        this.heads.push(head.slice(0, end));
        this.after += head.slice(end + 4);
        head = undefined;
        socket.write(this.answer);
      });
    });
  }

  begin(answer: string): void {
    this.#begun++;
    Object.assign(this, { answer, dials: 0, heads: [], after: '' });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }
}

const backend = new Backend();
/** Where answers would lead: nobody may come. */
let visits = 0;
const trap = createTcpServer((socket: Socket) => {
  visits++;
  socket.destroy();
});
let elsewhere = '';

let t: TestServer;
let port = 0;
const listener = {
  host: '127.0.0.1',
  port: 0,
  tls: { cert: serving.certificatePem, key: serving.keyPem, clientCa: ca },
};
const merge = { 'content-type': 'application/merge-patch+json' };

async function open(allowLoopback: boolean): Promise<TestServer> {
  const roots = [pki.ca.certificate];
  return testServer({
    clock: systemClock as never,
    authenticator: (objects) =>
      openAuthenticator({ clock: systemClock, objects, clientRoots: () => roots, audiences: ['api'] }),
    authorizer: (objects) => openAuthorizer({ objects }),
    policy: bootstrapPolicy(),
    kubelet: {
      ca,
      clientCert: kubeletClient.certificatePem,
      clientKey: kubeletClient.keyPem,
      allowLoopback,
    },
    aggregation: { clientCert: voucher.certificatePem, clientKey: voucher.keyPem },
  });
}

async function setNode(one: TestServer, addresses: readonly object[], kubeletPort: number): Promise<void> {
  const status = { addresses, daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } };
  await one.ask('POST', '/api/v1/nodes', { metadata: { name: 'n' } });
  const set = await one.ask('PATCH', '/api/v1/nodes/n/status', { status }, merge);
  assert.equal(set.status, 200, JSON.stringify(set.body));
}

before(async () => {
  backend.server.listen(0, '0.0.0.0');
  await once(backend.server, 'listening');
  trap.listen(0, '127.0.0.1');
  await once(trap, 'listening');
  elsewhere = `https://127.0.0.1:${(trap.address() as AddressInfo).port}/exec?command=id`;
  t = await open(true);
  port = (await t.server.listen(listener)).port;
  await setNode(t, [{ type: 'InternalIP', address: '127.0.0.1' }], backend.port);
  await t.ask('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'p' },
    spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i', ports: [{ containerPort: backend.port }] }] },
  });
  await t.ask('PATCH', '/api/v1/namespaces/default/pods/p/status', { status: { podIP: '127.0.0.1' } }, merge);
  if (ownAddress === undefined) return;
  await t.ask('POST', '/api/v1/namespaces/default/services', {
    metadata: { name: 'far' },
    spec: { ports: [{ port: 443 }] },
  });
  await t.ask('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    metadata: { name: 'far-1', labels: { 'kubernetes.io/service-name': 'far' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [ownAddress], conditions: { ready: true } }],
    ports: [{ name: '', port: backend.port, protocol: 'TCP' }],
  });
  const list = JSON.stringify({ kind: 'APIResourceList', groupVersion: 'far.example/v1', resources: [] });
  backend.begin(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${list.length}\r\n\r\n${list}`);
  const services = '/apis/apiregistration.k8s.io/v1/apiservices';
  const made = await t.ask('POST', services, {
    metadata: { name: 'v1.far.example' },
    spec: {
      group: 'far.example',
      version: 'v1',
      groupPriorityMinimum: 100,
      versionPriority: 100,
      service: { namespace: 'default', name: 'far', port: 443 },
      caBundle: Buffer.from(ca).toString('base64'),
    },
  });
  const [event] = await t.watch(`${services}?watch=1&resourceVersion=${made.body.metadata.resourceVersion}`, 1);
  assert.equal(event?.object.status.conditions[0].status, 'True', JSON.stringify(event));
});

after(async () => {
  await t[Symbol.asyncDispose]();
  backend.server.close();
  trap.close();
});

const pod = '/api/v1/namespaces/default/pods/p';
/** Every way that leads to another server. */
const ways: [name: string, path: string, remote: boolean][] = [
  ['exec', `${pod}/exec?command=ls`, false],
  ['attach', `${pod}/attach?stdin=true`, false],
  ['portforward', `${pod}/portforward?ports=80`, false],
  ['nodes/proxy', '/api/v1/nodes/n/proxy/exec/default/p/c?command=ls', false],
  ['pods/proxy', '/api/v1/namespaces/default/pods/https:p:/proxy/ws', false],
  ['services/proxy', '/api/v1/namespaces/default/services/https:far:443/proxy/ws', true],
  ['an aggregated API', '/apis/far.example/v1/stream', true],
];

interface Heard {
  readonly text: string;
  readonly status: number;
}

/**
 * Asks to switch protocols with another request right behind, writes more once an answer has come, and gives what came until the server
 * closed, or until `until`.
 */
async function upgrade(path: string, until?: string): Promise<Heard> {
  const socket = connectTls({ host: '127.0.0.1', port, ca, cert: admin.certificatePem, key: admin.keyPem });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  const second = 'GET /api/v1/secrets?second HTTP/1.1\r\nHost: x\r\n\r\n';
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n${second}`,
  );
  let text = '';
  let more = false;
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (!more) socket.write(second.replace('second', 'third'));
      more = true;
    });
    const look = setInterval(() => {
      if (socket.destroyed || (until !== undefined && backend.after.includes(until))) resolve(clearInterval(look));
    }, 5);
  });
  socket.destroy();
  return { text, status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0) };
}

const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n';
const refusals: [name: string, answer: string][] = [
  ...[200, 201, 204, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 409, 429, 500, 502, 503].map(
    (code): [string, string] => [
      String(code),
      `HTTP/1.1 ${code} X\r\nLocation: ELSEWHERE\r\n${code === 204 || code === 304 ? '' : 'Content-Length: 4\r\n'}\r\n${code === 204 || code === 304 ? '' : 'nope'}`,
    ],
  ),
  ['101 to another protocol', switched.replace('SPDY/3.1', 'h2c')],
  ['101 to none', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['101 without a connection', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\n\r\n'],
  ['200 with the header', switched.replace('101', '200')],
  ['302 with the header', switched.replace('101 Switching Protocols', '302 Found\r\nLocation: ELSEWHERE')],
  ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
];

for (const [name, path, remote] of ways) {
  test(`${name}: a backend that does not switch gets no further byte, and leads nowhere`, {
    ...limit,
    skip: remote && ownAddress === undefined,
  }, async () => {
    for (const [what, answer] of refusals) {
      backend.begin(answer.replace('ELSEWHERE', elsewhere));
      const heard = await upgrade(path);
      assert.ok(heard.status >= 400, `${what}: ${heard.text}`);
      assert.doesNotMatch(heard.text, /location:|nope.*HTTP\/1\.1/is, what);
      assert.equal(heard.text.match(/HTTP\/1\.1 \d/g)?.length, 1, `${what}: one answer`);
      assert.deepEqual([backend.dials, backend.heads.length, backend.after], [1, 1, ''], what);
      assert.doesNotMatch(backend.heads[0] ?? '', /^authorization:|second|third/im, what);
      const deadline = performance.now() + 10_000;
      while (backend.open > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 2));
      assert.equal(backend.open, 0, `${what}: the connection to the backend is closed`);
    }
    assert.equal(visits, 0);
    // With a backend that agrees the same bytes arrive there.
    backend.begin(`${switched}early`);
    const joined = await upgrade(path, 'third');
    assert.equal(joined.status, 101, joined.text);
    assert.match(backend.after, /^GET .*second[\s\S]*third/);
  });
}

test(
  'redirects of kubelets and aggregated servers are errors; those of pods and Services lead through this server; none is followed',
  limit,
  async () => {
    const ask = (path: string): Promise<Json> => t.ask('GET', path);
    const straight = [`${pod}/log`, '/api/v1/nodes/n/proxy/pods'];
    if (ownAddress !== undefined) straight.push('/apis/far.example/v1/things');
    for (const code of [300, 301, 302, 303, 307, 308]) {
      for (const path of straight) {
        backend.begin(
          `HTTP/1.1 ${code} X\r\nLocation: ${elsewhere}\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret`,
        );
        const answer = await ask(path);
        assert.equal(answer.status, 502, `${path} ${code}`);
        assert.equal(answer.headers.location, undefined);
        assert.doesNotMatch(JSON.stringify(answer.body), /secret|127\.0\.0\.1/);
        assert.equal(backend.dials, 1);
      }
      backend.begin(`HTTP/1.1 ${code} X\r\nLocation: /there\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      const answer = await ask('/api/v1/namespaces/default/pods/https:p:/proxy/here');
      assert.equal(answer.status, code);
      assert.equal(answer.headers.location, '/api/v1/namespaces/default/pods/https:p:/proxy/there');
      assert.equal(backend.dials, 1);
    }
    assert.equal(visits, 0);
    for (const path of straight) {
      backend.begin('HTTP/1.1 200 X\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine');
      assert.equal((await ask(path)).body, 'fine', path);
    }
  },
);

test('a node at an address of this machine, of a link, of everybody, or at a name is not dialled', limit, async () => {
  await using one = await open(false);
  const places = [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::7f00:1',
    '0.0.0.0',
    '::',
    '169.254.169.254',
    '::ffff:169.254.169.254',
    'fe80::1',
    'fe80::1%lo',
    '224.0.0.1',
    '255.255.255.255',
    'ff02::1',
    '0177.0.0.1',
    '127.1',
    '2130706433',
    'localhost',
    'localhost.',
  ];
  backend.begin('HTTP/1.1 200 X\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine');
  await one.ask('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'p' },
    spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }] },
  });
  for (const address of places) {
    for (const type of ['InternalIP', 'ExternalIP', 'Hostname']) {
      await setNode(one, [{ type, address }], backend.port);
      for (const path of [
        '/api/v1/nodes/n/proxy/pods',
        `/api/v1/nodes/n:${backend.port + 1}/proxy/pods`,
        `${pod}/log`,
      ]) {
        const answer = await one.ask('GET', path);
        assert.equal(answer.status, 400, `${type} ${address} ${path}: ${JSON.stringify(answer.body)}`);
        assert.match(answer.body.message, /address not allowed/);
      }
    }
    const status = { podIP: address, podIPs: [{ ip: address }] };
    const set = await one.ask('PATCH', `${pod}/status`, { status }, merge);
    if (set.status === 200) assert.equal((await one.ask('GET', `${pod}:${backend.port}/proxy/`)).status, 400, address);
  }
  assert.equal(backend.dials, 0);
  // The address is what was refused: a server that may go there does.
  assert.equal((await t.ask('GET', '/api/v1/nodes/n/proxy/pods')).body, 'fine');
  assert.equal(backend.dials, 1);
});

test('a node that is this server: asked as the kubelet client, which may do nothing here', limit, async () => {
  await setNode(t, [{ type: 'InternalIP', address: '127.0.0.1' }], port);
  try {
    const version = await t.ask('GET', '/api/v1/nodes/n/proxy/version');
    assert.equal(version.body.major, '1', 'the way leads here');
    for (const [path, why] of [
      ['secrets', /^secrets is forbidden: User "kube-apiserver-kubelet-client" cannot list/],
      ['nodes/n/proxy/pods', /^nodes "n" is forbidden: this identity asks kubelets/],
      ['nodes/other/proxy/exec/a/b/c', /^nodes "other" is forbidden: this identity asks kubelets/],
      ['nodes/n/proxy/api/v1/nodes/n/proxy/pods', /^nodes "n" is forbidden: this identity asks kubelets/],
    ] as const) {
      const answer = await t.ask('GET', `/api/v1/nodes/n/proxy/api/v1/${path}`);
      assert.equal(answer.status, 403, JSON.stringify(answer));
      assert.match(answer.body.message, why);
    }
    // Without any identity of the server it goes round, and not for ever.
    const round = `/api/v1/namespaces/default/pods/https:p:${port}/proxy`;
    const hop = (times: number): Promise<Json> => t.ask('GET', `${round.repeat(times)}/version`);
    assert.equal((await hop(1)).body.major, '1');
    assert.equal((await hop(2)).status, 403, 'a stranger from the second time on');
    const via = (times: number): object => ({ via: new Array(times).fill('1.1 kube-apiserver').join(', ') });
    assert.equal((await t.ask('GET', `${round}/version`, undefined, via(2) as never)).status, 200);
    assert.equal((await t.ask('GET', `${round}/version`, undefined, via(4) as never)).status, 508);
  } finally {
    await setNode(t, [{ type: 'InternalIP', address: '127.0.0.1' }], backend.port);
  }
});

test('who may only get nodes/proxy runs nothing there, however the request is written', limit, async () => {
  const grant = async (name: string, verbs: string[]): Promise<void> => {
    const api = '/apis/rbac.authorization.k8s.io/v1';
    const rules = [{ apiGroups: [''], resources: ['nodes/proxy'], verbs }];
    assert.equal((await t.ask('POST', `${api}/clusterroles`, { metadata: { name }, rules })).status, 201);
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name }];
    await t.ask('POST', `${api}/clusterrolebindings`, { metadata: { name }, roleRef, subjects });
  };
  await grant('reader', ['get']);
  await grant('runner', ['get', 'create']);
  const fine = 'HTTP/1.1 200 X\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine';
  const ask = async (user: string, path: string): Promise<number> => {
    backend.begin(fine);
    const transport = t.server.transport({ user, groups: ['system:authenticated'] });
    const answer = await transport.request({ method: 'GET', target: `/api/v1/nodes/${path}` });
    await answer.bytes();
    return answer.status;
  };
  for (const path of ['pods', 'stats/summary', 'containerLogs/default/p/c', 'healthz', 'logs/']) {
    assert.equal(await ask('reader', `n/proxy/${path}`), 200, path);
  }
  for (const path of [
    'exec/default/p/c?command=id',
    '%65xec/default/p/c',
    'run/default/p/c',
    'attach/a/b/c',
    'portForward/a/b',
    'storage/x/y',
    '/exec/default/p/c',
    'anything',
  ]) {
    assert.equal(await ask('reader', `n/proxy/${path}`), 403, path);
    assert.equal(await ask('reader', `n:${backend.port}/proxy/${path}`), 403, path);
    assert.equal(backend.dials, 0);
    assert.equal(await ask('runner', `n/proxy/${path}`), 200, path);
  }
});

test('what a server answers that is no aggregated API is repeated to nobody', {
  ...limit,
  skip: ownAddress === undefined,
}, async () => {
  const services = '/apis/apiregistration.k8s.io/v1/apiservices';
  const answers: [string, string, string][] = [
    ['v1', '200 OK', '"the-inner-secret"'],
    ['v2', '200 OK', 'the-inner-secret is no JSON'],
    ['v3', '500 X', 'the-inner-secret'],
    ['v4', '302 X\r\nLocation: https://the-inner-secret/', 'the-inner-secret'],
  ];
  for (const [version, head, body] of answers) {
    backend.begin(
      `HTTP/1.1 ${head}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    const name = `${version}.inner.example`;
    const made = await t.ask('POST', services, {
      metadata: { name },
      spec: {
        group: 'inner.example',
        version,
        groupPriorityMinimum: 100,
        versionPriority: 100,
        service: { namespace: 'default', name: 'far', port: 443 },
        caBundle: Buffer.from(ca).toString('base64'),
      },
    });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    let status: Json;
    while (status?.conditions?.[0] === undefined || backend.heads.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      ({ status } = (await t.ask('GET', `${services}/${name}`)).body);
    }
    assert.doesNotMatch(JSON.stringify(status), /the-inner-secret/, head);
    await t.ask('DELETE', `${services}/${name}`);
  }
  assert.equal(visits, 0);
});
