import { messageOf } from '#base';
import { type EndpointSlice, type Node, type Pod, resource, type Service } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { deepEqual, isNamespaceTerminating, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { managedBy, managedByLabel, planSlices } from './plan.ts';
import { podChanges, podIndexes, podsOf, serviceIndexes, sliceIndexes, sliceServiceKeys } from './service-index.ts';
import { dividesByZones, zoneFacts, zoneOf, zoneShares } from './topology.ts';

const services = resource('v1', 'services');
const dividedIndex = 'divided-by-zones';
const slices = resource('discovery.k8s.io/v1', 'endpointslices');

/** Keeps the EndpointSlices of every Service that has a selector. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const serviceInformer = informers.of<Service>(services, {
    indexes: { ...serviceIndexes, [dividedIndex]: (service) => (dividesByZones(service) ? [''] : []) },
  });
  const pods = informers.of<Pod>(resource('v1', 'pods'), { indexes: podIndexes });
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  const sliceInformer = informers.of<EndpointSlice>(slices, { indexes: sliceIndexes });
  const events = context.events('endpoint-slice-controller');

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const service = serviceInformer.get(namespace, name);
    if (service === undefined || service.metadata.deletionTimestamp !== undefined) return;
    if (service.spec.type === 'ExternalName' || service.spec.selector === undefined) return;
    const plan = planSlices({
      service,
      pods: podsOf(service, pods),
      nodeOf: (node) => nodes.get(undefined, node),
      zoneShares: dividesByZones(service) ? zoneShares(nodes.list()) : undefined,
      slices: sliceInformer
        .byIndex('service', key)
        .filter((one) => one.metadata.labels?.[managedByLabel] === managedBy),
    });
    try {
      for (const slice of plan.create) sliceInformer.observe(await client.create<EndpointSlice>(slices, slice));
      for (const slice of plan.update) sliceInformer.observe(await client.update<EndpointSlice>(slices, slice));
      for (const { metadata } of plan.remove) {
        await client.delete(slices, metadata.name, { namespace: metadata.namespace }).catch((error) => {
          if (!isNotFound(error)) throw error;
        });
      }
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      events.event(
        service,
        'Warning',
        'FailedToUpdateEndpointSlices',
        `Error updating Endpoint Slices for Service ${key}: ${messageOf(error)}`,
      );
      throw error;
    }
  }

  return startController({
    name: 'endpointslice',
    queueName: 'endpoint_slice',
    clock,
    log,
    sources: [
      changesOf(serviceInformer),
      podChanges(pods, serviceInformer),
      changesOf(nodes, (node, { type, old, object }) => {
        if (type === 'updated' && old !== undefined && deepEqual(zoneFacts(old), zoneFacts(object))) return undefined;
        const divided = serviceInformer.byIndex(dividedIndex, '').map(keyOf);
        if (old === undefined || zoneOf(old) === zoneOf(object)) return divided;
        const there = sliceInformer
          .list()
          .filter((slice) => slice.endpoints?.some((one) => one.nodeName === node.metadata.name));
        return [...divided, ...there.flatMap(sliceServiceKeys)];
      }),
      changesOf(sliceInformer, (slice) =>
        slice.metadata.labels?.[managedByLabel] === managedBy ? sliceServiceKeys(slice) : undefined,
      ),
    ],
    needs: [nodes.synced],
    reconcile,
    pace: 3,
  });
}

export const endpointSliceController = defineController({ name: 'endpointslice-controller', start });
