import {
  type Clock,
  type Closable,
  type Log,
  messageOf,
  metricHead,
  MetricRegistry,
  type Random,
  silentLog,
  systemClock,
  systemRandom,
  type Timer,
} from '#base';
import { type KindCatalogue, openKindCatalogue } from '#kinds';
import type { Lease, Store } from '#store';
import type { Identity, Transport } from '#wire';
import type { PolicyObject } from './authz/index.ts';
import { bootstrapObjects } from './bootstrap/bootstrap.ts';
import type {
  AdmissionPlugin,
  Authenticator,
  Authorizer,
  Handler,
  Link,
  ReviewHandler,
  Route,
  ServerObjects,
  ServerRequest,
  TokenIssuer,
} from './contract.ts';
import { pathRouter } from './http/path-router.ts';
import { authenticationLink, nobody } from './http/authentication.ts';
import { allowAll, authorizationLink } from './http/authorization.ts';
import { composeChain, noLink } from './http/chain.ts';
import { guardLink } from './http/guard.ts';
import { impersonationLink } from './http/impersonation.ts';
import { inProcessTransport } from './http/in-process.ts';
import { type ListenOptions, listenHttps, type Listening } from './http/listen.ts';
import { parseRequestInfo } from './http/request-info.ts';
import { FlowControl } from './flow-control/flow-control.ts';
import type { KeepObjectsOptions } from './flow-control/keep-objects.ts';
import { discoveryRoutes } from './discovery/routes.ts';
import { type IssuerOptions, issuerRoutes } from './discovery/issuer.ts';
import type { Aggregator } from './aggregation/aggregator.ts';
import type { AggregationOptions } from './aggregation/remote-api.ts';
import type { OpenApiOptions } from './openapi/index.ts';
import type { ExtensionAuthentication } from './bootstrap/extension-authentication.ts';
import { RequestMetrics } from './http/metrics.ts';
import { RequestLog } from './http/request-log.ts';
import { healthRoutes, type HealthCheck } from './discovery/health.ts';
import { apiVersionServed, buildOf, versionRoute, type VersionOptions } from './discovery/version.ts';
import type { KindHooks, ResourceContext } from './resources/context.ts';
import { CacheView } from './resources/object-view.ts';
import type { Seal } from './resources/object-storage.ts';
import { ResourceRegistry, segmentOf, storageRoot } from './resources/resource-registry.ts';
import { type ComponentHealth, componentStatuses } from './resources/component-statuses.ts';
import { resourceRouter } from './resources/router.ts';
import { type ServerParts, serverParts } from './parts.ts';
import { serverIdentity } from './server-identity.ts';
import type { KubeletClientOptions } from './streams/kubelet.ts';
import { StoreFeed } from './watchcache/store-feed.ts';

export interface ApiServerOptions {
  readonly store: Store;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Log;
  /** Default: the built-in kinds. The server owns it: CRDs are added to it. */
  readonly catalogue?: KindCatalogue;
  readonly version?: VersionOptions;
  /** Default: nobody gets in through a socket. */
  readonly authenticator?: (objects: ServerObjects) => Authenticator;
  /** Default: everything is allowed (a server for tests). */
  readonly authorizer?: (objects: ServerObjects) => Authorizer;
  readonly admission?: (objects: ServerObjects, authorizer: Authorizer) => readonly AdmissionPlugin[];
  readonly reviews?: (
    objects: ServerObjects,
    authenticator: Authenticator,
    authorizer: Authorizer,
  ) => Readonly<Record<string, ReviewHandler>>;
  readonly audit?: Link;
  /** Told of requests whose authentication failed, which never reach `audit`. */
  readonly onUnauthenticated?: (request: ServerRequest, error: unknown) => void;
  readonly tokens?: TokenIssuer;
  /** More non-resource paths: OpenAPI, issuer discovery. */
  readonly routes?: (objects: ServerObjects, catalogue: KindCatalogue) => readonly Route[];
  /** Encryption at rest by storage segment (`secrets`). */
  readonly sealOf?: (segment: string) => Seal | undefined;
  /** Requests that take so long are logged; default 1,000. 0: each request is. */
  readonly slowRequestMs?: number;
  /** The other parts of the control plane, for ComponentStatus; the store is always among them. */
  readonly components?: () => readonly ComponentHealth[];
  /** Requests worked on at once, and whether FlowSchemas and PriorityLevelConfigurations are kept as upstream's; default 600, and not. */
  readonly flowControl?: { readonly seats?: number; readonly keepObjects?: boolean };
  readonly services?: ServiceNetworkOptions;
  /** How the server reaches kubelets (log, exec, proxy). Absent: those sub-resources answer 503. */
  readonly kubelet?: KubeletClientOptions;
  /** Changes that may wait for one watcher; default 20,000. */
  readonly watchBacklog?: number;
  /** Another server's word for a user is taken from, and given with, this certificate. Absent: aggregated APIs answer 503. */
  readonly aggregation?: AggregationOptions;
  /** APIServices are kept for what this server answers itself; default false. */
  readonly localServices?: boolean;
  /** Published for aggregated servers in kube-system/extension-apiserver-authentication. */
  readonly extensionAuthentication?: ExtensionAuthentication;
  /** Issuer discovery of service account tokens. */
  readonly issuer?: IssuerOptions;
  /** Where clients reach this server: the endpoints of the `kubernetes` Service. Absent: it is not kept. */
  readonly advertise?: { readonly address: string; readonly port: number };
  /** Roles and bindings that must be there at start (reconciled). */
  readonly policy?: readonly PolicyObject[];
}

