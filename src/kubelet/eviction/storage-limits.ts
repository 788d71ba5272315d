import type { Pod } from '#api';
import { type Clock, type Log, messageOf, sleep } from '#base';
import { quantityValue } from '#machinery';
import type { ContainerStats } from '../cri/contract.ts';
import { containerNameLabel, podUidLabel } from '../cri/names.ts';

/** What a pod has written to the node's disk. */
export interface StorageUse {
  /** By emptyDir volume, bytes. */
  readonly volumes: ReadonlyMap<string, number>;
  /** By container, bytes of its own layer. */
  readonly containers: ReadonlyMap<string, number>;
}

/**
 * Why a pod must go: a volume above its `sizeLimit`, all of it above the sum of its containers' limits, or a container above its own;
 * undefined when it keeps them. In upstream's words and order.
 */
export function planStorageEviction(pod: Pod, use: StorageUse): string | undefined {
  for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
    const limit = emptyDir?.medium === 'Memory' ? undefined : emptyDir?.sizeLimit;
    const used = use.volumes.get(name) ?? 0;
    if (limit !== undefined && quantityValue(limit) > 0 && used > quantityValue(limit))
      return `Usage of EmptyDir volume ${JSON.stringify(name)} exceeds the limit ${JSON.stringify(limit)}. `;
  }
  const limits = limitsOf(pod);
  if (limits.every(([, limit]) => limit !== undefined) && limits.length > 0) {
    const allowed = limits.reduce((total, [, limit]) => total + quantityValue(limit as string), 0);
    const used = [...use.volumes.values(), ...use.containers.values()].reduce((total, one) => total + one, 0);
    if (used > allowed)
      return `Pod ephemeral local storage usage exceeds the total limit of containers ${asQuantity(allowed)}. `;
  }
  for (const [name, limit] of limits) {
    if (limit !== undefined && (use.containers.get(name) ?? 0) > quantityValue(limit))
      return `Container ${name} exceeded its local ephemeral storage limit ${JSON.stringify(limit)}. `;
  }
  return undefined;
}

/** True when something of the pod's could be against a limit: others are not looked at. */
export function hasStorageLimit(pod: Pod): boolean {
  const volumes = pod.spec?.volumes ?? [];
  return (
    volumes.some(({ emptyDir }) => emptyDir?.sizeLimit !== undefined && emptyDir.medium !== 'Memory') ||
    limitsOf(pod).some(([, limit]) => limit !== undefined)
  );
}

function limitsOf(pod: Pod): (readonly [name: string, limit: string | undefined])[] {
  return (pod.spec?.containers ?? []).map(({ name, resources }) => [name, resources?.limits?.['ephemeral-storage']]);
}

/** Bytes in the largest binary unit that holds them without a rest. */
export function asQuantity(bytes: number): string {
  for (const [unit, size] of [
    ['Gi', 2 ** 30],
    ['Mi', 2 ** 20],
    ['Ki', 2 ** 10],
  ] as const)
    if (bytes % size === 0) return `${bytes / size}${unit}`;
  return String(bytes);
}

export interface Evictable {
  readonly pod: Pod;
  fail(verdict: { readonly reason: string; readonly message: string; readonly graceSeconds?: number }): void;
}

const everyMs = 10_000;

/** Ends pods that have outgrown their limits on this node's disk; looks every ten seconds at those that have any. Runs until aborted. */
export async function keepStorageLimits(options: {
  readonly pods: () => readonly Evictable[];
  readonly volumeUsage: (pod: Pod) => Promise<ReadonlyMap<string, { readonly usedBytes: number }>>;
  readonly containerStats: () => Promise<readonly ContainerStats[]>;
  readonly tell: (pod: Pod, message: string) => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { pods, volumeUsage, containerStats, tell, clock, log, signal } = options;
  const look = async (): Promise<void> => {
    const looked = pods().filter(({ pod }) => pod.status?.phase === 'Running' && hasStorageLimit(pod));
    if (looked.length === 0) return;
    const layers = layersByPod(await containerStats());
    for (const one of looked) {
      const { pod } = one;
      const found = await volumeUsage(pod);
      const message = planStorageEviction(pod, {
        volumes: new Map([...found].map(([name, { usedBytes }]) => [name, usedBytes])),
        containers: layers.get(pod.metadata.uid) ?? new Map(),
      });
      if (message === undefined) continue;
      tell(pod, message);
      one.fail({ reason: 'Evicted', message });
    }
  };
  while (!signal.aborted) {
    await sleep(clock, everyMs, signal).catch(() => {});
    if (signal.aborted) return;
    await look().catch((error) => {
      log.debug({ error: messageOf(error) }, 'the use of disk by pods could not be looked at');
    });
  }
}

function layersByPod(stats: readonly ContainerStats[]): Map<string, Map<string, number>> {
  const layers = new Map<string, Map<string, number>>();
  for (const { attributes, writable_layer: layer } of stats) {
    const uid = attributes.labels[podUidLabel];
    const name = attributes.labels[containerNameLabel];
    if (uid === undefined || name === undefined) continue;
    const own = layers.get(uid) ?? new Map<string, number>();
    own.set(name, (own.get(name) ?? 0) + (layer?.used_bytes?.value ?? 0));
    layers.set(uid, own);
  }
  return layers;
}
