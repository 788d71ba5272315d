import { type Clock, type Log, messageOf, sleep } from '#base';
import {
  type CSIDriver,
  type PersistentVolumeClaim,
  type Pod,
  resource,
  type Secret,
  type SecretReference,
  type VolumeAttachment,
} from '#api';
import type { Client } from '#client';
import { isForbidden, isNotFound, quantityValue } from '#machinery';
import { VolumeError } from '../errors.ts';
import { giveTreeToGroup } from '../group-ownership.ts';
import type { TokenSource } from '../tokens.ts';
import { announceDriver, withdrawDriver } from './csi-node.ts';
import { accessModeOf, type CsiDriver, type VolumeCapability } from './driver.ts';
import { csiPlaces, finishPlace, isFinished, type Place, preparePlace, removePlace } from './places.ts';
import { type CsiRegistry, openCsiRegistry } from './registration.ts';
import { attachmentName, type CsiVolume } from './volume-source.ts';

const drivers = resource('storage.k8s.io/v1', 'csidrivers');
const attachments = resource('storage.k8s.io/v1', 'volumeattachments');
const secrets = resource('v1', 'secrets');
const claims = resource('v1', 'persistentvolumeclaims');
const workMs = 120_000;
const attachWaitMs = 10_000;
const attachLookMs = 200;
const driverKnownMs = 10_000;

export interface CsiVolumesOptions {
  readonly rootDir: string;
  readonly nodeName: string;
  readonly client: Client;
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly log: Log;
  /** What is in use has changed: the node's status should say so soon. */
  readonly onUse?: () => void;
}

export interface CsiVolumes {
  readonly registry: CsiRegistry;
  /** Stages and publishes a volume for a pod; resolves with the place to bind from. Idempotent. */
  setUp(pod: Pod, volume: CsiVolume, claim?: PersistentVolumeClaim): Promise<{ path: string; republishAtMs: number }>;
  /** Unpublishes all of a pod's, and unstages what nobody else here uses. Throws when a driver refuses; nothing is deleted then. */
  tearDown(uid: string): Promise<void>;
  /** `kubernetes.io/csi/DRIVER^HANDLE` of every volume that is published or staged here. */
  inUse(): Promise<string[]>;
  close(): void;
}

type Policy = CSIDriver['spec'];

