import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { EndpointSlice, Service } from '#api';
import { silentLog, sleep, systemClock } from '#base';
import { openStore } from '#store';
import { etcdMissing, startTestEtcd } from '../testkit/etcd.ts';
import { type ApiServer, openApiServer } from './server.ts';
import { serverIdentity } from './server-identity.ts';

const services = '/api/v1/namespaces/default/services';

async function waitFor(holds: () => Promise<boolean>): Promise<void> {
  for (const untilMs = systemClock.monotonicMs() + 60_000; !(await holds()); ) {
    assert.ok(systemClock.monotonicMs() < untilMs, `not within a minute: ${holds}`);
    await sleep(systemClock, 50);
  }
}

/** Several API servers on one etcd. */
describe('servers that share a store', { skip: etcdMissing() }, async () => {
  const closing: (() => Promise<unknown>)[] = [];
  after(async () => {
    for (const close of closing.reverse()) await close();
  });
  const etcd = etcdMissing() === false ? await startTestEtcd() : undefined;
  if (etcd === undefined) return;
  closing.push(() => etcd.dispose());

  const open = async (number: number): Promise<ApiServer> => {
    const store = await openStore(`etcd:${etcd.urls.join(',')}`, { clock: systemClock });
    const server = await openApiServer({
      store,
      clock: systemClock,
      log: silentLog,
      services: { ranges: ['10.0.0.0/26'], nodePorts: [30000, 30024] },
      advertise: { address: `192.0.2.${number}`, port: 6443 },
    });
    closing.push(
      () => store.close(),
      () => server.close(),
    );
    await server.ready;
    return server;
  };
  const call = async (
    server: ApiServer,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    target: string,
    objectBody?: object,
  ) => {
    const transport = server.transport(serverIdentity);
    const response = await transport.request({ method, target, ...(objectBody === undefined ? {} : { objectBody }) });
    const body = JSON.parse(Buffer.from(await response.bytes()).toString());
    return { status: response.status, headers: response.headers, body };
  };
  const service = (name: string, spec: object = {}): object => ({
    metadata: { name },
    spec: { ports: [{ port: 80 }], ...spec },
  });
  const servers = await Promise.all([open(1), open(2), open(3)]);
  const [first, second] = servers;

  it('gives each address and node port once', async () => {
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        call(servers[i % 3] as ApiServer, 'POST', services, service(`s${i}`, { type: 'NodePort' })),
      ),
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      results.map(() => 201),
    );
    const made = results.map(({ body }) => body as Service);
    assert.equal(new Set(made.map(({ spec }) => spec?.clusterIP)).size, 20);
    assert.equal(new Set(made.map(({ spec }) => spec?.ports?.[0]?.nodePort)).size, 20);
    for (let i = 0; i < 5; i++) {
      const filled = await call(servers[i % 3] as ApiServer, 'POST', services, service(`f${i}`, { type: 'NodePort' }));
      assert.equal(filled.status, 201);
    }
    const full = await call(second, 'POST', services, service('more', { type: 'NodePort' }));
    assert.match(full.body.message, /range is full/);
    await call(first, 'DELETE', `${services}/s0`);
    const again = await call(second, 'POST', services, service('again', { type: 'NodePort' }));
    assert.equal(again.body.spec.ports[0].nodePort, made[0]?.spec?.ports?.[0]?.nodePort);
  });

  it('lets one of those who ask for the same address have it', async () => {
    const asked = await Promise.all(
      servers.map((server, i) => call(server, 'POST', services, service(`same${i}`, { clusterIP: '10.0.0.5' }))),
    );
    assert.deepEqual(asked.map(({ status }) => status).sort(), [201, 422, 422]);
    assert.match(asked.find(({ status }) => status === 422)?.body.message, /10\.0\.0\.5.*already allocated/);
  });

  it('shows at once on one server what another acknowledged', async () => {
    for (let i = 0; i < 20; i++) {
      const name = `c${i}`;
      const created = await call(first, 'POST', '/api/v1/namespaces/default/configmaps', { metadata: { name } });
      const read = await call(second, 'GET', `/api/v1/namespaces/default/configmaps/${name}`);
      assert.equal(read.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
      const list = await call(second, 'GET', '/api/v1/namespaces/default/configmaps');
      assert.equal(
        list.body.items.filter((one: { metadata: { name: string } }) => one.metadata.name === name).length,
        1,
      );
    }
  });

  it('lists the servers that live under the Service kubernetes', async () => {
    const addresses = async (): Promise<string[]> => {
      const { body } = await call(
        first,
        'GET',
        '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes',
      );
      return ((body as EndpointSlice).endpoints ?? []).flatMap((one) => one.addresses).sort();
    };
    await waitFor(async () => (await addresses()).length === 3);
    assert.deepEqual(await addresses(), ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
    await servers[2]?.close();
    await waitFor(async () => (await addresses()).length === 2);
    assert.deepEqual(await addresses(), ['192.0.2.1', '192.0.2.2']);
  });

  it('without a majority: reads go on and say so, writes say why, and all is well afterwards', async () => {
    const maps = '/api/v1/namespaces/default/configmaps';
    await etcd.pause(0);
    try {
      await waitFor(async () => {
        const read = await call(first, 'GET', `${maps}/c0`);
        assert.equal(read.status, 200);
        return /the store does not answer/.test(String(read.headers['warning']));
      });
      const quick = systemClock.monotonicMs();
      assert.equal((await call(first, 'GET', maps)).body.items.length >= 20, true);
      assert.ok(systemClock.monotonicMs() - quick < 1000);
      const { status, body } = await call(first, 'POST', maps, { metadata: { name: 'late' } });
      assert.equal(status, 504);
      assert.match(body.message, /did not answer a write .* may have been made/);
      const ready = await first.transport(serverIdentity).request({ method: 'GET', target: '/readyz' });
      assert.equal(ready.status, 500);
    } finally {
      etcd.resume(0);
    }
    await waitFor(
      async () => (await first.transport(serverIdentity).request({ method: 'GET', target: '/readyz' })).status === 200,
    );
    const written = await call(first, 'POST', maps, { metadata: { name: 'after' } });
    assert.equal(written.status, 201);
    const read = await call(second, 'GET', `${maps}/after`);
    assert.deepEqual([read.status, read.headers['warning']], [200, undefined]);
  });
});
