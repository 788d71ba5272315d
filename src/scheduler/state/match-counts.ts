import type { NodeInfo } from './node-info.ts';
import type { PodInfo } from './pod-info.ts';

/** How many pods on each node meet a condition; kept up as pods come and go. */
export class MatchCounts {
  readonly matches: (pod: PodInfo) => boolean;
  readonly byNode = new Map<NodeInfo, number>();
  total = 0;

  constructor(matches: (pod: PodInfo) => boolean) {
    this.matches = matches;
  }

  count(pod: PodInfo, node: NodeInfo, by: 1 | -1): void {
    if (!this.matches(pod)) return;
    this.total += by;
    const now = (this.byNode.get(node) ?? 0) + by;
    if (now === 0) this.byNode.delete(node);
    else this.byNode.set(node, now);
  }
}

/** Nodes counted by a term that pods on them carry. */
export class TermOwners<T> {
  readonly #entries = new Map<string, { readonly value: T; readonly nodes: Map<NodeInfo, number> }>();

  count(key: string, value: T, node: NodeInfo, by: 1 | -1): void {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { value, nodes: new Map() };
      this.#entries.set(key, entry);
    }
    const now = (entry.nodes.get(node) ?? 0) + by;
    if (now !== 0) entry.nodes.set(node, now);
    else if (entry.nodes.delete(node) && entry.nodes.size === 0) this.#entries.delete(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  entries(): Iterable<{ readonly value: T; readonly nodes: ReadonlyMap<NodeInfo, number> }> {
    return this.#entries.values();
  }
}
