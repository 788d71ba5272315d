import type { PodGroups, PodMetric } from './pod-groups.ts';

/** How far the ratio of use to target may be from 1 without a change. */
export interface Tolerances {
  readonly up: number;
  readonly down: number;
}

export const defaultTolerance = 0.1;

export interface PodProposalInput {
  readonly currentReplicas: number;
  readonly groups: PodGroups;
  readonly metrics: ReadonlyMap<string, PodMetric>;
  /** Wanted of each pod on average, in thousandths; ignored with `requests`. */
  readonly targetMilli: number;
  /** With a target of utilization: what each pod requests, in thousandths, and the wanted percentage. */
  readonly utilization?: { readonly requests: ReadonlyMap<string, number>; readonly percent: number };
  readonly tolerances: Tolerances;
}

export interface PodProposal {
  readonly replicas: number;
  /** Mean over the pods whose metric counts, in thousandths. */
  readonly averageMilli: number;
  /** Percentage of requests, with a target of utilization. */
  readonly percent?: number;
}

/**
 * How many replicas would bring pods to the target (behaviour of upstream's autoscaler). Pods without a metric count as if they used what
 * speaks against the change: all of their share when use is low, nothing when it is high; unready ones count as idle when use is high.
 * Without any metric that counts: a text that says so. Worked example: 3 ready pods at 200 % of a target make ceil(2 · 3) = 6.
 */
export function proposeFromPods(input: PodProposalInput): PodProposal | string {
  const { groups, metrics, utilization, currentReplicas, tolerances } = input;
  const { ready, unready, missing } = groups;
  const values = new Map(ready.map((name) => [name, (metrics.get(name) as PodMetric).milli]));
  if (values.size === 0) return 'did not receive metrics for targeted pods (pods might be unready)';
  const averageMilli = sum(values.values()) / values.size;
  const ratio = ratioOf(values, input);
  const percent = utilization === undefined ? undefined : Math.trunc(ratio * utilization.percent);
  const answer = (replicas: number): PodProposal => ({
    replicas,
    averageMilli: Math.trunc(averageMilli),
    ...(percent === undefined ? {} : { percent }),
  });
  const idleUnready = unready.length > 0 && ratio > 1;
  if (!idleUnready && missing.length === 0) {
    if (isWithin(ratio, tolerances)) return answer(currentReplicas);
    return answer(ceiling(ratio * values.size));
  }
  for (const name of missing) values.set(name, ratio < 1 ? fullShare(name, input) : 0);
  if (idleUnready) for (const name of unready) values.set(name, 0);
  const newRatio = ratioOf(values, input);
  if (isWithin(newRatio, tolerances) || (ratio < 1 && newRatio > 1) || (ratio > 1 && newRatio < 1))
    return answer(currentReplicas);
  const replicas = ceiling(newRatio * values.size);
  if ((newRatio < 1 && replicas > currentReplicas) || (newRatio > 1 && replicas < currentReplicas))
    return answer(currentReplicas);
  return answer(replicas);
}

/** The ratio of a value to its target decides; `pods` is what the ratio is multiplied with (ready pods, or 1 for a mean over all). */
export function proposeFromRatio(options: {
  readonly currentReplicas: number;
  readonly ratio: number;
  readonly pods: number;
  readonly tolerances: Tolerances;
}): number {
  const { currentReplicas, ratio, pods, tolerances } = options;
  if (currentReplicas !== 0 && isWithin(ratio, tolerances)) return currentReplicas;
  return ceiling(ratio * (currentReplicas === 0 ? 1 : pods));
}

export function isWithin(ratio: number, { up, down }: Tolerances): boolean {
  return ratio >= 1 - down && ratio <= 1 + up;
}

/** Rounded up, but not for what floating point adds to a whole number. */
function ceiling(value: number): number {
  return Math.ceil(value - 1e-9);
}

function ratioOf(values: ReadonlyMap<string, number>, { targetMilli, utilization }: PodProposalInput): number {
  const total = sum(values.values());
  if (utilization === undefined) return total / values.size / targetMilli;
  const requested = sum([...values.keys()].map((name) => utilization.requests.get(name) ?? 0));
  return requested === 0 ? 0 : (total * 100) / requested / utilization.percent;
}

function fullShare(name: string, { targetMilli, utilization }: PodProposalInput): number {
  if (utilization === undefined) return targetMilli;
  return ((utilization.requests.get(name) ?? 0) * Math.max(100, utilization.percent)) / 100;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const one of values) total += one;
  return total;
}
