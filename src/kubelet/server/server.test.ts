import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { silentLog, systemClock } from '#base';
import { type Credential, openClusterPki } from '#pki';
import { type KubeletServer, startKubeletServer } from './server.ts';

const limit = { timeout: 60_000 };
const pki = openClusterPki({ clock: systemClock });
const ca = pki.ca.certificatePem;
const serving = pki.issue({ commonName: 'system:node:n', usages: ['server'], ipAddresses: ['127.0.0.1'] });
const handshakeMs = 500;
let server: KubeletServer;

before(async () => {
  server = await startKubeletServer({
    client: { create: async () => ({ status: { allowed: false } }) } as never,
    clock: systemClock,
    log: silentLog,
    cri: {} as never,
    nodeName: 'n',
    machine: {} as never,
    podLogsDir: '/nowhere',
    tls: { cert: serving.certificatePem, key: serving.keyPem, clientCa: ca },
    host: '127.0.0.1',
    port: 0,
    handshakeMs,
    pods: () => [],
    findPod: () => undefined,
    storage: {} as never,
    refreshVolumes() {},
  });
});
after(() => server.close());

function ask(path: string, as?: Credential, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const pair = as === undefined ? {} : { cert: as.certificatePem, key: as.keyPem };
    const outgoing = httpsRequest({ host: '127.0.0.1', port: server.port, path, ca, ...pair, headers, agent: false });
    outgoing.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.on('upgrade', () => reject(new Error('switched')));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

test('only clients of the cluster get in, and of them only those who may', limit, async () => {
  const apiServer = pki.credential('apiserver-kubelet-client');
  const somebody = pki.issue({ commonName: 'somebody', usages: ['client'] });
  const upgrade = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };
  assert.equal(await ask('/pods', apiServer), 200);
  for (const headers of [{}, upgrade]) {
    for (const path of ['/pods', '/exec/default/p/c?command=id', '/metrics', '/nothing']) {
      assert.equal(await ask(path, undefined, headers), 401, path);
      for (const name of ['front-proxy-client', 'apiserver'] as const)
        assert.equal(await ask(path, pki.credential(name), headers), 401, `${name} ${path}`);
      assert.equal(await ask(path, serving, headers), 401, `a kubelet's own ${path}`);
      assert.equal(await ask(path, somebody, headers), path === '/nothing' ? 404 : 403, path);
    }
  }
});

test('who does not begin the handshake is cut off, who is a little late is served', limit, async () => {
  const silent = Array.from({ length: 50 }, (): Socket => {
    const socket = connectTcp(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    return socket;
  });
  const half = connectTcp(server.port, '127.0.0.1');
  half.on('error', () => {});
  half.resume();
  half.write(Buffer.from([0x16, 0x03, 0x01]));
  const late = connectTcp(server.port, '127.0.0.1');
  await once(late, 'connect');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const served = connectTls({ socket: late, ca, host: '127.0.0.1' });
  await once(served, 'secureConnect');
  served.destroy();
  await Promise.all([...silent, half].map((one) => (one.destroyed ? undefined : once(one, 'close'))));
  assert.equal(await ask('/pods', pki.credential('apiserver-kubelet-client')), 200);
});
