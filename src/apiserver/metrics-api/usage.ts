import type { NodeSamples, Sample } from './samples.ts';

/** What something used between two readings. */
export interface Usage {
  /** Mean of cores in use, in billionths. */
  readonly cpuNanoCores: number;
  readonly memoryBytes: number;
  /** Time of the later reading. */
  readonly atMs: number;
  readonly windowMs: number;
}

export interface NodeUsage {
  readonly node: Usage | undefined;
  /** By pod (`namespace/name`), then by container. */
  readonly pods: ReadonlyMap<string, ReadonlyMap<string, Usage>>;
}

/** Readings nearer to each other say too little about a rate. */
const shortestWindowMs = 500;

/**
 * Rates between two readings of one kubelet. What was not there before, or has counted backwards (it was started again), has no rate yet
 * and is left out.
 */
export function usageBetween(before: NodeSamples, after: NodeSamples): NodeUsage {
  const pods = new Map<string, Map<string, Usage>>();
  for (const [key, sample] of after.containers) {
    const usage = rate(before.containers.get(key), sample);
    if (usage === undefined) continue;
    const slash = key.lastIndexOf('/');
    const pod = key.slice(0, slash);
    let containers = pods.get(pod);
    if (containers === undefined) pods.set(pod, (containers = new Map()));
    containers.set(key.slice(slash + 1), usage);
  }
  return { node: after.node && rate(before.node, after.node), pods };
}

function rate(before: Sample | undefined, after: Sample): Usage | undefined {
  if (before === undefined || after.cpuSeconds < before.cpuSeconds) return undefined;
  const windowMs = after.atMs - before.atMs;
  if (windowMs < shortestWindowMs) return undefined;
  return {
    cpuNanoCores: Math.round(((after.cpuSeconds - before.cpuSeconds) / windowMs) * 1e12),
    memoryBytes: after.memoryBytes,
    atMs: after.atMs,
    windowMs,
  };
}
