import type { Random } from '#base';
import { type CycleFilter, type CycleScore, isRefusal, type Refusal, type SchedulingPlugin } from './framework.ts';
import type { ClusterState } from './state/cluster-state.ts';
import type { NodeInfo } from './state/node-info.ts';
import type { PodInfo } from './state/pod-info.ts';
import { type Feasible, VerdictCache, type Verdicts } from './verdicts.ts';

export interface Decision {
  readonly node: NodeInfo | undefined;
  readonly failure?: Failure;
}

/** Why no node will do. */
export interface Failure {
  readonly nodes: number;
  /** A reason that concerns every node. */
  readonly whole?: Refusal;
  readonly refusals: ReadonlyMap<NodeInfo, Refusal>;
  readonly filters: readonly CycleFilter[];
}

const fewestSampled = 100;

/** How many feasible nodes are enough: all of up to 100, then a share that falls from half to a twentieth. */
export function feasibleEnough(nodes: number): number {
  if (nodes < fewestSampled) return nodes;
  const percentage = Math.max(5, 50 - Math.floor(nodes / 125));
  return Math.max(fewestSampled, Math.floor((nodes * percentage) / 100));
}

/** Chooses nodes for pods from the cluster's state. Changes nothing but where the next search begins. */
export class Decider {
  readonly cluster: ClusterState;
  readonly verdicts: VerdictCache;
  readonly #plugins: readonly SchedulingPlugin[];
  readonly #random: Random;
  #start = 0;

  constructor(cluster: ClusterState, plugins: readonly SchedulingPlugin[], random: Random) {
    this.cluster = cluster;
    this.#plugins = plugins;
    this.#random = random;
    this.verdicts = new VerdictCache(cluster, plugins);
  }

  decide(pod: PodInfo): Decision {
    const { cluster } = this;
    const order = cluster.order;
    const nodes = order.length;
    const filters: CycleFilter[] = [];
    for (const plugin of this.#plugins) {
      const opened = plugin.openFilter?.(pod, cluster);
      if (opened === undefined) continue;
      if (isRefusal(opened))
        return { node: undefined, failure: { nodes, whole: opened, refusals: new Map(), filters } };
      filters.push(opened);
    }
    const verdicts = this.verdicts.of(pod.shape);
    const refusals = new Map<NodeInfo, Refusal>();
    const feasible = this.#feasible(pod, verdicts, filters, refusals);
    const found = feasible.nodes;
    if (found.length === 0) return { node: undefined, failure: { nodes, refusals, filters } };
    return { node: found.length === 1 ? found[0] : this.#best(pod, verdicts, feasible) };
  }

  #feasible(
    pod: PodInfo,
    verdicts: Verdicts,
    filters: readonly CycleFilter[],
    refusals: Map<NodeInfo, Refusal>,
  ): Feasible {
    const { cluster } = this;
    const order = cluster.order;
    const check = (node: NodeInfo): boolean => {
      const refusal = this.#refusal(pod, node, verdicts, filters);
      if (refusal !== undefined) refusals.set(node, refusal);
      return refusal === undefined;
    };
    const promised = cluster.nodes.get(cluster.nominationOf(pod.uid) ?? '');
    if (promised?.node !== undefined && check(promised)) return scored([promised], verdicts);
    refusals.clear();

    const { pinned } = pod.shape;
    if (pinned !== undefined) return scored(this.#feasiblePinned(pod, pinned, check, refusals), verdicts);

    const count = order.length;
    const enough = feasibleEnough(count);
    const start = count === 0 ? 0 : this.#start % count;
    if (filters.length === 0 && cluster.nominated.size === 0) {
      const into = { nodes: [], scores: new Float64Array(Math.min(count, enough)) };
      this.#start = this.verdicts.collect(verdicts, pod, { start, enough, into });
      if (into.nodes.length === 0) for (const node of order) check(node);
      return into;
    }
    const feasible: NodeInfo[] = [];
    let at = start;
    for (let looked = 0; looked < count && feasible.length < enough; looked++) {
      const node = order[at] as NodeInfo;
      if (++at === count) at = 0;
      if (check(node)) feasible.push(node);
    }
    this.#start = at;
    return scored(feasible, verdicts);
  }

  /** Only the named nodes are looked at; of the others one verdict is enough. */
  #feasiblePinned(
    pod: PodInfo,
    names: readonly string[],
    check: (node: NodeInfo) => boolean,
    refusals: Map<NodeInfo, Refusal>,
  ): NodeInfo[] {
    const feasible = names
      .map((name) => this.cluster.nodes.get(name))
      .filter((node): node is NodeInfo => node?.node !== undefined && check(node));
    if (feasible.length > 0) return feasible;
    const other = this.cluster.order.find((node) => !names.includes(node.name));
    const refusal = other === undefined ? undefined : this.verdicts.judge(pod, other);
    if (refusal !== undefined)
      for (const node of this.cluster.order) if (!refusals.has(node)) refusals.set(node, refusal);
    return feasible;
  }

