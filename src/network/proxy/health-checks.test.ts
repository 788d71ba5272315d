import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { silentLog } from '#base';
import { neighbourOf } from './announcements.ts';
import { HealthCheckServers } from './health-checks.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
const ask = (port: number): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/anything`, { headers: { connection: 'close' } });

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

test('a health check port says how many endpoints are here, and closes with its Service', async (t) => {
  const servers = new HealthCheckServers(silentLog);
  t.after(() => servers.close());
  const port = await freePort();
  servers.set(new Map([[port, { namespace: 'default', name: 'web', localEndpoints: 2 }]]));
  const healthy = await eventually(() => ask(port));
  assert.equal(healthy.status, 200);
  assert.equal(healthy.headers.get('x-load-balancing-endpoint-weight'), '2');
  assert.deepEqual(await healthy.json(), {
    service: { namespace: 'default', name: 'web' },
    localEndpoints: 2,
    serviceProxyHealthy: true,
  });
  servers.set(new Map([[port, { namespace: 'default', name: 'web', localEndpoints: 0 }]]));
  assert.equal((await ask(port)).status, 503);
  servers.set(new Map());
  await eventually(async () => assert.rejects(ask(port)));
});

test('a port that somebody else has is told, and tried again at the next change', async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '0.0.0.0', resolve));
  const { port } = other.address() as { port: number };
  const servers = new HealthCheckServers(silentLog);
  t.after(() => servers.close());
  const checks = new Map([[port, { namespace: 'default', name: 'web', localEndpoints: 1 }]]);
  servers.set(checks);
  await new Promise((resolve) => other.close(resolve));
  await eventually(async () => {
    servers.set(checks);
    assert.equal((await ask(port)).status, 200);
  });
});

test('an announcement is sent to an address of the link that is nobody', () => {
  assert.equal(
    neighbourOf('172.29.0.128', () => false),
    '172.29.0.129',
  );
  const taken = new Set(['172.29.0.129', '172.29.0.130']);
  assert.equal(
    neighbourOf('172.29.0.128', (one) => taken.has(one)),
    '172.29.0.131',
  );
  assert.equal(
    neighbourOf('192.0.2.254', () => false),
    '192.0.2.252',
    'never the broadcast address',
  );
});
