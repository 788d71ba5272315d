import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Node, resource } from '#api';
import { ManualClock, silentLog, sleep, systemClock, systemRandom } from '#base';
import { createAuthority, issueCertificate, openClusterPki } from '#pki';
import { startCluster } from '#testkit';
import { openHttpsTransport, serveHttps } from '#wire';
import type { AgentConfiguration } from './agent-configuration.ts';
import { openRenewedPki } from './certificate-renewal.ts';
import { type ServingCredential, servingCredential, startCertificateRotation } from './certificate-rotation.ts';

const folder = mkdtempSync(join(tmpdir(), 'k8ts-certificates-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const dayMs = 86_400_000;

async function until(what: string, ask: () => boolean): Promise<void> {
  const endMs = systemClock.monotonicMs() + 60_000;
  while (!ask()) {
    assert.ok(systemClock.monotonicMs() < endMs, `${what}: not within a minute`);
    await sleep(systemClock, 10);
  }
}

test("a control plane's certificates are renewed in the last third of their year, and those that others issue are taken", async () => {
  const clock = new ManualClock();
  const dir = join(folder, 'server');
  const pki = openRenewedPki({ dir, clock, log: silentLog });
  let changes = 0;
  pki.onChange(() => void changes++);
  const first = pki.credential('apiserver').certificatePem;
  await clock.advance(240 * dayMs);
  assert.equal(pki.credential('apiserver').certificatePem, first);
  await clock.advance(10 * dayMs);
  const second = pki.credential('apiserver').certificatePem;
  assert.notEqual(second, first);
  assert.equal(changes, 1);
  assert.equal(readFileSync(join(dir, 'apiserver.crt'), 'utf8'), second);

  openClusterPki({ dir, clock }).renew({ all: true });
  process.emit('SIGHUP');
  assert.notEqual(pki.credential('apiserver').certificatePem, second);
  assert.equal(changes, 2);
  await pki.close();
  assert.equal(process.listenerCount('SIGHUP'), 0);
});

test('a node renews its certificates through the API: the client in time, the serving one at once when it has none', async () => {
  const nowMs = systemClock.nowMs();
  const ca = createAuthority({ commonName: 'kubernetes', days: 400, nowMs: nowMs - 200 * dayMs });
  await using cluster = await startCluster({ nodes: 0, settings: { signer: ca } });
  const identity = { user: 'system:node:one', groups: ['system:nodes', 'system:authenticated'] };
  const { client } = cluster;
  const status = { addresses: [{ type: 'InternalIP', address: '10.0.0.7' }] };
  await client.create<Node>(resource('v1', 'nodes'), { metadata: { name: 'one' }, spec: {}, status } as never);
  const file = (name: string): string => join(folder, name);
  const old = issueCertificate(ca, {
    ...{ commonName: identity.user, organizations: ['system:nodes'], usages: ['client'] as const },
    ...{ days: 110, nowMs: nowMs - 100 * dayMs },
  });
  writeFileSync(file('client.pem'), old.certificatePem + old.keyPem);
  writeFileSync(file('ca.crt'), ca.certificatePem);
  const configuration = {
    ...{ nodeName: 'one', nodeIp: '10.0.0.7', clientCertificate: file('client.pem'), clientCa: file('ca.crt') },
    ...{ servingCert: file('kubelet.crt'), servingKey: file('kubelet.key') },
  } as AgentConfiguration;
  assert.equal(servingCredential(configuration), undefined);
  let served: ServingCredential | undefined;
  let reconnected = 0;
  const rotation = startCertificateRotation({
    ...{ configuration, client: cluster.clientOf(identity), clock: systemClock, random: systemRandom, log: silentLog },
    onClient: () => void reconnected++,
    onServing: (credential) => {
      served = credential;
    },
  });
  await until('both are renewed', () => served !== undefined && reconnected > 0);
  await rotation.close();
  const next = new X509Certificate(readFileSync(file('client.pem')));
  assert.equal(next.subject, 'O=system:nodes\nCN=system:node:one');
  assert.ok(next.validToDate.getTime() > nowMs + 100 * dayMs);
  assert.ok(next.checkIssued(new X509Certificate(ca.certificatePem)));
  assert.equal(reconnected, 1);
  assert.match(new X509Certificate(served?.cert ?? '').subjectAltName ?? '', /DNS:one, IP Address:10\.0\.0\.7/);
  assert.deepEqual(servingCredential(configuration), served);
});

test('after a renewal new requests show the new certificate, and a stream in flight goes on over the old connection', async () => {
  const nowMs = systemClock.nowMs();
  const ca = createAuthority({ commonName: 'ca', days: 10, nowMs });
  const issue = (commonName: string) =>
    issueCertificate(ca, { commonName, usages: ['client', 'server'], ipAddresses: ['127.0.0.1'], days: 5, nowMs });
  const own = issue('server');
  let finish = (): void => {};
  const server = await serveHttps({
    host: '127.0.0.1',
    port: 0,
    tls: { cert: own.certificatePem, key: own.keyPem, clientCa: ca.certificatePem },
    handle: (exchange) => {
      const [leaf] = exchange.clientCertificates() ?? [];
      const who = leaf === undefined ? 'nobody' : new X509Certificate(leaf).subject;
      if (exchange.target !== '/stream') return exchange.respond(200, {}, Buffer.from(who));
      const sink = exchange.respondStream(200, {});
      sink.write(Buffer.from(`${who} begins;`));
      finish = () => {
        sink.write(Buffer.from('ends'));
        sink.end();
      };
    },
  });
  const file = join(folder, 'rotated.pem');
  const write = (commonName: string): void => {
    const { certificatePem, keyPem } = issue(commonName);
    writeFileSync(file, certificatePem + keyPem);
  };
  write('old');
  const transport = openHttpsTransport({
    server: `https://127.0.0.1:${server.port}`,
    ca: ca.certificatePem,
    clientCertFile: file,
    clientKeyFile: file,
  });
  const ask = async (): Promise<string> =>
    Buffer.from(await (await transport.request({ method: 'GET', target: '/' })).bytes()).toString();
  assert.equal(await ask(), 'CN=old');
  const stream = await transport.request({ method: 'GET', target: '/stream' });
  write('new');
  assert.equal(await ask(), 'CN=old');
  transport.reconnect();
  assert.equal(await ask(), 'CN=new');
  finish();
  assert.equal(Buffer.from(await stream.bytes()).toString(), 'CN=old begins;ends');
  await transport.close();
  await server.close();
});
