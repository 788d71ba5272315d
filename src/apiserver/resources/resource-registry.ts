import type { Measures } from '../http/measures.ts';
import { type AnyObject, apiVersionOf } from '#api';
import type { Log } from '#base';
import type { KindCatalogue, KindDefinition } from '#kinds';
import type { Store } from '#store';
import { definitionHead } from '../watchcache/cached-object.ts';
import { ResourceCache } from '../watchcache/resource-cache.ts';
import type { StoreFeed } from '../watchcache/store-feed.ts';
import { KindResource } from './kind-resource.ts';
import { ObjectStorage, type Seal } from './object-storage.ts';

export const storageRoot = '/registry/';

/** The served kinds with their storages. Storages open at first use and live until their last kind is gone. */
export class ResourceRegistry {
  readonly catalogue: KindCatalogue;
  readonly #options: {
    readonly store: Store;
    readonly feed: StoreFeed;
    readonly log: Log;
    readonly sealOf: (segment: string) => Seal | undefined;
    readonly measures?: Measures;
  };
  readonly #resources = new Map<KindDefinition, KindResource>();
  readonly #storages = new Map<string, ObjectStorage>();

  constructor(options: {
    catalogue: KindCatalogue;
    store: Store;
    feed: StoreFeed;
    log: Log;
    sealOf: (segment: string) => Seal | undefined;
    measures?: Measures;
  }) {
    this.catalogue = options.catalogue;
    this.#options = options;
    this.catalogue.onChange(({ type, definition }) => {
      if (type === 'added') return;
      for (const known of [...this.#resources.keys()]) {
        if (known !== definition && sameResource(known, definition)) this.#resources.delete(known);
      }
      if (type === 'removed') this.#resources.delete(definition);
      this.#refreshStorage(segmentOf(definition));
    });
  }

  find(group: string, version: string, plural: string): KindResource | undefined {
    const definition = this.catalogue.byPlural(group, version, plural);
    return definition === undefined ? undefined : this.of(definition);
  }

  of(definition: KindDefinition): KindResource {
    let found = this.#resources.get(definition);
    if (found === undefined) {
      const stored = definition.stored !== false;
      found = new KindResource(definition, stored ? () => this.#storage(definition) : undefined);
      this.#resources.set(definition, found);
    }
    return found;
  }

  /** Fills every cache, one after the other: what was never read cannot be read while the store does not answer. */
  async fillAll(): Promise<void> {
    for (const definition of this.catalogue.all()) {
      if (definition.stored !== false) await this.of(definition).storage.cache.ready;
    }
  }

  /** The open storage of a segment, if it was opened. */
  openStorages(): Iterable<ObjectStorage> {
    return this.#storages.values();
  }

  #storage(definition: KindDefinition): ObjectStorage {
    const segment = segmentOf(definition);
    let storage = this.#storages.get(segment);
    if (storage === undefined) {
      const { store, feed, log, sealOf, measures } = this.#options;
      const stored = this.#storedAs(definition);
      const seal = sealOf(segment);
      const cache = new ResourceCache({
        store,
        feed,
        root: storageRoot,
        segment,
        form: { definition: stored, head: definitionHead(stored) },
        log,
        ...(seal === undefined ? {} : { unseal: (value: Uint8Array, key: string) => seal.unseal(value, key) }),
        ...(segment === 'pods' ? { indexBy: nodeNameOf } : {}),
      });
      storage = new ObjectStorage({ store, cache, seal, measures });
      this.#storages.set(segment, storage);
    }
    return storage;
  }

  /** The definition in whose version the segment's objects are stored. */
  #storedAs(definition: KindDefinition): KindDefinition {
    const { storageVersion } = definition;
    if (storageVersion === undefined) return definition;
    const segment = segmentOf(definition);
    const match = this.catalogue
      .all()
      .find(
        (one) =>
          segmentOf(one) === segment &&
          isVersion(one, storageVersion) &&
          one.resource.kind === definition.resource.kind,
      );
    return match ?? definition;
  }

  /** After a change of definitions: the storage follows its newest definition, or closes with its last. */
  #refreshStorage(segment: string): void {
    const storage = this.#storages.get(segment);
    if (storage === undefined) return;
    const left = this.catalogue.all().find((one) => one.stored !== false && segmentOf(one) === segment);
    if (left === undefined) {
      this.#storages.delete(segment);
      storage.cache.close();
      return;
    }
    const stored = this.#storedAs(left);
    storage.cache.form.definition = stored;
    storage.cache.form.head = definitionHead(stored);
    storage.cache.complete();
  }
}

/** `v1` and `example.com/v1` both name a version, the first also without its group. */
function isVersion(definition: KindDefinition, version: string): boolean {
  return (
    apiVersionOf(definition.resource) === version ||
    (definition.resource.group !== '' && definition.resource.version === version)
  );
}

export function segmentOf({ storageSegment, resource }: KindDefinition): string {
  return storageSegment ?? (resource.group === '' ? resource.plural : `${resource.group}/${resource.plural}`);
}

function sameResource(a: KindDefinition, b: KindDefinition): boolean {
  return (
    a.resource.group === b.resource.group &&
    a.resource.version === b.resource.version &&
    a.resource.plural === b.resource.plural
  );
}

function nodeNameOf(object: AnyObject): string {
  return (object.spec as { nodeName?: string } | undefined)?.nodeName ?? '';
}
