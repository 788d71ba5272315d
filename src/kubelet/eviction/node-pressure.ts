import type { Pod } from '#api';
import { type Clock, type Log, messageOf, sleep } from '#base';
import type { ContainerStats } from '../cri/contract.ts';
import { containerNameLabel, podUidLabel } from '../cri/names.ts';
import {
  type NodePressure,
  planEviction,
  planShortages,
  type PodUse,
  type Shortage,
  type Signals,
} from './plan-eviction.ts';
import type { Evictable } from './storage-limits.ts';
import type { EvictionSignal, EvictionThresholds } from '#machinery';

export interface NodePressureOptions {
  readonly thresholds: EvictionThresholds;
  readonly readSignals: () => Promise<Signals>;
  readonly pods: () => readonly Evictable[];
  readonly volumeUsage: (
    pod: Pod,
  ) => Promise<ReadonlyMap<string, { readonly usedBytes: number; readonly inodes: number }>>;
  readonly containerStats: () => Promise<readonly ContainerStats[]>;
  /** Removes what nobody needs (unused images) for want of disk, before any pod goes. */
  readonly reclaimDisk: () => Promise<void>;
  readonly tellNode: (reason: string, message: string) => void;
  readonly tellPod: (pod: Pod, message: string) => void;
  /** The conditions of the node have changed. */
  readonly onChange: () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface NodePressureKeeper {
  readonly pressure: NodePressure;
  /** Resolves once the machine was looked at for the first time. */
  readonly looked: Promise<void>;
  /** Resolves when it has ended after its signal. */
  readonly done: Promise<void>;
}

const everyMs = 10_000;
/** So long a condition stays after its cause is gone, so that it does not swing. */
const transitionMs = 300_000;
/** So long an evicted pod may take to be gone before another one goes. */
const patienceMs = 30_000;

/**
 * Keeps the machine from running out of memory, disk and process ids: looks every ten seconds; what runs short becomes a condition of
 * the node (and by it a taint), unused images go, then pods, one at a time, until the thresholds are kept.
 */
export function keepNodePressure(options: NodePressureOptions): NodePressureKeeper {
  const { thresholds, clock, log, signal } = options;
  const metAtMs = new Map<EvictionSignal, number>();
  const told = new Set<EvictionSignal>();
  let pressure: NodePressure = { memoryPressure: false, diskPressure: false, pidPressure: false };
  let last: { readonly uid: string; readonly atMs: number } | undefined;
  const firstLook = Promise.withResolvers<void>();

  const note = (shortages: readonly Shortage[]): void => {
    const nowMs = clock.monotonicMs();
    for (const { signal: met } of shortages) metAtMs.set(met, nowMs);
    for (const [met, atMs] of metAtMs) if (nowMs - atMs >= transitionMs) metAtMs.delete(met);
    const any = (...prefixes: string[]): boolean =>
      [...metAtMs.keys()].some((one) => prefixes.some((prefix) => one.startsWith(prefix)));
    const next = {
      memoryPressure: any('memory.'),
      diskPressure: any('nodefs.', 'imagefs.'),
      pidPressure: any('pid.'),
    };
    const changed = (Object.keys(next) as (keyof NodePressure)[]).some((key) => next[key] !== pressure[key]);
    pressure = next;
    if (changed) options.onChange();
  };
  const observe = async (): Promise<readonly Shortage[]> => planShortages(await options.readSignals(), thresholds);
  const isEnding = (): boolean => {
    if (last === undefined || clock.monotonicMs() - last.atMs > patienceMs) return false;
    const { uid } = last;
    const found = options.pods().find(({ pod }) => pod.metadata.uid === uid);
    return found !== undefined && found.pod.status?.phase !== 'Failed';
  };

  const look = async (): Promise<void> => {
    let shortages = await observe();
    note(shortages);
    firstLook.resolve();
    for (const met of told) if (!shortages.some((one) => one.signal === met)) told.delete(met);
    if (shortages.length === 0 || isEnding()) return;
    for (const { signal: met, resource } of shortages) {
      if (told.has(met)) continue;
      told.add(met);
      options.tellNode('EvictionThresholdMet', `Attempting to reclaim ${resource}`);
    }
    if (shortages.some(({ resource }) => resource === 'ephemeral-storage' || resource === 'inodes')) {
      await options.reclaimDisk();
      shortages = await observe();
    }
    const [worst] = shortages;
    if (worst !== undefined) await evictFor(worst);
  };
  const evictFor = async (shortage: Shortage): Promise<void> => {
    const workers = options.pods();
    const use = await useOfPods(shortage.resource, options);
    const plan = planEviction(
      shortage,
      workers.map(({ pod }) => pod),
      ({ metadata }) => use.get(metadata.uid) ?? new Map(),
    );
    const worker = workers.find(({ pod }) => pod.metadata.uid === plan?.uid);
    if (plan === undefined || worker === undefined) {
      log.warn({ signal: shortage.signal }, 'the node runs short, and no pod may be evicted');
      return;
    }
    last = { uid: plan.uid, atMs: clock.monotonicMs() };
    options.tellPod(worker.pod, plan.message);
    worker.fail({ reason: 'Evicted', message: plan.message, graceSeconds: 0 });
  };

  const done = (async () => {
    while (!signal.aborted) {
      await look().catch((error: unknown) => {
        log.warn({ error: messageOf(error) }, 'whether the node runs short could not be looked at');
      });
      firstLook.resolve();
      await sleep(clock, everyMs, signal).catch(() => {});
    }
  })();
  return {
    get pressure() {
      return pressure;
    },
    looked: firstLook.promise,
    done,
  };
}

async function useOfPods(
  resource: Shortage['resource'],
  options: Pick<NodePressureOptions, 'containerStats' | 'pods' | 'volumeUsage'>,
): Promise<ReadonlyMap<string, PodUse>> {
  const use = new Map<string, Map<string, number>>();
  const add = (uid: string, name: string, amount: number): void => {
    const own = use.get(uid) ?? new Map<string, number>();
    own.set(name, (own.get(name) ?? 0) + amount);
    use.set(uid, own);
  };
  if (resource === 'pids') return use;
  for (const { attributes, memory, writable_layer: layer } of await options.containerStats()) {
    const uid = attributes.labels[podUidLabel];
    const name = attributes.labels[containerNameLabel];
    if (uid === undefined || name === undefined) continue;
    const held = {
      memory: memory?.working_set_bytes,
      'ephemeral-storage': layer?.used_bytes,
      inodes: layer?.inodes_used,
    };
    add(uid, name, held[resource]?.value ?? 0);
  }
  if (resource === 'memory') return use;
  for (const { pod } of options.pods()) {
    for (const { usedBytes, inodes } of (await options.volumeUsage(pod)).values())
      add(pod.metadata.uid, '', resource === 'inodes' ? inodes : usedBytes);
  }
  return use;
}
