import type { KubeObject, OwnerReference } from '#api';
import type { Informer } from '#client';
import type { ServedResource } from '../discovery/directory.ts';

/** One object of the cluster, with what garbage collection needs of it. */
export interface GraphNode {
  readonly uid: string;
  readonly resource: ServedResource;
  readonly informer: Informer<KubeObject>;
  /** The newest copy seen. */
  object: KubeObject;
}

const none: ReadonlySet<GraphNode> = new Set();
const mostAbsent = 10_000;

/** Who owns whom, over all resources: nodes by uid, dependents by their owner's uid (known or not). */
export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #dependents = new Map<string, Set<GraphNode>>();
  /** Owners found not to exist: a uid never comes back. */
  readonly #absent = new Set<string>();

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependentsOf(uid: string): ReadonlySet<GraphNode> {
    return this.#dependents.get(uid) ?? none;
  }

  isAbsent(uid: string): boolean {
    return this.#absent.has(uid);
  }

  markAbsent(uid: string): void {
    this.#absent.add(uid);
    if (this.#absent.size > mostAbsent) this.#absent.delete(this.#absent.values().next().value as string);
  }

  put(resource: ServedResource, informer: Informer<KubeObject>, object: KubeObject): GraphNode {
    const { uid } = object.metadata;
    const node = this.#nodes.get(uid);
    if (node === undefined) {
      const made: GraphNode = { uid, resource, informer, object };
      this.#nodes.set(uid, made);
      for (const owner of ownersOf(object)) this.#link(owner.uid, made);
      return made;
    }
    const old = ownersOf(node.object);
    const now = ownersOf(object);
    node.object = object;
    if (old === now) return node;
    for (const { uid: owner } of old) if (!now.some((one) => one.uid === owner)) this.#unlink(owner, node);
    for (const { uid: owner } of now) this.#link(owner, node);
    return node;
  }

  remove(uid: string): GraphNode | undefined {
    const node = this.#nodes.get(uid);
    if (node === undefined) return undefined;
    this.#nodes.delete(uid);
    for (const owner of ownersOf(node.object)) this.#unlink(owner.uid, node);
    return node;
  }

  /** Forgets all of a resource that is served no more. */
  removeAll(informer: Informer<KubeObject>): GraphNode[] {
    const gone = [...this.#nodes.values()].filter((node) => node.informer === informer);
    for (const { uid } of gone) this.remove(uid);
    return gone;
  }

  #link(owner: string, node: GraphNode): void {
    const set = this.#dependents.get(owner);
    if (set === undefined) this.#dependents.set(owner, new Set([node]));
    else set.add(node);
  }

  #unlink(owner: string, node: GraphNode): void {
    const set = this.#dependents.get(owner);
    set?.delete(node);
    if (set?.size === 0) this.#dependents.delete(owner);
  }
}

const noOwners: readonly OwnerReference[] = [];

export function ownersOf(object: KubeObject): readonly OwnerReference[] {
  return object.metadata.ownerReferences ?? noOwners;
}

export const foreground = 'foregroundDeletion';
export const orphan = 'orphan';

/** Being deleted, and waiting for its dependents to go first. */
export function waitsForDependents(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers?.includes(foreground) ?? false);
}

/** Being deleted, and its dependents are to be let go. */
export function orphansDependents(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers?.includes(orphan) ?? false);
}
