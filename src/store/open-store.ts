import { type Clock, CodedError, type Log } from '#base';
import type { Store } from './contract.ts';
import type { WatchLimits } from './engine/watcher.ts';

export interface OpenStoreOptions {
  readonly clock: Clock;
  readonly log?: Log;
  /** Bytes that puts may fill before they get StoreFull. Absent: no limit. */
  readonly maxBytes?: number;
  readonly watchLimits?: WatchLimits;
}

/** Opens a store by name: `memory`, or `lmdb:DIR`. Each driver is loaded only when it is asked for. */
export async function openStore(spec: string, options: OpenStoreOptions): Promise<Store> {
  if (spec === 'memory') {
    const { openMemoryStore } = await import('./drivers/memory.driver.ts');
    return openMemoryStore(options);
  }
  if (spec.startsWith('lmdb:') && spec.length > 5) {
    const { openLmdbStore } = await import('./drivers/lmdb.driver.ts');
    return openLmdbStore({ ...options, dir: spec.slice(5), mapSizeBytes: options.maxBytes });
  }
  throw new CodedError('UnknownStore', `there is no store "${spec}": use memory or lmdb:DIR`);
}
