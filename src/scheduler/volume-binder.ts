import { type Clock, CodedError, type Timer } from '#base';
import {
  type AnyObject,
  type CSIDriver,
  type CSINode,
  type CSIStorageCapacity,
  type PersistentVolume,
  type PersistentVolumeClaim,
  resource,
  type StorageClass,
} from '#api';
import type { Client, Informer, Informers } from '#client';
import { isBound, requestedBytes, selectedNodeAnnotation, type VolumeCatalogue, type VolumePlan } from './volumes.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');
const classes = resource('storage.k8s.io/v1', 'storageclasses');
const drivers = resource('storage.k8s.io/v1', 'csidrivers');
const capacities = resource('storage.k8s.io/v1', 'csistoragecapacities');
const csiNodes = resource('storage.k8s.io/v1', 'csinodes');
const longestWaitMs = 10 * 60_000;

export interface VolumeBinder {
  readonly catalogue: VolumeCatalogue;
  readonly taken: ReadonlySet<string>;
  readonly synced: Promise<unknown>;
  /** Keeps the plan's volumes, and the room for those to be made, from others until `release`. */
  reserve(plan: VolumePlan, nodeName: string): void;
  release(plan: VolumePlan, nodeName: string): void;
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
  const promised = new Map<string, number>();
  const handlers: ((event: 'VolumeChange') => void)[] = [];
  let room:
    | {
        readonly drivers: Informer<CSIDriver>;
        readonly capacities: Informer<CSIStorageCapacity>;
        readonly nodes: Informer<CSINode>;
      }
    | undefined;

  /** What drivers say about room, asked for with the first claim that a driver is to meet: most clusters never have one. */
  function storageRoom(): NonNullable<typeof room> {
    if (room !== undefined) return room;
    room = {
      drivers: options.informers.of<CSIDriver>(drivers),
      capacities: options.informers.of<CSIStorageCapacity>(capacities),
      nodes: options.informers.of<CSINode>(csiNodes),
    };
    for (const informer of [room.drivers, room.capacities, room.nodes])
      informer.onChange(() => {
        for (const handler of handlers) handler('VolumeChange');
      });
    return room;
  }

  function promise({ provision }: VolumePlan, nodeName: string, sign: 1 | -1): void {
    for (const claim of provision) {
      const key = `${claim.spec?.storageClassName ?? ''}/${nodeName}`;
      const bytes = (promised.get(key) ?? 0) + sign * requestedBytes(claim);
      if (bytes > 0) promised.set(key, bytes);
      else promised.delete(key);
    }
  }

  function bound(claim: PersistentVolumeClaim, nodeName?: string): Promise<void> {
    const { namespace, name, uid } = claim.metadata;
    const refusedNode = (one: PersistentVolumeClaim): boolean =>
      nodeName !== undefined && one.metadata.annotations?.[selectedNodeAnnotation] !== nodeName;
    const refusal = (): CodedError =>
      new CodedError('NodeRefused', `node ${nodeName} could not be given the volume of "${name}"`);
    const now = claimInformer.get(namespace, name);
    if (now !== undefined && isBound(now)) return Promise.resolve();
    if (now?.metadata.uid === uid && refusedNode(now)) return Promise.reject(refusal());
    return new Promise((resolve, reject) => {
      let timer: Timer | undefined;
      let end: (() => void) | undefined;
      const finish = (error: Error | undefined): void => {
        end?.();
        timer?.cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
      end = claimInformer.onChange(({ type, object }) => {
        if (object.metadata.uid !== uid) return;
        if (type === 'deleted') finish(new CodedError('ClaimGone', `persistentvolumeclaim "${name}" was deleted`));
        else if (isBound(object)) finish(undefined);
        else if (refusedNode(object)) finish(refusal());
      });
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
      driver: (name) => storageRoom().drivers.get(undefined, name),
      capacities: (name) =>
        storageRoom()
          .capacities.list()
          .filter((one) => one.storageClassName === name),
      volumeLimit: (nodeName, driver) =>
        storageRoom()
          .nodes.get(undefined, nodeName)
          ?.spec.drivers.find(({ name }) => name === driver)?.allocatable?.count,
      promised: (storageClass, nodeName) => promised.get(`${storageClass}/${nodeName}`) ?? 0,
    },
    taken,
    synced: Promise.all([claimInformer, volumeInformer, classInformer].map((one) => one.synced)),
    reserve(plan, nodeName) {
      for (const { volume } of plan.bind) taken.add(volume.metadata.name);
      promise(plan, nodeName, 1);
    },
    release(plan, nodeName) {
      for (const { volume } of plan.bind) taken.delete(volume.metadata.name);
      promise(plan, nodeName, -1);
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
        const written = await client.patch<AnyObject>(claims, name, { type: 'merge', body }, { namespace });
        claimInformer.observe(written as unknown as PersistentVolumeClaim);
      }
      await Promise.all([...bind.map((one) => bound(one.claim)), ...provision.map((claim) => bound(claim, nodeName))]);
    },
    onChange(handler) {
      claimInformer.onChange(() => handler('ClaimChange'));
      volumeInformer.onChange(() => handler('VolumeChange'));
      classInformer.onChange(() => handler('StorageClassChange'));
      handlers.push(handler);
    },
    close() {
      claimInformer.close();
      volumeInformer.close();
      classInformer.close();
      room?.drivers.close();
      room?.capacities.close();
      room?.nodes.close();
    },
  };
}
