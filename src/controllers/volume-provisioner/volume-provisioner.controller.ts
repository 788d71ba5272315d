import { messageOf } from '#base';
import {
  type CSINode,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  resource,
  type StorageClass,
  type VolumeAttachment,
} from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { isNodeReady } from '#kinds';
import { isAlreadyExists, isConflict, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart, together } from '../definition.ts';
import {
  callDriver,
  DriverError,
  hostnameOf,
  isSimulated,
  localProvisioner,
  provisionedBy,
  mayStillRun,
  storageDrivers,
} from '../storage-drivers/drivers.ts';
import {
  deletionSecretOf,
  type MadeVolume,
  planCreateRequest,
  planCsiVolume,
  planLocalVolume,
  type PlannedVolume,
  planTopology,
  provisionerFinalizer,
  requestedBytes,
  secretReference,
  volumeNameOf,
  whyNot,
} from './plan.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const selectedNode = 'volume.kubernetes.io/selected-node';
const provisionerAnnotation = 'volume.kubernetes.io/storage-provisioner';
const unreachableMs = 5_000;

/** Makes and deletes volumes: directories of nodes, and what CSI drivers make that have no sidecar for it. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const claimInformer = informers.of<PersistentVolumeClaim>(claims);
  const volumeInformer = informers.of<PersistentVolume>(volumes);
  const classInformer = informers.of<StorageClass>(resource('storage.k8s.io/v1', 'storageclasses'));
  const nodeInformer = informers.of<Node>(resource('v1', 'nodes'));

  /** Whether the work for a provisioner is done here; `undefined` while the drivers are not known yet. */
  async function isOurs(provisioner: string): Promise<boolean> {
    if (provisioner === localProvisioner) return true;
    if (provisioner.includes('/')) return false;
    const drivers = storageDrivers(context);
    await drivers.synced;
    if (drivers.nodesOf(provisioner).length === 0 || !drivers.isBuiltIn(provisioner, 'csi-provisioner')) return false;
    return (await drivers.capabilities(provisioner)).has('CREATE_DELETE_VOLUME');
  }

  async function provision(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const claim = claimInformer.get(namespace, name);
    const provisioner = claim?.metadata.annotations?.[provisionerAnnotation];
    if (claim === undefined || provisioner === undefined || claim.metadata.deletionTimestamp !== undefined) return;
    if (claim.spec.volumeName || volumeInformer.get(undefined, volumeNameOf(claim)) !== undefined) return;
    const storageClass = classInformer.get(undefined, claim.spec.storageClassName ?? '');
    if (storageClass === undefined || storageClass.provisioner !== provisioner) return;
    const waits = storageClass.volumeBindingMode === 'WaitForFirstConsumer';
    if (waits && !claim.metadata.annotations?.[selectedNode]) return;
    if (!(await isOurs(provisioner))) return provisioner.includes('/') ? undefined : { requeueAfterMs: unreachableMs };
    const events = context.events(provisioner);
    const local = provisioner === localProvisioner;
    const failed = (why: string): void =>
      events.event(
        claim,
        'Warning',
        'ProvisioningFailed',
        `failed to provision volume with StorageClass "${storageClass.metadata.name}": ${why}`,
      );
    const reason = whyNot(claim, { local });
    if (reason !== undefined) return failed(reason);
    events.event(claim, 'Normal', 'Provisioning', `External provisioner is provisioning volume for claim "${key}"`);
    try {
      const planned = local ? await makeLocal(claim, storageClass) : await makeCsi(claim, storageClass);
      await publish(claim, planned);
      events.event(
        claim,
        'Normal',
        'ProvisioningSucceeded',
        `Successfully provisioned volume ${planned.metadata.name}`,
      );
    } catch (error) {
      failed(messageOf(error));
      if (!(await giveNodeBack(claim, error))) throw error;
    }
  }

  async function makeLocal(claim: PersistentVolumeClaim, storageClass: StorageClass): Promise<PlannedVolume> {
    const nodeName = claim.metadata.annotations?.[selectedNode];
    const node = nodeInformer.get(undefined, nodeName ?? '');
    if (nodeName === undefined || nodeName === '')
      throw new DriverError(
        'INVALID_ARGUMENT',
        `volumeBindingMode Immediate cannot work for ${localProvisioner}: the node is only known with the first pod; use WaitForFirstConsumer`,
      );
    if (node === undefined) throw new DriverError('RESOURCE_EXHAUSTED', `node "${nodeName}" does not exist`);
    const name = volumeNameOf(claim);
    if (isSimulated(node)) {
      const made = {
        volume_id: name,
        capacity_bytes: requestedBytes(claim),
        volume_context: { path: `/simulated/${name}` },
      };
      return planLocalVolume(claim, storageClass, { made, node });
    }
    const { volume } = await callDriver<{ volume: MadeVolume }>(client, {
      nodeName,
      driver: localProvisioner,
      method: 'CreateVolume',
      request: planCreateRequest(claim, storageClass, undefined),
    });
    return planLocalVolume(claim, storageClass, { made: volume, node });
  }

  async function makeCsi(claim: PersistentVolumeClaim, storageClass: StorageClass): Promise<PlannedVolume> {
    const drivers = storageDrivers(context);
    const { provisioner, parameters = {} } = storageClass;
    const chosen = claim.metadata.annotations?.[selectedNode];
    const csiNodes = drivers.nodesOf(provisioner).map((name) => drivers.csiNode(name));
    const topology = planTopology(provisioner, {
      csiNodes: csiNodes.filter((one): one is CSINode => one !== undefined),
      nodes: nodeInformer.list(),
      chosen,
    });
    const secrets = await drivers.secret(secretReference(parameters, 'provisioner', claim));
    const request = { ...planCreateRequest(claim, storageClass, topology), secrets };
    const { volume } = await drivers.call<{ volume: MadeVolume }>(provisioner, 'CreateVolume', request, chosen);
    return planCsiVolume(claim, storageClass, volume);
  }

  /** Tells the cluster of a volume that was made. One whose claim has gone meanwhile goes the way of every released volume. */
  async function publish(claim: PersistentVolumeClaim, planned: PlannedVolume): Promise<void> {
    try {
      volumeInformer.observe(await client.create<PersistentVolume>(volumes, planned as PersistentVolume));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    log.info({ claim: keyOf(claim), volume: planned.metadata.name }, 'a volume was made');
  }

  /** A claim whose node has no room, or is gone, is left to the scheduler again. Returns whether that was done. */
  async function giveNodeBack(claim: PersistentVolumeClaim, error: unknown): Promise<boolean> {
    const nodeName = claim.metadata.annotations?.[selectedNode];
    if (nodeName === undefined) return false;
    const full = error instanceof DriverError && error.code === 'RESOURCE_EXHAUSTED';
    const node = nodeInformer.get(undefined, nodeName);
    if (!full && (!mayStillRun(error) || (node !== undefined && isNodeReady(node)))) return false;
    const { name, namespace, uid, resourceVersion } = claim.metadata;
    const body = { metadata: { uid, resourceVersion, annotations: { [selectedNode]: null } } };
    try {
      claimInformer.observe(
        await client.patch<PersistentVolumeClaim>(claims, name, { type: 'merge', body }, { namespace }),
      );
    } catch (refused) {
      if (!isConflict(refused) && !isNotFound(refused)) throw refused;
    }
    return true;
  }

  // ---------------------------------------------------------------- the other end

  async function reclaim(name: string): Promise<Outcome> {
    const volume = volumeInformer.get(undefined, name);
    const provisioner = volume?.metadata.annotations?.[provisionedBy];
    if (volume === undefined || provisioner === undefined) return;
    const { deletionTimestamp, finalizers = [] } = volume.metadata;
    const released = volume.status?.phase === 'Released' || volume.status?.phase === 'Failed';
    if (!released && (deletionTimestamp === undefined || volume.status?.phase === 'Bound')) return;
    if (!finalizers.includes(provisionerFinalizer) && deletionTimestamp !== undefined) return;
    if (!(await isOurs(provisioner))) return;
    const deletes = volume.spec.persistentVolumeReclaimPolicy === 'Delete';
    if (!deletes) return deletionTimestamp === undefined ? undefined : letGo(volume);
    if (!(await isUnwanted(volume))) return { requeueAfterMs: unreachableMs };
    try {
      await remove(volume, provisioner);
    } catch (error) {
      context.events(provisioner).event(volume, 'Warning', 'VolumeFailedDelete', messageOf(error));
      throw error;
    }
    if (deletionTimestamp === undefined)
      await client.delete(volumes, name, { preconditions: { uid: volume.metadata.uid } }).catch(unlessGone);
    await letGo(volume);
    log.info({ volume: name }, 'a volume and its data were deleted');
  }

  /** Asks the server itself before data are deleted: what is here may be old. */
  async function isUnwanted({ metadata }: PersistentVolume): Promise<boolean> {
    const volume = await client.get<PersistentVolume>(volumes, metadata.name).catch(unlessGone);
    if (volume === undefined || volume.metadata.uid !== metadata.uid) return false;
    const { claimRef, persistentVolumeReclaimPolicy: policy } = volume.spec;
    if (policy !== 'Delete' || volume.status?.phase === 'Bound') return false;
    if (claimRef?.name === undefined) return volume.metadata.deletionTimestamp !== undefined;
    const { name, namespace = '', uid } = claimRef;
    const claim = await client.get<PersistentVolumeClaim>(claims, name, { namespace }).catch(unlessGone);
    return claim === undefined || (uid !== undefined && claim.metadata.uid !== uid);
  }

  async function remove(volume: PersistentVolume, provisioner: string): Promise<void> {
    if (provisioner !== localProvisioner) {
      const drivers = storageDrivers(context);
      const attached = await client.list<VolumeAttachment>(resource('storage.k8s.io/v1', 'volumeattachments'));
      const where = attached.items.find(({ spec }) => spec.source.persistentVolumeName === volume.metadata.name);
      if (where !== undefined)
        throw new DriverError(
          'FAILED_PRECONDITION',
          `persistentvolume ${volume.metadata.name} is still attached to node ${where.spec.nodeName}`,
        );
      const secrets = await drivers.secret(deletionSecretOf(volume));
      await drivers.call(provisioner, 'DeleteVolume', { volume_id: volume.spec.csi?.volumeHandle ?? '', secrets });
      return;
    }
    const hostname = hostnameOf(volume);
    const node = nodeInformer.list().find(({ metadata }) => metadata.labels?.['kubernetes.io/hostname'] === hostname);
    if (isSimulated(node)) return;
    if (node === undefined) {
      const text = `node ${hostname ?? ''} of the volume is no longer part of the cluster: its directory, if the disk still exists, is left there`;
      context.events(provisioner).event(volume, 'Warning', 'VolumeNodeGone', text);
      return;
    }
    await callDriver(client, {
      nodeName: node.metadata.name,
      driver: localProvisioner,
      method: 'DeleteVolume',
      request: { volume_id: volume.metadata.name },
    });
  }

  async function letGo(volume: PersistentVolume): Promise<void> {
    const { name, uid } = volume.metadata;
    const present = await client.get<PersistentVolume>(volumes, name).catch(unlessGone);
    if (present === undefined || present.metadata.uid !== uid) return;
    const finalizers = (present.metadata.finalizers ?? []).filter((one) => one !== provisionerFinalizer);
    const written = { ...present, metadata: { ...present.metadata, finalizers } };
    await client.update<PersistentVolume>(volumes, written).catch(unlessGone);
  }

  const needs = [claimInformer.synced, volumeInformer.synced, classInformer.synced, nodeInformer.synced];
  const waiting = ({ spec, metadata }: PersistentVolumeClaim): boolean =>
    !spec.volumeName && metadata.annotations?.[provisionerAnnotation] !== undefined;
  const making = startController({
    name: 'volume-provisioner',
    clock,
    log,
    needs,
    sources: [
      changesOf(claimInformer, (claim, { type }) => (type !== 'deleted' && waiting(claim) ? keyOf(claim) : undefined)),
      changesOf(classInformer, () => claimInformer.list().filter(waiting).map(keyOf)),
    ],
    reconcile: provision,
  });
  const removing = startController({
    name: 'volume-reclaimer',
    clock,
    log,
    needs,
    sources: [
      changesOf(volumeInformer, (volume, { type }) =>
        type !== 'deleted' && volume.metadata.annotations?.[provisionedBy] !== undefined ? keyOf(volume) : undefined,
      ),
    ],
    reconcile: reclaim,
  });
  return together([making, removing]);
}

function unlessGone(error: unknown): undefined {
  if (isNotFound(error)) return undefined;
  throw error;
}

export const volumeProvisionerController = defineController({ name: 'volume-provisioner-controller', start });
