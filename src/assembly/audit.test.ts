import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom, silentLog, systemClock } from '#base';
import { kubeconfigOf, openClusterPki } from '#pki';
import { openAudit } from './audit.ts';

interface Posted {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly body: { kind: string; items: { verb: string }[] };
}

test('a webhook is posted to at the very URL of its kubeconfig, beside the file', { timeout: 60_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'audit-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const pki = openClusterPki({ clock: systemClock });
  const serving = pki.issue({ commonName: 'webhook', usages: ['server'], ipAddresses: ['127.0.0.1'] });
  const client = pki.issue({ commonName: 'auditor', usages: ['client'] });
  const posted: Posted[] = [];
  const server = createServer({ cert: serving.certificatePem, key: serving.keyPem }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method, url } = request;
    posted.push({ method, url, body: JSON.parse(Buffer.concat(chunks).toString()) });
    response.end('{}');
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.after(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const means = { clock: systemClock, random: seededRandom(1), log: silentLog };
  const request = {
    target: '/version',
    headers: {},
    source: { remoteAddress: '127.0.0.1' },
    identity: { user: 'u', groups: [] },
    receivedMs: 0,
    annotations: new Map(),
    info: { isResource: false, verb: 'get', path: '/somewhere' },
  };
  for (const path of ['', '/audit/events']) {
    const configFile = join(dir, 'webhook.conf');
    const credentials = { clientCert: client.certificatePem, clientKey: client.keyPem };
    const url = `https://127.0.0.1:${port}${path}`;
    writeFileSync(configFile, kubeconfigOf({ server: url, ca: pki.ca.certificatePem, ...credentials }));
    const logPath = join(dir, 'audit.log');
    const audit = await openAudit({ configuration: { logPath, webhook: { configFile, batchSize: 1 } }, ...means });
    const answer = await audit.options.audit?.(request as never, async () => ({ status: 200, headers: {} }));
    assert.equal(answer?.status, 200);
    await audit.close();
    const last = posted.at(-1);
    assert.deepEqual([last?.method, last?.url], ['POST', path === '' ? '/' : path]);
    assert.deepEqual([last?.body.kind, last?.body.items.map(({ verb }) => verb)], ['EventList', ['get']]);
    assert.match(readFileSync(logPath, 'utf8'), /"requestURI":"\/version"/);
  }
  writeFileSync(join(dir, 'broken.conf'), 'a: [');
  await assert.rejects(
    openAudit({ configuration: { webhook: { configFile: join(dir, 'broken.conf') } }, ...means }),
    /the audit webhook of .*broken\.conf cannot be used: /,
  );
});
