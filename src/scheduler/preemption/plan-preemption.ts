import type { PodDisruptionBudget } from '#api';
import { labelSelectorOf, parseTimeMs } from '#machinery';
import { type Decider, type Failure, withPods } from '../decide.ts';
import { histogram } from '../fit-error.ts';
import type { NodeInfo } from '../state/node-info.ts';
import type { PodInfo } from '../state/pod-info.ts';

export interface Preemption {
  readonly node: NodeInfo;
  readonly victims: readonly PodInfo[];
  readonly violations: number;
}

export interface PreemptionQuestion {
  readonly pod: PodInfo;
  readonly failure: Failure;
  readonly decider: Decider;
  readonly budgets: readonly PodDisruptionBudget[];
  /** Where among the candidates to begin, from 0 up. */
  readonly offset: number;
}

const noVictims = 'No preemption victims found for incoming pod';
const fewestCandidates = 100;
const candidateShare = 0.1;

/**
 * Which node could take the pod if which less important pods went: as few budgets broken as can be, then the least important
 * victims. Or, in upstream's words, why none could. Changes nothing.
 */
export function planPreemption(question: PreemptionQuestion): Preemption | string {
  const { pod, failure, decider, budgets, offset } = question;
  const { nodes, whole, refusals, filters } = failure;
  const refused =
    pod.pod.spec?.preemptionPolicy === 'Never'
      ? 'not eligible due to preemptionPolicy=Never.'
      : waitsForVictims(pod, decider);
  if (refused !== undefined) return `preemption: ${refused}`;

  const why = new Map<string, number>();
  const because = (reason: string, count = 1): void => void why.set(reason, (why.get(reason) ?? 0) + count);
  const candidates: NodeInfo[] = [];
  if (whole !== undefined) because('Preemption is not helpful for scheduling', nodes);
  for (const [node, { unresolvable }] of refusals) {
    if (unresolvable) because('Preemption is not helpful for scheduling');
    else candidates.push(node);
  }
  const enough = Math.max(fewestCandidates, Math.floor(nodes * candidateShare));
  const found: Preemption[] = [];
  if (decider.cluster.lowestPriority >= pod.priority && candidates.length > 0) {
    because(noVictims, candidates.length);
    candidates.length = 0;
  }
  for (let index = 0; index < candidates.length && found.length < enough; index++) {
    const node = candidates[(offset + index) % candidates.length] as NodeInfo;
    const plan = planOn(node, pod, decider, filters, budgets);
    if (typeof plan === 'string') because(plan);
    else found.push(plan);
  }
  const best = found.reduce<Preemption | undefined>((a, b) => (a === undefined || isBetter(b, a) ? b : a), undefined);
  return best ?? `preemption: 0/${nodes} nodes are available: ${histogram(why)}.`;
}

/** The pod was promised a node and pods there are still on their way out. */
function waitsForVictims(pod: PodInfo, decider: Decider): string | undefined {
  const { cluster } = decider;
  const node = cluster.nodes.get(cluster.nominationOf(pod.uid) ?? '');
  if (node === undefined) return undefined;
  for (const one of node.pods.values()) {
    if (one.priority < pod.priority && one.terminating)
      return 'not eligible due to a terminating pod on the nominated node.';
  }
  return undefined;
}

function planOn(
  node: NodeInfo,
  pod: PodInfo,
  decider: Decider,
  filters: Failure['filters'],
  budgets: readonly PodDisruptionBudget[],
): Preemption | string {
  const lower = [...node.pods.values()].filter((one) => one.priority < pod.priority).sort(byImportance);
  if (lower.length === 0) return noVictims;
  const trial = node.trial();
  for (const one of lower) trial.removePod(one.uid);
  return withPods(filters, node, lower, -1, () => {
    const refusal = decider.trialRefusal(pod, trial, filters);
    if (refusal !== undefined) return refusal.reasons.join(', ');
    const broken = violating(lower, budgets);
    const victims: PodInfo[] = [];
    for (const one of [...lower.filter((each) => broken.has(each)), ...lower.filter((each) => !broken.has(each))]) {
      trial.addPod(one);
      for (const filter of filters) filter.adjust(one, node, 1);
      if (decider.trialRefusal(pod, trial, filters) === undefined) continue;
      trial.removePod(one.uid);
      for (const filter of filters) filter.adjust(one, node, -1);
      victims.push(one);
    }
    for (const one of lower) if (!victims.includes(one)) for (const filter of filters) filter.adjust(one, node, -1);
    return { node, victims: victims.sort(byImportance), violations: victims.filter((one) => broken.has(one)).length };
  });
}

const startedMs = (one: PodInfo): number => {
  const ms = parseTimeMs(one.pod.status?.startTime);
  return Number.isNaN(ms) ? Number.MAX_SAFE_INTEGER : ms;
};

/** Most important first: higher priority, then longer running. */
const byImportance = (a: PodInfo, b: PodInfo): number => b.priority - a.priority || startedMs(a) - startedMs(b);

/** Pods whose going would break a budget, those before them in the list having gone. */
function violating(pods: readonly PodInfo[], budgets: readonly PodDisruptionBudget[]): Set<PodInfo> {
  const allowed = new Map(budgets.map((one) => [one, one.status?.disruptionsAllowed ?? 0]));
  const found = new Set<PodInfo>();
  for (const pod of pods) {
    for (const [budget, left] of allowed) {
      if (budget.metadata.namespace !== pod.namespace) continue;
      if (Object.hasOwn(budget.status?.disruptedPods ?? {}, pod.name)) continue;
      const selector = labelSelectorOf(budget.spec?.selector);
      if (selector.isEmpty() || !selector.matches(pod.labels)) continue;
      allowed.set(budget, left - 1);
      if (left <= 0) found.add(pod);
    }
  }
  return found;
}

const priorityOffset = 2 ** 31;
const sum = (plan: Preemption): number => plan.victims.reduce((total, one) => total + one.priority + priorityOffset, 0);
const highest = (plan: Preemption): number => plan.victims[0]?.priority ?? Number.NEGATIVE_INFINITY;

function earliestOfHighest(plan: Preemption): number {
  const top = plan.victims.filter((one) => one.priority === highest(plan)).map(startedMs);
  return Math.min(...top);
}

function isBetter(a: Preemption, b: Preemption): boolean {
  if (a.violations !== b.violations) return a.violations < b.violations;
  if (highest(a) !== highest(b)) return highest(a) < highest(b);
  if (sum(a) !== sum(b)) return sum(a) < sum(b);
  if (a.victims.length !== b.victims.length) return a.victims.length < b.victims.length;
  return earliestOfHighest(a) > earliestOfHighest(b);
}
