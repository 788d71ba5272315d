import { messageOf } from '#base';
import { type Node, type PersistentVolume, type Pod, resource, type VolumeAttachment } from '#api';
import { changesOf, type Informer, type Outcome, startController } from '#client';
import { isNodeReady, isPodTerminal } from '#kinds';
import { isAlreadyExists, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart, together } from '../definition.ts';
import { claimKeysOf } from '../pods/claims.ts';
import { type StorageDrivers, storageDrivers } from '../storage-drivers/drivers.ts';
import { startAttacher } from './attacher.ts';
import { attachmentName, planAttachments } from './plan.ts';

const attachments = resource('storage.k8s.io/v1', 'volumeattachments');
const volumes = resource('v1', 'persistentvolumes');
const claimIndex = 'claims-of-pod';
const volumeIndex = 'volume';
const claimOfVolumeIndex = 'claim-of-volume';
const lookAgainMs = 2_000;

/**
 * Decides which volumes of CSI drivers must be attached to which nodes (VolumeAttachment objects), and attaches them for drivers without an
 * external attacher. Nothing of it runs before the first volume of a CSI driver.
 */
function start(context: ControllerContext): RunningPart {
  const volumeInformer = context.informers.of<PersistentVolume>(volumes, {
    indexes: { [claimOfVolumeIndex]: ({ spec }) => [`${spec.claimRef?.namespace}/${spec.claimRef?.name}`] },
  });
  let inner: RunningPart | undefined;
  let closed = false;
  const stop = volumeInformer.onChange(({ object }) => {
    if (inner !== undefined || closed || object.spec.csi === undefined) return;
    const drivers = storageDrivers(context);
    const informer = context.informers.of<VolumeAttachment>(attachments, {
      indexes: { [volumeIndex]: ({ spec }) => [spec.source.persistentVolumeName ?? ''] },
    });
    inner = together([
      startAttachments(context, { drivers, informer, volumeInformer }),
      startAttacher(context, { drivers, informer, volumeInformer }),
    ]);
  });
  return {
    get idle() {
      return inner?.idle ?? true;
    },
    async close() {
      closed = true;
      stop();
      await inner?.close();
    },
  };
}

interface Sources {
  readonly drivers: StorageDrivers;
  readonly informer: Informer<VolumeAttachment>;
  readonly volumeInformer: Informer<PersistentVolume>;
}

function startAttachments(context: ControllerContext, { drivers, informer, volumeInformer }: Sources): RunningPart {
  const { client, informers, clock, log } = context;
  const podInformer = informers.of<Pod>(resource('v1', 'pods'), { indexes: { [claimIndex]: claimKeysOf } });
  const nodeInformer = informers.of<Node>(resource('v1', 'nodes'));
  const events = context.events('attachdetach-controller');
  const unwantedSince = new Map<string, number>();

  const volumeOfClaim = (key: string): string | undefined =>
    volumeInformer.byIndex(claimOfVolumeIndex, key).find(({ spec }) => spec.csi !== undefined)?.metadata.name;

  async function reconcile(name: string): Promise<Outcome> {
    const present = informer.byIndex(volumeIndex, name);
    const volume = volumeInformer.get(undefined, name);
    if (volume?.spec.csi === undefined) {
      if (volume === undefined) for (const one of present) await remove(one);
      return;
    }
    const { driver, volumeHandle } = volume.spec.csi;
    if (drivers.driver(driver)?.spec.attachRequired === false) {
      for (const one of present) await remove(one);
      return;
    }
    const { claimRef } = volume.spec;
    const users =
      claimRef === undefined ? [] : podInformer.byIndex(claimIndex, `${claimRef.namespace}/${claimRef.name}`);
    const pods = users.filter((pod) => Boolean(pod.spec.nodeName) && !isPodTerminal(pod));
    const plan = planAttachments({
      volume,
      pods,
      attachments: present,
      node: (nodeName) => nodeInformer.get(undefined, nodeName),
      isReady: isNodeReady,
      unwantedMs: (nodeName) => {
        const key = `${name} ${nodeName}`;
        const since = unwantedSince.get(key) ?? clock.monotonicMs();
        unwantedSince.set(key, since);
        return clock.monotonicMs() - since;
      },
    });
    for (const { spec } of present)
      if (pods.some((pod) => pod.spec.nodeName === spec.nodeName)) unwantedSince.delete(`${name} ${spec.nodeName}`);
    for (const one of plan.detach) {
      unwantedSince.delete(`${name} ${one.spec.nodeName}`);
      await remove(one);
    }
    for (const nodeName of plan.attach) {
      const made = {
        metadata: { name: attachmentName(volumeHandle, driver, nodeName) },
        spec: { attacher: driver, nodeName, source: { persistentVolumeName: name } },
      };
      try {
        informer.observe(await client.create<VolumeAttachment>(attachments, made));
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    }
    for (const { pod, elsewhere } of plan.blocked) {
      const text = `Multi-Attach error for volume "${name}" Volume is already exclusively attached to one node and can't be attached to another`;
      log.debug({ volume: name, elsewhere, wanted: pod.spec.nodeName }, 'a volume waits to be detached');
      events.event(pod, 'Warning', 'FailedAttachVolume', text);
    }
    return plan.lookAgain ? { requeueAfterMs: lookAgainMs } : undefined;
  }

  async function remove({ metadata }: VolumeAttachment): Promise<void> {
    if (metadata.deletionTimestamp !== undefined) return;
    await client.delete(attachments, metadata.name, { preconditions: { uid: metadata.uid } }).catch((error) => {
      if (!isNotFound(error))
        throw new Error(`the attachment ${metadata.name} was not removed: ${messageOf(error)}`, { cause: error });
    });
  }

  const ofPod = (pod: Pod): string[] =>
    claimKeysOf(pod)
      .map(volumeOfClaim)
      .filter((one) => one !== undefined);
  return startController({
    name: 'attach-detach',
    clock,
    log,
    needs: [nodeInformer.synced, drivers.synced.then(() => {})],
    sources: [
      changesOf(volumeInformer, ({ spec, metadata }) => (spec.csi === undefined ? undefined : metadata.name)),
      changesOf(podInformer, (pod, { type, old }) =>
        type === 'updated' && old?.spec.nodeName === pod.spec.nodeName && !isPodTerminal(pod) ? undefined : ofPod(pod),
      ),
      changesOf(informer, ({ spec }) => spec.source.persistentVolumeName),
      changesOf(nodeInformer, (node, { old }) =>
        node.status?.volumesInUse === undefined && old !== undefined && isNodeReady(old) === isNodeReady(node)
          ? undefined
          : informer
              .list()
              .filter(({ spec }) => spec.nodeName === node.metadata.name)
              .flatMap(({ spec }) => spec.source.persistentVolumeName ?? []),
      ),
    ],
    reconcile,
  });
}

export const attachDetachController = defineController({ name: 'persistentvolume-attach-detach-controller', start });
