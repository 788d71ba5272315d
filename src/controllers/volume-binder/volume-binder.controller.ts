import { rfc3339 } from '#base';
import {
  type ObjectReference,
  type PersistentVolume,
  type PersistentVolumeClaim,
  resource,
  type StorageClass,
} from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { deepEqual } from '#machinery';
import { type ControllerContext, defineController, type RunningPart, together } from '../definition.ts';
import { localProvisioner } from '../storage-drivers/drivers.ts';
import { findVolume, isReservedFor } from './matching.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const bindCompleted = 'pv.kubernetes.io/bind-completed';
const boundByController = 'pv.kubernetes.io/bound-by-controller';
const selectedNode = 'volume.kubernetes.io/selected-node';
const provisionerAnnotations = [
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
];
const noProvisioner = 'kubernetes.io/no-provisioner';

/** Binds claims to volumes, both sides, and keeps their phases. Volumes are made by provisioners outside. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const claimInformer = informers.of<PersistentVolumeClaim>(claims);
  const volumeInformer = informers.of<PersistentVolume>(volumes);
  const classInformer = informers.of<StorageClass>(resource('storage.k8s.io/v1', 'storageclasses'));
  const events = context.events('persistentvolume-controller');

  async function reconcileClaim(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const claim = claimInformer.get(namespace, name);
    if (claim === undefined) return;
    if (claim.metadata.annotations?.[bindCompleted] !== undefined) return checkBound(claim);
    const volume = claim.spec.volumeName ? volumeInformer.get(undefined, claim.spec.volumeName) : findFor(claim);
    const free = volume !== undefined && (volume.spec.claimRef === undefined || isReservedFor(volume, claim));
    if (volume !== undefined && free) return bind(claim, volume);
    await setClaimPhase(claim, 'Pending');
    if (!claim.spec.volumeName) await askProvisioner(claim);
  }

  function findFor(claim: PersistentVolumeClaim): PersistentVolume | undefined {
    const reserved = volumeInformer
      .list()
      .find((one) => isReservedFor(one, claim) && one.metadata.deletionTimestamp === undefined);
    if (reserved !== undefined) return reserved;
    const storageClass = classInformer.get(undefined, claim.spec.storageClassName ?? '');
    const waits =
      storageClass?.volumeBindingMode === 'WaitForFirstConsumer' &&
      claim.metadata.annotations?.[selectedNode] === undefined;
    return waits ? undefined : findVolume(claim, volumeInformer.list());
  }

  async function bind(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
    const bound = await reserve(claim, volume);
    if (bound.status?.phase !== 'Bound') await setVolumePhase(bound, 'Bound');
    const annotations = {
      ...claim.metadata.annotations,
      [bindCompleted]: 'yes',
      ...(claim.spec.volumeName ? {} : { [boundByController]: 'yes' }),
    };
    const changed = {
      ...claim,
      metadata: { ...claim.metadata, annotations },
      spec: { ...claim.spec, volumeName: bound.metadata.name },
    };
    const written = await client.update<PersistentVolumeClaim>(claims, changed);
    claimInformer.observe(written);
    await markBound(written, bound);
  }

  /** The volume's half: it names the claim. */
  async function reserve(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<PersistentVolume> {
    if (volume.spec.claimRef?.uid === claim.metadata.uid) return volume;
    const { namespace, name, uid, resourceVersion } = claim.metadata;
    const claimRef: ObjectReference = {
      kind: 'PersistentVolumeClaim',
      namespace,
      name,
      uid,
      apiVersion: 'v1',
      resourceVersion,
    };
    const byUs: Record<string, string> = volume.spec.claimRef === undefined ? { [boundByController]: 'yes' } : {};
    const metadata = { ...volume.metadata, annotations: { ...volume.metadata.annotations, ...byUs } };
    const written = await client.update<PersistentVolume>(volumes, {
      ...volume,
      metadata,
      spec: { ...volume.spec, claimRef },
    });
    volumeInformer.observe(written);
    return written;
  }

  async function markBound(claim: PersistentVolumeClaim, { spec }: PersistentVolume): Promise<void> {
    const status = {
      ...claim.status,
      phase: 'Bound',
      ...(spec.accessModes === undefined ? {} : { accessModes: spec.accessModes }),
      ...(spec.capacity === undefined ? {} : { capacity: claim.status?.capacity ?? spec.capacity }),
    };
    if (deepEqual(status, claim.status)) return;
    claimInformer.observe(
      await client.update<PersistentVolumeClaim>(claims, { ...claim, status }, { subresource: 'status' }),
    );
  }

  async function checkBound(claim: PersistentVolumeClaim): Promise<void> {
    const volume = volumeInformer.get(undefined, claim.spec.volumeName ?? '');
    if (volume === undefined) {
      if (claim.status?.phase !== 'Lost') {
        const [reason, message] = [
          'ClaimLost',
          'Bound claim has lost its PersistentVolume. Data on the volume is lost! Cluster intervention needed.',
        ];
        events.event(claim, 'Warning', reason, message);
        await setClaimPhase(claim, 'Lost');
      }
      return;
    }
    if (volume.spec.claimRef === undefined || isReservedFor(volume, claim)) {
      const bound = await reserve(claim, volume);
      if (bound.status?.phase !== 'Bound') await setVolumePhase(bound, 'Bound');
      await markBound(claim, bound);
    } else if (claim.status?.phase !== 'Lost') {
      events.event(
        claim,
        'Warning',
        'ClaimMisbound',
        'Two claims are bound to the same volume, this one is bound incorrectly',
      );
      await setClaimPhase(claim, 'Lost');
    }
  }

  async function setClaimPhase(claim: PersistentVolumeClaim, phase: string): Promise<void> {
    if (claim.status?.phase === phase) return;
    const status = { ...claim.status, phase };
    claimInformer.observe(
      await client.update<PersistentVolumeClaim>(claims, { ...claim, status }, { subresource: 'status' }),
    );
  }

  async function askProvisioner(claim: PersistentVolumeClaim): Promise<void> {
    const className = claim.spec.storageClassName ?? '';
    const storageClass = classInformer.get(undefined, className);
    if (storageClass === undefined) {
      const message =
        className === ''
          ? 'no persistent volumes available for this claim and no storage class is set'
          : `storageclass.storage.k8s.io "${className}" not found`;
      events.event(
        claim,
        className === '' ? 'Normal' : 'Warning',
        className === '' ? 'FailedBinding' : 'ProvisioningFailed',
        message,
      );
      return;
    }
    if (
      storageClass.volumeBindingMode === 'WaitForFirstConsumer' &&
      claim.metadata.annotations?.[selectedNode] === undefined
    ) {
      events.event(claim, 'Normal', 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding');
      return;
    }
    const { provisioner } = storageClass;
    if (provisioner === noProvisioner) {
      events.event(
        claim,
        'Normal',
        'FailedBinding',
        'no persistent volumes available for this claim and no storage class is set',
      );
      return;
    }
    if (claim.metadata.annotations?.[provisionerAnnotations[1] as string] !== provisioner) {
      const annotations = {
        ...claim.metadata.annotations,
        ...Object.fromEntries(provisionerAnnotations.map((key) => [key, provisioner])),
      };
      claimInformer.observe(
        await client.update<PersistentVolumeClaim>(claims, { ...claim, metadata: { ...claim.metadata, annotations } }),
      );
    }
    if (provisioner === localProvisioner) return;
    const message = `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`;
    events.event(claim, 'Normal', 'ExternalProvisioning', message);
  }

  async function reconcileVolume(name: string): Promise<Outcome> {
    const volume = volumeInformer.get(undefined, name);
    if (volume === undefined) return;
    const { claimRef } = volume.spec;
    if (claimRef?.uid === undefined || claimRef.uid === '') return setVolumePhase(volume, 'Available');
    const claim = claimInformer.get(claimRef.namespace, claimRef.name ?? '');
    if (claim === undefined || claim.metadata.uid !== claimRef.uid) return released(volume);
    if (claim.spec.volumeName === name) return setVolumePhase(volume, 'Bound');
  }

  /** Whoever made a volume deletes it. One that an administrator wrote is nobody's to delete: it says so, and its data stay. */
  async function released(volume: PersistentVolume): Promise<void> {
    const { metadata, spec, status } = volume;
    const policy = spec.persistentVolumeReclaimPolicy;
    if (policy === 'Retain' || metadata.annotations?.['pv.kubernetes.io/provisioned-by'] !== undefined)
      return setVolumePhase(volume, 'Released');
    if (status?.phase === 'Failed') return;
    const [reason, message] =
      policy === 'Recycle'
        ? ['VolumeRecycleFailed', 'recycling is not supported: delete the volume and make it anew']
        : [
            'VolumeFailedDelete',
            `error getting deleter volume plugin for volume "${metadata.name}": no deletable volume plugin matched: nobody provisioned it`,
          ];
    events.event(volume, 'Warning', reason, message);
    return setVolumePhase(volume, 'Failed', { reason, message });
  }

  async function setVolumePhase(
    volume: PersistentVolume,
    phase: string,
    why: { reason?: string; message?: string } = {},
  ): Promise<void> {
    if (volume.status?.phase === phase || (volume.status?.phase === 'Failed' && phase === 'Released')) return;
    const { reason: _, message: __, ...before } = volume.status ?? {};
    const status = { ...before, ...why, phase, lastPhaseTransitionTime: rfc3339(clock.nowMs()) };
    volumeInformer.observe(
      await client.update<PersistentVolume>(volumes, { ...volume, status }, { subresource: 'status' }),
    );
  }

  const needs = [claimInformer.synced, volumeInformer.synced, classInformer.synced];
  const unbound = (): string[] =>
    claimInformer
      .list()
      .filter((one) => one.metadata.annotations?.[bindCompleted] === undefined)
      .map(keyOf);
  const ofClaim = startController({
    name: 'volume-binder-claims',
    queueName: 'claims',
    clock,
    log,
    concurrency: 1,
    needs,
    sources: [
      changesOf(claimInformer),
      changesOf(volumeInformer, ({ spec }) =>
        spec.claimRef === undefined ? unbound() : [`${spec.claimRef.namespace}/${spec.claimRef.name}`],
      ),
      changesOf(classInformer, unbound),
    ],
    reconcile: reconcileClaim,
  });
  const ofVolume = startController({
    name: 'volume-binder-volumes',
    queueName: 'volumes',
    clock,
    log,
    concurrency: 1,
    needs,
    sources: [changesOf(volumeInformer), changesOf(claimInformer, ({ spec }) => spec.volumeName || undefined)],
    reconcile: reconcileVolume,
  });
  return together([ofClaim, ofVolume]);
}

export const volumeBinderController = defineController({ name: 'persistentvolume-binder-controller', start });
