import {
  type KubeObject,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type ResourceInfo,
  resource,
} from '#api';
import { changesOf, type Informer, keyOf, type Outcome, splitKey, startController } from '#client';
import { isPodTerminal } from '#kinds';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { claimKeysOf } from '../pods/claims.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const usersIndex = 'claims-used';

/** Puts the finalizer on what lives and takes it off what is deleted and no longer used. */
async function keepFinalizer<T extends KubeObject>(
  { client }: ControllerContext,
  {
    resource: info,
    informer,
    object,
    finalizer,
    used,
  }: { resource: ResourceInfo; informer: Informer<T>; object: T; finalizer: string; used: boolean },
): Promise<void> {
  const { finalizers = [], deletionTimestamp } = object.metadata;
  const held = finalizers.includes(finalizer);
  if (deletionTimestamp === undefined ? held : !held || used) return;
  const next = held ? finalizers.filter((one) => one !== finalizer) : [...finalizers, finalizer];
  const written = await client.update<T>(info, { ...object, metadata: { ...object.metadata, finalizers: next } });
  if (written.metadata?.deletionTimestamp === undefined) informer.observe(written);
}

/** A claim in use by a pod is not removed until the pod has gone. */
function startClaims(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<PersistentVolumeClaim>(claims);
  const pods = informers.of<Pod>(resource('v1', 'pods'), { indexes: { [usersIndex]: claimKeysOf } });

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const object = informer.get(namespace, name);
    if (object === undefined) return;
    const uses = (pod: Pod): boolean =>
      Boolean(pod.spec.nodeName) && !(isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined);
    let used = pods.byIndex(usersIndex, key).some(uses);
    if (!used && object.metadata.deletionTimestamp !== undefined) {
      const live = await client.list<Pod>(resource('v1', 'pods'), { namespace: namespace as string });
      used = live.items.some((pod) => claimKeysOf(pod).includes(key) && uses(pod));
    }
    await keepFinalizer(context, {
      resource: claims,
      informer,
      object,
      finalizer: 'kubernetes.io/pvc-protection',
      used,
    });
  }

  return startController({
    name: 'pvc-protection',
    queueName: 'pvcprotection',
    clock,
    log,
    sources: [
      changesOf(informer),
      changesOf(pods, (pod, { type }) => (type === 'deleted' || isPodTerminal(pod) ? claimKeysOf(pod) : undefined)),
    ],
    reconcile,
  });
}

/** A volume bound to a claim is not removed until the claim has gone. */
function startVolumes(context: ControllerContext): RunningPart {
  const { informers, clock, log } = context;
  const informer = informers.of<PersistentVolume>(volumes);

  async function reconcile(name: string): Promise<Outcome> {
    const object = informer.get(undefined, name);
    if (object === undefined) return;
    const used = object.status?.phase === 'Bound';
    await keepFinalizer(context, {
      resource: volumes,
      informer,
      object,
      finalizer: 'kubernetes.io/pv-protection',
      used,
    });
  }

  return startController({
    name: 'pv-protection',
    queueName: 'pvprotection',
    clock,
    log,
    sources: [changesOf(informer, keyOf)],
    reconcile,
  });
}

export const claimProtectionController = defineController({
  name: 'persistentvolumeclaim-protection-controller',
  start: startClaims,
});
export const volumeProtectionController = defineController({
  name: 'persistentvolume-protection-controller',
  start: startVolumes,
});
