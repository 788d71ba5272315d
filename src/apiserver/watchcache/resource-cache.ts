import { type AnyObject, apiVersionOf } from '#api';
import { invariant, type Log, messageOf } from '#base';
import { cloneObject, deepEqual, deepFreeze } from '#machinery';
import type { Store, StoreEvent } from '#store';
import { CachedObject, type StorageForm } from './cached-object.ts';
import { Change } from './change.ts';
import { ChangeWindow } from './change-window.ts';
import { OrderedIndex, type Snapshot } from './ordered-index.ts';
import { encodeStored } from './stored-form.ts';
import { type FeedReader, prefixEnd, type StoreFeed } from './store-feed.ts';
import { type Deliver, touches, type WatcherScope, WatcherSet } from './watcher-set.ts';

export interface ResourceCacheOptions {
  readonly store: Store;
  readonly feed: StoreFeed;
  readonly root: string;
  /** Key segment below the root: `pods`, `apps/deployments`. */
  readonly segment: string;
  readonly form: StorageForm;
  readonly log: Log;
  /** Turns a stored value into the stored form (decryption). Default: as it is. */
  readonly unseal?: (value: Uint8Array, key: string) => Uint8Array;
  /** An index by one value of each object: pods by node. */
  readonly indexBy?: (object: AnyObject) => string;
}

/** A write that the store has not answered. */
export interface WriteUnderWay {
  readonly key: string;
  readonly stored: Uint8Array;
  readonly draft: AnyObject;
}

/** Ends a watch: in good order, or as broken (events may be missing). */
export type Cut = (why: 'ended' | 'broken') => void;

const pageSize = 2000;
const snapshotsKept = 8;

/**
 * All objects of one resource, current to the store's feed: sorted, with snapshots by revision, a window of recent changes, and
 * watchers. Filled at the first use. Everything here is synchronous once `ready`.
 */
export class ResourceCache implements FeedReader {
  readonly prefix: string;
  readonly form: StorageForm;
  readonly watchers = new WatcherSet();
  /** In-process readers who keep decoded objects; while there are none, decoded copies of writes are not kept. */
  objectReaders = 0;
  /** Events that watchers were sent. */
  eventsSent = 0;
  /** Counts up with each change. */
  generation = 0;
  readonly #options: ResourceCacheOptions;
  readonly #objects = new Map<string, CachedObject>();
  readonly #index = new OrderedIndex<CachedObject>();
  readonly #indexed: Map<string, Set<CachedObject>> | undefined;
  readonly #early = new Map<number, CachedObject>();
  /** Writes under way by the bytes that the store was given. */
  readonly #underWay = new Map<Uint8Array, WriteUnderWay>();
  readonly #kept = new Map<number, { readonly snapshot: Snapshot<CachedObject>; readonly keptMs: number }>();
  readonly #cutters = new Set<Cut>();
  #window = new ChangeWindow(0);
  /** Of the newest change or of the load: older events of the feed are known. */
  #loaded = 0;
  #buffered: StoreEvent[] | undefined;
  #ready: Promise<void> | undefined;
  isReady = false;

  constructor(options: ResourceCacheOptions) {
    this.#options = options;
    this.prefix = `${options.root}${options.segment}/`;
    this.form = options.form;
    if (options.indexBy !== undefined) this.#indexed = new Map();
  }

  /** Starts filling the cache at the first call; resolves when it is full. */
  get ready(): Promise<void> {
    this.#ready ??= this.#start();
    return this.#ready;
  }

