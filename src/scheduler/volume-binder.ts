import { type Clock, CodedError, type Timer } from '#base';
import { type AnyObject, type PersistentVolume, type PersistentVolumeClaim, resource, type StorageClass } from '#api';
import type { Client, Informers } from '#client';
import { isBound, selectedNodeAnnotation, type VolumeCatalogue, type VolumePlan } from './volumes.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const classes = resource('storage.k8s.io/v1', 'storageclasses');
const longestWaitMs = 10 * 60_000;

export interface VolumeBinder {
  readonly catalogue: VolumeCatalogue;
  readonly taken: ReadonlySet<string>;
  readonly synced: Promise<unknown>;
  /** Keeps the plan's volumes from others until `release`. */
  reserve(plan: VolumePlan): void;
  release(plan: VolumePlan): void;
  /** Asks for the plan's volumes on the node and resolves when every claim is bound. */
  carryOut(plan: VolumePlan, nodeName: string): Promise<void>;
  onChange(handler: (event: 'ClaimChange' | 'VolumeChange' | 'StorageClassChange') => void): void;
  close(): void;
}

/** Opens what the scheduler knows and does about PersistentVolumes. */
export function openVolumeBinder(options: { client: Client; informers: Informers; clock: Clock }): VolumeBinder {
  const { client, clock } = options;
  const claimInformer = options.informers.of<PersistentVolumeClaim>(claims);
  const volumeInformer = options.informers.of<PersistentVolume>(volumes);
  const classInformer = options.informers.of<StorageClass>(classes);
  const taken = new Set<string>();

  function bound(claim: PersistentVolumeClaim): Promise<void> {
    const { namespace, name, uid } = claim.metadata;
    const now = claimInformer.get(namespace, name);
    if (now !== undefined && isBound(now)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      const end = claimInformer.onChange(({ type, object }) => {
        if (object.metadata.uid !== uid) return;
        if (type === 'deleted') finish(new CodedError('ClaimGone', `persistentvolumeclaim "${name}" was deleted`));
        else if (isBound(object)) finish(undefined);
      });
      const finish = (error: Error | undefined): void => {
        end();
        timer?.cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
      timer = clock.setTimer(
        () => finish(new CodedError('BindingTimeout', 'timed out waiting for the condition')),
        longestWaitMs,
      );
    });
  }

  return {
    catalogue: {
      claim: (namespace, name) => claimInformer.get(namespace, name),
      volume: (name) => volumeInformer.get(undefined, name),
      volumes: () => volumeInformer.list(),
      storageClass: (name) => (name === '' ? undefined : classInformer.get(undefined, name)),
    },
    taken,
    synced: Promise.all([claimInformer, volumeInformer, classInformer].map((one) => one.synced)),
    reserve(plan) {
      for (const { volume } of plan.bind) taken.add(volume.metadata.name);
    },
    release(plan) {
      for (const { volume } of plan.bind) taken.delete(volume.metadata.name);
    },
    async carryOut({ bind, provision }, nodeName) {
      for (const { claim, volume } of bind) {
        const { name, namespace, uid, resourceVersion } = claim.metadata;
        const claimRef = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid, resourceVersion };
        const body = {
          metadata: {
            resourceVersion: volume.metadata.resourceVersion,
            annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' },
          },
          spec: { claimRef },
        };
        await client.patch<PersistentVolume>(volumes, volume.metadata.name, { type: 'merge', body });
      }
      for (const claim of provision) {
        const { name, namespace, annotations } = claim.metadata;
        if (annotations?.[selectedNodeAnnotation] === nodeName) continue;
        const body = { metadata: { annotations: { [selectedNodeAnnotation]: nodeName } } };
        await client.patch<AnyObject>(claims, name, { type: 'merge', body }, { namespace });
      }
      await Promise.all([...bind.map((one) => bound(one.claim)), ...provision.map(bound)]);
    },
    onChange(handler) {
      claimInformer.onChange(() => handler('ClaimChange'));
      volumeInformer.onChange(() => handler('VolumeChange'));
      classInformer.onChange(() => handler('StorageClassChange'));
    },
    close() {
      claimInformer.close();
      volumeInformer.close();
      classInformer.close();
    },
  };
}
