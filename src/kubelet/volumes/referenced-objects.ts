import type { ConfigMap, KubeObject, ResourceInfo, Secret } from '#api';
import { resource } from '#api';
import type { Client, Informer, Informers } from '#client';
import { isNotFound } from '#machinery';
import type { ObjectSource } from '../pods/environment.ts';

const configMaps = resource('v1', 'configmaps');
const secrets = resource('v1', 'secrets');

interface Held {
  readonly informer: Informer<KubeObject>;
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
 * while a pod uses it. The first look asks the server itself, so it is never older than the pod.
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
    let entry = held.get(key);
    if (entry === undefined) {
      const informer = informers.of<KubeObject>(info, { namespace, fieldSelector: `metadata.name=${name}` });
      const holders = new Set<string>();
      entry = { informer, holders };
      held.set(key, entry);
      let seen: string | undefined;
      informer.onChange(({ object, type }) => {
        const version = type === 'deleted' ? '' : object.metadata.resourceVersion;
        if (seen !== version) for (const holder of holders) onChange(holder);
        seen = version;
      });
    }
    entry.holders.add(uid);
    const cached = entry.informer.hasSynced ? entry.informer.get(namespace, name) : undefined;
    if (cached !== undefined) return cached as T;
    try {
      return await client.get<T>(info, name, { namespace });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  return {
    forPod: (uid) => ({
      configMap: (namespace, name) => read<ConfigMap>(configMaps, uid, namespace, name),
      secret: (namespace, name) => read<Secret>(secrets, uid, namespace, name),
    }),
    release(uid) {
      for (const [key, { informer, holders }] of held) {
        if (!holders.delete(uid) || holders.size > 0) continue;
        informer.close();
        held.delete(key);
      }
    },
    close() {
      for (const { informer } of held.values()) informer.close();
      held.clear();
    },
  };
}
