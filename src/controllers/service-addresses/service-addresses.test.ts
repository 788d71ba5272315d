import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IPAddress, resource, type Service } from '#api';
import { startCluster } from '#testkit';

const addresses = resource('networking.k8s.io/v1', 'ipaddresses');
const services = resource('v1', 'services');
const ports = [{ port: 80 }];
const shown = (all: readonly IPAddress[]): string =>
  all
    .map(({ metadata, spec }) => `${metadata.name} ${spec?.parentRef?.namespace}/${spec?.parentRef?.name}`)
    .sort()
    .join();

test('every cluster address of a Service is shown as an IPAddress, and goes with it', async () => {
  await using cluster = await startCluster({ nodes: 0, scheduler: false });
  const { client } = cluster;
  const make = (name: string, spec: object) =>
    client.create<Service>(services, { metadata: { namespace: 'default', name }, spec: { ports, ...spec } } as never);
  const web = await make('web', {});
  await make('headless', { clusterIP: 'None' });
  await make('elsewhere', { type: 'ExternalName', externalName: 'example.com' });
  const address = web.spec?.clusterIP as string;
  const [found] = await cluster.waitFor<IPAddress>(addresses, (all) => shown(all) === `${address} default/web`);
  assert.deepEqual(found?.metadata.labels, {
    'ipaddress.kubernetes.io/ip-family': 'IPv4',
    'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
  });

  const parentRef = { group: '', resource: 'services', namespace: 'default', name: 'mine' };
  await client.create<IPAddress>(addresses, { metadata: { name: '192.0.2.1' }, spec: { parentRef } });
  await client.delete(addresses, address);
  await cluster.waitFor<IPAddress>(
    addresses,
    (all) => shown(all) === ['192.0.2.1 default/mine', `${address} default/web`].sort().join(),
  );

  await client.delete(services, 'web', { namespace: 'default' });
  await cluster.waitFor<IPAddress>(addresses, (all) => shown(all) === '192.0.2.1 default/mine');
  await make('other', { clusterIP: address });
  await cluster.waitFor<IPAddress>(addresses, (all) => shown(all).includes(`${address} default/other`));
});
