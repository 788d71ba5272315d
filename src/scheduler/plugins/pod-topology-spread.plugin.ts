import type { TopologySpreadConstraint } from '#api';
import type { LabelSelector } from '#machinery';
import { type CycleFilter, type CycleScore, definePlugin, nodeEvents, podEvents, refusal } from '../framework.ts';
import type { ClusterState, Domains } from '../state/cluster-state.ts';
import type { MatchCounts } from '../state/match-counts.ts';
import type { NodeInfo } from '../state/node-info.ts';
import { type PodInfo, selectorWithKeys } from '../state/pod-info.ts';
import { tolerates } from './taint-toleration.plugin.ts';

const name = 'PodTopologySpread';
const skewed = refusal(name, "node(s) didn't match pod topology spread constraints");
const unlabelled = refusal(name, "node(s) didn't match pod topology spread constraints (missing required label)", true);

const hostname = 'kubernetes.io/hostname';
const zone = 'topology.kubernetes.io/zone';

/** What applies to pods that say nothing themselves but belong to a Service or a workload. */
const systemDefaults: readonly TopologySpreadConstraint[] = [
  { topologyKey: hostname, maxSkew: 3, whenUnsatisfiable: 'ScheduleAnyway' },
  { topologyKey: zone, maxSkew: 5, whenUnsatisfiable: 'ScheduleAnyway' },
];

interface Constraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly selector: LabelSelector;
  readonly counts: MatchCounts;
  readonly domains: Domains;
  readonly honorAffinity: boolean;
  readonly honorTaints: boolean;
}

function compile(
  constraint: TopologySpreadConstraint,
  pod: PodInfo,
  cluster: ClusterState,
  whole?: LabelSelector,
): Constraint {
  const selector = whole ?? selectorWithKeys(constraint.labelSelector, pod, constraint.matchLabelKeys);
  const { namespace } = pod;
  const counts = cluster.counts(
    `spread|${namespace}|${selector.isNothing() ? '-' : selector}`,
    (one) => one.namespace === namespace && !one.terminating && selector.matches(one.labels),
  );
  return {
    topologyKey: constraint.topologyKey,
    maxSkew: constraint.maxSkew,
    minDomains: constraint.minDomains ?? 1,
    selector,
    counts,
    domains: cluster.domains(constraint.topologyKey),
    honorAffinity: constraint.nodeAffinityPolicy !== 'Ignore',
    honorTaints: constraint.nodeTaintsPolicy === 'Honor',
  };
}

/** Whether pods on the node count for a constraint of the pod. */
function includes({ honorAffinity, honorTaints }: Constraint, pod: PodInfo, node: NodeInfo): boolean {
  if (honorAffinity && pod.shape.selects !== undefined && !pod.shape.selects(node)) return false;
  if (!honorTaints) return true;
  return node.taints.every(
    (taint) => taint.effect === 'PreferNoSchedule' || pod.shape.tolerations.some((one) => tolerates(one, taint)),
  );
}

const hasAll = (constraints: readonly Constraint[], node: NodeInfo): boolean =>
  constraints.every(({ domains }) => (domains.of[node.slot] ?? -1) >= 0);

interface HardConstraint {
  readonly constraint: Constraint;
  /** Matching pods by domain; -1 where no eligible node is. */
  readonly matching: Int32Array;
  readonly selfMatches: boolean;
  least: number;
}

class HardSpread implements CycleFilter {
  readonly #pod: PodInfo;
  readonly #constraints: readonly Constraint[];
  readonly #hard: readonly HardConstraint[];

  constructor(pod: PodInfo, constraints: readonly Constraint[], cluster: ClusterState) {
    this.#pod = pod;
    this.#constraints = constraints;
    this.#hard = constraints.map((constraint) => this.#count(constraint, cluster));
  }

