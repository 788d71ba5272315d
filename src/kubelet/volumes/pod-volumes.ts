import { createHash } from 'node:crypto';
import { access, chmod, chown, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, messageOf, type Random, rfc3339Micro, makeDirectory } from '#base';
import type { EmptyDirVolumeSource, Pod, Volume } from '#api';
import { quantityValue } from '#machinery';
import type { PodFacts } from '../pods/field-values.ts';
import { podAmount } from '../pods/resources.ts';
import { type Payload, writeAtomically } from './atomic-writer.ts';
import { type ClaimedVolumes, unsupported } from './claimed-volumes.ts';
import { VolumeError } from './errors.ts';
import { prepareHostPath } from './host-path.ts';
import { isMounted, mountTmpfs, unmountBelow } from './mounts.ts';
import { isPayloadVolume, volumePayload } from './payload.ts';
import type { ReferencedObjects } from './referenced-objects.ts';
import { removeTree } from './removal.ts';
import { bindSubPath } from './sub-path.ts';
import type { TokenSource } from './tokens.ts';
import { type TreeUsage, treeUsage } from './tree-usage.ts';

/** A volume of a pod that is ready to be bound into containers. */
export interface MountedVolume {
  readonly path: string;
  /** Never writable by containers, whatever their mount says. */
  readonly readOnly: boolean;
  /** Groups that the volume asks containers to have. */
  readonly groups: readonly number[];
}

export interface PodVolumes {
  /** Sets up every volume of the pod, or brings them up to date. Throws VolumeError with upstream's words for the first that fails. */
  setUp(pod: Pod, facts: PodFacts): Promise<ReadonlyMap<string, MountedVolume>>;
  /** When the pod's volumes must be set up again even if nothing happens (tokens grow old), Unix ms. */
  refreshAtMs(uid: string): number;
  /** Binds a part of a volume for one mount of one container; resolves with the place to bind from. */
  subPath(
    pod: Pod,
    options: { container: string; index: number; volume: MountedVolume; volumeName: string; subPath: string },
  ): Promise<string>;
  /** Unmounts and deletes all that the kubelet keeps for a pod. Idempotent. */
  tearDown(uid: string): Promise<void>;
  /** What the emptyDirs of a pod that lie on disk take, by volume; for `sizeLimit` and statistics. */
  usage(pod: Pod): Promise<ReadonlyMap<string, TreeUsage>>;
  /** Uids of pods that left something on this node. */
  present(): Promise<string[]>;
  /** Directory of one pod. */
  podDirectory(uid: string): string;
}

export interface PodVolumesOptions {
  readonly rootDir: string;
  readonly claimed: ClaimedVolumes;
  readonly objects: ReferencedObjects;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly random: Random;
}

interface Written {
  readonly digest: string;
  readonly refreshAtMs: number;
}

