import { type CycleFilter, type CycleScore, definePlugin, nodeEvents, podEvents, refusal } from '../framework.ts';
import type { ClusterState } from '../state/cluster-state.ts';
import type { NodeInfo } from '../state/node-info.ts';
import type { PodInfo, Term } from '../state/pod-info.ts';

const name = 'InterPodAffinity';
const unwelcome = refusal(name, "node(s) didn't satisfy existing pods anti-affinity rules");
const lonely = refusal(name, "node(s) didn't match pod affinity rules", true);
const crowded = refusal(name, "node(s) didn't match pod anti-affinity rules");

/** Numbers by value of one topology label. */
class ByDomain {
  readonly of: Int32Array;
  readonly numbers: Float64Array;

  constructor(cluster: ClusterState, topologyKey: string) {
    const domains = cluster.domains(topologyKey);
    this.of = domains.of;
    this.numbers = new Float64Array(domains.size);
  }

  domain(node: NodeInfo): number {
    return this.of[node.slot] ?? -1;
  }

  add(node: NodeInfo, amount: number): void {
    const domain = this.domain(node);
    if (domain >= 0) this.numbers[domain] = (this.numbers[domain] as number) + amount;
  }

  at(node: NodeInfo): number {
    const domain = this.domain(node);
    return domain < 0 ? 0 : (this.numbers[domain] as number);
  }
}

class AffinityFilter implements CycleFilter {
  readonly #pod: PodInfo;
  readonly #cluster: ClusterState;
  /** Where pods are that want none like this one, by label. */
  readonly #unwelcome = new Map<string, ByDomain>();
  readonly #affinity: { readonly term: Term; readonly found: ByDomain }[];
  readonly #antiAffinity: { readonly term: Term; readonly found: ByDomain }[];
  #affinityTotal = 0;
  readonly #selfMatches: boolean;

  constructor(pod: PodInfo, cluster: ClusterState) {
    this.#pod = pod;
    this.#cluster = cluster;
    const { affinity, antiAffinity } = pod.terms;
    for (const { value: term, nodes } of cluster.antiAffinityOwners.entries()) {
      if (!cluster.termMatches(term, pod)) continue;
      const found = this.#unwelcomeAt(term.topologyKey);
      for (const [node, count] of nodes) found.add(node, count);
    }
    this.#affinity = affinity.map((term) => ({ term, found: new ByDomain(cluster, term.topologyKey) }));
    if (affinity.length > 0) {
      const key = `all|${affinity.map((one) => one.key).join('&')}`;
      const counts = cluster.counts(key, (one) => affinity.every((term) => cluster.termMatches(term, one)));
      this.#affinityTotal = counts.total;
      for (const { found } of this.#affinity) for (const [node, count] of counts.byNode) found.add(node, count);
    }
    this.#selfMatches = affinity.length > 0 && affinity.every((term) => cluster.termMatches(term, pod));
    this.#antiAffinity = antiAffinity.map((term) => {
      const found = new ByDomain(cluster, term.topologyKey);
      for (const [node, count] of cluster.counts(`term|${term.key}`, (one) => cluster.termMatches(term, one)).byNode) {
        found.add(node, count);
      }
      return { term, found };
    });
  }

  get idle(): boolean {
    return this.#unwelcome.size === 0 && this.#affinity.length === 0 && this.#antiAffinity.length === 0;
  }

  #unwelcomeAt(topologyKey: string): ByDomain {
    let found = this.#unwelcome.get(topologyKey);
    if (found === undefined) {
      found = new ByDomain(this.#cluster, topologyKey);
      this.#unwelcome.set(topologyKey, found);
    }
    return found;
  }

  filter(node: NodeInfo): typeof crowded | undefined {
    if (!this.#companyAt(node)) return lonely;
    for (const { found } of this.#antiAffinity) if (found.at(node) > 0) return crowded;
    for (const found of this.#unwelcome.values()) if (found.at(node) > 0) return unwelcome;
    return undefined;
  }

  #companyAt(node: NodeInfo): boolean {
    let all = true;
    for (const { found } of this.#affinity) {
      if (found.domain(node) < 0) return false;
      if (found.at(node) <= 0) all = false;
    }
    return all || (this.#affinityTotal === 0 && this.#selfMatches);
  }

  adjust(pod: PodInfo, node: NodeInfo, by: 1 | -1): void {
    for (const term of pod.terms.antiAffinity) {
      if (this.#cluster.termMatches(term, this.#pod)) this.#unwelcomeAt(term.topologyKey).add(node, by);
    }
    if (this.#affinity.length > 0 && this.#affinity.every(({ term }) => this.#cluster.termMatches(term, pod))) {
      this.#affinityTotal += by;
      for (const { found } of this.#affinity) found.add(node, by);
    }
    for (const { term, found } of this.#antiAffinity) if (this.#cluster.termMatches(term, pod)) found.add(node, by);
  }
}

class AffinityScore implements CycleScore {
  readonly #sums = new Map<string, ByDomain>();

  constructor(pod: PodInfo, cluster: ClusterState) {
    const sumAt = (topologyKey: string): ByDomain => {
      let sum = this.#sums.get(topologyKey);
      if (sum === undefined) {
        sum = new ByDomain(cluster, topologyKey);
        this.#sums.set(topologyKey, sum);
      }
      return sum;
    };
    const own = (term: Term, weight: number): void => {
      const counts = cluster.counts(`term|${term.key}`, (one) => cluster.termMatches(term, one));
      if (counts.total === 0) return;
      const sum = sumAt(term.topologyKey);
      for (const [node, count] of counts.byNode) sum.add(node, count * weight);
    };
    for (const { term, weight } of pod.terms.preferredAffinity) own(term, weight);
    for (const { term, weight } of pod.terms.preferredAntiAffinity) own(term, -weight);
    for (const { value, nodes } of cluster.preferenceOwners.entries()) {
      if (!cluster.termMatches(value.term, pod)) continue;
      const sum = sumAt(value.term.topologyKey);
      for (const [node, count] of nodes) sum.add(node, count * value.weight);
    }
  }

  get idle(): boolean {
    return this.#sums.size === 0;
  }

  score(node: NodeInfo): number {
    let score = 0;
    for (const sum of this.#sums.values()) score += sum.at(node);
    return score;
  }

  normalize(scores: Float64Array): void {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (const score of scores) {
      if (score < low) low = score;
      if (score > high) high = score;
    }
    for (let i = 0; i < scores.length; i++) {
      scores[i] = high > low ? Math.floor((100 * ((scores[i] as number) - low)) / (high - low)) : 0;
    }
  }
}

/** Pods that want, or do not want, to be near others, both ways round. */
export const interPodAffinity = definePlugin({
  name,
  events: [...nodeEvents, ...podEvents, 'NamespaceChange'],
  openFilter(pod, cluster) {
    const { affinity, antiAffinity } = pod.shape;
    if (affinity.length === 0 && antiAffinity.length === 0 && cluster.antiAffinityOwners.size === 0) return undefined;
    const filter = new AffinityFilter(pod, cluster);
    return filter.idle ? undefined : filter;
  },
  weight: 2,
  openScore(pod, cluster) {
    const { preferredAffinity, preferredAntiAffinity } = pod.shape;
    if (preferredAffinity.length + preferredAntiAffinity.length + cluster.preferenceOwners.size === 0) return undefined;
    const score = new AffinityScore(pod, cluster);
    return score.idle ? undefined : score;
  },
});
