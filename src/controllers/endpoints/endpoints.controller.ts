import { type Endpoints, type Pod, resource, type Service } from '#api';
import { changesOf, type Outcome, splitKey, startController } from '#client';
import { isAlreadyExists, isNamespaceTerminating, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { podChanges, podIndexes, podsOf, serviceIndexes } from '../endpoint-slice/service-index.ts';
import { managedBy, managedByLabel, planEndpoints } from './plan.ts';

const endpoints = resource('v1', 'endpoints');

/** Keeps the old Endpoints object of every Service that has a selector. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const services = informers.of<Service>(resource('v1', 'services'), { indexes: serviceIndexes });
  const pods = informers.of<Pod>(resource('v1', 'pods'), { indexes: podIndexes });
  const informer = informers.of<Endpoints>(endpoints);

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const service = services.get(namespace, name);
    const present = informer.get(namespace, name);
    if (service === undefined) {
      if (present?.metadata.labels?.[managedByLabel] === managedBy) await remove(present);
      return;
    }
    if (service.spec.type === 'ExternalName' || service.spec.selector === undefined) return;
    const wanted = planEndpoints(service, podsOf(service, pods), present);
    if (wanted === undefined) return;
    try {
      informer.observe(
        present === undefined
          ? await client.create<Endpoints>(endpoints, wanted)
          : await client.update<Endpoints>(endpoints, wanted as Endpoints),
      );
    } catch (error) {
      if (!isNamespaceTerminating(error) && !isAlreadyExists(error)) throw error;
    }
  }

  async function remove({ metadata }: Endpoints): Promise<void> {
    await client.delete(endpoints, metadata.name, { namespace: metadata.namespace }).catch((error) => {
      if (!isNotFound(error)) throw error;
    });
  }

  return startController({
    name: 'endpoints',
    queueName: 'endpoint',
    clock,
    log,
    sources: [changesOf(services), podChanges(pods, services), changesOf(informer)],
    reconcile,
    pace: 3,
  });
}

export const endpointsController = defineController({ name: 'endpoints-controller', start });
