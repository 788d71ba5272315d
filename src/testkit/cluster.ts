import {
  type Clock,
  type Closable,
  type Log,
  ManualClock,
  type Random,
  seededRandom,
  silentLog,
  systemClock,
} from '#base';
import { type KubeObject, type ResourceInfo, resource } from '#api';
import {
  type ApiServer,
  type ApiServerOptions,
  admissionPlugins,
  bootstrapPolicy,
  type ClusterAuthorizer,
  openApiServer,
  openAuthorizer,
  reviewHandlers,
} from '#apiserver';
import { type Client, type Informers, openClient, openInformers } from '#client';
import { type ControllerSettings, type RunningControllers, startControllers } from '#controllers';
import { startScheduler } from '#scheduler';
import { openMemoryStore, type Store } from '#store';
import type { Identity } from '#wire';
import { type SimulatedNodes, type SimulatedNodeShape, startSimulatedNodes } from '../kubelet/simulated/index.ts';
import { advanceUntil, type WaitOptions, waitForObjects } from './waiting.ts';

export interface TestClusterOptions {
  /** Simulated nodes `sim-0` …; default 1. */
  readonly nodes?: number;
  readonly nodeShape?: SimulatedNodeShape | ((index: number) => SimulatedNodeShape);
  /** `manual`: time stands still until the test moves it (`cluster.manual`). Default `system`. */
  readonly clock?: 'manual' | 'system' | Clock;
  /** Seed of all randomness; default 1. */
  readonly seed?: number;
  /** Which controllers run, as upstream's `--controllers`; default all. */
  readonly controllers?: readonly string[];
  readonly settings?: ControllerSettings;
  /** Default true. */
  readonly scheduler?: boolean;
  /** Default: silent, but `close` throws when anything was logged as an error. */
  readonly log?: Log;
  /** Default: a new memory store. */
  readonly store?: Store;
  /** Puts something between controllers, scheduler, nodes and the server: faults, a record of their writes. */
  readonly actors?: (client: Client) => Client;
  /** More for the API server: admission, authorizer … */
  readonly server?: Partial<ApiServerOptions>;
}

export interface TestCluster extends Closable, AsyncDisposable {
  /** Speaks as a cluster administrator. */
  readonly client: Client;
  readonly server: ApiServer;
  readonly informers: Informers;
  readonly controllers: RunningControllers;
  readonly nodes: SimulatedNodes;
  readonly clock: Clock;
  /** The clock to move, when `clock` was `manual`. */
  readonly manual: ManualClock;
  clientOf(identity: Identity): Client;
  /** Waits, on events, until the resource's objects satisfy the predicate, and returns them. With a manual clock time moves on by itself. */
  waitFor<T extends KubeObject>(
    resource: ResourceInfo,
    predicate: (objects: readonly T[]) => boolean,
    options?: WaitOptions,
  ): Promise<readonly T[]>;
  /** The same for one object by name. */
  waitForOne<T extends KubeObject>(
    resource: ResourceInfo,
    name: string,
    predicate: (object: T) => boolean,
    options?: WaitOptions,
  ): Promise<T>;
}

const serviceAccounts = resource('v1', 'serviceaccounts');
export const administrator: Identity = { user: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };

/**
 * A whole control plane in this process, on memory, with simulated nodes: the real API server, controllers and scheduler, which
 * share one set of informers. Several can run side by side. Resolves when the nodes are registered and pods can be made.
 */
export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const { nodes: count = 1, seed = 1, settings = {} } = options;
  const broken: string[] = [];
  const log = options.log ?? bugLog(broken);
  const clock: Clock =
    options.clock === 'manual' ? new ManualClock() : typeof options.clock === 'object' ? options.clock : systemClock;
  const random: Random = seededRandom(seed);
  const store = options.store ?? (await openMemoryStore({ clock }));
  const server = await openApiServer({
    store,
    clock,
    random,
    log,
    ...apiServerParts({ clock, random, log }),
    ...options.server,
  });
  const clientOf = (identity: Identity): Client =>
    openClient({ transport: server.transport(identity), userAgent: identity.user });
  const client = clientOf(administrator);
  const manager = { user: 'system:kube-controller-manager', groups: ['system:masters', 'system:authenticated'] };
  const actors = (options.actors ?? ((one) => one))(clientOf(manager));
  await server.ready;
  const informers = openInformers({ client: actors, clock, random, log });
  const parts: Closable[] = [];
  const controllers = await startControllers({
    client: actors,
    informers,
    clock,
    random,
    log,
    settings: { clusterCidr: '10.244.0.0/16', rootCa: 'test CA', ...settings },
    ...(options.controllers === undefined ? {} : { controllers: options.controllers }),
  });
  parts.push(controllers);
  if (options.scheduler !== false) parts.push(await startScheduler({ client: actors, informers, clock, random, log }));
  const nodes = await startSimulatedNodes({
    client: actors,
    informers,
    clock,
    random,
    log,
    count,
    ...(options.nodeShape === undefined ? {} : { shape: options.nodeShape }),
  });
  parts.push(nodes);
  if (controllers.names.includes('serviceaccount-controller')) {
    await waitForObjects(
      informers,
      serviceAccounts,
      (all) => all.some((one) => one.metadata.namespace === 'default'),
      {},
    );
  }
  const close = async (): Promise<void> => {
    for (const part of parts.splice(0).toReversed()) await part.close();
    informers.close();
    await server.close();
    if (options.store === undefined) await store.close();
    if (broken.length > 0) throw new Error(`something is broken: ${broken.splice(0).join('\n')}`);
  };
  const waitFor: TestCluster['waitFor'] = (resource, predicate, wait = {}) =>
    clock instanceof ManualClock
      ? advanceUntil(informers, clock, resource, predicate, wait)
      : waitForObjects(informers, resource, predicate, wait);
  return {
    client,
    server,
    informers,
    controllers,
    nodes,
    clock,
    get manual() {
      if (!(clock instanceof ManualClock)) throw new TypeError('the cluster was not started with clock: "manual"');
      return clock;
    },
    clientOf,
    waitFor,
    async waitForOne<T extends KubeObject>(
      resource: ResourceInfo,
      name: string,
      predicate: (object: T) => boolean,
      wait: WaitOptions = {},
    ) {
      const isIt = (one: T): boolean => one.metadata.name === name && predicate(one);
      const found = await waitFor<T>(resource, (objects) => objects.some(isIt), wait);
      return found.find(isIt) as T;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Authorization and admission as in a real cluster. */
function apiServerParts(parts: { clock: Clock; random: Random; log: Log }): Partial<ApiServerOptions> {
  return {
    authorizer: (objects) => openAuthorizer({ objects }),
    admission: (objects, authorizer) =>
      admissionPlugins({ ...parts, objects, authorizer: authorizer as ClusterAuthorizer }),
    reviews: (_, authenticator, authorizer) =>
      reviewHandlers({ authenticator, authorizer: authorizer as ClusterAuthorizer, audiences: ['test'] }),
    policy: bootstrapPolicy(),
  };
}

/** Keeps what is logged as an error. */
function bugLog(broken: string[]): Log {
  const log: Log = {
    ...silentLog,
    error: (fields, message) => void broken.push(`${message} ${JSON.stringify(fields)}`),
    child: () => log,
  };
  return log;
}
