import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, chmodSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ManualClock } from '#base';
import { parse } from 'yaml';
import { kubeconfigOf, openClusterPki, parseCertificate, verifyChain } from './index.ts';

const dayMs = 86_400_000;

test('a PKI is made once, loaded again, and readable by its owner alone', (t) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'pki-')), 'pki');
  t.after(() => rmSync(dir, { recursive: true }));
  mkdirSync(dir, { recursive: true });
  chmodSync(dir, 0o755);
  const clock = new ManualClock();
  const options = { dir, clock, etcd: { names: ['m'], addresses: ['10.0.0.1'] } };
  const first = openClusterPki(options);
  const again = openClusterPki(options);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(statSync(join(dir, 'etcd')).mode & 0o777, 0o700);
  for (const name of ['ca', 'front-proxy-ca', 'apiserver', 'etcd/server']) {
    assert.equal(statSync(join(dir, `${name}.key`)).mode & 0o777, 0o600, name);
  }
  assert.equal(again.ca.certificatePem, first.ca.certificatePem);
  assert.deepEqual(again.credential('apiserver'), first.credential('apiserver'));
  assert.deepEqual(
    again.expiry().map((one) => one.name),
    first.expiry().map((one) => one.name),
  );
  assert.match(readFileSync(join(dir, 'sa.pub'), 'utf8'), /BEGIN PUBLIC KEY/);
});

test('node:crypto agrees with what is written', () => {
  const pki = openClusterPki({
    clock: new ManualClock(),
    apiServerAddresses: ['10.96.0.1', 'fd00::1'],
    apiServerNames: ['api.example.com'],
  });
  const ca = new X509Certificate(pki.ca.certificatePem);
  const server = new X509Certificate(pki.credential('apiserver').certificatePem);
  assert.equal(ca.ca, true);
  assert.equal(server.ca, false);
  assert.equal(server.checkIssued(ca), true);
  assert.equal(server.verify(ca.publicKey), true);
  assert.equal(server.checkHost('kubernetes.default.svc'), 'kubernetes.default.svc');
  assert.equal(server.checkHost('api.example.com'), 'api.example.com');
  assert.equal(server.checkIP('10.96.0.1'), '10.96.0.1');
  assert.notEqual(server.checkIP('fd00::1'), undefined);
  assert.equal(server.checkIP('10.96.0.2'), undefined);
  assert.deepEqual(server.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  const proxy = new X509Certificate(pki.credential('front-proxy-client').certificatePem);
  assert.equal(proxy.verify(ca.publicKey), false);
});

test('leaves are issued again in the last third of their life, or when a name is missing', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'pki-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const clock = new ManualClock();
  const pki = openClusterPki({ dir, clock, certificateDays: 90 });
  assert.deepEqual(pki.renew(), []);
  await clock.advance(61 * dayMs);
  assert.deepEqual(pki.renew().sort(), ['apiserver', 'apiserver-kubelet-client', 'front-proxy-client']);
  const before = pki.credential('apiserver');
  const wider = openClusterPki({ dir, clock, certificateDays: 90, apiServerAddresses: ['10.1.1.1'] });
  assert.notEqual(wider.credential('apiserver').certificatePem, before.certificatePem);
  assert.equal(
    wider.credential('front-proxy-client').certificatePem,
    pki.credential('front-proxy-client').certificatePem,
  );
});

test('a chain is believed only within its dates, uses and roots', async () => {
  const clock = new ManualClock();
  const pki = openClusterPki({ clock });
  const client = parseCertificate(
    pki.issue({ commonName: 'jane', organizations: ['dev', 'ops'], usages: ['client'], days: 10 }).certificatePem,
  );
  const roots = [parseCertificate(pki.ca.certificatePem)];
  const check = (options: Partial<Parameters<typeof verifyChain>[0]>) => () =>
    verifyChain({ chain: [client], roots, usage: 'client', nowMs: clock.nowMs(), ...options });
  assert.deepEqual([client.subject.commonName, client.subject.organizations], ['jane', ['dev', 'ops']]);
  check({})();
  assert.throws(check({ usage: 'server' }), /incompatible key usage/);
  assert.throws(check({ roots: [parseCertificate(pki.frontProxyCa.certificatePem)] }), /unknown authority/);
  assert.throws(check({ nowMs: clock.nowMs() + 11 * dayMs }), /expired/);
  assert.throws(check({ chain: [] }), /no certificate/);
  const forged = Uint8Array.from(client.der);
  forged[forged.length - 1] = (forged.at(-1) as number) ^ 1;
  assert.throws(check({ chain: [parseCertificate(forged)] }), /unknown authority/);
  const server = parseCertificate(pki.credential('apiserver').certificatePem);
  assert.throws(check({ chain: [client], roots: [server] }), /unknown authority/);
});

test('a kubeconfig reads back as what was put in', () => {
  const text = kubeconfigOf({
    server: 'https://[::1]:6443',
    ca: 'CA',
    clientCert: 'CERT',
    clientKey: 'KEY',
    clusterName: 'yes',
    user: 'a: b',
    context: 'k8ts-x',
  });
  const read = parse(text);
  assert.equal(read.clusters[0].cluster.server, 'https://[::1]:6443');
  assert.equal(read.clusters[0].name, 'yes');
  assert.equal(read.users[0].name, 'a: b');
  assert.equal(Buffer.from(read.users[0].user['client-key-data'], 'base64').toString(), 'KEY');
  assert.deepEqual(read.contexts[0].context, { cluster: 'yes', user: 'a: b' });
  assert.equal(read['current-context'], 'k8ts-x');
});
