import type { Node } from '#api';
import { deepEqual } from '#machinery';
import { MatchCounts, TermOwners } from './match-counts.ts';
import { Generations, NodeInfo } from './node-info.ts';
import type { PodInfo, Term } from './pod-info.ts';

/** The values of one topology label: a number for each, and each node's number (-1 without the label). */
export interface Domains {
  readonly of: Int32Array;
  readonly size: number;
}

const zoneLabel = 'topology.kubernetes.io/zone';
const mostCounts = 128;

/**
 * Everything scheduling decides on, always current: nodes with the pods on them, those assumed there before the server has
 * said so, and counts kept by what past decisions asked for.
 */
export class ClusterState {
  readonly nodes = new Map<string, NodeInfo>();
  readonly generations = new Generations();
  /** Changes when a node comes, goes, or changes labels or taints. */
  nodesVersion = 0;
  /** Nodes that have each image. */
  readonly imageNodes = new Map<string, number>();
  readonly antiAffinityOwners = new TermOwners<Term>();
  readonly preferenceOwners = new TermOwners<{ readonly term: Term; readonly weight: number }>();
  /** Pods told to wait for room on a node after preemption, by node name. */
  readonly nominated = new Map<string, Map<string, PodInfo>>();
  readonly #nominatedAt = new Map<string, string>();
  readonly #places = new Map<string, { readonly info: PodInfo; readonly node: NodeInfo; readonly assumed: boolean }>();
  readonly #counts = new Map<string, MatchCounts>();
  readonly #priorities = new Map<number, number>();
  readonly #domains = new Map<string, Domains>();
  #domainsVersion = -1;
  #order: NodeInfo[] | undefined;
  #slotsOf: readonly NodeInfo[] | undefined;
  #orderSlots = new Int32Array(0);
  #slots = 0;
  readonly #freeSlots: number[] = [];
  #namespaceLabels: (namespace: string) => Record<string, string> | undefined = () => undefined;

  /** Arrays by slot must be this long. */
  get slots(): number {
    return this.#slots;
  }

  /** Where namespace selectors look. */
  useNamespaces(labels: (namespace: string) => Record<string, string> | undefined): void {
    this.#namespaceLabels = labels;
  }

  /** What selectors of namespaces found may have changed. */
  namespacesChanged(): void {
    this.#counts.clear();
  }

  /** Known nodes, neighbours in the list from different zones. */
  get order(): readonly NodeInfo[] {
    this.#order ??= interleaved([...this.nodes.values()].filter((one) => one.node !== undefined));
    return this.#order;
  }

  /** The slots of `order`. */
  get orderSlots(): Int32Array {
    if (this.#slotsOf !== this.order) {
      this.#slotsOf = this.order;
      this.#orderSlots = Int32Array.from(this.order, (one) => one.slot);
    }
    return this.#orderSlots;
  }

  /** Returns whether the node is new, changed in what scheduling reads, or only heard from. */
  setNode(node: Node): 'added' | 'changed' | 'same' {
    const info = this.#nodeInfo(node.metadata.name);
    const old = info.node;
    if (old !== undefined && sameForScheduling(old, node)) {
      info.node = node;
      return 'same';
    }
    this.#countImages(info, -1);
    info.setNode(node);
    this.#countImages(info, 1);
    if (old === undefined || !sameTopology(old, node)) {
      this.nodesVersion++;
      this.#order = undefined;
    }
    return old === undefined ? 'added' : 'changed';
  }

  removeNode(name: string): void {
    const info = this.nodes.get(name);
    if (info === undefined) return;
    this.#countImages(info, -1);
    info.node = undefined;
    info.images = new Map();
    this.nodesVersion++;
    this.#order = undefined;
    this.#dropIfEmpty(info);
  }

  #nodeInfo(name: string): NodeInfo {
    let info = this.nodes.get(name);
    if (info === undefined) {
      info = new NodeInfo(name, this.#freeSlots.pop() ?? this.#slots++, this.generations);
      this.nodes.set(name, info);
    }
    return info;
  }

