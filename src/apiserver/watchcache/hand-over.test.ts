import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConfigMap, type KubeObject, type Pod, resource, type Secret } from '#api';
import { ManualClock, systemClock, systemRandom } from '#base';
import { openClient, openInformers } from '#client';
import { openMemoryStore } from '#store';
import { aesGcmSeal } from '../resources/encryption.ts';
import { openApiServer } from '../server.ts';

const configMaps = resource('v1', 'configmaps');
const pods = resource('v1', 'pods');
const secrets = resource('v1', 'secrets');
const namespace = 'default';

test('what a write made is what informers in this process see: not decoded anew, frozen, as its bytes say', async () => {
  const store = await openMemoryStore({ clock: new ManualClock() });
  const seal = aesGcmSeal({ keys: [{ name: 'a', key: Buffer.alloc(32, 1) }], random: systemRandom });
  const server = await openApiServer({ store, sealOf: (segment) => (segment === 'secrets' ? seal : undefined) });
  await server.ready;
  const client = openClient({ transport: server.transport({ user: 'one', groups: ['system:masters'] }) });
  const informers = openInformers({ client, clock: systemClock });
  const seen = new Map<string, KubeObject>();
  const bound = Promise.withResolvers<Pod>();
  const see = ({ object }: { object: KubeObject }): void => void seen.set(object.metadata.resourceVersion, object);
  const podInformer = informers.of<Pod>(pods);
  for (const informer of [informers.of(configMaps), informers.of(secrets), podInformer]) informer.onChange(see);
  podInformer.onChange(({ object }) => object.spec.nodeName && bound.resolve(object));
  await informers.synced();

  const nothing = { annotations: undefined as never };
  const made = await client.create<ConfigMap>(configMaps, { metadata: { name: 'a', namespace, ...nothing } });
  const patch = { type: 'merge' as const, body: { data: { x: '2' } } };
  const changed = await client.patch<ConfigMap>(configMaps, 'a', patch, { namespace });
  const secret = await client.create<Secret>(secrets, { metadata: { name: 's', namespace }, data: {} });
  const containers = [{ name: 'main', image: 'registry.invalid/pause:1' }];
  const pod = await client.create<Pod>(pods, { metadata: { name: 'p', namespace }, spec: { containers } });
  const target = { kind: 'Node', name: 'n' };
  await client.createSubresource(pods, 'p', 'binding', { metadata: { name: 'p' }, target }, { namespace });

  assert.equal((await bound.promise).spec.containers, pod.spec.containers, 'the parts that a binding leaves alone');
  for (const object of [made, changed, secret, pod]) {
    const { resourceVersion } = object.metadata;
    assert.equal(seen.get(resourceVersion), object);
    assert.ok(Object.isFrozen(object) && Object.isFrozen(object.metadata));
    assert.deepEqual(object, JSON.parse(JSON.stringify(object)), 'nothing that its bytes do not say');
  }
  informers.close();
  await server.close();
  await store.close();
});
