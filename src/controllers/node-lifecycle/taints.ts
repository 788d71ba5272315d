import type { Node, Taint } from '#api';
import { nodeCondition } from '#kinds';

export const notReady = 'node.kubernetes.io/not-ready';
export const unreachable = 'node.kubernetes.io/unreachable';

interface Rule {
  readonly condition: string;
  readonly taints: Readonly<Record<string, string>>;
}

/** Which taint keeps new pods away in which state of a condition. */
const rules: readonly Rule[] = [
  { condition: 'Ready', taints: { False: notReady, Unknown: unreachable } },
  { condition: 'MemoryPressure', taints: { True: 'node.kubernetes.io/memory-pressure' } },
  { condition: 'DiskPressure', taints: { True: 'node.kubernetes.io/disk-pressure' } },
  { condition: 'PIDPressure', taints: { True: 'node.kubernetes.io/pid-pressure' } },
  { condition: 'NetworkUnavailable', taints: { True: 'node.kubernetes.io/network-unavailable' } },
];
const unschedulable = 'node.kubernetes.io/unschedulable';
const ownKeys = new Set([...rules.flatMap(({ taints }) => Object.values(taints)), unschedulable]);

/** The NoSchedule taints that a node's conditions and `spec.unschedulable` ask for. */
function wantedNoSchedule(node: Node): string[] {
  const wanted: string[] = [];
  for (const { condition, taints } of rules) {
    const key = taints[nodeCondition(node, condition)?.status ?? ''];
    if (key !== undefined) wanted.push(key);
  }
  if (node.spec.unschedulable) wanted.push(unschedulable);
  return wanted;
}

/** The node's taints with the NoSchedule ones made right; undefined when they are. Other taints are left alone. */
export function planNoSchedule(node: Node, now: string): Taint[] | undefined {
  const taints = node.spec.taints ?? [];
  const wanted = wantedNoSchedule(node);
  const isOwn = ({ key, effect }: Taint): boolean => effect === 'NoSchedule' && ownKeys.has(key);
  const kept = taints.filter((one) => !isOwn(one) || wanted.includes(one.key));
  const missing = wanted.filter((key) => !kept.some((one) => isOwn(one) && one.key === key));
  if (missing.length === 0 && kept.length === taints.length) return undefined;
  return [...kept, ...missing.map((key) => ({ key, effect: 'NoSchedule', timeAdded: now }))];
}

/** The NoExecute taint that drives pods away, by the Ready condition: `not-ready` when False, `unreachable` when Unknown. */
export function evictionTaintOf(node: Node): string | undefined {
  const status = nodeCondition(node, 'Ready')?.status;
  return status === 'False' ? notReady : status === 'Unknown' ? unreachable : undefined;
}

/** The node's taints with exactly this eviction taint (or none); undefined when they are. */
export function planNoExecute(node: Node, key: string | undefined, now: string): Taint[] | undefined {
  const taints = node.spec.taints ?? [];
  const isOwn = (one: Taint): boolean =>
    one.effect === 'NoExecute' && (one.key === notReady || one.key === unreachable);
  const kept = taints.filter((one) => !isOwn(one) || one.key === key);
  const missing = key !== undefined && !kept.some(isOwn);
  if (!missing && kept.length === taints.length) return undefined;
  return missing ? [...kept, { key, effect: 'NoExecute', timeAdded: now }] : kept;
}
