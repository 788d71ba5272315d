import type { Pod } from '#api';
import { quantityValue } from '#machinery';
import { allContainers } from '../pods/containers.ts';
import { podQos } from '../pods/qos.ts';
import { asQuantity } from './storage-limits.ts';
import { type EvictionSignal, type EvictionThresholds, evictionSignals, evictionThresholdAmount } from '#machinery';

export interface Amount {
  readonly available: number;
  readonly capacity: number;
}

export type Signals = ReadonlyMap<EvictionSignal, Amount>;

/** A threshold that is not kept. */
export interface Shortage {
  readonly signal: EvictionSignal;
  readonly resource: 'memory' | 'ephemeral-storage' | 'inodes' | 'pids';
  readonly threshold: number;
  readonly available: number;
}

export interface NodePressure {
  readonly memoryPressure: boolean;
  readonly diskPressure: boolean;
  readonly pidPressure: boolean;
}

const resourceOf = {
  'memory.available': 'memory',
  'nodefs.available': 'ephemeral-storage',
  'nodefs.inodesFree': 'inodes',
  'imagefs.available': 'ephemeral-storage',
  'imagefs.inodesFree': 'inodes',
  'pid.available': 'pids',
} as const satisfies Record<EvictionSignal, Shortage['resource']>;

/** Pods from here on keep the cluster or the node alive: they are never evicted. */
const criticalPriority = 2_000_000_000;

/** The thresholds that are not kept; memory first, for it hurts soonest. */
export function planShortages(signals: Signals, thresholds: EvictionThresholds): Shortage[] {
  const found: Shortage[] = [];
  for (const signal of evictionSignals) {
    const text = thresholds[signal];
    const amount = signals.get(signal);
    if (text === undefined || amount === undefined || amount.capacity <= 0) continue;
    const threshold = evictionThresholdAmount(text, amount.capacity);
    if (amount.available < threshold)
      found.push({ signal, resource: resourceOf[signal], threshold, available: amount.available });
  }
  return found;
}

/** What a container holds of a resource; a pod's volumes stand under the name ''. */
export type PodUse = ReadonlyMap<string, number>;

export interface EvictionPlan {
  readonly uid: string;
  readonly message: string;
}

/**
 * Which pod goes first: those that hold more than they asked for, then the lowest priority, then the largest excess. Undefined when
 * none may go. Order and words of upstream (node-pressure eviction).
 */
export function planEviction(
  shortage: Shortage,
  pods: readonly Pod[],
  useOf: (pod: Pod) => PodUse,
): EvictionPlan | undefined {
  const ranked = pods.filter(isEvictable).map((pod) => {
    const use = useOf(pod);
    const held = [...use.values()].reduce((sum, one) => sum + one, 0);
    const excess = held - requestOf(pod, shortage.resource);
    return { pod, use, excess, exceeds: shortage.resource !== 'pids' && excess > 0, priority: pod.spec?.priority ?? 0 };
  });
  ranked.sort((a, b) => Number(b.exceeds) - Number(a.exceeds) || a.priority - b.priority || b.excess - a.excess);
  const [first] = ranked;
  return first && { uid: first.pod.metadata.uid, message: messageFor(shortage, first.pod, first.use) };
}

function isEvictable({ spec, status, metadata }: Pod): boolean {
  const isOver = status?.phase === 'Failed' || status?.phase === 'Succeeded';
  return !isOver && metadata.deletionTimestamp === undefined && (spec?.priority ?? 0) < criticalPriority;
}

function requestOf(pod: Pod, resource: string): number {
  return allContainers(pod).reduce((sum, { kind, spec }) => {
    const request = kind === 'regular' ? spec.resources?.requests?.[resource] : undefined;
    return sum + quantityValue(request ?? '0');
  }, 0);
}

function messageFor({ resource, threshold, available }: Shortage, pod: Pod, use: PodUse): string {
  const amount = resource === 'memory' || resource === 'ephemeral-storage' ? asQuantity : String;
  const parts = [
    `The node was low on resource: ${resource}. `,
    `Threshold quantity: ${amount(threshold)}, available: ${amount(available)}. `,
  ];
  for (const { kind, spec } of allContainers(pod)) {
    if (kind !== 'regular') continue;
    const held = use.get(spec.name) ?? 0;
    const request = spec.resources?.requests?.[resource] ?? '0';
    if (held > quantityValue(request)) {
      parts.push(
        `Container ${spec.name} was using ${amount(held)}, request is ${request}, has larger consumption of ${resource}. `,
      );
    }
  }
  return parts.join('');
}

/** Why a node under pressure does not take a pod; undefined when it does. Upstream's rule and words. */
export function refusedUnderPressure(
  pod: Pod,
  pressure: NodePressure,
): { readonly reason: string; readonly message: string } | undefined {
  const conditions = [
    ...(pressure.memoryPressure ? ['MemoryPressure'] : []),
    ...(pressure.diskPressure ? ['DiskPressure'] : []),
    ...(pressure.pidPressure ? ['PIDPressure'] : []),
  ];
  if (conditions.length === 0 || (pod.spec?.priority ?? 0) >= criticalPriority) return undefined;
  if (conditions.length === 1 && pressure.memoryPressure) {
    if (podQos(pod) !== 'BestEffort') return undefined;
    const tolerates = (pod.spec?.tolerations ?? []).some(
      ({ key, operator, effect }) =>
        (key === 'node.kubernetes.io/memory-pressure' || ((key ?? '') === '' && operator === 'Exists')) &&
        ['', 'NoSchedule'].includes(effect ?? ''),
    );
    if (tolerates) return undefined;
  }
  return { reason: 'Evicted', message: `Pod was rejected: The node had condition: [${conditions.join(' ')}]. ` };
}
