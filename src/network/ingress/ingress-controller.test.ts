import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { after, test } from 'node:test';
import {
  type Event,
  type Ingress,
  type IngressClass,
  ingressControllerName,
  resource,
  type Secret,
  type Service,
} from '#api';
import { silentLog, systemClock, systemRandom } from '#base';
import { openInformers } from '#client';
import { createAuthority, issueCertificate } from '#pki';
import { startCluster } from '../../testkit/index.ts';
import { startIngressController } from './ingress-controller.ts';
import { portOf, serve } from './proxy/bed.fixture.ts';

const ingresses = resource('networking.k8s.io/v1', 'ingresses');
const classes = resource('networking.k8s.io/v1', 'ingressclasses');
const services = resource('v1', 'services');
const secrets = resource('v1', 'secrets');
const events = resource('v1', 'events');

const cluster = await startCluster({ controllers: [], scheduler: false, nodes: 0 });
const backend = await serve((asked, response) => response.end(`web ${asked.url}`));
const { client } = cluster;
const informers = openInformers({ client, clock: systemClock });
const options = {
  client,
  informers,
  clock: systemClock,
  random: systemRandom,
  log: silentLog,
  resolvers: [],
  allow: () => true,
};
const node = (name: string, address: string, ready: boolean): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  status: {
    addresses: [{ type: 'InternalIP', address }],
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
  },
});
const nodes = resource('v1', 'nodes');
for (const [name, address, ready] of [
  ['n1', '192.0.2.1', true],
  ['n2', '192.0.2.2', false],
] as const) {
  const made = await client.create(nodes, node(name, address, ready) as never);
  await client.update(
    nodes,
    { ...made, ...(node(name, address, ready) as { status: object }), metadata: made.metadata } as never,
    {
      subresource: 'status',
    },
  );
}
await client.create<IngressClass>(classes, {
  metadata: { name: 'own' },
  spec: { controller: ingressControllerName },
} as never);
await client.create<Service>(services, {
  metadata: { name: 'web', namespace: 'default' },
  spec: { type: 'ExternalName', externalName: '127.0.0.1', ports: [{ port: portOf(backend) }] },
} as never);
const controller = await startIngressController({
  ...options,
  nodeName: 'n1',
  addresses: ['127.0.0.1'],
  ports: { http: 0, https: 0 },
});
after(async () => {
  await controller.close();
  informers.close();
  backend.close();
  await cluster.close();
});

const rule = (host: string, service = 'web') => ({
  host,
  http: {
    paths: [
      { path: '/', pathType: 'Prefix', backend: { service: { name: service, port: { number: portOf(backend) } } } },
    ],
  },
});
const create = (name: string, spec: object): Promise<Ingress> =>
  client.create<Ingress>(ingresses, { metadata: { name, namespace: 'default' }, spec } as never);

