import { type IPAddress, resource, type Service } from '#api';
import { changesOf, type Outcome, splitKey, startController } from '#client';
import { isAlreadyExists, isConflict, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { addressesOf, isOwn, ownerOf, plannedAddress } from './plan.ts';

const addresses = resource('networking.k8s.io/v1', 'ipaddresses');
const services = resource('v1', 'services');

/**
 * Shows every cluster address of a Service as an IPAddress, and takes away those that no Service has any more. Addresses are given out
 * by the API server, which counts them from the Services themselves: these objects show what is in use and decide nothing.
 */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const serviceInformer = informers.of<Service>(services, { indexes: { address: addressesOf } });
  const addressInformer = informers.of<IPAddress>(addresses);

  async function reconcile(name: string): Promise<Outcome> {
    const present = addressInformer.get(undefined, name);
    if (present !== undefined && !isOwn(present)) return;
    const holders = serviceInformer.byIndex('address', name);
    const owner = present === undefined ? undefined : ownerOf(present);
    const isRight = holders.some(({ metadata }) => `${metadata.namespace}/${metadata.name}` === owner);
    if (isRight || (present === undefined && holders.length === 0)) return;
    try {
      if (present !== undefined) {
        const { uid } = present.metadata;
        await client.delete(addresses, name, { preconditions: { uid } });
      }
      const [holder] = holders;
      if (holder !== undefined)
        addressInformer.observe(await client.create<IPAddress>(addresses, plannedAddress(name, holder)));
    } catch (error) {
      if (!isAlreadyExists(error) && !isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  return startController({
    name: 'service-addresses',
    clock,
    log,
    sources: [changesOf(serviceInformer, addressesOf), changesOf(addressInformer, ({ metadata }) => metadata.name)],
    reconcile: (key) => reconcile(splitKey(key).name),
  });
}

export const serviceAddressesController = defineController({ name: 'service-addresses-controller', start });
