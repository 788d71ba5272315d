import type { Pod } from '#api';
import { podCondition } from '#kinds';
import { parseTimeMs } from '#machinery';

/** What one pod's metric is: thousandths of the metric's unit. */
export interface PodMetric {
  readonly milli: number;
  readonly atMs: number;
  readonly windowMs: number;
}

export interface PodGroups {
  /** Names of pods whose metric counts. */
  readonly ready: readonly string[];
  /** Not ready yet: their metric says nothing about load. */
  readonly unready: readonly string[];
  /** No metric, for no reason known. */
  readonly missing: readonly string[];
}

/** How long after its start a pod's CPU is that of starting up. */
const initializationMs = 300_000;
/** How soon after its start a pod that was never ready counts as starting. */
const initialReadinessMs = 30_000;

/**
 * Sorts a target's pods by what their metrics are worth (behaviour of upstream's autoscaler): those that end or have failed count for
 * nothing; pending ones, and for CPU those that still start, are unready.
 */
export function groupPods(
  pods: readonly Pod[],
  metrics: ReadonlyMap<string, PodMetric>,
  options: { readonly resource: string; readonly nowMs: number },
): PodGroups {
  const ready: string[] = [];
  const unready: string[] = [];
  const missing: string[] = [];
  for (const pod of pods) {
    const { name } = pod.metadata;
    if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === 'Failed') continue;
    const metric = metrics.get(name);
    if (pod.status?.phase === 'Pending') unready.push(name);
    else if (metric === undefined) missing.push(name);
    else if (options.resource === 'cpu' && isStarting(pod, metric, options.nowMs)) unready.push(name);
    else ready.push(name);
  }
  return { ready, unready, missing };
}

function isStarting(pod: Pod, metric: PodMetric, nowMs: number): boolean {
  const condition = podCondition(pod, 'Ready');
  const started = pod.status?.startTime;
  if (condition === undefined || started === undefined) return true;
  const startMs = parseTimeMs(started);
  const changedMs = parseTimeMs(condition.lastTransitionTime ?? started);
  if (startMs + initializationMs > nowMs)
    return condition.status === 'False' || metric.atMs < changedMs + metric.windowMs;
  return condition.status === 'False' && startMs + initialReadinessMs > changedMs;
}
