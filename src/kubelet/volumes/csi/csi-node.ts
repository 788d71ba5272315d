import { type CSINode, type CSINodeDriver, type Node, resource } from '#api';
import type { Client } from '#client';
import { deepEqual, isAlreadyExists, isConflict, isNotFound } from '#machinery';
import type { CsiDriver } from './driver.ts';

const csiNodes = resource('storage.k8s.io/v1', 'csinodes');
const nodes = resource('v1', 'nodes');
const attempts = 5;

/** Puts a driver into the node's CSINode, and what it says about its place onto the node's labels. */
export async function announceDriver(client: Client, nodeName: string, driver: CsiDriver): Promise<void> {
  const { node_id, max_volumes_per_node, accessible_topology } = driver.nodeInfo;
  const segments = accessible_topology?.segments ?? {};
  const entry: CSINodeDriver = {
    name: driver.name,
    nodeID: node_id,
    ...(Object.keys(segments).length === 0 ? {} : { topologyKeys: Object.keys(segments).sort() }),
    ...(max_volumes_per_node > 0 ? { allocatable: { count: max_volumes_per_node } } : {}),
  };
  const node = await client.get<Node>(nodes, nodeName);
  if (Object.entries(segments).some(([key, value]) => node.metadata.labels?.[key] !== value))
    await client.patch<Node>(nodes, nodeName, { type: 'merge', body: { metadata: { labels: segments } } });
  await changeDrivers(client, node, (drivers) => [...drivers.filter(({ name }) => name !== driver.name), entry]);
}

/** Takes a driver that has left off the node's CSINode. */
export async function withdrawDriver(client: Client, nodeName: string, name: string): Promise<void> {
  const node = await client.get<Node>(nodes, nodeName);
  await changeDrivers(client, node, (drivers) => drivers.filter((one) => one.name !== name));
}

async function changeDrivers(
  client: Client,
  node: Node,
  change: (drivers: readonly CSINodeDriver[]) => CSINodeDriver[],
): Promise<void> {
  const { name, uid } = node.metadata;
  for (let attempt = 1; ; attempt++) {
    try {
      const present = await client.get<CSINode>(csiNodes, name).catch((error) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      const drivers = change(present?.spec.drivers ?? []);
      if (present === undefined) {
        const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
        await client.create<CSINode>(csiNodes, { metadata: { name, ownerReferences }, spec: { drivers } });
      } else if (!deepEqual(drivers, present.spec.drivers))
        await client.update<CSINode>(csiNodes, { ...present, spec: { ...present.spec, drivers } });
      return;
    } catch (error) {
      if (attempt >= attempts || !(isConflict(error) || isAlreadyExists(error))) throw error;
    }
  }
}
