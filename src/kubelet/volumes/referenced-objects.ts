import type { ConfigMap, KubeObject, ResourceInfo, Secret } from '#api';
import { resource } from '#api';
import type { Client, Informer, Informers } from '#client';
import { isNotFound } from '#machinery';
import type { ObjectSource } from '../pods/environment.ts';

const configMaps = resource('v1', 'configmaps');
const secrets = resource('v1', 'secrets');

interface Held {
  /** Absent for an immutable object: it is kept as it was read, and not watched. */
  readonly informer?: Informer<KubeObject>;
  readonly fixed?: KubeObject;
  /** Uids of the pods that use the object. */
  readonly holders: Set<string>;
}

export interface ReferencedObjects {
  /** The objects as seen by one pod, which is told of their changes from then on. */
  forPod(uid: string): ObjectSource;
  /** Forgets a pod; an object nobody uses is no longer watched. */
  release(uid: string): void;
  close(): void;
}

/**
 * ConfigMaps and Secrets that pods of this node use, and only those: one watch an object (as the node authoriser demands), held
 * while a pod uses it. The first look asks the server itself, so it is never older than the pod. Immutable ones are read, not watched.
 */
export function openReferencedObjects(options: {
  readonly client: Client;
  readonly informers: Informers;
  readonly onChange: (podUid: string) => void;
}): ReferencedObjects {
  const { client, informers, onChange } = options;
  const held = new Map<string, Held>();

  async function read<T extends KubeObject>(
    info: ResourceInfo,
    uid: string,
    namespace: string,
    name: string,
  ): Promise<T | undefined> {
    const key = `${info.plural}/${namespace}/${name}`;
    const entry = held.get(key);
    const cached = entry?.informer?.hasSynced ? entry.informer.get(namespace, name) : undefined;
    const known = cached ?? (entry?.holders.has(uid) ? entry.fixed : undefined);
    if (entry !== undefined && known !== undefined) {
      entry.holders.add(uid);
      return known as T;
    }
    const found = await readFresh<T>(info, namespace, name);
    const holders = held.get(key)?.holders ?? new Set<string>();
    holders.add(uid);
    if ((found as { immutable?: boolean } | undefined)?.immutable === true) {
      held.get(key)?.informer?.close();
      held.set(key, { fixed: found as KubeObject, holders });
    } else if (held.get(key)?.informer === undefined) {
      held.set(key, { informer: watchOne(info, namespace, name, holders), holders });
    }
    return found;
  }

  async function readFresh<T extends KubeObject>(
    info: ResourceInfo,
    namespace: string,
    name: string,
  ): Promise<T | undefined> {
    try {
      return await client.get<T>(info, name, { namespace });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  function watchOne(
    info: ResourceInfo,
    namespace: string,
    name: string,
    holders: ReadonlySet<string>,
  ): Informer<KubeObject> {
    const informer = informers.of<KubeObject>(info, { namespace, fieldSelector: `metadata.name=${name}` });
    let seen: string | undefined;
    informer.onChange(({ object, type }) => {
      const version = type === 'deleted' ? '' : object.metadata.resourceVersion;
      if (seen !== version) for (const holder of holders) onChange(holder);
      seen = version;
    });
    return informer;
  }

  return {
    forPod: (uid) => ({
      configMap: (namespace, name) => read<ConfigMap>(configMaps, uid, namespace, name),
      secret: (namespace, name) => read<Secret>(secrets, uid, namespace, name),
    }),
    release(uid) {
      for (const [key, { informer, holders }] of held) {
        if (!holders.delete(uid) || holders.size > 0) continue;
        informer?.close();
        held.delete(key);
      }
    },
    close() {
      for (const { informer } of held.values()) informer?.close();
      held.clear();
    },
  };
}
