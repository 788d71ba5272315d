import type { KubeObject, ResourceInfo } from '#api';
import type { Informer, InformerOptions, Informers } from '#client';

/** Informers of a cluster that never changes: objects by plural name of their resource. For probes without an API server. */
export function fixedInformers(objects: Readonly<Record<string, readonly KubeObject[]>>): Informers {
  return {
    of<T extends KubeObject>(resource: ResourceInfo, options: InformerOptions<T> = {}): Informer<T> {
      const list = (objects[resource.plural] ?? []) as readonly T[];
      const inNamespace = (namespace: string | undefined): readonly T[] =>
        namespace ? list.filter(({ metadata }) => metadata.namespace === namespace) : list;
      return {
        resource,
        synced: Promise.resolve(),
        hasSynced: true,
        get: (namespace, name) => inNamespace(namespace).find(({ metadata }) => metadata.name === name),
        list: inNamespace,
        byIndex: (index, value) => list.filter((one) => options.indexes?.[index]?.(one).includes(value) === true),
        onChange(handler) {
          for (const object of list) handler({ type: 'added', object });
          return () => {};
        },
        observe() {},
        close() {},
      };
    },
    synced: () => Promise.resolve(),
    close() {},
  };
}
