import type { AnyObject } from '#api';
import type { Clock, Log, Random } from '#base';
import type { Lease, Store } from '#store';
import type {
  AdmissionPlugin,
  Authorizer,
  ReviewHandler,
  ServerRequest,
  ServerResponse,
  TokenIssuer,
} from '../contract.ts';
import type { Measures } from '../http/measures.ts';
import type { StoreFeed } from '../watchcache/store-feed.ts';
import type { KindResource } from './kind-resource.ts';
import type { ResourceRegistry } from './resource-registry.ts';

/** What the verbs of every resource share. */
export interface ResourceContext {
  readonly store: Store;
  readonly feed: StoreFeed;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: ResourceRegistry;
  readonly admission: readonly AdmissionPlugin[];
  readonly authorizer: Authorizer;
  readonly hooks: KindHookTable;
  /** Answers of kinds that are not stored, by `group/plural`. */
  readonly reviews: ReadonlyMap<string, ReviewHandler>;
  /** Objects that are never stored, made when they are asked for, by `group/plural`. */
  readonly computed?: ReadonlyMap<string, Verb>;
  /** Where parts of the server say how long something took. */
  readonly measures?: Measures;
  /** Told of each request for an API that is deprecated. */
  readonly onDeprecated?: (kind: KindResource, request: ServerRequest) => void;
  /** Changes that may wait for a watcher that does not read; with more it is cut off. */
  readonly watchBacklog: number;
  readonly tokens?: TokenIssuer | undefined;
  /** The lease that ends objects of a resource after a while (events); undefined: they stay. */
  leaseFor(kind: KindResource): Promise<Lease> | undefined;
}

/** Lets go of what a hook holds: called when the write failed, or when it has come back through the cache. */
export type Release = () => void;

/** Calls `release` when every reader of the cache has seen `revision`. */
export function releaseAt(context: ResourceContext, revision: number, release: Release | undefined): void {
  if (release === undefined) return;
  const reached = context.feed.reached(revision);
  if (reached === undefined) release();
  else void reached.then(release);
}

/**
 * What one kind needs of the server beyond its definition: allocations and other state. `before…` run after validation and admission,
 * right before the write. `dryRun` hooks must leave nothing behind.
 */
export interface KindHooks {
  /** Before validation: fills in what depends on the request or on the server's configuration. */
  prepareCreate?(draft: AnyObject, how: HookOptions): void;
  prepareUpdate?(draft: AnyObject, old: AnyObject, how: HookOptions): void;
  beforeCreate?(draft: AnyObject, how: HookOptions): Promise<Release | undefined> | Release | undefined;
  beforeUpdate?(draft: AnyObject, old: AnyObject, how: HookOptions): Promise<Release | undefined> | Release | undefined;
  /** After an update was stored. */
  afterUpdate?(object: AnyObject, old: AnyObject): void;
  /** Before a deletion begins; throws to refuse it. */
  beforeDelete?(object: AnyObject, how: HookOptions): Promise<void> | void;
  /** After the object is gone. */
  afterDelete?(object: AnyObject): void;
  /** First finalizer-like condition beside metadata.finalizers: true while the object must stay (namespaces). */
  mustStay?(object: AnyObject): boolean;
  /** Finalizers that the first deletion adds. */
  deletionFinalizers?(object: AnyObject): readonly string[];
  /** Changes a deletion makes to an object that stays for now (namespaces: phase Terminating). */
  markDeleted?(draft: AnyObject): void;
}

export interface HookOptions {
  readonly dryRun: boolean;
  readonly request: ServerRequest;
}

/** By `group/plural`. */
export type KindHookTable = ReadonlyMap<string, KindHooks>;

export type Verb = (context: ResourceContext, kind: KindResource, request: ServerRequest) => Promise<ServerResponse>;

export function hooksOf(context: ResourceContext, kind: KindResource): KindHooks | undefined {
  return context.hooks.get(`${kind.info.group}/${kind.info.plural}`);
}
