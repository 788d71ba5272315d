import type { AnyObject } from '#api';
import type { KindDefinition } from '#kinds';
import type { ObjectView } from '../contract.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { Change } from '../watchcache/change.ts';
import type { ResourceCache } from '../watchcache/resource-cache.ts';

/** The server's own live view of a resource, for its parts. Keeps decoded objects in the cache. */
export class CacheView implements ObjectView {
  readonly #cache: ResourceCache;
  readonly #definition: KindDefinition;

  constructor(cache: ResourceCache, definition: KindDefinition) {
    this.#cache = cache;
    this.#definition = definition;
    cache.objectReaders++;
  }

  get ready(): Promise<void> {
    return this.#cache.ready;
  }

  get isReady(): boolean {
    return this.#cache.isReady;
  }

  get generation(): number {
    return this.#cache.generation;
  }

  get(namespace: string | undefined, name: string): AnyObject | undefined {
    const { namespaced } = this.#definition.resource;
    return this.#cache.get(namespaced ? `${namespace ?? ''}/${name}` : name)?.objectAs(this.#definition);
  }

  list(namespace?: string): readonly AnyObject[] {
    const all = namespace === undefined || !this.#definition.resource.namespaced;
    const found: readonly CachedObject[] = all
      ? this.#cache.snapshot().slice('', '')
      : this.#cache.snapshot().slice(`${namespace}/`, `${namespace}0`);
    return found.map((one) => one.objectAs(this.#definition));
  }

  onChange(callback: (change: { readonly object?: AnyObject; readonly old?: AnyObject }) => void): () => void {
    const deliver = ({ object, previous }: Change): void =>
      callback({
        ...(object === undefined ? {} : { object: object.objectAs(this.#definition) }),
        ...(previous === undefined ? {} : { old: previous.objectAs(this.#definition) }),
      });
    return this.#cache.watch({}, deliver, () => {});
  }

  async current(): Promise<void> {
    await this.#cache.ready;
    await this.#cache.fresh();
  }
}