export interface ServiceNetworkOptions {
  /** Default 10.96.0.0/12; a second range of the other family makes it dual-stack. */
  readonly ranges?: readonly string[];
  /** Default [30000, 32767]. */
  readonly nodePorts?: readonly [first: number, last: number];
}

export interface ApiServer extends Closable {
  /** In-process: no bytes, no authentication; authorization and everything after as for any other. */
  transport(identity: Identity): Transport;
  listen(options: ListenOptions): Promise<Listening>;
  readonly catalogue: KindCatalogue;
  readonly objects: ServerObjects;
  /** The whole chain. */
  readonly handler: Handler;
  /** Resolves when the first objects are there (namespaces, policy, `kubernetes` Service). */
  readonly ready: Promise<void>;
}

const eventTtlSeconds = 3600;
const leaseBucketMs = 60_000;
const defaultWatchBacklog = 20_000;
/** How long the state of a paged list is kept at hand: as long as history in the store. */
const snapshotLifeMs = 300_000;

/** Upstream's names of what is done at a start; true of each: probes and scripts leave some out by name. */
const firstObjectHooks = [
  'start-system-namespaces-controller',
  'rbac/bootstrap-roles',
  'scheduling/bootstrap-system-priority-classes',
].map((name) => `poststarthook/${name}`);
const partHooks = [
  'poststarthook/start-apiextensions-controllers',
  'poststarthook/crd-informer-synced',
  'poststarthook/bootstrap-controller',
  'poststarthook/start-cluster-authentication-info-controller',
  'poststarthook/apiservice-registration-controller',
  'poststarthook/kube-apiserver-autoregistration',
  'autoregister-completion',
];