function status(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: '127.0.0.1', port: controller.ports.http, headers: { host }, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

async function until(what: string, ask: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!(await ask())) {
    assert.ok(performance.now() < endMs, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('rules come, change and go; other classes are left alone; the status is written', async () => {
  assert.ok(controller.idleMs() > 0);
  await create('a', { ingressClassName: 'own', rules: [rule('a.test')] });
  await create('other', { ingressClassName: 'other', rules: [rule('other.test')] });
  await create('none', { rules: [rule('none.test')] });
  await until('a rule', async () => (await status('a.test')) === 200);
  assert.equal(controller.idleMs(), 0);
  assert.deepEqual([await status('other.test'), await status('none.test')], [404, 404]);
  const written = async (name: string): Promise<unknown> =>
    (await client.get<Ingress>(ingresses, name, { namespace: 'default' })).status?.loadBalancer?.ingress;
  await until(
    'the address of the ready node',
    async () => JSON.stringify(await written('a')) === '[{"ip":"192.0.2.1"}]',
  );
  assert.equal(await written('other'), undefined);

  const a = await client.get<Ingress>(ingresses, 'a', { namespace: 'default' });
  await client.update<Ingress>(ingresses, { ...a, spec: { ...a.spec, rules: [rule('b.test')] } } as never);
  await until('a changed rule', async () => (await status('b.test')) === 200 && (await status('a.test')) === 404);
  const own = await client.get<IngressClass>(classes, 'own');
  await client.patch(classes, own.metadata.name, {
    type: 'merge',
    body: { metadata: { annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } } },
  });
  await until('our class is the default', async () => (await status('none.test')) === 200);
  await client.delete(classes, 'own');
  await until('the class is gone', async () => (await status('b.test')) === 404);
  await client.create<IngressClass>(classes, {
    metadata: { name: 'own' },
    spec: { controller: ingressControllerName },
  } as never);
  await until('the class is back', async () => (await status('b.test')) === 200);
  await client.delete(ingresses, 'a', { namespace: 'default' });
  await until('a rule that is gone', async () => (await status('b.test')) === 404);
  await until('nothing to serve', async () => controller.idleMs() > 0);
});

const authority = createAuthority({ commonName: 'test', days: 1, nowMs: Date.now() });
function certificateFor(host: string): { data: Record<string, string>; pem: string } {
  const issued = issueCertificate(authority, {
    commonName: host,
    usages: ['server'],
    dnsNames: [host],
    days: 1,
    nowMs: Date.now(),
  });
  const encoded = (text: string): string => Buffer.from(text).toString('base64');
  return {
    data: { 'tls.crt': encoded(issued.certificatePem), 'tls.key': encoded(issued.keyPem) },
    pem: issued.certificatePem,
  };
}

async function shown(host: string): Promise<{ subject: string; serial: string }> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: controller.ports.https,
    servername: host,
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  const { subject, serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return { subject: String(subject.CN), serial: serialNumber };
}

test('certificates by name; a bad one leaves the last good one in place; problems are told once', async () => {
  const first = certificateFor('*.tls.test');
  await create('tls', {
    ingressClassName: 'own',
    tls: [{ hosts: ['*.tls.test'], secretName: 'cert' }],
    rules: [rule('*.tls.test')],
  });
  await until('TLS without the Secret', async () => /built-in/.test((await shown('x.tls.test')).subject));
  await client.create<Secret>(secrets, {
    metadata: { name: 'cert', namespace: 'default' },
    type: 'kubernetes.io/tls',
    data: first.data,
  } as never);
  await until('TLS with it', async () => (await shown('X.tls.test')).subject === '*.tls.test');
  assert.match((await shown('tls.test')).subject, /built-in/);
  const { serial } = await shown('x.tls.test');
  const bad = { ...first.data, 'tls.key': certificateFor('y').data['tls.key'] };
  await client.patch(secrets, 'cert', { type: 'merge', body: { data: bad } }, { namespace: 'default' });
  const told = async (reason: string): Promise<number> =>
    (await client.list<Event>(events, { namespace: 'default' })).items.filter((one) => one.reason === reason).length;
  await until('the event', async () => (await told('SecretInvalid')) === 1);
  assert.equal((await shown('x.tls.test')).serial, serial);
  await client.patch(
    secrets,
    'cert',
    { type: 'merge', body: { data: certificateFor('z.test').data } },
    { namespace: 'default' },
  );
  await until('the renewed one', async () => (await shown('x.tls.test')).serial !== serial);
  await until('its event', async () => (await told('CertificateMismatch')) === 1);

  await create('bad', { ingressClassName: 'own', rules: [rule('missing.test', 'missing'), rule('*.tls.test')] });
  await until('events', async () => (await told('ServiceNotFound')) === 1 && (await told('Conflict')) === 1);
  assert.equal(await status('missing.test'), 503);
  await client.create<Service>(services, {
    metadata: { name: 'missing', namespace: 'default' },
    spec: { type: 'ExternalName', externalName: '127.0.0.1', ports: [{ port: portOf(backend) }] },
  } as never);
  await until('the Service has come', async () => (await status('missing.test')) === 200);
});

test('a port that is taken is told, and taken over when it is free', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const port = portOf(taken);
  const second = await startIngressController({
    ...options,
    nodeName: 'n9',
    addresses: ['127.0.0.1'],
    ports: { http: port, https: 0 },
  });
  assert.equal(second.ports.http, undefined);
  assert.ok((second.ports.https ?? 0) > 0, 'the other port is served');
  await until('the event', async () =>
    (await client.list<Event>(events, { namespace: 'default' })).items.some(
      (one) =>
        one.reason === 'IngressPortTaken' &&
        (one.message ?? '').includes(`port ${port} of 127.0.0.1 is taken by another program`),
    ),
  );
  await new Promise<void>((resolve) => void taken.close(() => resolve()));
  await until('it listens', async () => second.ports.http === port);
  await second.close();
});
