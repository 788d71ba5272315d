import type { KubeObject, ResourceInfo } from '#api';
import type { Change, Informer, InformerOptions, Informers } from '#client';

/** Informers over objects that the bench holds itself: what depends on informers alone can be measured without a server. */
export interface FakeInformers extends Informers {
  /** Puts an object in, or in the place of the one with its namespace and name, and tells the handlers. */
  put(resource: ResourceInfo, object: KubeObject): void;
}

interface Held {
  readonly objects: Map<string, KubeObject>;
  readonly handlers: Set<(change: Change<KubeObject>) => void>;
  readonly indexes: Map<
    string,
    { of: (object: KubeObject) => readonly string[]; entries: Map<string, Map<string, KubeObject>> }
  >;
}

export function fakeInformers(): FakeInformers {
  const all = new Map<string, Held>();
  const heldOf = ({ group, plural }: ResourceInfo): Held => {
    const key = `${group}/${plural}`;
    const held = all.get(key) ?? { objects: new Map(), handlers: new Set(), indexes: new Map() };
    all.set(key, held);
    return held;
  };
  return {
    of<T extends KubeObject>(resource: ResourceInfo, options: InformerOptions<T> = {}): Informer<T> {
      const held = heldOf(resource);
      for (const [name, of] of Object.entries(options.indexes ?? {})) {
        const index = { of: of as (object: KubeObject) => readonly string[], entries: new Map() };
        held.indexes.set(name, index);
        for (const [key, object] of held.objects) enter(index, key, object);
      }
      return informerOver(resource, held) as unknown as Informer<T>;
    },
    async synced() {},
    close() {},
    put(resource, object) {
      const held = heldOf(resource);
      const key = keyOf(object.metadata.namespace, object.metadata.name);
      const old = held.objects.get(key);
      held.objects.set(key, object);
      for (const index of held.indexes.values()) {
        if (old !== undefined) for (const value of index.of(old)) index.entries.get(value)?.delete(key);
        enter(index, key, object);
      }
      const change = {
        type: old === undefined ? 'added' : 'updated',
        object,
        ...(old === undefined ? {} : { old }),
      } as const;
      for (const handler of held.handlers) handler(change);
    },
  };
}

function informerOver(resource: ResourceInfo, held: Held): Informer<KubeObject> {
  return {
    resource,
    synced: Promise.resolve(),
    hasSynced: true,
    get: (namespace, name) => held.objects.get(keyOf(namespace, name)),
    list: () => [...held.objects.values()],
    byIndex: (index, value) => [...(held.indexes.get(index)?.entries.get(value)?.values() ?? [])],
    onChange(handler) {
      held.handlers.add(handler);
      for (const object of held.objects.values()) handler({ type: 'added', object });
      return () => void held.handlers.delete(handler);
    },
    observe() {},
    close() {},
  };
}

function enter(
  index: { of: (object: KubeObject) => readonly string[]; entries: Map<string, Map<string, KubeObject>> },
  key: string,
  object: KubeObject,
): void {
  for (const value of index.of(object)) {
    const entries = index.entries.get(value) ?? new Map<string, KubeObject>();
    entries.set(key, object);
    index.entries.set(value, entries);
  }
}

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;
