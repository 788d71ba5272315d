import { messageOf, rfc3339 } from '#base';
import { type PersistentVolume, resource, type VolumeAttachment } from '#api';
import { changesOf, type Informer, type Outcome, startController } from '#client';
import { deepEqual, isNotFound } from '#machinery';
import type { ControllerContext, RunningPart } from '../definition.ts';
import { DriverError, type StorageDrivers } from '../storage-drivers/drivers.ts';
import { volumeCapabilities } from '../volume-provisioner/plan.ts';

const attachments = resource('storage.k8s.io/v1', 'volumeattachments');
const notOursMs = 10_000;

export interface AttacherSources {
  readonly drivers: StorageDrivers;
  readonly informer: Informer<VolumeAttachment>;
  readonly volumeInformer: Informer<PersistentVolume>;
}

/** Carries out VolumeAttachments for drivers that have no external attacher: ControllerPublishVolume and back. */
export function startAttacher(context: ControllerContext, sources: AttacherSources): RunningPart {
  const { client, clock, log } = context;
  const { drivers, informer, volumeInformer } = sources;

  async function reconcile(name: string): Promise<Outcome> {
    const one = informer.get(undefined, name);
    if (one === undefined) return;
    const { attacher } = one.spec;
    const finalizer = `external-attacher/${attacher.replaceAll('.', '-')}`;
    const held = one.metadata.finalizers?.includes(finalizer) === true;
    if (one.metadata.deletionTimestamp !== undefined) return held ? detach(one, finalizer) : undefined;
    if (one.status?.attached === true) return;
    if (drivers.nodesOf(attacher).length === 0 || !drivers.isBuiltIn(attacher, 'csi-attacher'))
      return { requeueAfterMs: notOursMs };
    const volume = volumeInformer.get(undefined, one.spec.source.persistentVolumeName ?? '');
    if (volume?.spec.csi === undefined) return;
    try {
      // A driver that attaches nothing is asked nothing: the volume counts as attached.
      if (!(await drivers.capabilities(attacher)).has('PUBLISH_UNPUBLISH_VOLUME')) return await attached(one, {});
      const marked = held ? one : await keep(one, finalizer);
      await attached(marked, await publish(marked, volume));
    } catch (error) {
      await tell(one, { attachError: { message: messageOf(error), time: rfc3339(clock.nowMs()) } });
      throw error;
    }
  }

  async function publish({ spec }: VolumeAttachment, volume: PersistentVolume): Promise<Record<string, string>> {
    const { csi, accessModes = [], volumeMode, mountOptions = [] } = volume.spec;
    const [volume_capability] = volumeCapabilities({
      accessModes: accessModes.slice(-1),
      block: volumeMode === 'Block',
      fsType: csi?.fsType ?? '',
      mountOptions,
    });
    const answer = await drivers.call<{ publish_context?: Record<string, string> }>(
      spec.attacher,
      'ControllerPublishVolume',
      {
        volume_id: csi?.volumeHandle ?? '',
        node_id: nodeIdOf(spec),
        volume_capability,
        readonly: csi?.readOnly === true,
        secrets: await drivers.secret(csi?.controllerPublishSecretRef),
        volume_context: csi?.volumeAttributes ?? {},
      },
      spec.nodeName,
    );
    return answer.publish_context ?? {};
  }

  function nodeIdOf({ attacher, nodeName }: VolumeAttachment['spec']): string {
    const id = drivers.csiNode(nodeName)?.spec.drivers.find(({ name }) => name === attacher)?.nodeID;
    if (id === undefined)
      throw new DriverError('UNAVAILABLE', `driver ${attacher} is not registered on node ${nodeName}`);
    return id;
  }

  async function detach(one: VolumeAttachment, finalizer: string): Promise<Outcome> {
    const { attacher, nodeName, source } = one.spec;
    if (!drivers.isBuiltIn(attacher, 'csi-attacher')) return { requeueAfterMs: notOursMs };
    const csi = volumeInformer.get(undefined, source.persistentVolumeName ?? '')?.spec.csi;
    // A node that has gone for good is known to the driver by the name that it had.
    const node_id = drivers.csiNode(nodeName)?.spec.drivers.find(({ name }) => name === attacher)?.nodeID ?? nodeName;
    if (csi !== undefined) {
      try {
        const secrets = await drivers.secret(csi.controllerPublishSecretRef);
        await drivers.call(attacher, 'ControllerUnpublishVolume', { volume_id: csi.volumeHandle, node_id, secrets });
      } catch (error) {
        const gone = error instanceof DriverError && error.code === 'NOT_FOUND';
        if (!gone) {
          await tell(one, { detachError: { message: messageOf(error), time: rfc3339(clock.nowMs()) } });
          throw error;
        }
      }
    }
    const finalizers = (one.metadata.finalizers ?? []).filter((each) => each !== finalizer);
    await client
      .update<VolumeAttachment>(attachments, { ...one, metadata: { ...one.metadata, finalizers } })
      .catch(unlessGone);
    log.info({ volume: source.persistentVolumeName, node: nodeName }, 'a volume was detached');
  }

  /** From then on the attachment goes only when the driver has detached. */
  async function keep(one: VolumeAttachment, finalizer: string): Promise<VolumeAttachment> {
    const finalizers = [...(one.metadata.finalizers ?? []), finalizer];
    const written = await client.update<VolumeAttachment>(attachments, {
      ...one,
      metadata: { ...one.metadata, finalizers },
    });
    informer.observe(written);
    return written;
  }

  async function attached(one: VolumeAttachment, context: Readonly<Record<string, string>>): Promise<void> {
    const metadata = Object.keys(context).length === 0 ? {} : { attachmentMetadata: { ...context } };
    await tell(one, { attached: true, ...metadata }, true);
    log.info({ volume: one.spec.source.persistentVolumeName, node: one.spec.nodeName }, 'a volume was attached');
  }

  async function tell(one: VolumeAttachment, news: object, fresh = false): Promise<void> {
    const before = one.status ?? { attached: false };
    const status = fresh ? ({ attached: false, ...news } as typeof before) : { ...before, ...news };
    if (deepEqual(untimed(before), untimed(status))) return;
    await client
      .update<VolumeAttachment>(attachments, { ...one, status }, { subresource: 'status' })
      .then((written) => informer.observe(written), unlessGone);
  }

  return startController({
    name: 'csi-attacher',
    clock,
    log,
    needs: [volumeInformer.synced, drivers.synced.then(() => {})],
    sources: [changesOf(informer)],
    reconcile,
  });
}

/** A failure that repeats itself is no news. */
function untimed({ attachError, detachError, ...rest }: NonNullable<VolumeAttachment['status']>): object {
  return { ...rest, attachError: attachError?.message, detachError: detachError?.message };
}

function unlessGone(error: unknown): undefined {
  if (isNotFound(error)) return undefined;
  throw error;
}
