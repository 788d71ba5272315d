import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { after, before, test } from 'node:test';
import { signDetached } from '../../controllers/bootstrap-tokens/bootstrap-tokens.controller.ts';
import { type Clock, systemClock } from '#base';
import { type Authority, createAuthority, issueCertificate } from '#pki';
import { planClusterInfo } from './cluster-objects.ts';
import { caCertHash, discoverCluster, joinCommand } from './discovery.ts';

const token = { id: 'abcdef', secret: '0123456789abcdef' };
const nowMs = systemClock.nowMs();
const ca = createAuthority({ commonName: 'kubernetes', days: 10, nowMs });
const dayMs = 86_400_000;
const servers: Server[] = [];

/** An API server that knows nothing but its public information. */
async function serve(
  options: { signer?: Authority; address?: string; answer?: string; status?: number; date?: string } = {},
) {
  const { signer = ca, address = '127.0.0.1', status = 200 } = options;
  const info = planClusterInfo({ server: 'https://127.0.0.1:6443', ca: ca.certificatePem });
  const kubeconfig = info.data?.kubeconfig as string;
  const data = { kubeconfig, 'jws-kubeconfig-abcdef': signDetached(kubeconfig, token.id, token.secret) };
  const text = options.answer ?? JSON.stringify({ data });
  const leaf = issueCertificate(signer, {
    ...{ commonName: 'kube-apiserver', usages: ['server'] as const, ipAddresses: [address], days: 5, nowMs },
  });
  const server = createServer({ cert: leaf.certificatePem, key: leaf.keyPem }, (_request, response) => {
    if (options.date !== undefined) response.setHeader('date', options.date);
    response.writeHead(status).end(text);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const shifted = (byMs: number): Clock => ({ ...systemClock, nowMs: () => systemClock.nowMs() + byMs });
const discover = (endpoint: string, more: object = {}) =>
  discoverCluster({
    ...{ endpoint, token, caCertHashes: [caCertHash(ca.certificatePem)], clock: systemClock, patienceMs: 300 },
    ...more,
  });

let endpoint = '';
before(async () => {
  endpoint = await serve();
});
after(() => {
  for (const one of servers) one.close();
});

test('with the right token and hash the CA is found', async () => {
  assert.deepEqual(await discover(endpoint), { ca: ca.certificatePem, server: 'https://127.0.0.1:6443' });
  assert.equal(
    joinCommand({ endpoint, token, ca: ca.certificatePem }),
    `k8ts join ${endpoint} --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash ${caCertHash(ca.certificatePem)}`,
  );
});

test('a wrong token is told, whichever half is wrong, and never repeated', async () => {
  const secret = { token: { ...token, secret: 'fedcba9876543210' } };
  await assert.rejects(discover(endpoint, secret), { code: 'JoinToken', message: /^(?!.*fedcba9876543210)/ });
  await assert.rejects(discover(endpoint, { token: { ...token, id: 'zzzzzz' } }), { code: 'JoinToken' });
});

test('another hash is told as the CA', () =>
  assert.rejects(discover(endpoint, { caCertHashes: [`sha256:${'0'.repeat(64)}`] }), { code: 'JoinCA' }));

test('someone who repeats the information without the key of the CA is found out', async () => {
  const impostor = await serve({ signer: createAuthority({ commonName: 'kubernetes', days: 10, nowMs }) });
  await assert.rejects(discover(impostor), { code: 'JoinCA' });
});

test('changed information does not pass, even with the signature beside it', async () => {
  const other = planClusterInfo({ server: 'https://evil:6443', ca: ca.certificatePem }).data?.kubeconfig as string;
  const data = { kubeconfig: other, 'jws-kubeconfig-abcdef': signDetached('what was signed', token.id, token.secret) };
  await assert.rejects(discover(await serve({ answer: JSON.stringify({ data }) })), { code: 'JoinToken' });
});

test("a clock that is off by a day is told, this machine's or the server's", async () => {
  for (const by of [dayMs, -dayMs])
    await assert.rejects(discover(endpoint, { clock: shifted(by) }), { code: 'JoinClock' });
  const slow = await serve({ date: new Date(nowMs - dayMs).toUTCString() });
  await assert.rejects(discover(slow), { code: 'JoinClock' });
  await discover(endpoint, { clock: shifted(60_000) });
});

test('a certificate for another address is told as the name', async () =>
  assert.rejects(discover(await serve({ address: '10.0.0.9' })), { code: 'JoinName' }));

test('what is no API server is told: nothing there, no TLS, other words, no public information', async () => {
  const plain = createTcpServer((socket) => socket.end('HTTP/1.1 400 no\r\n\r\n'));
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  const { port } = plain.address() as AddressInfo;
  await assert.rejects(discover(`127.0.0.1:${port}`), { code: 'JoinPort' });
  plain.close();
  await assert.rejects(discover(`127.0.0.1:${port}`), { code: 'JoinPort', message: /nothing listens/ });
  await assert.rejects(discover(await serve({ answer: '<html>' })), { code: 'JoinPort' });
  await assert.rejects(discover(await serve({ status: 503, answer: '{}' })), { code: 'JoinPort' });
  await assert.rejects(discover(await serve({ status: 403, answer: '{}' })), { code: 'JoinCluster' });
  await assert.rejects(discover(await serve({ answer: 'x'.repeat(3 << 20) })), { code: 'JoinPort' });
});
