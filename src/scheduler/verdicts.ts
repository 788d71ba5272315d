import type { Refusal, SchedulingPlugin } from './framework.ts';
import type { ClusterState } from './state/cluster-state.ts';
import type { Generations, NodeInfo } from './state/node-info.ts';
import type { PodInfo, PodShape } from './state/pod-info.ts';

const mostShapes = 32;

/** Nodes that would take a pod, with what they are worth where that needs no other node. */
export interface Feasible {
  readonly nodes: NodeInfo[];
  /** Weighted sums of the scores that need no normalising; to be added to. */
  readonly scores: Float64Array;
}

/** What the node-local plugins say of one shape, by slot, each valid for one generation of the node. */
export class Verdicts {
  #seen = new Float64Array(0);
  #refusals: (Refusal | undefined)[] = [];
  /** 1 where there is a refusal. */
  #refused = new Uint8Array(0);
  /** Weighted sums of scores that need no normalising. */
  #scores = new Float64Array(0);
  /** Raw scores of each plugin that needs it. */
  #raws: Float64Array[];
  /** Per plugin, whether any node was ever worth more than nothing. */
  readonly #some: boolean[];

  constructor(rawCount: number) {
    this.#raws = Array.from({ length: rawCount }, () => new Float64Array(0));
    this.#some = this.#raws.map(() => false);
  }

  grow(slots: number): void {
    if (this.#seen.length >= slots) return;
    const grown = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const made = new Float64Array(Math.max(64, slots * 2));
      made.set(old);
      return made;
    };
    const refused = new Uint8Array(Math.max(64, slots * 2));
    refused.set(this.#refused);
    this.#refused = refused;
    while (this.#refusals.length < refused.length) this.#refusals.push(undefined);
    this.#seen = grown(this.#seen);
    this.#scores = grown(this.#scores);
    this.#raws = this.#raws.map(grown);
  }

  isFresh(node: NodeInfo, { at }: Generations): boolean {
    return this.#seen[node.slot] === at[node.slot];
  }

  /**
   * From the place `start` of the cluster's order on, all around at most, until `enough` nodes would take the pod; `renew` is asked where what
   * is known is old. Returns the place where the next search begins.
   */
  collect(
    cluster: ClusterState,
    { start, enough, into }: { start: number; enough: number; into: Feasible },
    renew: (node: NodeInfo) => void,
  ): number {
    const { order, orderSlots } = cluster;
    const { at: generations } = cluster.generations;
    const { nodes, scores } = into;
    const [seen, refused, own] = [this.#seen, this.#refused, this.#scores];
    const count = order.length;
    let place = start;
    let found = 0;
    for (let looked = 0; looked < count && found < enough; looked++) {
      const slot = orderSlots[place] as number;
      if (seen[slot] !== generations[slot]) renew(order[place] as NodeInfo);
      if (refused[slot] === 0) {
        nodes.push(order[place] as NodeInfo);
        scores[found++] = own[slot] as number;
      }
      if (++place === count) place = 0;
    }
    return place;
  }

  refusal(node: NodeInfo): Refusal | undefined {
    return this.#refusals[node.slot];
  }

  score(node: NodeInfo): number {
    return this.#scores[node.slot] as number;
  }

  raw(index: number, node: NodeInfo): number {
    return (this.#raws[index] as Float64Array)[node.slot] as number;
  }

  /** False: every node got 0 from that plugin, so it makes no difference. */
  differs(index: number): boolean {
    return this.#some[index] === true;
  }

  set(
    node: NodeInfo,
    { at }: Generations,
    verdict: { refusal?: Refusal; score: number; raws: readonly number[] },
  ): void {
    const { refusal, score, raws } = verdict;
    this.#seen[node.slot] = at[node.slot] as number;
    this.#refusals[node.slot] = refusal;
    this.#refused[node.slot] = refusal === undefined ? 0 : 1;
    this.#scores[node.slot] = score;
    for (let i = 0; i < raws.length; i++) {
      const raw = raws[i] as number;
      (this.#raws[i] as Float64Array)[node.slot] = raw;
      if (raw !== 0) this.#some[i] = true;
    }
  }
}

/** Asks the node-local plugins, once for all pods of a shape and each state of a node. */
export class VerdictCache {
  readonly #cluster: ClusterState;
  readonly #filters: readonly SchedulingPlugin[];
  readonly #plain: readonly SchedulingPlugin[];
  readonly normalized: readonly SchedulingPlugin[];
  readonly #shapes = new Map<PodShape, Verdicts>();

  constructor(cluster: ClusterState, plugins: readonly SchedulingPlugin[]) {
    this.#cluster = cluster;
    this.#filters = plugins.filter((one) => one.filter !== undefined);
    this.#plain = plugins.filter((one) => one.score !== undefined && one.normalize === undefined);
    this.normalized = plugins.filter((one) => one.score !== undefined && one.normalize !== undefined);
  }

  of(shape: PodShape): Verdicts {
    let verdicts = this.#shapes.get(shape);
    if (verdicts === undefined) {
      verdicts = new Verdicts(this.normalized.length);
      if (this.#shapes.size >= mostShapes) this.#shapes.delete(this.#shapes.keys().next().value as PodShape);
    } else this.#shapes.delete(shape);
    this.#shapes.set(shape, verdicts);
    verdicts.grow(this.#cluster.slots);
    return verdicts;
  }

  /** The first refusal of the node as it stands, not kept: for trials. */
  judge(pod: PodInfo, node: NodeInfo): Refusal | undefined {
    for (const plugin of this.#filters) {
      const refusal = plugin.filter?.(pod, node);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  /** The first refusal, kept until the node changes. */
  refusal(verdicts: Verdicts, pod: PodInfo, node: NodeInfo): Refusal | undefined {
    if (!verdicts.isFresh(node, this.#cluster.generations)) this.#renew(verdicts, pod, node);
    return verdicts.refusal(node);
  }

  /** Nodes that would take the pod when nothing but their own plugins has a say; see `Verdicts.collect`. */
  collect(verdicts: Verdicts, pod: PodInfo, search: { start: number; enough: number; into: Feasible }): number {
    return verdicts.collect(this.#cluster, search, (node) => this.#renew(verdicts, pod, node));
  }

  #renew(verdicts: Verdicts, pod: PodInfo, node: NodeInfo): void {
    const { generations } = this.#cluster;
    const refusal = this.judge(pod, node);
    if (refusal !== undefined) return verdicts.set(node, generations, { refusal, score: 0, raws: [] });
    let score = 0;
    for (const plugin of this.#plain) score += (plugin.weight ?? 1) * (plugin.score?.(pod, node, this.#cluster) ?? 0);
    const raws = this.normalized.map((plugin) => plugin.score?.(pod, node, this.#cluster) ?? 0);
    verdicts.set(node, generations, { score, raws });
  }
}