/** Volumes of Container Storage Interface drivers of this node. What is published and staged is found on disk, so a new kubelet goes on with it. */
export async function openCsiVolumes(options: CsiVolumesOptions): Promise<CsiVolumes> {
  const { rootDir, nodeName, client, tokens, clock, log } = options;
  const places = csiPlaces(rootDir);
  const onUse = options.onUse ?? (() => {});
  /** Staged and published in this run of the kubelet: no need to ask again. By target. */
  const done = new Set<string>();
  const inTurn = perKey();
  const policies = new Map<string, { readonly spec: Policy; readonly untilMs: number }>();

  const registry: CsiRegistry = await openCsiRegistry({
    directory: places.registry,
    clock,
    log,
    onRegister: async (driver) => {
      await announceDriver(client, nodeName, driver);
      void unstageLeftovers(driver);
    },
    onLeave: (name) => withdrawDriver(client, nodeName, name),
  });

  async function driverOf(name: string): Promise<CsiDriver> {
    const found = registry.get(name) ?? (await registry.scanned().then(() => registry.get(name)));
    if (found === undefined)
      throw new VolumeError(
        'DriverMissing',
        `driver name ${name} not found in the list of registered CSI drivers (registered here: ${registry.names().join(', ') || 'none'})`,
      );
    return found;
  }

  async function policyOf(name: string): Promise<Policy> {
    const known = policies.get(name);
    if (known !== undefined && known.untilMs > clock.monotonicMs()) return known.spec;
    const spec = await client.get<CSIDriver>(drivers, name).then(
      (one) => one.spec,
      (error) => {
        if (isNotFound(error)) return {};
        throw error;
      },
    );
    policies.set(name, { spec, untilMs: clock.monotonicMs() + driverKnownMs });
    return spec;
  }

  async function secretOf(reference: SecretReference | undefined): Promise<Record<string, string>> {
    if (reference?.name === undefined) return {};
    const { name, namespace = 'default' } = reference;
    const { data = {} } = await client.get<Secret>(secrets, name, { namespace });
    return Object.fromEntries(
      Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
    );
  }

  /** Waits for the attachment of a volume that must be attached; resolves with what the driver said about it. */
  async function attachedContext(volume: CsiVolume): Promise<Readonly<Record<string, string>>> {
    const name = attachmentName(volume.handle, volume.driver, nodeName);
    const endMs = clock.monotonicMs() + attachWaitMs;
    for (;;) {
      const found = await client.get<VolumeAttachment>(attachments, name).catch((error) => {
        // The authoriser knows an attachment of this node only when it is there.
        if (isNotFound(error) || isForbidden(error)) return undefined;
        throw error;
      });
      if (found?.status?.attached === true && found.metadata.deletionTimestamp === undefined)
        return found.status.attachmentMetadata ?? {};
      if (clock.monotonicMs() >= endMs) {
        const why = found?.status?.attachError?.message;
        const state = found === undefined ? `there is no VolumeAttachment ${name}` : 'the attachment is not ready';
        throw new VolumeError(
          'NotAttached',
          `timed out waiting for external-attacher of ${volume.driver} CSI driver to attach volume ${volume.handle}: ${why ?? state}`,
        );
      }
      await sleep(clock, attachLookMs);
    }
  }

  async function podContext(pod: Pod, volume: CsiVolume, policy: Policy): Promise<Record<string, string>> {
    const context: Record<string, string> = {};
    if (policy.podInfoOnMount) {
      context['csi.storage.k8s.io/pod.name'] = pod.metadata.name;
      context['csi.storage.k8s.io/pod.namespace'] = pod.metadata.namespace;
      context['csi.storage.k8s.io/pod.uid'] = pod.metadata.uid;
      context['csi.storage.k8s.io/serviceAccount.name'] = pod.spec?.serviceAccountName ?? '';
      context['csi.storage.k8s.io/ephemeral'] = String(volume.inline);
    }
    return context;
  }

  /** Tokens that the driver wants of the pod's service account, as one JSON text. */
  async function podTokens(pod: Pod, policy: Policy): Promise<Record<string, string>> {
    if ((policy.tokenRequests ?? []).length === 0) return {};
    const found: Record<string, object> = {};
    for (const { audience, expirationSeconds = 3600 } of policy.tokenRequests ?? []) {
      const { token, expirationTimestamp } = await tokens.token(pod, {
        expirationSeconds,
        ...(audience ? { audience } : {}),
      });
      found[audience] = { token, expirationTimestamp };
    }
    return { 'csi.storage.k8s.io/serviceAccount.tokens': JSON.stringify(found) };
  }

  async function publish(pod: Pod, volume: CsiVolume, policy: Policy): Promise<string> {
    const driver = await driverOf(volume.driver);
    const persistent = !volume.inline;
    const attach = persistent && policy.attachRequired !== false;
    const publish_context = attach ? await attachedContext(volume) : {};
    const published = places.published(pod.metadata.uid, volume.specName);
    const staged = places.staged(volume.driver, volume.handle);
    const record = { driverName: volume.driver, volumeHandle: volume.handle, block: volume.block };
    const group = pod.spec?.securityContext?.fsGroup;
    const byDriver = group !== undefined && driver.nodeCapabilities.has('VOLUME_MOUNT_GROUP');
    const volume_capability = capabilityOf(volume, driver, byDriver ? group : undefined);
    const stages = persistent && driver.nodeCapabilities.has('STAGE_UNSTAGE_VOLUME');
    for (const place of [staged, published])
      if (!done.has(place.target) && (await isFinished(place))) done.add(place.target);
    if (stages && !done.has(staged.target)) {
      await preparePlace({ ...record, ...staged }, { makeTarget: true });
      onUse();
      await driver.node(
        'NodeStageVolume',
        {
          volume_id: volume.handle,
          publish_context,
          staging_target_path: staged.target,
          volume_capability,
          secrets: await secretOf(volume.stageSecret),
          volume_context: volume.attributes,
        },
        workMs,
      );
      await finishPlace({ ...record, ...staged });
      done.add(staged.target);
    }
    const lifecycle = volume.inline ? ('Ephemeral' as const) : ('Persistent' as const);
    const again = policy.requiresRepublish === true && done.has(published.target);
    if (!done.has(published.target) || again) {
      const place: Place = { ...record, ...published, volumeLifecycleMode: lifecycle };
      await preparePlace(place, { makeTarget: false });
      onUse();
      const inSecrets = policy.serviceAccountTokenInSecrets === true;
      const serviceTokens = await podTokens(pod, policy);
      await driver.node(
        'NodePublishVolume',
        {
          volume_id: volume.handle,
          publish_context,
          staging_target_path: stages ? staged.target : '',
          target_path: published.target,
          volume_capability,
          readonly: volume.readOnly,
          secrets: { ...(await secretOf(volume.publishSecret)), ...(inSecrets ? serviceTokens : {}) },
          volume_context: {
            ...volume.attributes,
            ...(await podContext(pod, volume, policy)),
            ...(inSecrets ? {} : serviceTokens),
          },
        },
        workMs,
      );
      if (!again && !volume.block && !byDriver) await applyGroup(pod, volume, policy, published.target);
      await finishPlace(place);
      done.add(published.target);
    }
    return published.target;
  }

  /** fsGroup, where the driver's policy lets the kubelet change the volume. */
  async function applyGroup(pod: Pod, volume: CsiVolume, policy: Policy, path: string): Promise<void> {
    const { fsGroup, fsGroupChangePolicy } = pod.spec?.securityContext ?? {};
    const how = policy.fsGroupPolicy ?? 'ReadWriteOnceWithFSType';
    if (fsGroup === undefined || volume.readOnly || how === 'None') return;
    const single = volume.accessModes.some((mode) => mode === 'ReadWriteOnce' || mode === 'ReadWriteOncePod');
    if (how === 'File' || (volume.fsType !== '' && single))
      await giveTreeToGroup(path, { gid: fsGroup, policy: fsGroupChangePolicy });
  }

  /** Grows the file system of a volume whose controller side has grown, and says so in the claim. */
  async function expand(volume: CsiVolume, claim: PersistentVolumeClaim, path: string): Promise<void> {
    const { status, metadata } = claim;
    const waits =
      status?.allocatedResourceStatuses?.storage === 'NodeResizePending' ||
      status?.conditions?.some(({ type, status: state }) => type === 'FileSystemResizePending' && state === 'True');
    if (!waits || volume.capacity === undefined) return;
    const driver = await driverOf(volume.driver);
    if (driver.nodeCapabilities.has('EXPAND_VOLUME') && !volume.readOnly) {
      const staged = places.staged(volume.driver, volume.handle);
      await driver.node(
        'NodeExpandVolume',
        {
          volume_id: volume.handle,
          volume_path: path,
          staging_target_path: driver.nodeCapabilities.has('STAGE_UNSTAGE_VOLUME') ? staged.target : '',
          capacity_range: { required_bytes: quantityValue(volume.capacity) },
          volume_capability: capabilityOf(volume, driver, undefined),
          secrets: await secretOf(volume.expandSecret),
        },
        workMs,
      );
    }
    const resizing = new Set(['Resizing', 'FileSystemResizePending', 'NodeResizeError']);
    const body = {
      metadata: { uid: metadata.uid },
      status: {
        capacity: { storage: volume.capacity },
        allocatedResourceStatuses: { storage: null },
        conditions: (status?.conditions ?? []).filter(({ type }) => !resizing.has(type)),
      },
    };
    const { name, namespace } = metadata;
    await client.patch(claims, name, { type: 'merge', body }, { namespace, subresource: 'status' });
    log.info({ claim: `${namespace}/${name}`, capacity: volume.capacity }, 'a volume has grown');
  }

  async function unpublish(place: Place): Promise<void> {
    const driver = await driverOf(place.driverName);
    await driver.node('NodeUnpublishVolume', { volume_id: place.volumeHandle, target_path: place.target }, workMs);
    done.delete(place.target);
    await removePlace(place);
    if (place.volumeLifecycleMode !== 'Ephemeral') await unstageUnused(place.driverName, place.volumeHandle);
    onUse();
  }

  async function unstageUnused(driverName: string, handle: string): Promise<void> {
    const same = (one: Place): boolean => one.driverName === driverName && one.volumeHandle === handle;
    const staged = (await places.allStaged()).find(same);
    if (staged === undefined || (await places.allPublished()).some(same)) return;
    const driver = await driverOf(driverName);
    await driver.node('NodeUnstageVolume', { volume_id: handle, staging_target_path: staged.target }, workMs);
    done.delete(staged.target);
    await removePlace(staged);
  }

  /** What an earlier run staged and whose pods have gone since. */
  async function unstageLeftovers(driver: CsiDriver): Promise<void> {
    for (const { driverName, volumeHandle } of await places.allStaged()) {
      if (driverName !== driver.name) continue;
      await inTurn(`${driverName}^${volumeHandle}`, () => unstageUnused(driverName, volumeHandle)).catch((error) =>
        log.warn({ driver: driverName, error: messageOf(error) }, 'a volume that nobody uses was not unstaged'),
      );
    }
  }

  return {
    registry,
    async setUp(pod, volume, claim) {
      const policy = await policyOf(volume.driver);
      if (volume.inline && !(policy.volumeLifecycleModes ?? ['Persistent']).includes('Ephemeral')) {
        throw new VolumeError(
          'ModeUnsupported',
          `volume mode "Ephemeral" not supported by driver ${volume.driver} (no CSIDriver object, or it does not list the mode)`,
        );
      }
      return inTurn(`${volume.driver}^${volume.handle}`, async () => {
        const path = await publish(pod, volume, policy);
        if (claim !== undefined) await expand(volume, claim, path);
        const republishAtMs = policy.requiresRepublish ? clock.nowMs() + 60_000 : Number.POSITIVE_INFINITY;
        return { path, republishAtMs };
      });
    },
    async tearDown(uid) {
      for (const place of await places.publishedFor(uid))
        await inTurn(`${place.driverName}^${place.volumeHandle}`, () => unpublish(place));
      await places.removeEmpty(uid);
    },
    async inUse() {
      const all = [...(await places.allPublished()), ...(await places.allStaged())].filter(
        ({ volumeLifecycleMode }) => volumeLifecycleMode !== 'Ephemeral',
      );
      return [...new Set(all.map((one) => `kubernetes.io/csi/${one.driverName}^${one.volumeHandle}`))].sort();
    },
    close: () => registry.close(),
  };
}

function capabilityOf(volume: CsiVolume, driver: CsiDriver, group: number | undefined): VolumeCapability {
  const multi = driver.nodeCapabilities.has('SINGLE_NODE_MULTI_WRITER');
  const access_mode = { mode: accessModeOf(volume.accessModes, multi) };
  if (volume.block) return { block: {}, access_mode };
  const mount = { fs_type: volume.fsType, mount_flags: volume.mountOptions };
  return { mount: group === undefined ? mount : { ...mount, volume_mount_group: String(group) }, access_mode };
}

/** Runs work of one key one after the other; other keys are not waited for. */
function perKey(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const run = (last.get(key) ?? Promise.resolve()).then(work, work);
    const settled = run.catch(() => {});
    last.set(key, settled);
    try {
      return await run;
    } finally {
      if (last.get(key) === settled) last.delete(key);
    }
  };
}
