import type { Clock, Log, Random } from '#base';
import { silentLog, systemRandom } from '#base';
import type { KubeObject, ResourceInfo } from '#api';
import type { Change, Client, Informer, InformerOptions, Informers } from './contract.ts';
import { Reflector } from './informer.ts';

export interface InformersOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log?: Log;
  readonly random?: Random;
  /** How the first state is fetched; `stream` needs Kubernetes 1.32 or newer and spares big lists. Default `list`. */
  readonly initial?: 'list' | 'stream';
}

interface Shared {
  readonly reflector: Reflector<KubeObject>;
  holders: number;
}

/** Opens a set of informers: one list and watch a resource and selection, shared by all who ask. */
export function openInformers(options: InformersOptions): Informers {
  const { client, clock, log = silentLog, random = systemRandom, initial = 'list' } = options;
  const shared = new Map<string, Shared>();

  function share(resource: ResourceInfo, select: InformerOptions<KubeObject>): [string, Shared] {
    const { namespace = '', labelSelector = '', fieldSelector = '', only = '' } = select;
    const { group, version, plural } = resource;
    const named = (kept: string): string =>
      JSON.stringify([group, version, plural, namespace, labelSelector, fieldSelector, kept]);
    const key = shared.has(named('')) ? named('') : named(only);
    let found = shared.get(key);
    if (found === undefined) {
      found = { reflector: new Reflector({ client, clock, log, random, resource, select, initial }), holders: 0 };
      shared.set(key, found);
    }
    found.reflector.addIndexes(select.indexes ?? {});
    found.holders++;
    return [key, found];
  }

  return {
    of<T extends KubeObject>(resource: ResourceInfo, select: InformerOptions<T> = {}): Informer<T> {
      const [key, entry] = share(resource, select as unknown as InformerOptions<KubeObject>);
      const close = (): void => {
        if (--entry.holders > 0) return;
        shared.delete(key);
        entry.reflector.close();
      };
      return informerOn(resource, entry.reflector as unknown as Reflector<T>, close);
    },

    async synced() {
      await Promise.all([...shared.values()].map((one) => one.reflector.synced));
    },

    close() {
      for (const { reflector } of shared.values()) reflector.close();
      shared.clear();
    },
  };
}

/** One holder's view of a shared reflector: closing it ends this holder's handlers, and the last one ends the watch. */
function informerOn<T extends KubeObject>(
  resource: ResourceInfo,
  reflector: Reflector<T>,
  release: () => void,
): Informer<T> {
  const endings = new Set<() => void>();
  let open = true;
  return {
    resource,
    synced: reflector.synced,
    get hasSynced() {
      return reflector.hasSynced;
    },
    get: (namespace, name) => reflector.cache.get(namespace ? `${namespace}/${name}` : name),
    list: (namespace) => (namespace ? reflector.cache.byIndex('namespace', namespace) : reflector.cache.list()),
    byIndex: (index, value) => reflector.cache.byIndex(index, value),
    onChange(handler: (change: Change<T>) => void) {
      const end = reflector.onChange(handler);
      endings.add(end);
      return () => {
        endings.delete(end);
        end();
      };
    },
    observe: (object) => reflector.observe(object),
    close() {
      if (!open) return;
      open = false;
      for (const end of endings) end();
      release();
    },
  };
}
