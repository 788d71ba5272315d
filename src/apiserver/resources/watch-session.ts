import type { AnyObject, Status } from '#api';
import { messageOf, type Timer } from '#base';
import { errExpired, statusOf, versionTooOldMessage } from '#machinery';
import { Compacted } from '#store';
import { nextTurn } from '../http/turn.ts';
import type { CachedObject } from '../watchcache/cached-object.ts';
import type { Change } from '../watchcache/change.ts';
import type { Cut, ResourceCache } from '../watchcache/resource-cache.ts';
import type { ResourceContext } from './context.ts';
import type { KindResource } from './kind-resource.ts';
import type { Selection } from './selection.ts';

export type WatchStart =
  | { readonly from: 'now' }
  | { readonly from: 'revision'; readonly revision: number }
  /** The state as ADDED events first; `marksEnd`: a bookmark says when they are through. */
  | { readonly from: 'state'; readonly fresh: boolean; readonly notOlderThan: number; readonly marksEnd: boolean };

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** Where a session's events go, in its receiver's form and at its pace. */
export interface WatchOutput {
  /** False: hold further events back until `onReady` is called. `change` is there when others may want the same bytes. */
  event(type: ChangeType, object: CachedObject, change: Change | undefined): boolean;
  bookmark(object: AnyObject): boolean;
  error(status: Status): void;
  /** `broken`: the receiver must notice that the watch did not end by itself. */
  end(broken: boolean): void;
  onReady(callback: () => void): void;
  onClose(callback: () => void): void;
  /** True when it takes decoded objects: the cache then keeps them. */
  readonly takesObjects: boolean;
}

const bookmarkEveryMs = 60_000;
const initialPerTurn = 500;

/** One watch from its start to its end: initial state or history, then every change that concerns its selection. */
export class WatchSession {
  readonly #context: ResourceContext;
  readonly #kind: KindResource;
  readonly #cache: ResourceCache;
  readonly #selection: Selection;
  readonly #output: WatchOutput;
  readonly #start: WatchStart;
  readonly #bookmarks: boolean;
  readonly #converts: boolean;
  /** The cache keeps decoded objects for it; not for who looks at one name. */
  readonly #keepsObjects: boolean;
  readonly #endsAt: Timer;
  #bookmarkTimer: Timer | undefined;
  #waiting: Change[] = [];
  #blocked = false;
  #converting = false;
  #live = false;
  #closed = false;
  #after = 0;
  #forget: (() => void) | undefined;

  constructor(options: {
    context: ResourceContext;
    kind: KindResource;
    cache: ResourceCache;
    selection: Selection;
    start: WatchStart;
    bookmarks: boolean;
    timeoutSeconds: number;
    output: WatchOutput;
  }) {
    this.#context = options.context;
    this.#kind = options.kind;
    this.#cache = options.cache;
    this.#selection = options.selection;
    this.#output = options.output;
    this.#start = options.start;
    this.#bookmarks = options.bookmarks;
    this.#converts = options.kind.definition.convert !== undefined;
    this.#keepsObjects = this.#output.takesObjects && this.#selection.name === '';
    if (this.#keepsObjects) this.#cache.objectReaders++;
    this.#output.onReady(() => this.#flush());
    this.#output.onClose(() => this.#close());
    this.#endsAt = this.#context.clock.setTimer(() => this.#expire(), options.timeoutSeconds * 1000);
  }

  run(): void {
    this.#begin().catch((error: unknown) => {
      if (this.#closed) return;
      if (error instanceof Compacted && this.#start.from === 'revision') {
        this.#fail(errExpired(versionTooOldMessage(this.#start.revision, error.compactedRevision)).status);
        return;
      }
      this.#context.log.warn({ resource: this.#kind.info.plural, error: messageOf(error) }, 'a watch could not go on');
      this.#fail(statusOf(error));
    });
  }

