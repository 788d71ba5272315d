import { type Clock, CodedError, type Log } from '#base';
import type { Store } from './contract.ts';
import type { WatchLimits } from './engine/watcher.ts';

export interface OpenStoreOptions {
  readonly clock: Clock;
  readonly log?: Log;
  /** Bytes that puts may fill before they get StoreFull. Absent: no limit. */
  readonly maxBytes?: number;
  readonly watchLimits?: WatchLimits;
  /** For an empty etcd: revisions count on from here. */
  readonly shiftRevisions?: number;
  /** Certificates (PEM) for `etcd:https://…`. */
  readonly etcdTls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

/** Opens a store by name: `memory`, `lmdb:DIR`, or `etcd:URL[,URL]`. Each driver is loaded only when it is asked for. */
export async function openStore(spec: string, options: OpenStoreOptions): Promise<Store> {
  if (spec === 'memory') {
    const { openMemoryStore } = await import('./drivers/memory.driver.ts');
    return openMemoryStore(options);
  }
  if (spec.startsWith('lmdb:') && spec.length > 5) {
    const { openLmdbStore } = await import('./drivers/lmdb.driver.ts');
    return openLmdbStore({ ...options, dir: spec.slice(5), mapSizeBytes: options.maxBytes });
  }
  if (spec.startsWith('etcd:') && spec.length > 5) {
    const { openEtcdStore } = await import('./drivers/etcd/etcd.driver.ts');
    return openEtcdStore({ ...options, urls: spec.slice(5).split(','), tls: options.etcdTls });
  }
  throw new CodedError('UnknownStore', `there is no store "${spec}": use memory, lmdb:DIR or etcd:URL[,URL]`);
}
