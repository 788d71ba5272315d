import { type Condition, type IPAddress, resource, type ServiceCIDR } from '#api';
import { rfc3339 } from '#base';
import { changesOf, type Outcome, splitKey, startController } from '#client';
import { isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { isStillNeeded } from './plan.ts';

const cidrs = resource('networking.k8s.io/v1', 'servicecidrs');
const addresses = resource('networking.k8s.io/v1', 'ipaddresses');
const finalizer = 'networking.k8s.io/service-cidr-finalizer';
const ready = { status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' } as const;
const terminating = {
  status: 'False',
  reason: 'Terminating',
  message: 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
} as const;

/** Says that ServiceCIDRs are ready to give addresses, and lets one that is deleted go when no address needs it any more. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<ServiceCIDR>(cidrs);
  const addressInformer = informers.of<IPAddress>(addresses);

  async function setCondition(cidr: ServiceCIDR, wanted: Pick<Condition, 'status' | 'reason' | 'message'>) {
    const old = cidr.status?.conditions?.find(({ type }) => type === 'Ready');
    if (old?.status === wanted.status && old.reason === wanted.reason) return;
    const condition = { type: 'Ready', ...wanted, lastTransitionTime: rfc3339(clock.nowMs()) };
    const body = { status: { conditions: [condition] } };
    await client.patch(cidrs, cidr.metadata.name, { type: 'merge', body }, { subresource: 'status' });
  }

  async function reconcile(name: string): Promise<Outcome> {
    const cidr = informer.get(undefined, name);
    if (cidr === undefined) return;
    const { metadata } = cidr;
    const finalizers = metadata.finalizers ?? [];
    try {
      if (metadata.deletionTimestamp === undefined) {
        if (!finalizers.includes(finalizer)) {
          const kept = { ...metadata, finalizers: [...finalizers, finalizer] };
          informer.observe(await client.update<ServiceCIDR>(cidrs, { ...cidr, metadata: kept }));
        }
        await setCondition(cidr, ready);
        return;
      }
      if (!finalizers.includes(finalizer)) return;
      if (isStillNeeded(cidr, informer.list(), addressInformer.list())) return setCondition(cidr, terminating);
      const left = { ...metadata, finalizers: finalizers.filter((one) => one !== finalizer) };
      await client.update<ServiceCIDR>(cidrs, { ...cidr, metadata: left });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  const ending = (): string[] =>
    informer
      .list()
      .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
      .map(({ metadata }) => metadata.name);
  return startController({
    name: 'service-cidrs',
    clock,
    log,
    needs: [addressInformer.synced],
    sources: [
      // Another one that comes may take the addresses of one that is to go.
      changesOf(informer, ({ metadata }) => [metadata.name, ...ending()]),
      changesOf(addressInformer, (_, { type }) => (type === 'deleted' ? ending() : undefined)),
    ],
    reconcile: (key) => reconcile(splitKey(key).name),
  });
}

export const serviceCidrsController = defineController({ name: 'service-cidr-controller', start });
