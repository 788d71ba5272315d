import { messageOf, rfc3339 } from '#base';
import { type Node, type PersistentVolume, type PersistentVolumeClaim, type Pod, resource } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { compareQuantities, deepEqual, quantityValue } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import {
  callDriver,
  DriverError,
  hostnameOf,
  isSimulated,
  localProvisioner,
  mayStillRun,
  provisionedBy,
  storageDrivers,
} from '../storage-drivers/drivers.ts';
import { binaryQuantity, volumeCapabilities } from '../volume-provisioner/plan.ts';
import { type ClaimStatus, grown, growing, isResizing, planExpand, refused, waitingForNode } from './plan.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const notOursMs = 10_000;

/** Makes volumes larger whose claims ask for more: directories of nodes, and volumes of CSI drivers that have no sidecar for it. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const claimInformer = informers.of<PersistentVolumeClaim>(claims);
  const volumeInformer = informers.of<PersistentVolume>(volumes);
  const nodeInformer = informers.of<Node>(resource('v1', 'nodes'));
  const podInformer = informers.of<Pod>(resource('v1', 'pods'));
  const events = context.events('volume_expand');

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const claim = claimInformer.get(namespace, name);
    if (claim === undefined || claim.status?.phase !== 'Bound' || claim.metadata.deletionTimestamp !== undefined)
      return;
    const volume = volumeInformer.get(undefined, claim.spec.volumeName ?? '');
    if (volume === undefined) return;
    const step = planExpand(claim, volume);
    if (step === 'nothing') return;
    if (step === 'wait-for-node') return pokeNodes(claim);
    if (step === 'give-up') {
      // What was asked for failed and is asked for no more.
      await write(claim, grown(claim.status, claim.status.capacity?.storage ?? ''));
      return;
    }
    const driver = await ourDriver(volume);
    if (driver === undefined) return;
    if (driver === 'external') return { requeueAfterMs: notOursMs };
    const asked = claim.spec.resources?.requests?.storage as string;
    const before = await write(claim, growing(claim.status, asked, rfc3339(clock.nowMs())));
    let larger: { readonly capacity: string; readonly onNode: boolean };
    try {
      larger = await grow(volume, asked, driver);
    } catch (error) {
      const final = !mayStillRun(error);
      await write(before, refused(before.status ?? {}, { message: messageOf(error), final }, rfc3339(clock.nowMs())));
      events.event(
        claim,
        'Warning',
        'VolumeResizeFailed',
        `resize volume "${volume.metadata.name}" failed: ${messageOf(error)}`,
      );
      throw error;
    }
    await setCapacity(volume, larger.capacity);
    if (larger.onNode) {
      const text = 'Require file system resize of volume on node';
      events.event(claim, 'Normal', 'FileSystemResizeRequired', text);
      const waiting = await write(before, waitingForNode(before.status ?? {}, asked, rfc3339(clock.nowMs())));
      return pokeNodes(waiting);
    }
    await write(before, grown(before.status ?? {}, larger.capacity));
    events.event(claim, 'Normal', 'VolumeResizeSuccessful', `Resize volume succeeded`);
    log.info({ claim: key, capacity: larger.capacity }, 'a volume has grown');
  }

  /** Who grows the volume; `external` when a sidecar does, undefined when nobody can. */
  async function ourDriver(volume: PersistentVolume): Promise<string | undefined> {
    if (volume.spec.local !== undefined)
      return volume.metadata.annotations?.[provisionedBy] === localProvisioner ? localProvisioner : undefined;
    const name = volume.spec.csi?.driver;
    if (name === undefined) return undefined;
    const drivers = storageDrivers(context);
    await drivers.synced;
    return drivers.nodesOf(name).length > 0 && drivers.isBuiltIn(name, 'csi-resizer') ? name : 'external';
  }

  async function grow(volume: PersistentVolume, asked: string, driver: string) {
    const required_bytes = Math.ceil(quantityValue(asked));
    if (driver === localProvisioner) {
      const hostname = hostnameOf(volume);
      const node = nodeInformer.list().find(({ metadata }) => metadata.labels?.['kubernetes.io/hostname'] === hostname);
      if (isSimulated(node)) return { capacity: asked, onNode: false };
      if (node === undefined) throw new DriverError('UNAVAILABLE', `node ${hostname ?? ''} of the volume is not there`);
      const request = { volume_id: volume.metadata.name, capacity_range: { required_bytes } };
      await callDriver(client, { nodeName: node.metadata.name, driver, method: 'ControllerExpandVolume', request });
      return { capacity: asked, onNode: false };
    }
    const drivers = storageDrivers(context);
    // A driver without a controller half grows volumes on the node alone.
    if (!(await drivers.capabilities(driver)).has('EXPAND_VOLUME')) return { capacity: asked, onNode: true };
    const { csi, accessModes = [], volumeMode, mountOptions = [] } = volume.spec;
    const [volume_capability] = volumeCapabilities({
      accessModes,
      block: volumeMode === 'Block',
      fsType: csi?.fsType ?? '',
      mountOptions,
    });
    const answer = await drivers.call<{ capacity_bytes: number; node_expansion_required: boolean }>(
      driver,
      'ControllerExpandVolume',
      {
        volume_id: csi?.volumeHandle ?? '',
        capacity_range: { required_bytes },
        secrets: await drivers.secret(csi?.controllerExpandSecretRef),
        volume_capability,
      },
    );
    const capacity = answer.capacity_bytes > required_bytes ? binaryQuantity(answer.capacity_bytes) : asked;
    return { capacity, onNode: answer.node_expansion_required && volumeMode !== 'Block' };
  }

  async function setCapacity({ metadata, spec }: PersistentVolume, capacity: string): Promise<void> {
    if (compareQuantities(spec.capacity?.storage ?? '0', capacity) >= 0) return;
    const body = { metadata: { uid: metadata.uid }, spec: { capacity: { storage: capacity } } };
    volumeInformer.observe(await client.patch<PersistentVolume>(volumes, metadata.name, { type: 'merge', body }));
  }

  async function write(claim: PersistentVolumeClaim, status: ClaimStatus): Promise<PersistentVolumeClaim> {
    if (deepEqual(status, claim.status)) return claim;
    const written = await client.update<PersistentVolumeClaim>(claims, { ...claim, status }, { subresource: 'status' });
    claimInformer.observe(written);
    return written;
  }

  /** Running pods are told at once that their volume may grow; a pod that starts later sees it by itself. */
  async function pokeNodes(claim: PersistentVolumeClaim): Promise<Outcome> {
    const uses = ({ metadata, spec }: Pod): boolean =>
      metadata.namespace === claim.metadata.namespace &&
      (spec.volumes ?? []).some(
        ({ name, persistentVolumeClaim, ephemeral }) =>
          persistentVolumeClaim?.claimName === claim.metadata.name ||
          (ephemeral !== undefined && `${metadata.name}-${name}` === claim.metadata.name),
      );
    const nodes = new Set(
      podInformer
        .list(claim.metadata.namespace)
        .flatMap((pod) => (uses(pod) && pod.spec.nodeName ? [pod.spec.nodeName] : [])),
    );
    for (const name of nodes)
      await client
        .raw('POST', `/api/v1/nodes/${encodeURIComponent(name)}/proxy/storage/refresh`, {})
        .catch((error) =>
          log.debug({ node: name, error: messageOf(error) }, 'a node was not told that a volume may grow'),
        );
    return nodes.size === 0 ? undefined : { requeueAfterMs: notOursMs };
  }

  return startController({
    name: 'volume-expand',
    queueName: 'volume_expand',
    clock,
    log,
    needs: [volumeInformer.synced, nodeInformer.synced, podInformer.synced],
    sources: [
      changesOf(claimInformer, (claim, { type }) =>
        type !== 'deleted' &&
        claim.status?.phase === 'Bound' &&
        (isResizing(claim) ||
          compareQuantities(claim.spec.resources?.requests?.storage ?? '0', claim.status.capacity?.storage ?? '0') > 0)
          ? keyOf(claim)
          : undefined,
      ),
    ],
    reconcile,
  });
}

export const volumeExpandController = defineController({ name: 'persistentvolume-expander-controller', start });
