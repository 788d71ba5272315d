import type { KubeObject } from '#api';
import type { Change } from './contract.ts';

export type IndexFunction<T> = (object: T) => readonly string[];

/** The values of one index entry, with the array handed out until the next change. */
interface Bucket<T> {
  readonly objects: Map<string, T>;
  list?: readonly T[];
}

/** `namespace/name`, or the bare name of a cluster-scoped object: also the key of work queues. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

/** The parts of a key made by `keyOf`. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf('/');
  return slash === -1
    ? { namespace: undefined, name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

function ownerUid(object: KubeObject): readonly string[] {
  const owner = object.metadata.ownerReferences?.find((one) => one.controller === true);
  return owner === undefined ? [] : [owner.uid];
}

const none: readonly never[] = Object.freeze([]);

/**
 * Objects of one resource by key, with indexes, newest version wins. Lists handed out are shared: a caller that sorts copies first.
 */
export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  #list: readonly T[] | undefined;
  readonly #indexes = new Map<string, { readonly of: IndexFunction<T>; readonly buckets: Map<string, Bucket<T>> }>();

  /** `bare`: without the indexes that are there by default. */
  constructor(how: { readonly bare?: boolean } = {}) {
    if (how.bare === true) return;
    this.addIndex('namespace', (object) => [object.metadata.namespace ?? '']);
    this.addIndex('owner', ownerUid);
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  list(): readonly T[] {
    this.#list ??= [...this.#objects.values()];
    return this.#list;
  }

  byIndex(name: string, value: string): readonly T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new TypeError(`no index ${name}`);
    const bucket = index.buckets.get(value);
    if (bucket === undefined) return none;
    bucket.list ??= [...bucket.objects.values()];
    return bucket.list;
  }

  hasIndex(name: string): boolean {
    return this.#indexes.has(name);
  }

  addIndex(name: string, of: IndexFunction<T>): void {
    if (this.#indexes.has(name)) return;
    const buckets = new Map<string, Bucket<T>>();
    this.#indexes.set(name, { of, buckets });
    for (const [key, object] of this.#objects) for (const value of of(object)) put(buckets, value, key, object);
  }

  /** Takes in an object and says what changed: a new uid under the same name is a deletion and an addition. */
  set(key: string, object: T): readonly Change<T>[] {
    const old = this.#objects.get(key);
    this.#objects.set(key, object);
    this.#list = undefined;
    for (const { of, buckets } of this.#indexes.values()) {
      const values = of(object);
      if (old !== undefined) for (const value of of(old)) if (!values.includes(value)) remove(buckets, value, key);
      for (const value of values) put(buckets, value, key, object);
    }
    if (old === undefined) return [{ type: 'added', object }];
    if (old.metadata.uid !== object.metadata.uid) {
      return [
        { type: 'deleted', object: old },
        { type: 'added', object },
      ];
    }
    return [{ type: 'updated', object, old }];
  }

  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (old === undefined) return undefined;
    this.#objects.delete(key);
    this.#list = undefined;
    for (const { of, buckets } of this.#indexes.values()) for (const value of of(old)) remove(buckets, value, key);
    return old;
  }
}

function put<T>(buckets: Map<string, Bucket<T>>, value: string, key: string, object: T): void {
  const bucket = buckets.get(value);
  if (bucket === undefined) buckets.set(value, { objects: new Map([[key, object]]) });
  else {
    bucket.objects.set(key, object);
    bucket.list = undefined;
  }
}

function remove<T>(buckets: Map<string, Bucket<T>>, value: string, key: string): void {
  const bucket = buckets.get(value);
  if (bucket === undefined) return;
  bucket.objects.delete(key);
  bucket.list = undefined;
  if (bucket.objects.size === 0) buckets.delete(value);
}
