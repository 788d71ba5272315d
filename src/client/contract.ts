import type { AnyObject, KubeList, KubeObject, NewObject, ResourceInfo, WatchEvent } from '#api';

/**
 * Speaks to one API server over a Transport. Objects that come back may be frozen and shared (in-process they are the server's
 * cached copies): copy with structuredClone before changing. Failures are `ApiError` with the server's Status.
 */
export interface Client {
  get<T extends KubeObject>(resource: ResourceInfo, name: string, options?: ObjectOptions): Promise<T>;
  /** Without a namespace: all namespaces. */
  list<T extends KubeObject>(resource: ResourceInfo, options?: ListOptions): Promise<KubeList<T>>;
  /** Events until the server ends the watch or the signal aborts. ERROR events are thrown as ApiError. */
  watch<T extends KubeObject>(resource: ResourceInfo, options?: WatchOptions): AsyncIterable<WatchEvent<T>>;
  /** The namespace is the object's. apiVersion and kind are filled in. */
  create<T extends KubeObject>(resource: ResourceInfo, object: NewObject<T>, options?: WriteOptions): Promise<T>;
  update<T extends KubeObject>(resource: ResourceInfo, object: T, options?: WriteOptions): Promise<T>;
  patch<T extends KubeObject>(
    resource: ResourceInfo,
    name: string,
    patch: Patch,
    options?: WriteOptions & ObjectOptions,
  ): Promise<T>;
  delete(resource: ResourceInfo, name: string, options?: DeleteOptions & ObjectOptions): Promise<void>;
  deleteCollection(resource: ResourceInfo, options?: DeleteOptions & ListOptions): Promise<void>;
  /** POST to a sub-resource with a body of its own: pods/binding, pods/eviction, serviceaccounts/token. */
  createSubresource<R = AnyObject>(
    resource: ResourceInfo,
    name: string,
    subresource: string,
    body: object,
    options?: ObjectOptions,
  ): Promise<R>;
  /** Any other request that answers JSON, e.g. GET /version. */
  raw(method: 'GET' | 'POST' | 'PUT' | 'DELETE', target: string, body?: object): Promise<unknown>;
}

export interface ObjectOptions {
  readonly namespace?: string;
  /** `status`, `scale` … */
  readonly subresource?: string;
  readonly signal?: AbortSignal;
}

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  readonly limit?: number;
  readonly continue?: string;
  /** Of each object its metadata alone comes, as a PartialObjectMetadata. */
  readonly metadataOnly?: boolean;
  readonly signal?: AbortSignal;
}

export interface WatchOptions extends ListOptions {
  readonly allowWatchBookmarks?: boolean;
  readonly sendInitialEvents?: boolean;
  readonly timeoutSeconds?: number;
}

export interface WriteOptions {
  readonly subresource?: string;
  readonly dryRun?: boolean;
  readonly fieldManager?: string;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

export type Patch =
  | { readonly type: 'merge' | 'strategic'; readonly body: object }
  | { readonly type: 'json'; readonly body: readonly object[] }
  | { readonly type: 'apply'; readonly body: object; readonly force?: boolean };

/**
 * A local, always current copy of one resource (list, then watch for ever, with back-off and relist on 410). Not read-your-writes:
 * a write shows here only when its event has come back, unless the writer hands the answer to `observe`.
 */
export interface Informer<T extends KubeObject> {
  readonly resource: ResourceInfo;
  /** Resolves when the first list is in. */
  readonly synced: Promise<void>;
  readonly hasSynced: boolean;
  get(namespace: string | undefined, name: string): T | undefined;
  list(namespace?: string): readonly T[];
  /** Objects whose index function returned `value`; see `InformerOptions.indexes`. */
  byIndex(index: string, value: string): readonly T[];
  /** Called for each change in order, also once for each object already there. Returns a function that ends it. */
  onChange(handler: (change: Change<T>) => void): () => void;
  /**
   * Takes in the answer to one's own write, so that it shows at once instead of when its event comes back (which is then
   * passed over). Older than what is here, or already seen: ignored. Only for objects that the informer's selectors choose.
   */
  observe(object: T): void;
  close(): void;
}

export interface Change<T extends KubeObject> {
  readonly type: 'added' | 'updated' | 'deleted';
  readonly object: T;
  /** The copy before an update. */
  readonly old?: T;
}

export interface InformerOptions<T extends KubeObject> {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** `namespace` and `owner` (controller owner's uid) are always there. */
  readonly indexes?: Readonly<Record<string, (object: T) => readonly string[]>>;
  /**
   * `references`: of each object only what says who it is and who refers to whom: kind, name, namespace, uid, resourceVersion,
   * ownerReferences, finalizers, deletionTimestamp. For `get` and `onChange` alone: there are no indexes. Where someone keeps the whole objects anyway,
   * those are what comes. Default: whole objects.
   */
  readonly only?: 'references';
}

/** Shares one informer a resource among all who ask with the same selectors (indexes are added together). */
export interface Informers {
  of<T extends KubeObject>(resource: ResourceInfo, options?: InformerOptions<T>): Informer<T>;
  /** Resolves when all informers asked for so far have synced. */
  synced(): Promise<void>;
  close(): void;
}