  #count(constraint: Constraint, cluster: ClusterState): HardConstraint {
    const { domains, counts, selector } = constraint;
    const matching = new Int32Array(domains.size).fill(-1);
    for (const node of cluster.order) {
      if (!this.#eligible(constraint, node)) continue;
      const domain = domains.of[node.slot] as number;
      matching[domain] = Math.max(0, matching[domain] as number) + (counts.byNode.get(node) ?? 0);
    }
    const hard = { constraint, matching, selfMatches: selector.matches(this.#pod.labels), least: 0 };
    hard.least = least(hard);
    return hard;
  }

  #eligible(constraint: Constraint, node: NodeInfo): boolean {
    return hasAll(this.#constraints, node) && includes(constraint, this.#pod, node);
  }

  filter(node: NodeInfo): typeof skewed | undefined {
    for (const { constraint, matching, selfMatches, least } of this.#hard) {
      const domain = constraint.domains.of[node.slot] ?? -1;
      if (domain < 0) return unlabelled;
      const there = Math.max(0, matching[domain] as number) + (selfMatches ? 1 : 0);
      if (there - least > constraint.maxSkew) return skewed;
    }
    return undefined;
  }

  adjust(pod: PodInfo, node: NodeInfo, by: 1 | -1): void {
    for (const hard of this.#hard) {
      const { constraint, matching } = hard;
      if (!constraint.counts.matches(pod) || !this.#eligible(constraint, node)) continue;
      const domain = constraint.domains.of[node.slot] as number;
      matching[domain] = (matching[domain] as number) + by;
      hard.least = least(hard);
    }
  }
}

function least({ constraint, matching }: HardConstraint): number {
  let domains = 0;
  let fewest = Number.POSITIVE_INFINITY;
  for (const count of matching) {
    if (count < 0) continue;
    domains++;
    if (count < fewest) fewest = count;
  }
  return domains < constraint.minDomains || domains === 0 ? 0 : fewest;
}

class SoftSpread implements CycleScore {
  readonly #parts: {
    readonly constraint: Constraint;
    readonly matching: Int32Array | undefined;
    readonly weight: number;
  }[];
  readonly #all: readonly Constraint[];
  readonly #requireAll: boolean;

  constructor(pod: PodInfo, constraints: readonly Constraint[], feasible: readonly NodeInfo[], requireAll: boolean) {
    this.#all = constraints;
    this.#requireAll = requireAll;
    const counted = requireAll ? feasible.filter((node) => hasAll(constraints, node)) : feasible;
    this.#parts = constraints.map((constraint) => {
      const { domains, topologyKey } = constraint;
      if (topologyKey === hostname) return { constraint, matching: undefined, weight: Math.log(counted.length + 2) };
      const seen = new Uint8Array(domains.size);
      let size = 0;
      for (const node of counted) {
        const domain = domains.of[node.slot] ?? -1;
        if (domain < 0 || seen[domain] === 1) continue;
        seen[domain] = 1;
        size++;
      }
      const matching = new Int32Array(domains.size);
      for (const [node, count] of constraint.counts.byNode) {
        const domain = domains.of[node.slot] ?? -1;
        if (domain < 0 || seen[domain] === 0 || !includes(constraint, pod, node)) continue;
        if (requireAll && !hasAll(constraints, node)) continue;
        matching[domain] = (matching[domain] as number) + count;
      }
      return { constraint, matching, weight: Math.log(size + 2) };
    });
  }

  score(node: NodeInfo): number {
    if (this.#requireAll && !hasAll(this.#all, node)) return Number.NaN;
    let score = 0;
    for (const { constraint, matching, weight } of this.#parts) {
      const domain = constraint.domains.of[node.slot] ?? -1;
      if (domain < 0) continue;
      const count = matching === undefined ? (constraint.counts.byNode.get(node) ?? 0) : (matching[domain] as number);
      score += count * weight + (constraint.maxSkew - 1);
    }
    return Math.round(score);
  }

  /** Fewer is better; nodes without the labels get nothing. */
  normalize(scores: Float64Array): void {
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    for (const score of scores) {
      if (Number.isNaN(score)) continue;
      if (score < low) low = score;
      if (score > high) high = score;
    }
    for (let i = 0; i < scores.length; i++) {
      const score = scores[i] as number;
      scores[i] = Number.isNaN(score) ? 0 : high === 0 ? 100 : Math.floor((100 * (high + low - score)) / high);
    }
  }
}

/** What finds the selector of the Services and workload a pod belongs to; undefined when it belongs to none. */
export type OwnSelector = (pod: PodInfo) => LabelSelector | undefined;

/** Spreads pods over the values of a node label: hard constraints refuse, soft ones (and the system's own) prefer. */
export function podTopologySpread(ownSelector: OwnSelector): ReturnType<typeof definePlugin> {
  return definePlugin({
    name,
    events: [...nodeEvents, ...podEvents],
    openFilter(pod, cluster) {
      const hard = pod.shape.spread.filter((one) => one.whenUnsatisfiable === 'DoNotSchedule');
      if (hard.length === 0) return undefined;
      return new HardSpread(
        pod,
        hard.map((one) => compile(one, pod, cluster)),
        cluster,
      );
    },
    weight: 2,
    openScore(pod, cluster, feasible) {
      if (pod.shape.spread.length > 0) {
        const soft = pod.shape.spread.filter((one) => one.whenUnsatisfiable === 'ScheduleAnyway');
        if (soft.length === 0) return undefined;
        return new SoftSpread(
          pod,
          soft.map((one) => compile(one, pod, cluster)),
          feasible,
          true,
        );
      }
      const selector = ownSelector(pod);
      if (selector === undefined) return undefined;
      return new SoftSpread(
        pod,
        systemDefaults.map((one) => compile(one, pod, cluster, selector)),
        feasible,
        false,
      );
    },
  });
}
