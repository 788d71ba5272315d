import { messageOf } from '#base';
import { type PersistentVolumeClaim, type Pod, resource, type Volume } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { isPodTerminal } from '#kinds';
import { controllerReference, isAlreadyExists, isNamespaceTerminating } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const pods = resource('v1', 'pods');

/** Makes the claims of pods' generic ephemeral volumes; they go with their pod. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const podInformer = informers.of<Pod>(pods);
  const claimInformer = informers.of<PersistentVolumeClaim>(claims);
  const events = context.events('ephemeral_volume');

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const pod = podInformer.get(namespace, name);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) return;
    for (const volume of pod.spec.volumes ?? []) if (volume.ephemeral !== undefined) await ensureClaim(pod, volume);
  }

  async function ensureClaim(pod: Pod, { name, ephemeral }: Volume): Promise<void> {
    const { namespace } = pod.metadata;
    const claimName = `${pod.metadata.name}-${name}`;
    const present = claimInformer.get(namespace, claimName);
    if (present !== undefined) {
      if (present.metadata.ownerReferences?.some((one) => one.uid === pod.metadata.uid)) return;
      throw new Error(
        `PVC "${namespace}/${claimName}" was not created for pod "${namespace}/${pod.metadata.name}" (pod is not owner)`,
      );
    }
    const template = ephemeral?.volumeClaimTemplate;
    if (template === undefined) return;
    const { labels, annotations } = template.metadata ?? {};
    const metadata = {
      namespace,
      name: claimName,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
      ownerReferences: [controllerReference(pod, pods)],
    };
    try {
      claimInformer.observe(await client.create<PersistentVolumeClaim>(claims, { metadata, spec: template.spec }));
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      if (!isAlreadyExists(error))
        events.event(
          pod,
          'Warning',
          'FailedCreate',
          `ephemeral volume controller could not create PVC ${claimName}: ${messageOf(error)}`,
        );
      throw error;
    }
  }

  const hasEphemeral = ({ spec }: Pod): boolean => spec.volumes?.some((one) => one.ephemeral !== undefined) ?? false;
  return startController({
    name: 'ephemeral-volume',
    queueName: 'ephemeral_volume',
    clock,
    log,
    sources: [
      changesOf(podInformer, (pod, { type }) => (type !== 'deleted' && hasEphemeral(pod) ? keyOf(pod) : undefined)),
      changesOf(claimInformer, ({ metadata }, { type }) =>
        type === 'deleted'
          ? metadata.ownerReferences
              ?.filter((one) => one.kind === 'Pod')
              .map((one) => `${metadata.namespace}/${one.name}`)
          : undefined,
      ),
    ],
    reconcile,
  });
}

export const ephemeralVolumeController = defineController({ name: 'ephemeral-volume-controller', start });
