import type { Change } from './change.ts';

/** Which changes a watcher can care for at all: narrower is cheaper, since other changes never reach it. */
export interface WatcherScope {
  /** `namespace/name` or `name` of the only object. */
  readonly key?: string;
  readonly namespace?: string;
  /** Value of the resource's index (a pod's node). */
  readonly indexed?: string;
}

export type Deliver = (change: Change) => void;

/** Watchers by scope: a change visits only those whose scope it touches. */
export class WatcherSet {
  readonly #buckets = new Map<string, Set<Deliver>>();
  size = 0;

  add(scope: WatcherScope, deliver: Deliver): () => void {
    const name = bucketName(scope);
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = new Set();
      this.#buckets.set(name, bucket);
    }
    bucket.add(deliver);
    this.size++;
    return () => {
      if (!bucket.delete(deliver)) return;
      this.size--;
      if (bucket.size === 0 && this.#buckets.get(name) === bucket) this.#buckets.delete(name);
    };
  }

  /** How many by what they look at, in the words of upstream's metrics. */
  byScope(): Record<'cluster' | 'namespace' | 'resource', number> {
    const counts = { cluster: 0, namespace: 0, resource: 0 };
    for (const [name, bucket] of this.#buckets)
      counts[name.startsWith('k') ? 'resource' : name.startsWith('n') ? 'namespace' : 'cluster'] += bucket.size;
    return counts;
  }

  /** `indexed`: the index values of the new and old state. */
  tell(change: Change, indexed: readonly (string | undefined)[]): void {
    if (this.size === 0) return;
    this.#tell('', change);
    this.#tell(`k${change.key}`, change);
    const slash = change.key.indexOf('/');
    if (slash > 0) this.#tell(`n${change.key.slice(0, slash)}`, change);
    const [current, previous] = indexed;
    if (current !== undefined) this.#tell(`i${current}`, change);
    if (previous !== undefined && previous !== current) this.#tell(`i${previous}`, change);
  }

  #tell(name: string, change: Change): void {
    const bucket = this.#buckets.get(name);
    if (bucket !== undefined) for (const deliver of bucket) deliver(change);
  }
}

/**
 * Whether a change of the past is one that a watcher of this scope may be told. The index is not asked: who watches by it checks each
 * object himself.
 */
export function touches({ key, namespace }: WatcherScope, change: Change): boolean {
  if (key !== undefined) return change.key === key;
  return namespace === undefined || change.key.startsWith(`${namespace}/`);
}

function bucketName({ key, indexed, namespace }: WatcherScope): string {
  if (key !== undefined) return `k${key}`;
  if (indexed !== undefined) return `i${indexed}`;
  return namespace === undefined ? '' : `n${namespace}`;
}