  #refusal(pod: PodInfo, node: NodeInfo, verdicts: Verdicts, filters: readonly CycleFilter[]): Refusal | undefined {
    const expected = this.cluster.nominated.get(node.name);
    if (expected !== undefined) {
      const refusal = this.#refusalWithExpected(pod, node, filters, [...expected.values()]);
      if (refusal !== undefined) return refusal;
    }
    const local = this.verdicts.refusal(verdicts, pod, node);
    if (local !== undefined) return local;
    for (const filter of filters) {
      const refusal = filter.filter(node);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** As if the pods to which the node was promised, and that matter no less than this one, were there. */
  #refusalWithExpected(
    pod: PodInfo,
    node: NodeInfo,
    filters: readonly CycleFilter[],
    expected: readonly PodInfo[],
  ): Refusal | undefined {
    const others = expected.filter((one) => one.uid !== pod.uid && one.priority >= pod.priority);
    if (others.length === 0) return undefined;
    const trial = node.trial();
    for (const one of others) trial.addPod(one);
    return withPods(filters, node, others, 1, () => this.trialRefusal(pod, trial, filters));
  }

  /** The first refusal of a trial node. */
  trialRefusal(pod: PodInfo, trial: NodeInfo, filters: readonly CycleFilter[]): Refusal | undefined {
    const local = this.verdicts.judge(pod, trial);
    if (local !== undefined) return local;
    for (const filter of filters) {
      const refusal = filter.filter(trial);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #best(pod: PodInfo, verdicts: Verdicts, { nodes: feasible, scores: totals }: Feasible): NodeInfo {
    this.verdicts.normalized.forEach((plugin, index) => {
      if (!verdicts.differs(index)) return;
      let high = 0;
      for (const node of feasible) high = Math.max(high, verdicts.raw(index, node));
      if (high === 0) return;
      const weight = plugin.weight ?? 1;
      for (let i = 0; i < feasible.length; i++) {
        const part = Math.floor((verdicts.raw(index, feasible[i] as NodeInfo) * 100) / high);
        totals[i] = (totals[i] as number) + weight * (plugin.normalize === 'inverse' ? 100 - part : part);
      }
    });
    for (const plugin of this.#plugins) {
      const score = plugin.openScore?.(pod, this.cluster, feasible);
      if (score !== undefined) addScores(totals, score, feasible, plugin.weight ?? 1);
    }
    return feasible[this.#highest(totals, feasible.length)] as NodeInfo;
  }

  /** One of the highest of the first `count`, each as likely. */
  #highest(totals: Float64Array, count: number): number {
    let highest = totals[0] as number;
    let ties = 1;
    for (let i = 1; i < count; i++) {
      const total = totals[i] as number;
      if (!(total >= highest)) continue;
      ties = total > highest ? 1 : ties + 1;
      highest = total;
    }
    let left = ties === 1 ? 0 : this.#random.int(ties);
    for (let i = 0; i < count; i++) if (totals[i] === highest && left-- === 0) return i;
    return 0;
  }
}

function scored(nodes: NodeInfo[], verdicts: Verdicts): Feasible {
  return { nodes, scores: Float64Array.from(nodes, (node) => verdicts.score(node)) };
}

function addScores(totals: Float64Array, score: CycleScore, nodes: readonly NodeInfo[], weight: number): void {
  const scores = new Float64Array(nodes.length);
  for (let i = 0; i < nodes.length; i++) scores[i] = score.score(nodes[i] as NodeInfo);
  score.normalize?.(scores, nodes);
  for (let i = 0; i < nodes.length; i++) totals[i] = (totals[i] as number) + weight * (scores[i] as number);
}

/** Runs `look` as if the pods had come to (or gone from) the node. */
export function withPods<T>(
  filters: readonly CycleFilter[],
  node: NodeInfo,
  pods: readonly PodInfo[],
  by: 1 | -1,
  look: () => T,
): T {
  for (const filter of filters) for (const pod of pods) filter.adjust(pod, node, by);
  const result = look();
  for (const filter of filters) for (const pod of pods) filter.adjust(pod, node, by === 1 ? -1 : 1);
  return result;
}
