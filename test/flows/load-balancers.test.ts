import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcedByAnnotation, type ConfigMap, type Event, resource, type Service } from '#api';
import { startCluster } from '#testkit';

const services = resource('v1', 'services');
const balancer = (name: string, spec: object = {}) => ({
  metadata: { name, namespace: 'default' },
  spec: { type: 'LoadBalancer' as const, ports: [{ port: 80 }], ...spec },
});
const addresses = (service: Service): unknown[] => (service.status?.loadBalancer?.ingress ?? []).map((one) => one.ip);

test('load balancers get addresses from a range, keep them, give them back, and follow another range', async () => {
  await using cluster = await startCluster({ settings: { loadBalancerRanges: ['192.0.2.10-192.0.2.11'] } });
  const { client } = cluster;
  const has = (name: string, address: string) =>
    cluster.waitForOne<Service>(services, name, (service) => addresses(service).join() === address);
  // One after the other: among Services that wait together, either may be first.
  await client.create<Service>(services, balancer('a'));
  await has('a', '192.0.2.10');
  await client.create<Service>(services, balancer('b'));
  const b = await cluster.waitForOne<Service>(
    services,
    'b',
    ({ metadata }) => metadata.annotations?.[announcedByAnnotation] === 'sim-0',
  );
  assert.deepEqual(b.status?.loadBalancer?.ingress, [{ ip: '192.0.2.11', ipMode: 'VIP' }]);
  await client.create<Service>(services, balancer('c'));
  await cluster.waitFor<Event>(resource('v1', 'events'), (events) =>
    events.some(
      (one) =>
        one.reason === 'SyncLoadBalancerFailed' &&
        one.involvedObject.name === 'c' &&
        one.message ===
          'Error syncing load balancer: failed to ensure load balancer: no address is left in the range of load-balancer addresses',
    ),
  );
  await client.patch<Service>(
    services,
    'a',
    { type: 'merge', body: { spec: { type: 'ClusterIP' } } },
    { namespace: 'default' },
  );
  await has('c', '192.0.2.10');
  const a = await cluster.waitForOne<Service>(
    services,
    'a',
    ({ metadata }) => metadata.annotations?.[announcedByAnnotation] === undefined,
  );
  assert.deepEqual(addresses(a), []);

  const other = await client.create<Service>(services, balancer('other', { loadBalancerClass: 'example.com/x' }));
  await client.create<ConfigMap>(resource('v1', 'configmaps'), {
    metadata: { name: 'k8ts-load-balancer', namespace: 'kube-system' },
    data: { ranges: '198.51.100.0/30' },
  });
  const moved = await cluster.waitFor<Service>(services, (all) =>
    ['b', 'c'].every((name) =>
      all.some((one) => one.metadata.name === name && /^198\.51\.100\.[12]$/.test(addresses(one).join())),
    ),
  );
  const [address] = addresses(moved.find(({ metadata }) => metadata.name === 'b') as Service);
  await client.delete(services, 'b', { namespace: 'default' });
  await client.create<Service>(services, balancer('d'));
  await has('d', String(address));
  assert.deepEqual(addresses(await client.get<Service>(services, 'other', { namespace: 'default' })), []);
  assert.equal(other.spec.loadBalancerClass, 'example.com/x');
});
