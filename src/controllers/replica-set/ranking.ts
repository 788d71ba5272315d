import type { Pod } from '#api';
import { isPodReady, podCondition } from '#kinds';
import { parseTimeMs } from '#machinery';

const deletionCostAnnotation = 'controller.kubernetes.io/pod-deletion-cost';

/**
 * The `count` pods to delete first when there are too many, in upstream's order: not on a node, pending, unready, cheaper by
 * annotation, sharing a node with more relatives, ready for a shorter time, restarted more often, younger. Times count by
 * powers of two, so that among pods of about one age the uid decides.
 */
export function podsToDelete(pods: readonly Pod[], count: number, related: readonly Pod[], nowMs: number): Pod[] {
  if (count >= pods.length) return [...pods];
  const onNode = new Map<string, number>();
  for (const { spec } of related) if (spec.nodeName) onNode.set(spec.nodeName, (onNode.get(spec.nodeName) ?? 0) + 1);
  const rank = (pod: Pod): number => onNode.get(pod.spec.nodeName ?? '') ?? 0;
  return pods.toSorted((a, b) => compare(a, b, rank, nowMs)).slice(0, count);
}

const phases: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

function compare(a: Pod, b: Pod, rank: (pod: Pod) => number, nowMs: number): number {
  const assigned = Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName));
  if (assigned !== 0) return assigned;
  const phase = (phases[a.status?.phase ?? ''] ?? 0) - (phases[b.status?.phase ?? ''] ?? 0);
  if (phase !== 0) return phase;
  const ready = Number(isPodReady(a)) - Number(isPodReady(b));
  if (ready !== 0) return ready;
  const cost = deletionCost(a) - deletionCost(b);
  if (cost !== 0) return cost;
  const crowd = rank(b) - rank(a);
  if (crowd !== 0) return crowd;
  if (isPodReady(a)) {
    const since = byAge(readySinceMs(a), readySinceMs(b), a, b, nowMs);
    if (since !== 0) return since;
  }
  const restarts = restartsOf(b) - restartsOf(a);
  if (restarts !== 0) return restarts;
  return byAge(parseTimeMs(a.metadata.creationTimestamp), parseTimeMs(b.metadata.creationTimestamp), a, b, nowMs);
}

/** Younger first, by powers of two of the age; equal times decide nothing, equal powers leave it to the uid. */
function byAge(aMs: number, bMs: number, a: Pod, b: Pod, nowMs: number): number {
  if (aMs === bMs || Number.isNaN(aMs) || Number.isNaN(bMs)) return 0;
  const power = (ms: number): number => (nowMs - ms <= 0 ? -1 : Math.floor(Math.log2((nowMs - ms) * 1e6)));
  const difference = power(aMs) - power(bMs);
  return difference !== 0 ? difference : a.metadata.uid < b.metadata.uid ? -1 : 1;
}

function readySinceMs(pod: Pod): number {
  return parseTimeMs(podCondition(pod, 'Ready')?.lastTransitionTime);
}

function deletionCost(pod: Pod): number {
  const text = pod.metadata.annotations?.[deletionCostAnnotation];
  return text !== undefined && /^-?(0|[1-9]\d*)$/.test(text) ? Number(text) : 0;
}

/** The most restarts of any container, init containers that restart counted with the others. */
function restartsOf(pod: Pod): number {
  let most = 0;
  for (const one of pod.status?.containerStatuses ?? []) most = Math.max(most, one.restartCount ?? 0);
  return most;
}