  #dropIfEmpty(info: NodeInfo): void {
    if (info.node !== undefined || info.pods.size > 0) return;
    this.nodes.delete(info.name);
    this.#freeSlots.push(info.slot);
  }

  #countImages(info: NodeInfo, by: 1 | -1): void {
    for (const name of info.images.keys()) {
      const count = (this.imageNodes.get(name) ?? 0) + by;
      if (count > 0) this.imageNodes.set(name, count);
      else this.imageNodes.delete(name);
    }
  }

  /** The pod is on that node: the server says so, or (assumed) soon will. */
  place(info: PodInfo, nodeName: string, assumed = false): 'added' | 'changed' | 'same' {
    const before = this.#places.get(info.uid);
    this.clearNomination(info.uid);
    if (before !== undefined) {
      if (before.node.name === nodeName && sameForOthers(before.info, info)) {
        before.node.replacePod(info);
        this.#places.set(info.uid, { info, node: before.node, assumed });
        return 'same';
      }
      this.remove(info.uid);
    }
    const node = this.#nodeInfo(nodeName);
    node.addPod(info);
    this.#places.set(info.uid, { info, node, assumed });
    this.#countPod(info, node, 1);
    return before === undefined ? 'added' : 'changed';
  }

  /** Takes the pod off its node; returns whether it was on one. */
  remove(uid: string): boolean {
    const place = this.#places.get(uid);
    if (place === undefined) return false;
    this.#places.delete(uid);
    place.node.removePod(uid);
    this.#countPod(place.info, place.node, -1);
    this.#dropIfEmpty(place.node);
    return true;
  }

  isAssumed(uid: string): boolean {
    return this.#places.get(uid)?.assumed === true;
  }

  infoOf(uid: string): PodInfo | undefined {
    return this.#places.get(uid)?.info;
  }

  nodeOf(uid: string): NodeInfo | undefined {
    return this.#places.get(uid)?.node;
  }

  get podCount(): number {
    return this.#places.size;
  }

  /** The least priority of any pod on a node. */
  get lowestPriority(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const priority of this.#priorities.keys()) if (priority < lowest) lowest = priority;
    return lowest;
  }

  #countPod(info: PodInfo, node: NodeInfo, by: 1 | -1): void {
    const alike = (this.#priorities.get(info.priority) ?? 0) + by;
    if (alike > 0) this.#priorities.set(info.priority, alike);
    else this.#priorities.delete(info.priority);
    for (const counts of this.#counts.values()) counts.count(info, node, by);
    const { shape } = info;
    if (
      shape.affinity.length +
        shape.antiAffinity.length +
        shape.preferredAffinity.length +
        shape.preferredAntiAffinity.length ===
      0
    ) {
      return;
    }
    const { affinity, antiAffinity, preferredAffinity, preferredAntiAffinity } = info.terms;
    for (const term of antiAffinity) this.antiAffinityOwners.count(term.key, term, node, by);
    const prefer = (term: Term, weight: number): void =>
      this.preferenceOwners.count(`${weight}|${term.key}`, { term, weight }, node, by);
    for (const term of affinity) prefer(term, 1);
    for (const { term, weight } of preferredAffinity) prefer(term, weight);
    for (const { term, weight } of preferredAntiAffinity) prefer(term, -weight);
  }

  /** Whether a term means that pod. */
  termMatches(term: Term, pod: PodInfo): boolean {
    if (!term.selector.matches(pod.labels)) return false;
    if (term.namespaces.has(pod.namespace)) return true;
    return term.namespaceSelector?.matches(this.#namespaceLabels(pod.namespace)) ?? false;
  }

  /** Counts of pods that meet a condition; the same key must mean the same condition. Kept up until others push it out. */
  counts(key: string, matches: (pod: PodInfo) => boolean): MatchCounts {
    let counts = this.#counts.get(key);
    if (counts !== undefined) {
      this.#counts.delete(key);
      this.#counts.set(key, counts);
      return counts;
    }
    counts = new MatchCounts(matches);
    for (const { info, node } of this.#places.values()) counts.count(info, node, 1);
    if (this.#counts.size >= mostCounts) this.#counts.delete(this.#counts.keys().next().value as string);
    this.#counts.set(key, counts);
    return counts;
  }

  domains(key: string): Domains {
    if (this.#domainsVersion !== this.nodesVersion) {
      this.#domains.clear();
      this.#domainsVersion = this.nodesVersion;
    }
    let domains = this.#domains.get(key);
    if (domains === undefined) {
      const numbers = new Map<string, number>();
      const of = new Int32Array(this.#slots).fill(-1);
      for (const node of this.order) {
        const value = node.label(key);
        if (value === undefined) continue;
        let number = numbers.get(value);
        if (number === undefined) {
          number = numbers.size;
          numbers.set(value, number);
        }
        of[node.slot] = number;
      }
      domains = { of, size: numbers.size };
      this.#domains.set(key, domains);
    }
    return domains;
  }

  nominate(info: PodInfo, nodeName: string): void {
    this.clearNomination(info.uid);
    let pods = this.nominated.get(nodeName);
    if (pods === undefined) {
      pods = new Map();
      this.nominated.set(nodeName, pods);
    }
    pods.set(info.uid, info);
    this.#nominatedAt.set(info.uid, nodeName);
  }

  clearNomination(uid: string): void {
    const nodeName = this.#nominatedAt.get(uid);
    if (nodeName === undefined) return;
    this.#nominatedAt.delete(uid);
    const pods = this.nominated.get(nodeName);
    pods?.delete(uid);
    if (pods?.size === 0) this.nominated.delete(nodeName);
  }

  nominationOf(uid: string): string | undefined {
    return this.#nominatedAt.get(uid);
  }
}

function interleaved(nodes: readonly NodeInfo[]): NodeInfo[] {
  const zones = Map.groupBy(nodes, (one) => one.label(zoneLabel) ?? '');
  if (zones.size < 2) return [...nodes];
  const lists = [...zones.values()];
  const result: NodeInfo[] = [];
  for (let index = 0; result.length < nodes.length; index++) {
    for (const list of lists) {
      const one = list[index];
      if (one !== undefined) result.push(one);
    }
  }
  return result;
}

function sameTopology(a: Node, b: Node): boolean {
  return (
    deepEqual(a.metadata.labels, b.metadata.labels) &&
    deepEqual(a.spec?.taints, b.spec?.taints) &&
    a.spec?.unschedulable === b.spec?.unschedulable
  );
}

function sameForScheduling(a: Node, b: Node): boolean {
  return (
    sameTopology(a, b) &&
    deepEqual(a.status?.allocatable, b.status?.allocatable) &&
    deepEqual(a.status?.images, b.status?.images)
  );
}

/** Whether everything that other pods' scheduling reads of a pod is as before. */
function sameForOthers(a: PodInfo, b: PodInfo): boolean {
  return (
    a.shape === b.shape && a.terminating === b.terminating && (a.labels === b.labels || deepEqual(a.labels, b.labels))
  );
}
