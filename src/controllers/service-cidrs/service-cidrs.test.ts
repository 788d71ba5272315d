import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resource, type Service, type ServiceCIDR } from '#api';
import { silentLog } from '#base';
import { isInvalid } from '#machinery';
import { startCluster } from '#testkit';

const cidrs = resource('networking.k8s.io/v1', 'servicecidrs');
const services = resource('v1', 'services');

test('a ServiceCIDR gives addresses once it is ready, and stays until nobody has one of them', async () => {
  await using cluster = await startCluster({
    ...{ nodes: 0, scheduler: false },
    server: { services: { ranges: ['10.96.0.0/30'] } },
    log: silentLog,
  });
  const { client } = cluster;
  let made = 0;
  const make = (spec: object = {}) =>
    client.create<Service>(services, {
      metadata: { namespace: 'default', name: `s${++made}` },
      spec: { ports: [{ port: 80 }], ...spec },
    } as never);
  const addressOf = async (spec?: object) => (await make(spec)).spec?.clusterIP ?? '';
  assert.match(await addressOf(), /^10\.96\.0\.[12]$/);
  assert.match(await addressOf(), /^10\.96\.0\.[12]$/);
  await assert.rejects(make(), /range is full/);
  await assert.rejects(make({ clusterIP: '10.200.0.9' }), isInvalid);

  await client.create<ServiceCIDR>(cidrs, { metadata: { name: 'more' }, spec: { cidrs: ['10.200.0.0/24'] } });
  const isReady = ({ status }: ServiceCIDR): boolean =>
    status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
  const more = await cluster.waitForOne<ServiceCIDR>(cidrs, 'more', isReady);
  assert.deepEqual(more.metadata.finalizers, ['networking.k8s.io/service-cidr-finalizer']);
  assert.match(await addressOf(), /^10\.200\.0\./);
  assert.equal(await addressOf({ clusterIP: '10.200.0.9' }), '10.200.0.9');
  await assert.rejects(make({ clusterIP: '10.200.0.9' }), /already allocated/);

  await client.delete(cidrs, 'more');
  await cluster.waitForOne<ServiceCIDR>(
    cidrs,
    'more',
    ({ status }) => status?.conditions?.[0]?.reason === 'Terminating',
  );
  await assert.rejects(make(), /range is full/);
  for (const { spec, metadata } of (await client.list<Service>(services)).items)
    if (spec?.clusterIP?.startsWith('10.200.')) await client.delete(services, metadata.name, metadata as never);
  await cluster.waitFor<ServiceCIDR>(cidrs, (all) => all.every(({ metadata }) => metadata.name !== 'more'));
});
