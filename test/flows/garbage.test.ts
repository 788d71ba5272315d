import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConfigMap,
  type KubeObject,
  type Namespace,
  type OwnerReference,
  type ResourceInfo,
  resource,
} from '#api';
import { startCluster, type TestCluster } from '#testkit';

const configMaps = resource('v1', 'configmaps');
const widgets: ResourceInfo = {
  group: 'example.com',
  version: 'v1',
  kind: 'Widget',
  plural: 'widgets',
  singular: 'widget',
  namespaced: true,
  shortNames: [],
  categories: [],
};

async function defineWidgets({ client }: TestCluster): Promise<void> {
  await client.create(resource('apiextensions.k8s.io/v1', 'customresourcedefinitions'), {
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      names: { kind: 'Widget', plural: 'widgets', singular: 'widget', listKind: 'WidgetList' },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  } as never);
}

async function makeWidget({ client }: TestCluster, name: string, namespace = 'default'): Promise<KubeObject> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await client.create<KubeObject>(widgets, { metadata: { name, namespace } });
    } catch (error) {
      if (attempt > 200) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const ownedBy = (name: string, owners: readonly KubeObject[], part: Partial<OwnerReference> = {}) =>
  ({
    metadata: {
      namespace: 'default',
      name,
      ownerReferences: owners.map(({ apiVersion, kind, metadata }) => ({
        apiVersion,
        kind,
        name: metadata.name,
        uid: metadata.uid,
        ...part,
      })),
    },
  }) as never;
const names = (all: readonly KubeObject[]): string[] =>
  all
    .map((one) => one.metadata.name)
    .filter((one) => one !== 'kube-root-ca.crt')
    .toSorted();

test('custom objects own others; what names an owner that never was goes; two owners hold it', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await defineWidgets(cluster);
  const [one, two] = [await makeWidget(cluster, 'one'), await makeWidget(cluster, 'two')];
  await client.create(configMaps, ownedBy('of-one', [one]));
  await client.create(configMaps, ownedBy('of-both', [one, two]));
  await client.create(configMaps, ownedBy('of-nobody', [one], { uid: '00000000-0000-4000-8000-000000000000' }));
  await cluster.waitFor<ConfigMap>(configMaps, (all) => names(all).join() === 'of-both,of-one');
  await client.delete(widgets, 'one', { namespace: 'default' });
  await cluster.waitFor<ConfigMap>(
    configMaps,
    (all) =>
      names(all).join() === 'of-both' &&
      all.find((map) => map.metadata.name === 'of-both')?.metadata.ownerReferences?.length === 1,
  );
  await client.delete(widgets, 'two', { namespace: 'default' });
  await cluster.waitFor<ConfigMap>(configMaps, (all) => names(all).join() === '');
});

test('foreground: the owner goes last, blocked only by dependents that say so', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const owner = await client.create<ConfigMap>(configMaps, { metadata: { namespace: 'default', name: 'owner' } });
  await client.create(configMaps, {
    ...(ownedBy('blocks', [owner], { blockOwnerDeletion: true }) as { metadata: object }),
    metadata: {
      ...(ownedBy('blocks', [owner], { blockOwnerDeletion: true }) as { metadata: object }).metadata,
      finalizers: ['example.com/hold'],
    },
  } as never);
  await client.create(configMaps, ownedBy('free', [owner]));
  await client.delete(configMaps, 'owner', { namespace: 'default', propagationPolicy: 'Foreground' });
  await cluster.waitFor<ConfigMap>(
    configMaps,
    (all) =>
      names(all).join() === 'blocks,owner' &&
      all.every((map) => map.metadata.name === 'kube-root-ca.crt' || map.metadata.deletionTimestamp !== undefined),
  );
  await client.patch(
    configMaps,
    'blocks',
    { type: 'merge', body: { metadata: { finalizers: null } } },
    { namespace: 'default' },
  );
  await cluster.waitFor<ConfigMap>(configMaps, (all) => names(all).length === 0);
});

test('a circle of owners goes as one', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const a = await client.create<ConfigMap>(configMaps, { metadata: { namespace: 'default', name: 'a' } });
  const b = await client.create<ConfigMap>(configMaps, ownedBy('b', [a], { blockOwnerDeletion: true }));
  await client.patch(
    configMaps,
    'a',
    {
      type: 'merge',
      body: { metadata: (ownedBy('a', [b], { blockOwnerDeletion: true }) as { metadata: object }).metadata },
    },
    { namespace: 'default' },
  );
  await client.delete(configMaps, 'a', { namespace: 'default', propagationPolicy: 'Foreground' });
  await cluster.waitFor<ConfigMap>(configMaps, (all) => names(all).length === 0);
});

test('an owner in another namespace does not count; custom objects go with their namespace', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const namespaces = resource('v1', 'namespaces');
  await client.create<Namespace>(namespaces, { metadata: { name: 'other' }, spec: {} });
  await defineWidgets(cluster);
  const far = await makeWidget(cluster, 'far', 'other');
  await client.create(configMaps, ownedBy('lonely', [far]));
  await cluster.waitFor<ConfigMap>(configMaps, (all) => names(all).length === 0);
  await client.delete(namespaces, 'other');
  await cluster.waitFor<Namespace>(namespaces, (all) => !names(all).includes('other'));
  assert.deepEqual((await client.list(widgets)).items, []);
});
