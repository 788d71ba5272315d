import { join } from 'node:path';
import type { Clock, Log } from '#base';
import { type NFSVolumeSource, type PersistentVolume, type Pod, type Volume } from '#api';
import type { Client } from '#client';
import { bindDirectory, removeMountPoints } from './bind-mount.ts';
import type { CsiVolumes } from './csi/csi-volumes.ts';
import { VolumeError } from './errors.ts';
import { giveTreeToGroup } from './group-ownership.ts';
import { prepareHostPath } from './host-path.ts';
import { mountNfs } from './network-file-system.ts';
import { type BoundVolume, boundVolume, claimName, verifyReachable } from './persistent.ts';
import type { TokenSource } from './tokens.ts';

export interface StorageVolume {
  readonly path: string;
  readonly readOnly: boolean;
  readonly groups: readonly number[];
  /** When the volume is to be set up again though nothing changed, Unix ms. */
  readonly refreshAtMs?: number;
}

export interface ClaimedVolumesOptions {
  readonly rootDir: string;
  readonly nodeName: string;
  readonly client: Client;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly nodeLabels: () => Readonly<Record<string, string>> | undefined;
  /** Drivers of this node; loaded with the first that registers or is asked for. */
  readonly csi: () => Promise<CsiVolumes>;
  /** Whether anything of a driver may be on this node. */
  readonly hasCsi: () => boolean;
}

export interface ClaimedVolumes {
  /** Whether a volume of a pod is storage that outlives it or lies elsewhere: a claim, NFS, CSI. */
  handles(pod: Pod, volume: Volume): boolean;
  setUp(pod: Pod, volume: Volume): Promise<StorageVolume>;
  /** Unmounts all storage of a pod. Deletes nothing but empty directories. */
  tearDown(uid: string): Promise<void>;
}

const nfsDirectory = 'kubernetes.io~nfs';
const localDirectory = 'kubernetes.io~local-volume';

/** Storage of pods that is not the pod's own: PersistentVolumes through their claims, NFS exports, volumes of CSI drivers. */
export function openClaimedVolumes(options: ClaimedVolumesOptions): ClaimedVolumes {
  const { rootDir, client } = options;
  const podsDir = join(rootDir, 'pods');
  /** Pods of this node that use a volume for one pod only. */
  const exclusive = new Map<string, string>();

  const placeOf = (pod: Pod, plugin: string, name: string): string =>
    join(podsDir, pod.metadata.uid, 'volumes', plugin, name);

  /** ReadWriteOncePod: the scheduler keeps to it too, but pods are also bound by hand. */
  function takeExclusive(pod: Pod, volume: PersistentVolume): void {
    if (!volume.spec.accessModes?.includes('ReadWriteOncePod')) return;
    const holder = exclusive.get(volume.metadata.name);
    if (holder !== undefined && holder !== pod.metadata.uid)
      throw new VolumeError(
        'VolumeInUse',
        'volume uses the ReadWriteOncePod access mode and is already in use by another pod',
      );
    exclusive.set(volume.metadata.name, pod.metadata.uid);
  }

  async function setUpLocal(pod: Pod, bound: BoundVolume): Promise<string> {
    const { spec, metadata } = bound.volume;
    const path = spec.local?.path ?? '';
    if (spec.volumeMode === 'Block') {
      await prepareHostPath({ path, type: 'BlockDevice' });
      return path;
    }
    const device = await prepareHostPath({ path, type: 'BlockDevice' }).then(
      () => true,
      () => false,
    );
    if (device)
      throw new VolumeError(
        'VolumeUnsupported',
        `local volume ${metadata.name} is the block device ${path}: a file system on it is not mounted by this node; mount it and name the directory, or use volumeMode Block`,
      );
    const target = placeOf(pod, localDirectory, metadata.name);
    const { fsGroup, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
    await bindDirectory(path, target, async (place) => {
      if (fsGroup !== undefined && !bound.readOnly)
        await giveTreeToGroup(place, { gid: fsGroup, policy: fsGroupChangePolicy });
    });
    return target;
  }

  async function setUpNfs(pod: Pod, source: NFSVolumeSource, volume: { name: string; options?: readonly string[] }) {
    const target = placeOf(pod, nfsDirectory, volume.name);
    await mountNfs({ source, target, options: volume.options });
    return target;
  }

  async function setUpBound(pod: Pod, bound: BoundVolume): Promise<StorageVolume> {
    const { volume, claim, readOnly } = bound;
    const { spec, metadata } = volume;
    const labels = options.nodeLabels();
    if (labels !== undefined) verifyReachable(volume, labels);
    takeExclusive(pod, volume);
    const group = Number.parseInt(metadata.annotations?.['pv.beta.kubernetes.io/gid'] ?? '', 10);
    const ready = { readOnly, groups: Number.isNaN(group) ? [] : [group] };
    if (spec.local !== undefined) return { ...ready, path: await setUpLocal(pod, bound) };
    if (spec.hostPath !== undefined) {
      await prepareHostPath(
        spec.volumeMode === 'Block' ? { path: spec.hostPath.path, type: 'BlockDevice' } : spec.hostPath,
      );
      return { ...ready, path: spec.hostPath.path };
    }
    if (spec.nfs !== undefined) {
      const mount = { name: metadata.name, options: spec.mountOptions ?? [] };
      return {
        ...ready,
        readOnly: readOnly || spec.nfs.readOnly === true,
        path: await setUpNfs(pod, spec.nfs, mount),
      };
    }
    if (spec.csi !== undefined) {
      const [{ persistentCsiVolume }, csi] = await Promise.all([import('./csi/volume-source.ts'), options.csi()]);
      const { path, republishAtMs } = await csi.setUp(pod, persistentCsiVolume(volume), claim);
      return { ...ready, readOnly: readOnly || spec.csi.readOnly === true, path, refreshAtMs: republishAtMs };
    }
    throw unsupported(`volume ${metadata.name}`);
  }

  return {
    handles: (pod, volume) =>
      claimName(pod, volume) !== undefined || volume.nfs !== undefined || volume.csi !== undefined,
    async setUp(pod, volume) {
      if (volume.nfs !== undefined)
        return {
          path: await setUpNfs(pod, volume.nfs, { name: volume.name }),
          readOnly: volume.nfs.readOnly === true,
          groups: [],
        };
      if (volume.csi !== undefined) {
        const [{ inlineCsiVolume }, csi] = await Promise.all([import('./csi/volume-source.ts'), options.csi()]);
        const { path, republishAtMs } = await csi.setUp(pod, inlineCsiVolume(pod, volume));
        return { path, readOnly: volume.csi.readOnly === true, groups: [], refreshAtMs: republishAtMs };
      }
      return setUpBound(pod, await boundVolume(client, pod, volume));
    },
    async tearDown(uid) {
      const own = join(podsDir, uid, 'volumes');
      if (options.hasCsi()) await (await options.csi()).tearDown(uid);
      await removeMountPoints(join(own, nfsDirectory));
      await removeMountPoints(join(own, localDirectory));
      for (const [name, holder] of exclusive) if (holder === uid) exclusive.delete(name);
    },
  };
}

/** A source that needs a driver which is not part of this node. */
export function unsupported(what: string): VolumeError {
  return new VolumeError(
    'VolumeUnsupported',
    `no volume plugin matched: this node has no driver for ${what}; it mounts emptyDir, hostPath, local, nfs and csi volumes, other storage comes with a CSI driver`,
  );
}