/** Opens a server on a store. It serves at once; `ready` resolves when the first objects are there. */
export async function openApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const {
    store,
    clock = systemClock,
    random = systemRandom,
    log = silentLog,
    catalogue = openKindCatalogue(),
  } = options;
  const metrics = new RequestMetrics(clock, catalogue);
  const { measures } = metrics;
  const deprecated = metrics.registry.gauge({
    name: 'apiserver_requested_deprecated_apis',
    help: 'Deprecated APIs that have been asked for.',
    labels: ['group', 'version', 'resource', 'subresource', 'removed_release'],
  });
  const { seats, keepObjects = false } = options.flowControl ?? {};
  const flowControl = new FlowControl({ clock, registry: metrics.registry, ...(seats === undefined ? {} : { seats }) });
  let flowObjects: Promise<Closable> | undefined;
  let storeFailed = false;
  const feed = new StoreFeed({ store, root: storageRoot, clock, log });
  const registry = new ResourceRegistry({
    catalogue,
    store,
    feed,
    log,
    measures,
    sealOf: options.sealOf ?? (() => undefined),
  });
  const views = new Map<string, CacheView>();
  let handler: Handler | undefined;
  const objects: ServerObjects = {
    measures,
    view(groupVersion, plural) {
      const name = `${groupVersion} ${plural}`;
      let view = views.get(name);
      if (view === undefined) {
        const [group, version] = groupVersion.includes('/')
          ? (groupVersion.split('/') as [string, string])
          : ['', groupVersion];
        const kind = registry.find(group, version, plural);
        if (kind === undefined) throw new TypeError(`no resource ${groupVersion} ${plural}`);
        view = new CacheView(kind.storage.cache, kind.definition);
        views.set(name, view);
      }
      return view;
    },
    transport: (identity = serverIdentity) =>
      inProcessTransport({ handler: (request) => (handler as Handler)(request), identity, clock }),
    kind: (group, version, kind) => catalogue.byKind(group, version, kind),
    definition: (group, plural, version) =>
      catalogue
        .all()
        .find(
          ({ resource }) =>
            resource.group === group &&
            resource.plural === plural &&
            (version === undefined || resource.version === version),
        ),
  };
  const authorizer = options.authorizer?.(objects) ?? allowAll;
  const authenticator = options.authenticator?.(objects) ?? nobody;
  const hooks = new Map<string, KindHooks>();
  const context: ResourceContext = {
    store,
    feed,
    clock,
    random,
    log,
    registry,
    admission: options.admission?.(objects, authorizer) ?? [],
    authorizer,
    hooks,
    reviews: new Map(Object.entries(options.reviews?.(objects, authenticator, authorizer) ?? {})),
    watchBacklog: options.watchBacklog ?? defaultWatchBacklog,
    computed: new Map([
      [
        '/componentstatuses',
        componentStatuses(() => [
          ...(options.components?.() ?? []),
          { name: 'etcd-0', healthy: !storeFailed, message: storeFailed ? 'the store has failed' : 'ok' },
        ]),
      ],
    ]),
    onDeprecated: ({ info: { group, version, plural } }, { info }) =>
      deprecated.set(1, group, version, plural, info.subresource === 'status' ? 'status' : '', ''),
    measures,
    tokens: options.tokens,
    leaseFor: eventLeases(store, clock),
  };
  const parts: ServerParts = await serverParts({ options, context, objects, catalogue, hooks });
  let [hasFirstObjects, hasParts, isClosing] = [false, false, false];
  const checks: HealthCheck[] = [
    { name: 'ping', check: () => true },
    { name: 'log', check: () => true },
    { name: 'etcd', check: () => !storeFailed },
    { name: 'etcd-readiness', check: () => !storeFailed && !feed.isStale, readyOnly: true },
    { name: 'informer-sync', check: () => !feed.isStale, readyOnly: true },
    ...firstObjectHooks.map((name) => ({ name, check: () => hasFirstObjects })),
    ...partHooks.map((name) => ({ name, check: () => hasParts })),
    { name: 'shutdown', check: () => !isClosing, readyOnly: true },
  ];
  store.failed.catch(() => {
    storeFailed = true;
  });
  metrics.start();
  const healthRegistry = new MetricRegistry();
  const routes = [
    versionRoute(options.version ?? {}),
    ...healthRoutes({ checks, log, registry: healthRegistry }),
    ...discoveryRoutes({ catalogue, others: parts.aggregator }),
    ...(options.issuer === undefined ? [] : issuerRoutes(options.issuer)),
    metrics.route(() => [
      ...cacheMetrics(registry, metrics),
      ...healthRegistry.lines(),
      ...RequestMetrics.buildInfo(buildOf(options.version ?? {})),
    ]),
    ...lazyOpenApi({ objects, catalogue, others: parts.aggregator, clock, log }),
    ...(options.routes?.(objects, catalogue) ?? []),
    ...parts.routes,
  ];
  const router = resourceRouter({
    context,
    subresources: parts.subresources,
    otherwise: aggregated(parts.aggregator, pathRouter(routes, undefined)),
  });
  handler = composeChain(
    {
      guard: guardLink({
        log,
        metrics,
        requestLog: new RequestLog({
          log,
          clock,
          ...(options.slowRequestMs === undefined ? {} : { thresholdMs: options.slowRequestMs }),
        }),
      }),
      requestInfo: (request, next) => {
        request.info = parseRequestInfo(request.method, request.target);
        return next(request);
      },
      authentication: authenticationLink(authenticator, options.onUnauthenticated),
      audit: options.audit ?? noLink,
      flowControl: flowControl.link,
      impersonation: impersonationLink(authorizer),
      authorization: authorizationLink(authorizer),
    },
    router,
  );
  const served = handler;
  const ready = bootstrapObjects({ context, objects, policy: options.policy ?? [] })
    .then(() => {
      hasFirstObjects = true;
      return parts.start();
    })
    .then(() => {
      hasParts = true;
      if (keepObjects) flowObjects = keepFlowObjects({ objects, control: flowControl, clock, log });
      if (store.newestRevision !== undefined) {
        registry
          .fillAll()
          .catch((error: unknown) => log.warn({ error: messageOf(error) }, 'not everything is at hand'));
      }
    });
  ready.catch(() => {});
  let housekeeping: Timer;
  const keepHouse = (): void => {
    housekeeping = clock.setTimer(() => {
      const beforeMs = clock.monotonicMs() - snapshotLifeMs;
      for (const { cache } of registry.openStorages()) cache.forgetSnapshots(beforeMs);
      keepHouse();
    }, snapshotLifeMs);
  };
  keepHouse();
  const listeners = new Set<Listening>();
  let closing: Promise<void> | undefined;
  return {
    catalogue,
    objects,
    handler: served,
    ready,
    transport: (identity) => inProcessTransport({ handler: served, identity, clock }),
    async listen(listenOptions) {
      const listening = await listenHttps({ ...listenOptions, handler: served, clock, log });
      listeners.add(listening);
      return listening;
    },
    close() {
      isClosing = true;
      closing ??= (async () => {
        housekeeping.cancel();
        await (await flowObjects)?.close();
        for (const { cache } of registry.openStorages()) cache.endWatches();
        await Promise.all([...listeners].map((one) => one.close()));
        await ready.catch(() => {});
        await parts.close();
        for (const storage of registry.openStorages()) storage.cache.close();
        feed.close();
        metrics.close();
      })();
      return closing;
    },
  };
}

