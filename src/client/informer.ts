import { Backoff, type Clock, type Log, messageOf, type Random, sleep } from '#base';
import { apiVersionOf, type KubeObject, type ResourceInfo } from '#api';
import { isExpired } from '#machinery';
import type { Change, Client, InformerOptions } from './contract.ts';
import { type IndexFunction, keyOf, ObjectCache } from './object-cache.ts';

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly resource: ResourceInfo;
  readonly select: InformerOptions<T>;
  /** `stream`: the first state comes as watch events (sendInitialEvents); `list`: as one list. */
  readonly initial: 'list' | 'stream';
}

const initialEventsEnd = 'k8s.io/initial-events-end';

/**
 * Keeps one resource's objects current: list (or initial events), then watch for ever. A broken watch goes on from the last
 * version seen; when that is gone (410) everything is listed anew and what is missing counts as deleted.
 */
export class Reflector<T extends KubeObject> {
  readonly cache: ObjectCache<T>;
  readonly synced: Promise<void>;
  hasSynced = false;
  readonly #options: ReflectorOptions<T>;
  readonly #handlers = new Set<(change: Change<T>) => void>();
  readonly #closing = new AbortController();
  /** Keys that hold the answer to a write of ours whose event has not come yet. */
  readonly #ahead = new Set<string>();
  #resolveSynced: () => void = () => {};
  /** Everything up to this version has been seen. */
  #resourceVersion: string | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.cache = new ObjectCache({ bare: options.select.only === 'references' });
    this.synced = new Promise((resolve) => {
      this.#resolveSynced = resolve;
    });
    void this.#run();
  }

  /** Calls the handler for each object already there, then for each change in order, synchronously. */
  onChange(handler: (change: Change<T>) => void): () => void {
    for (const object of this.cache.list()) handler({ type: 'added', object });
    this.#handlers.add(handler);
    return () => void this.#handlers.delete(handler);
  }

  addIndexes(indexes: Readonly<Record<string, IndexFunction<T>>>): void {
    for (const [name, of] of Object.entries(indexes)) this.cache.addIndex(name, of);
  }

  observe(object: T): void {
    const version = versionOf(object);
    const seen = Number(this.#resourceVersion ?? Number.NaN);
    if (!this.hasSynced || !(version > seen)) return;
    const key = keyOf(object);
    const cached = this.cache.get(key);
    if (cached !== undefined && !(versionOf(cached) < version)) return;
    this.#ahead.add(key);
    this.#tell(this.cache.set(key, this.#kept(object)));
  }

  /** Of an object what is kept of it. */
  #kept(object: T): T {
    const { only } = this.#options.select;
    return only === undefined ? object : (referencesOf(object, this.#options.resource) as T);
  }

  close(): void {
    this.#closing.abort(new Error('the informer was closed'));
    this.#handlers.clear();
  }

  async #run(): Promise<void> {
    const { clock, log, resource } = this.#options;
    const { signal } = this.#closing;
    const backoff = new Backoff({ firstMs: 100, longestMs: 5_000 });
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      try {
        if (this.#resourceVersion === undefined && this.#options.initial === 'list') await this.#list(signal);
        await this.#watch(signal);
        if (clock.monotonicMs() - startedMs > 1_000) backoff.forget('');
        else await sleep(clock, backoff.next(''), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error)) this.#resourceVersion = undefined;
        else log.warn({ resource: resource.plural, error: messageOf(error) }, 'watch failed; trying again');
        if (clock.monotonicMs() - startedMs > 60_000) backoff.forget('');
        const delayMs = backoff.next('');
        await sleep(clock, delayMs / 2 + this.#options.random.int(Math.ceil(delayMs)), signal).catch(() => {});
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, resource, select } = this.#options;
    const { namespace, labelSelector, fieldSelector, only } = select;
    const metadataOnly = only === 'references';
    const list = await client.list<T>(resource, { namespace, labelSelector, fieldSelector, metadataOnly, signal });
    if (signal.aborted) return;
    this.#replace(list.items, list.metadata.resourceVersion);
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, resource, select, random } = this.#options;
    const { namespace, labelSelector, fieldSelector, only } = select;
    const initial: T[] | undefined = this.#resourceVersion === undefined ? [] : undefined;
    let collected = initial;
    const events = client.watch<T>(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly: only === 'references',
      allowWatchBookmarks: true,
      timeoutSeconds: 300 + random.int(300),
      ...(initial === undefined
        ? { resourceVersion: this.#resourceVersion }
        : { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' as const }),
      signal,
    });
    for await (const event of events) {
      if (signal.aborted) return;
      if (collected === undefined) this.#apply(event.type, event.object);
      else if (event.type === 'ADDED') collected.push(event.object);
      else if (event.type === 'BOOKMARK' && event.object.metadata.annotations?.[initialEventsEnd] === 'true') {
        this.#replace(collected, event.object.metadata.resourceVersion);
        collected = undefined;
      }
    }
  }

  #apply(type: string, object: T): void {
    this.#resourceVersion = object.metadata.resourceVersion;
    if (type === 'BOOKMARK') return;
    const key = keyOf(object);
    const cached = this.cache.get(key);
    if (cached !== undefined && this.#ahead.has(key)) {
      const ours = versionOf(cached);
      const theirs = versionOf(object);
      if (ours <= theirs) this.#ahead.delete(key);
      if (ours > theirs || (ours === theirs && type !== 'DELETED')) return;
    }
    if (type === 'DELETED') {
      if (this.cache.delete(key) !== undefined) this.#tell([{ type: 'deleted', object: this.#kept(object) }]);
    } else this.#tell(this.cache.set(key, this.#kept(object)));
  }

  #replace(items: readonly T[], resourceVersion: string): void {
    const listed = new Set<string>();
    for (const object of items) {
      const key = keyOf(object);
      listed.add(key);
      const cached = this.cache.get(key);
      if (
        cached?.metadata.resourceVersion === object.metadata.resourceVersion &&
        cached.metadata.uid === object.metadata.uid
      )
        continue;
      if (cached !== undefined && this.#ahead.has(key) && versionOf(cached) > versionOf(object)) continue;
      this.#tell(this.cache.set(key, this.#kept(object)));
    }
    for (const key of [...this.cache.keys()]) {
      if (listed.has(key)) continue;
      const cached = this.cache.get(key) as T;
      if (this.#ahead.has(key) && versionOf(cached) > Number(resourceVersion)) continue;
      this.cache.delete(key);
      this.#tell([{ type: 'deleted', object: cached }]);
    }
    for (const key of [...this.#ahead]) {
      const cached = this.cache.get(key);
      if (cached === undefined || versionOf(cached) <= Number(resourceVersion)) this.#ahead.delete(key);
    }
    this.#resourceVersion = resourceVersion;
    this.hasSynced = true;
    this.#resolveSynced();
  }

  #tell(changes: readonly Change<T>[]): void {
    for (const change of changes) for (const handler of this.#handlers) handler(change);
  }
}

/** What of an object says who it is and to whom it belongs. */
function referencesOf({ metadata }: KubeObject, resource: ResourceInfo): KubeObject {
  const { name, namespace, uid, resourceVersion, ownerReferences, finalizers, deletionTimestamp } = metadata;
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: {
      name,
      uid,
      resourceVersion,
      ...(namespace === undefined ? {} : { namespace }),
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
      ...(finalizers === undefined ? {} : { finalizers }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    } as KubeObject['metadata'],
  };
}

/** Resource versions of one server are whole numbers that grow; NaN where a server does it otherwise. */
function versionOf(object: KubeObject): number {
  return Number(object.metadata.resourceVersion);
}