  async #begin(): Promise<void> {
    const start = this.#start;
    if (start.from === 'revision') {
      this.#after = start.revision;
      const forget = await this.#cache.changesAfter(start.revision, this.#deliver, this.#selection.scope, this.#cut);
      if (this.#closed) forget();
      else this.#forget = forget;
    } else {
      if (start.from === 'state') await this.#caughtUp(start);
      if (this.#closed) return;
      const snapshot = this.#cache.snapshot();
      const { revision } = this.#cache;
      this.#forget = this.#cache.watch(this.#selection.scope, this.#deliver, this.#cut);
      if (start.from === 'state') {
        const objects = snapshot.slice(...this.#range());
        // Without a mark at the end, clients take these for changes like all later ones: in the order in which they happened.
        await this.#initial(start.marksEnd ? objects : objects.toSorted((a, b) => a.revision - b.revision));
        if (start.marksEnd && this.#bookmarks && !this.#closed) this.#bookmark(revision, true);
      }
    }
    if (this.#closed) return;
    this.#live = true;
    this.#flush();
    if (this.#bookmarks) this.#scheduleBookmark();
  }

  async #caughtUp({ fresh, notOlderThan }: { readonly fresh: boolean; readonly notOlderThan: number }): Promise<void> {
    if (fresh) await this.#cache.fresh();
    else if (notOlderThan > this.#cache.revision) await this.#context.feed.reached(notOlderThan);
  }

  #range(): [start: string, end: string] {
    const { namespace, scope } = this.#selection;
    if (scope.key !== undefined) return [scope.key, `${scope.key}\0`];
    return namespace === '' ? ['', ''] : [`${namespace}/`, `${namespace}0`];
  }

  async #initial(objects: readonly CachedObject[]): Promise<void> {
    const { matches } = this.#selection;
    let looked = 0;
    await this.#kind.convert(objects);
    for (const object of objects) {
      if (this.#closed) return;
      if (matches !== undefined && !matches(object)) {
        if (++looked % initialPerTurn === 0) await nextTurn();
        continue;
      }
      this.#cache.eventsSent++;
      if (!this.#output.event('ADDED', object, undefined)) await this.#ready();
      else if (++looked % initialPerTurn === 0) await nextTurn();
    }
  }

  #wake: (() => void) | undefined;

  #ready(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  readonly #deliver = (change: Change): void => {
    if (this.#closed || change.revision <= this.#after) return;
    if (!this.#live || this.#blocked || this.#converts) {
      this.#waiting.push(change);
      if (this.#live && this.#waiting.length > this.#context.watchBacklog) this.#cut('broken');
      else if (this.#live && this.#converts) void this.#convertAndSend();
      return;
    }
    this.#send(change);
  };

  #send(change: Change): void {
    const { matches } = this.#selection;
    const { object, previous } = change;
    const is = object !== undefined && (matches === undefined || matches(object));
    const was = previous !== undefined && (matches === undefined || matches(previous));
    if (!is && !was) return;
    const type = is ? (was ? 'MODIFIED' : 'ADDED') : 'DELETED';
    // Others of the same revision may follow.
    this.#after = change.revision - 1;
    // An object that stopped matching is shown as it was when it last matched, under the revision of the change.
    const shown = is ? (object as CachedObject) : change.last;
    this.#cache.eventsSent++;
    if (!this.#output.event(type, shown, change)) this.#blocked = true;
  }

  #flush(): void {
    this.#wake?.();
    this.#wake = undefined;
    this.#blocked = false;
    if (!this.#live) return;
    if (this.#converts) {
      void this.#convertAndSend();
      return;
    }
    let sent = 0;
    while (sent < this.#waiting.length && !this.#blocked) this.#send(this.#waiting[sent++] as Change);
    if (sent > 0) this.#waiting.splice(0, sent);
  }

  /** For kinds whose versions a webhook converts: one change after the other, each converted before it is sent. */
  async #convertAndSend(): Promise<void> {
    if (this.#converting) return;
    this.#converting = true;
    try {
      while (this.#waiting.length > 0 && !this.#blocked && !this.#closed) {
        const change = this.#waiting[0] as Change;
        await this.#kind.convert([change.object ?? change.last]);
        if (change.object !== undefined && change.previous !== undefined) await this.#kind.convert([change.last]);
        if (this.#closed) return;
        this.#waiting.shift();
        this.#send(change);
      }
    } catch (error) {
      this.#fail(statusOf(error));
    } finally {
      this.#converting = false;
    }
  }

  #scheduleBookmark(): void {
    this.#bookmarkTimer = this.#context.clock.setTimer(() => {
      if (!this.#blocked && this.#waiting.length === 0) this.#bookmark(this.#cache.revision, false);
      this.#scheduleBookmark();
    }, bookmarkEveryMs);
  }

  #bookmark(revision: number, ofInitialEnd: boolean): void {
    const { apiVersion, info } = this.#kind;
    const metadata = {
      resourceVersion: String(revision),
      creationTimestamp: null,
      ...(ofInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    };
    this.#after = Math.max(this.#after, revision);
    if (!this.#output.bookmark({ kind: info.kind, apiVersion, metadata } as unknown as AnyObject)) this.#blocked = true;
  }

  readonly #cut: Cut = (why) => {
    if (why === 'ended') return this.#expire();
    if (this.#closed) return;
    this.#close();
    this.#output.end(true);
  };

  #expire(): void {
    if (this.#closed) return;
    if (this.#live && this.#bookmarks && this.#waiting.length === 0) this.#bookmark(this.#cache.revision, false);
    this.#close();
    this.#output.end(false);
  }

  #fail(status: Status): void {
    this.#output.error(status);
    this.#close();
    this.#output.end(false);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#keepsObjects) this.#cache.objectReaders--;
    this.#endsAt.cancel();
    this.#bookmarkTimer?.cancel();
    this.#forget?.();
    this.#waiting = [];
    this.#wake?.();
  }
}