  /** Everything up to this revision is in the cache. */
  get revision(): number {
    return Math.max(this.#loaded, this.#options.feed.revision);
  }

  get size(): number {
    return this.#index.size;
  }

  get(key: string): CachedObject | undefined {
    return this.#objects.get(key);
  }

  snapshot(): Snapshot<CachedObject> {
    return this.#index.snapshot();
  }

  /** The objects with this value of the index, in no order. */
  byIndex(value: string): Iterable<CachedObject> {
    invariant(this.#indexed !== undefined, 'the resource has no index');
    return this.#indexed.get(value) ?? [];
  }

  get hasIndex(): boolean {
    return this.#indexed !== undefined;
  }

  /** Undefined when the cache has everything the store has acknowledged. */
  fresh(): Promise<void> | undefined {
    return this.#options.feed.fresh();
  }

  /** Keeps a snapshot so that a paged list can go on at its revision. */
  keepSnapshot(revision: number, snapshot: Snapshot<CachedObject>, nowMs: number): void {
    this.#kept.delete(revision);
    this.#kept.set(revision, { snapshot, keptMs: nowMs });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= snapshotsKept) break;
      this.#kept.delete(oldest);
    }
  }

  keptSnapshot(revision: number): Snapshot<CachedObject> | undefined {
    return this.#kept.get(revision)?.snapshot;
  }

  /** Forgets snapshots kept before then: lists that go on later read the store's history. */
  forgetSnapshots(beforeMs: number): void {
    for (const [revision, { keptMs }] of this.#kept) if (keptMs < beforeMs) this.#kept.delete(revision);
  }

  /**
   * A write begins: the store gets `value`, which is `stored` or what it was sealed to. Its event may be here before the writer goes on,
   * and then needs nothing decoded.
   */
  begin(value: Uint8Array, write: WriteUnderWay): void {
    this.#underWay.set(value, write);
  }

  /** The write of `value` was refused or has been accepted. */
  end(value: Uint8Array): void {
    this.#underWay.delete(value);
  }

  /**
   * What a write made, handed over by the writer so that nothing is decoded or copied again: `draft` gets its resourceVersion and is frozen.
   * The change itself becomes visible with the feed, in order.
   */
  accept(key: string, revision: number, stored: Uint8Array, draft: AnyObject): CachedObject {
    const there = this.#objects.get(key);
    if (there?.revision === revision) return there;
    const made = this.#written(key, revision, stored, draft);
    if (this.isReady && this.#options.feed.revision < revision) this.#early.set(revision, made);
    return made;
  }

  #written(key: string, revision: number, stored: Uint8Array, draft: AnyObject): CachedObject {
    const { resource } = this.form.definition;
    draft.metadata.resourceVersion = String(revision);
    draft.apiVersion = apiVersionOf(resource);
    draft.kind = resource.kind;
    return CachedObject.fromStored(this.form, key, revision, stored, deepFreeze(draft));
  }

  /** The object of a store entry that may not be in the cache yet. */
  fromEntry(key: string, revision: number, value: Uint8Array): CachedObject {
    const there = this.#objects.get(key);
    if (there?.revision === revision) return there;
    return CachedObject.fromStored(this.form, key, revision, this.#unseal(value, key));
  }

  /** Changes after `revision`: from the window, else from the store's history. Throws Compacted. */
  async changesAfter(revision: number, deliver: Deliver, scope: WatcherScope, cut: Cut): Promise<() => void> {
    let from = revision;
    const within: Deliver = (change) => {
      if (touches(scope, change)) deliver(change);
    };
    for (;;) {
      const recent = this.#window.after(from);
      if (recent !== undefined) {
        for (const change of recent) within(change);
        return this.watch(scope, deliver, cut);
      }
      const upTo = this.#window.since;
      await this.#history(from, upTo, within);
      from = upTo;
    }
  }

  /** Calls `deliver` for each change from now on, `cut` when the cache must break off. Returns a function that ends it. */
  watch(scope: WatcherScope, deliver: Deliver, cut: Cut): () => void {
    const end = this.watchers.add(scope, deliver);
    this.#cutters.add(cut);
    return () => {
      this.#cutters.delete(cut);
      end();
    };
  }

  take(events: readonly StoreEvent[]): void {
    if (this.#buffered !== undefined) {
      for (const event of events) this.#buffered.push(event);
      return;
    }
    this.#applyAll(events);
  }

  /** The stored form's definition changed: defaults that are new are filled in where they lack. */
  complete(): void {
    const { completeStored } = this.form.definition;
    if (completeStored === undefined || !this.isReady) return;
    for (const one of this.snapshot().slice('', '')) {
      if (one.head !== this.form.head && !one.head.equals(this.form.head)) continue;
      const draft = cloneObject(one.object);
      completeStored(draft);
      if (deepEqual(draft, one.object)) continue;
      const stored = encodeStored(draft, this.form.head);
      this.#put(one.key, CachedObject.fromStored(this.form, one.key, one.revision, stored));
    }
  }

  async reload(): Promise<void> {
    if (this.#ready === undefined) return;
    this.#cutAll('broken');
    this.#buffered = [];
    await this.#load();
  }

  close(): void {
    this.#options.feed.remove(this.#options.segment);
    this.#cutAll('ended');
  }

  /** Ends all watches in good order: the server stops, or the resource is served no more. */
  endWatches(): void {
    this.#cutAll('ended');
  }

  #cutAll(why: Parameters<Cut>[0]): void {
    for (const cut of [...this.#cutters]) cut(why);
    this.#cutters.clear();
  }

  async #start(): Promise<void> {
    this.#buffered = [];
    this.#options.feed.add(this.#options.segment, this);
    try {
      await this.#load();
    } catch (error) {
      this.#options.log.error(
        { resource: this.#options.segment, error: messageOf(error) },
        'the cache could not be filled',
      );
      this.#options.feed.remove(this.#options.segment);
      this.#ready = undefined;
      throw error;
    }
    this.isReady = true;
  }

  async #load(): Promise<void> {
    const { store } = this.#options;
    const end = prefixEnd(this.prefix);
    let start = this.prefix;
    let revision: number | undefined;
    const seen = new Set<string>();
    for (;;) {
      const page = await store.range({ start, end, limit: pageSize, ...(revision === undefined ? {} : { revision }) });
      revision = page.revision;
      for (const entry of page.entries) {
        const key = this.#keyOf(entry.key);
        seen.add(key);
        if (this.#objects.get(key)?.revision === entry.modRevision) continue;
        const stored = this.#unseal(entry.value, key);
        const object = CachedObject.fromStored(this.form, key, entry.modRevision, stored);
        this.#tellReloaded({ revision: entry.modRevision, key, object, previous: this.#put(key, object) });
      }
      const last = page.entries.at(-1);
      if (!page.more || last === undefined) break;
      start = `${last.key}\0`;
    }
    for (const key of [...this.#objects.keys()]) {
      if (seen.has(key)) continue;
      const previous = this.#remove(key);
      this.#tellReloaded({ revision: revision as number, key, object: undefined, previous });
    }
    this.#loaded = revision as number;
    this.#window = new ChangeWindow(this.#loaded);
    const buffered = this.#buffered as StoreEvent[];
    this.#buffered = undefined;
    this.#applyAll(buffered);
  }

  /** Whole revisions: in etcd, the end of a lease is many changes of one. */
  #applyAll(events: readonly StoreEvent[]): void {
    const known = this.#loaded;
    for (const event of events) if (event.entry.modRevision > known) this.#apply(event);
  }

  #apply(event: StoreEvent): void {
    const revision = event.entry.modRevision;
    this.#loaded = revision;
    const ours = event.type === 'put' ? this.#underWay.get(event.entry.value) : undefined;
    const key = ours?.key ?? this.#keyOf(event.key);
    let object: CachedObject | undefined;
    let previous: CachedObject | undefined;
    if (event.type === 'put') {
      object = this.#early.get(revision);
      if (object !== undefined) this.#early.delete(revision);
      else if (ours !== undefined) object = this.#written(key, revision, ours.stored, ours.draft);
      else object = CachedObject.fromStored(this.form, key, revision, this.#unseal(event.entry.value, key));
      previous = this.#put(key, object);
    } else {
      previous = this.#remove(key);
      if (previous === undefined) return;
    }
    this.generation++;
    const change = new Change({ revision, key, object, previous });
    this.#window.push(change);
    this.watchers.tell(change, this.#indexValues(object, previous));
    change.forgetFrames();
    if (this.objectReaders === 0) object?.forgetDecoded();
  }

  /** A text of its own: a part of another one is compared three times as slowly, and keys are compared with every insertion. */
  #keyOf(storeKey: string): string {
    return Buffer.from(storeKey.slice(this.prefix.length)).toString();
  }

  /** Clients' watches were cut before a reload; the server's own views (authorization stands on them) see each difference. */
  #tellReloaded(difference: ConstructorParameters<typeof Change>[0]): void {
    if (!this.isReady) return;
    this.generation++;
    this.watchers.tell(new Change(difference), this.#indexValues(difference.object, difference.previous));
  }

  #indexValues(object: CachedObject | undefined, previous: CachedObject | undefined): readonly (string | undefined)[] {
    const { indexBy } = this.#options;
    if (indexBy === undefined) return [];
    return [object && indexBy(object.object), previous && indexBy(previous.object)];
  }

  #put(key: string, object: CachedObject): CachedObject | undefined {
    const previous = this.#objects.get(key);
    this.#objects.set(key, object);
    this.#index.set(object);
    if (this.#indexed !== undefined) {
      if (previous !== undefined) this.#unindex(previous);
      const value = this.#options.indexBy?.(object.object) ?? '';
      const same = this.#indexed.get(value);
      if (same === undefined) this.#indexed.set(value, new Set([object]));
      else same.add(object);
    }
    return previous;
  }

  #remove(key: string): CachedObject | undefined {
    const previous = this.#index.delete(key);
    this.#objects.delete(key);
    if (previous !== undefined && this.#indexed !== undefined) this.#unindex(previous);
    return previous;
  }

  #unindex(object: CachedObject): void {
    const value = this.#options.indexBy?.(object.object) ?? '';
    const same = this.#indexed?.get(value);
    same?.delete(object);
    if (same?.size === 0) this.#indexed?.delete(value);
  }

  #unseal(value: Uint8Array, key: string): Uint8Array {
    return this.#options.unseal === undefined ? value : this.#options.unseal(value, this.prefix + key);
  }

  /** Changes in (after, upTo] from the store's own history. */
  async #history(after: number, upTo: number, deliver: Deliver): Promise<void> {
    const { store } = this.#options;
    const watch = store.watch({
      start: this.prefix,
      end: prefixEnd(this.prefix),
      fromRevision: after + 1,
      progress: true,
    });
    try {
      for await (const batch of watch) {
        for (const event of batch.events) {
          const revision = event.entry.modRevision;
          if (revision > upTo) return;
          const key = event.key.slice(this.prefix.length);
          const make = (value: Uint8Array, at: number): CachedObject =>
            CachedObject.fromStored(this.form, key, at, this.#unseal(value, key));
          const previous = event.previous && make(event.previous.value, event.previous.modRevision);
          const object = event.type === 'put' ? make(event.entry.value, revision) : undefined;
          if (object !== undefined || previous !== undefined) deliver(new Change({ revision, key, object, previous }));
        }
        if (batch.revision >= upTo) return;
      }
    } finally {
      watch.close();
    }
  }
}