/** Opens the volumes of this node's pods. Small files live in one tmpfs of the kubelet's own, so secrets never reach a disk. */
export async function openPodVolumes(options: PodVolumesOptions): Promise<PodVolumes> {
  const { rootDir, claimed, objects, tokens, clock, random } = options;
  const podsDir = join(rootDir, 'pods');
  const memoryDir = join(rootDir, 'memory');
  const written = new Map<string, Map<string, Written>>();
  await makeDirectory(podsDir, 0o750);
  await makeDirectory(memoryDir, 0o750);
  if (!(await isMounted(memoryDir))) await mountTmpfs(memoryDir, { mode: '0750' });

  async function setUpOne(pod: Pod, volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    if (isPayloadVolume(volume)) return setUpPayload(pod, volume, facts);
    if (volume.emptyDir !== undefined) return setUpEmptyDir(pod, volume.name, volume.emptyDir);
    if (volume.hostPath !== undefined) {
      await prepareHostPath(volume.hostPath);
      return { path: volume.hostPath.path, readOnly: false, groups: [] };
    }
    if (claimed.handles(pod, volume)) return setUpStorage(pod, volume);
    if (volume.gitRepo !== undefined)
      throw new VolumeError('VolumeUnsupported', 'gitRepo volumes run code on the node and are refused');
    throw unsupported(`${Object.keys(volume).find((key) => key !== 'name') ?? 'unknown'} volumes`);
  }

  async function setUpStorage(pod: Pod, volume: Volume): Promise<MountedVolume> {
    const { refreshAtMs = Number.POSITIVE_INFINITY, ...mounted } = await claimed.setUp(pod, volume);
    noteWritten(pod, volume.name, { digest: '', refreshAtMs });
    return mounted;
  }

  function noteWritten({ metadata: { uid } }: Pod, name: string, one: Written): void {
    const ofPod = written.get(uid) ?? new Map<string, Written>();
    written.set(uid, ofPod.set(name, one));
  }

  async function setUpPayload(pod: Pod, volume: Volume, facts: PodFacts): Promise<MountedVolume> {
    const { uid } = pod.metadata;
    const { files, refreshAtMs } = await volumePayload({ pod, volume, facts, tokens, objects: objects.forPod(uid) });
    const path = join(memoryDir, uid, volume.name);
    const gid = pod.spec?.securityContext?.fsGroup;
    const digest = digestOf(files, gid);
    if (written.get(uid)?.get(volume.name)?.digest !== digest) {
      await makeDirectory(path);
      await chmod(path, 0o755);
      await writeAtomically(path, files, { version: versionName(), ...(gid === undefined ? {} : { gid }) });
    }
    noteWritten(pod, volume.name, { digest, refreshAtMs });
    return { path, readOnly: true, groups: [] };
  }

  function versionName(): string {
    const stamp = rfc3339Micro(clock.nowMs()).slice(0, 19).replace(/[-T:]/g, '_');
    return `${stamp}.${random.int(1_000_000_000).toString().padStart(9, '0')}`;
  }

  async function setUpEmptyDir(pod: Pod, name: string, source: EmptyDirVolumeSource): Promise<MountedVolume> {
    const own = join(podsDir, pod.metadata.uid);
    const path = join(own, 'volumes', 'kubernetes.io~empty-dir', name);
    const ready = join(own, 'plugins', 'kubernetes.io~empty-dir', name, 'ready');
    const inMemory = source.medium === 'Memory';
    if (source.medium?.startsWith('HugePages'))
      throw new VolumeError('VolumeUnsupported', 'emptyDir on huge pages is not supported by this node');
    const made = await access(ready).then(
      () => true,
      () => false,
    );
    // Once made, its rights are the pod's own to change.
    if (made && (!inMemory || (await isMounted(path)))) return { path, readOnly: false, groups: [] };
    await makeDirectory(path, 0o750);
    if (inMemory && !(await isMounted(path))) {
      const limit = quantityValue(source.sizeLimit ?? '0');
      const memory = podAmount(pod, 'memory', 'limits', quantityValue);
      const sizes = [limit, memory.complete ? memory.total : 0].filter((size) => size > 0);
      await mountTmpfs(path, { mode: '1777', ...(sizes.length === 0 ? {} : { sizeBytes: Math.min(...sizes) }) });
    }
    await giveToGroup(path, { gid: pod.spec?.securityContext?.fsGroup, sticky: inMemory });
    await makeDirectory(join(ready, '..'), 0o750);
    await writeFile(ready, '', { mode: 0o600 });
    return { path, readOnly: false, groups: [] };
  }

  return {
    async setUp(pod, facts) {
      const volumes = pod.spec?.volumes ?? [];
      await makeDirectory(join(podsDir, pod.metadata.uid), 0o750);
      const results = await Promise.allSettled(volumes.map((volume) => setUpOne(pod, volume, facts)));
      const mounted = new Map<string, MountedVolume>();
      for (const [at, result] of results.entries()) {
        const { name } = volumes[at] as Volume;
        if (result.status === 'rejected') {
          throw new VolumeError(
            'SetUpFailed',
            `MountVolume.SetUp failed for volume "${name}" : ${messageOf(result.reason)}`,
            { cause: result.reason },
          );
        }
        mounted.set(name, result.value);
      }
      return mounted;
    },

    refreshAtMs: (uid) =>
      Math.min(Number.POSITIVE_INFINITY, ...[...(written.get(uid)?.values() ?? [])].map((one) => one.refreshAtMs)),

    async subPath(pod, { container, index, volume, volumeName, subPath }) {
      const target = join(podsDir, pod.metadata.uid, 'volume-subpaths', volumeName, container, String(index));
      await bindSubPath(volume.path, subPath, target);
      return target;
    },

    async tearDown(uid) {
      verifyUid(uid);
      written.delete(uid);
      objects.release(uid);
      tokens.forget(uid);
      const own = join(podsDir, uid);
      await unmountBelow(join(own, 'volume-subpaths'));
      await claimed.tearDown(uid);
      await verifyNoStorage(join(own, 'volumes'));
      await unmountBelow(own);
      await removeTree(own);
      await removeTree(join(memoryDir, uid));
    },

    async usage(pod) {
      const onDisk = (pod.spec?.volumes ?? []).filter(
        ({ emptyDir }) => emptyDir !== undefined && emptyDir.medium !== 'Memory',
      );
      const directory = join(podsDir, pod.metadata.uid, 'volumes', 'kubernetes.io~empty-dir');
      const all = onDisk.map(async ({ name }) => [name, await treeUsage(join(directory, name))] as const);
      return new Map(await Promise.all(all));
    },

    async present() {
      const [onDisk, inMemory] = await Promise.all([readdir(podsDir), readdir(memoryDir)]);
      return [...new Set([...onDisk, ...inMemory])];
    },

    podDirectory: (uid) => join(podsDir, uid),
  };
}

/** Only what is a pod's own is ever deleted with it: directories of storage must have gone before, by unmounting alone. */
async function verifyNoStorage(volumes: string): Promise<void> {
  const left = (await readdir(volumes).catch(() => [])).find((name) => name !== 'kubernetes.io~empty-dir');
  if (left !== undefined)
    throw new VolumeError('StillMounted', `${join(volumes, left)} still holds storage of a pod; nothing is deleted`);
}

/** Writable by everyone, or by the pod's fsGroup, which then also owns what is made inside. A tmpfs has the sticky bit, as upstream's. */
async function giveToGroup(
  path: string,
  { gid, sticky }: { readonly gid: number | undefined; readonly sticky: boolean },
): Promise<void> {
  if (gid !== undefined) await chown(path, 0, gid);
  await chmod(path, (gid === undefined ? 0o777 : 0o2777) | (sticky ? 0o1000 : 0));
}

function digestOf(files: Payload, gid: number | undefined): string {
  const hash = createHash('sha256').update(String(gid));
  for (const [path, { content, mode, uid }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([path, mode, uid, content.length])).update(content);
  }
  return hash.digest('base64');
}

function verifyUid(uid: string): void {
  if (!/^[A-Za-z0-9._-]+$/.test(uid) || uid === '.' || uid === '..')
    throw new VolumeError('InvalidPath', `not a pod uid: "${uid}"`);
}
