import type { AnyObject } from '#api';
import { deepEqual } from '#machinery';
import type { Entry, Lease, Store } from '#store';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { ResourceCache } from '../watchcache/resource-cache.ts';
import type { Measures } from '../http/measures.ts';
import { KeyLocks } from './key-locks.ts';
import { comparison, encodeStored } from '../watchcache/stored-form.ts';

export interface Seal {
  seal(value: Uint8Array, key: string): Uint8Array;
  unseal(value: Uint8Array, key: string): Uint8Array;
}

/** Outcome of a conditional write: what is there now, and whether this write put it there. */
export type Written =
  | { readonly written: true; readonly object: CachedObject }
  /** Someone else was faster; `current` is what is there, absent when nothing is. */
  | { readonly written: false; readonly current: CachedObject | undefined };

/** The writes of one resource: encoded once, conditional always, and handed to the cache without a detour. */
export class ObjectStorage {
  readonly cache: ResourceCache;
  readonly locks = new KeyLocks();
  readonly #store: Store;
  readonly #seal: Seal | undefined;
  readonly #measures: Measures | undefined;
  readonly #labels: Readonly<Record<'create' | 'update' | 'delete', string>>;

  constructor(options: {
    store: Store;
    cache: ResourceCache;
    seal?: Seal | undefined;
    measures?: Measures | undefined;
  }) {
    this.#store = options.store;
    this.cache = options.cache;
    this.#seal = options.seal;
    this.#measures = options.measures;
    const { group, plural } = options.cache.form.definition.resource;
    const labelsOf = (operation: string): string => `operation="${operation}",group="${group}",resource="${plural}"`;
    this.#labels = { create: labelsOf('create'), update: labelsOf('update'), delete: labelsOf('delete') };
  }

  /** The object as of everything acknowledged so far. */
  async get(key: string): Promise<CachedObject | undefined> {
    if (!this.cache.isReady) await this.cache.ready;
    const fresh = this.cache.fresh();
    if (fresh !== undefined) await fresh;
    return this.cache.get(key);
  }

  /** Takes `draft` (storage version): it gets its resourceVersion and is frozen. */
  create(key: string, draft: AnyObject, lease?: Lease): Promise<Written> {
    return this.#put(key, draft, 0, lease);
  }

  /** Replaces `current`; nothing is written when nothing would change. */
  async replace(current: CachedObject, draft: AnyObject, lease?: Lease): Promise<Written> {
    const { head } = this.cache.form;
    const stored = encodeStored(draft, head);
    const same =
      current.form === this.cache.form ? comparison(stored, current.json, head.length, current.revision) : 'different';
    if (
      same === 'same' ||
      (same === 'reordered' && deepEqual(withoutRevision(draft), withoutRevision(current.object)))
    ) {
      return { written: true, object: current };
    }
    return this.#put(current.key, draft, current.revision, lease, stored);
  }

  async remove(current: CachedObject): Promise<Written> {
    const beganMs = this.#measures?.clock.monotonicMs() ?? 0;
    const result = await this.#store.write({ key: this.cache.prefix + current.key, ifModRevision: current.revision });
    this.#measure('delete', beganMs);
    if (!result.applied) return { written: false, current: this.#entry(current.key, result.current) };
    return { written: true, object: current.atRevision(result.revision) };
  }

  async #put(key: string, draft: AnyObject, ifModRevision: number, lease?: Lease, encoded?: Buffer): Promise<Written> {
    const { head } = this.cache.form;
    const stored = encoded ?? encodeStored(draft, head);
    const fullKey = this.cache.prefix + key;
    const value = this.#seal === undefined ? stored : this.#seal.seal(stored, fullKey);
    const operation = ifModRevision === 0 ? 'create' : 'update';
    const write = { key: fullKey, value, ifModRevision };
    const beganMs = this.#measures?.clock.monotonicMs() ?? 0;
    this.cache.begin(value, { key, stored, draft });
    try {
      const result = await this.#store.write(lease === undefined ? write : { ...write, lease });
      this.#measure(operation, beganMs);
      if (!result.applied) return { written: false, current: this.#entry(key, result.current) };
      return { written: true, object: this.cache.accept(key, result.revision, stored, draft) };
    } finally {
      this.cache.end(value);
    }
  }

  #measure(operation: 'create' | 'update' | 'delete', beganMs: number): void {
    const measures = this.#measures;
    if (measures === undefined) return;
    const seconds = (measures.clock.monotonicMs() - beganMs) / 1000;
    measures.observe('etcd_request_duration_seconds', this.#labels[operation], seconds);
  }

  #entry(key: string, entry: Entry | undefined): CachedObject | undefined {
    return entry && this.cache.fromEntry(key, entry.modRevision, entry.value);
  }
}

function withoutRevision(object: AnyObject): object {
  const { apiVersion: _version, kind: _kind, metadata, ...rest } = object;
  return { ...rest, metadata: { ...metadata, resourceVersion: undefined } };
}