/** Requests for groups that other servers serve go there. */
function aggregated(aggregator: Aggregator, next: Handler): Handler {
  return (request) => (aggregator.handlerOf(request.info) ?? next)(request);
}

/** When those who wait for the server to be ready have been served. */
async function keepFlowObjects(options: KeepObjectsOptions): Promise<Closable> {
  const { keepFlowObjects: keep } = await import('./flow-control/keep-objects.ts');
  return keep(options);
}

/** OpenAPI documents are large and rarely asked for: loaded at the first question. */
function lazyOpenApi(options: Omit<OpenApiOptions, 'version'>): Route[] {
  let loading: Promise<readonly Route[]> | undefined;
  const find = async (path: string): Promise<Handler> => {
    const { major, minor, patch } = apiVersionServed;
    loading ??= import('./openapi/index.ts').then(({ openApiRoutes }) =>
      openApiRoutes({ ...options, version: `v${major}.${minor}.${patch}` }),
    );
    const route = (await loading).find((one) => one.path === path) as Route;
    return route.handle;
  };
  return ['/openapi/v2', '/openapi/v3', '/openapi/v3/*'].map((path) => ({
    path,
    ...(path.endsWith('*') ? { listed: false } : {}),
    handle: async (request) => (await find(path))(request),
  }));
}

function cacheMetrics(registry: ResourceRegistry, metrics: RequestMetrics): string[] {
  const objects = metricHead('apiserver_storage_objects', 'Objects stored, by resource.', 'gauge');
  const counts = metricHead('apiserver_resource_objects', 'Objects stored, by group and resource.', 'gauge');
  const watchers = metricHead('apiserver_registered_watchers', 'Watches that are served now.', 'gauge');
  const running = metricHead('apiserver_longrunning_requests', 'Watches and streams that are served now.', 'gauge');
  const events = metricHead('apiserver_watch_events_total', 'Events sent to watchers.', 'counter');
  for (const { cache } of registry.openStorages()) {
    const { group, version, plural, kind } = cache.form.definition.resource;
    const resource = group === '' ? plural : `${plural}.${group}`;
    objects.push(`apiserver_storage_objects{resource="${resource}"} ${cache.size}`);
    counts.push(`apiserver_resource_objects{group="${group}",resource="${plural}"} ${cache.size}`);
    const labels = `group="${group}",version="${version}",resource="${plural}"`;
    if (cache.watchers.size > 0) {
      watchers.push(
        `apiserver_registered_watchers{group="${group}",version="${version}",kind="${kind}"} ${cache.watchers.size}`,
      );
      for (const [scope, count] of Object.entries(cache.watchers.byScope()))
        if (count > 0)
          running.push(
            `apiserver_longrunning_requests{verb="WATCH",${labels},subresource="",scope="${scope}",component="apiserver"} ${count}`,
          );
    }
    if (cache.eventsSent > 0) events.push(`apiserver_watch_events_total{${labels}} ${cache.eventsSent}`);
  }
  for (const [labels, count] of metrics.running()) running.push(`apiserver_longrunning_requests{${labels}} ${count}`);
  return [...objects, ...counts, ...watchers, ...running, ...events];
}

/** Events end with a lease; those of one minute share one. */
function eventLeases(store: Store, clock: Clock): ResourceContext['leaseFor'] {
  let bucket: { readonly untilMs: number; readonly lease: Promise<Lease> } | undefined;
  return (kind) => {
    if (segmentOf(kind.definition) !== 'events') return undefined;
    const nowMs = clock.monotonicMs();
    if (bucket === undefined || nowMs >= bucket.untilMs) {
      const lease = store.grantLease(eventTtlSeconds + leaseBucketMs / 1000);
      bucket = { untilMs: nowMs + leaseBucketMs, lease };
      lease.catch(() => {
        bucket = undefined;
      });
    }
    return bucket.lease;
  };
}
