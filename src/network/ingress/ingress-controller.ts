import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type EndpointSlice, type Ingress, type IngressClass, type Node, resource, type Service } from '#api';
import { type Clock, type Closable, type Log, messageOf, type Random, type Timer } from '#base';
import { type Client, type Informers, openEventRecorder } from '#client';
import { Certificates, type KeyPair } from './certificates.ts';
import { isServed, ownClasses } from './ingress-class.ts';
import { type IngressPlan, planIngress } from './plan-ingress.ts';
import { planUpstream } from './plan-upstream.ts';
import { type Listening, Proxy } from './proxy/proxy.ts';
import { Endpoints, type ResolveName, Upstream } from './proxy/upstream.ts';
import { RouteTable } from './route-table.ts';
import { startStatusWriter } from './status-writer.ts';

export interface IngressControllerOptions {
  readonly nodeName: string;
  /** Where clients connect. */
  readonly addresses: readonly string[];
  /** Default 80 and 443; 0: any free ones. */
  readonly ports?: { readonly http: number; readonly https: number };
  /** Who knows the names of ExternalName Services. */
  readonly resolvers: readonly string[];
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Which addresses are no backends; default: loopback and link-local ones. */
  readonly allow?: (address: string) => boolean;
}

export interface RunningIngressController extends Closable {
  /** No Ingress of our classes for so long; 0 while there is one. */
  idleMs(): number;
  readonly ports: { readonly http?: number; readonly https?: number };
}

const serviceNameLabel = 'kubernetes.io/service-name';
/** Objects that belong together are often written one after the other: what is missing then may come. */
const patienceMs = 1_500;
const drainMs = 2_000;
const retryListenMs = 5_000;

interface Told {
  readonly ingress: string;
  readonly reason: string;
  readonly message: string;
}

/** Serves every Ingress of our classes on this node, until closed. Resolves when the rules that exist are in force. */
export async function startIngressController(options: IngressControllerOptions): Promise<RunningIngressController> {
  const { informers, client, clock, random, log, nodeName } = options;
  const classes = informers.of<IngressClass>(resource('networking.k8s.io/v1', 'ingressclasses'));
  const ingresses = informers.of<Ingress>(resource('networking.k8s.io/v1', 'ingresses'));
  const services = informers.of<Service>(resource('v1', 'services'));
  const slices = informers.of<EndpointSlice>(resource('discovery.k8s.io/v1', 'endpointslices'), {
    indexes: { service: (slice) => [`${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`] },
  });
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  const recorder = openEventRecorder({ client, component: 'k8ts-ingress', host: nodeName, clock, random, log });
  const certificates = new Certificates({ informers, clock, log, onChange: () => certificatesChanged() });
  const endpoints = new Endpoints({ clock, ...(options.allow === undefined ? {} : { allow: options.allow }) });
  const proxy = new Proxy({
    endpoints,
    certificateOf: (name) => certificates.contextOf(name),
    clock,
    random,
    log,
  });
  const resolve = resolverOf(options.resolvers);
  const upstreams = new Map<string, Upstream>();
  /** Keys of `upstreams` by `namespace/service`. */
  const byService = new Map<string, Set<string>>();
  const troubles = new Map<string, Told>();
  let served: Ingress[] = [];
  let plan: IngressPlan = planIngress([]);
  let table = new RouteTable(plan);
  let idleSinceMs = clock.monotonicMs();
  let stale = true;
  let planning = false;
  let started = false;
  let closed = false;
  let plannedMs = 0;
  let planTookMs = 0;
  let replanning: Timer | undefined;
  let telling: Timer | undefined;
  let told = new Set<string>();
  const withTls: { setPair(pair: KeyPair): void }[] = [];
  let pair: KeyPair | undefined;

  const status = startStatusWriter({ nodeName, client, nodes, served: () => served, clock, log });

  /** Everything anew from the Ingresses: the endpoints stay what they are. */
  const replan = (): void => {
    planning = false;
    if (!stale || closed || !started) return;
    stale = false;
    const beganMs = clock.monotonicMs();
    const own = ownClasses(classes.list());
    served = ingresses.list().filter((one) => isServed(one, own) && one.metadata.deletionTimestamp === undefined);
    if (served.length > 0) idleSinceMs = Number.POSITIVE_INFINITY;
    else if (idleSinceMs === Number.POSITIVE_INFINITY) idleSinceMs = clock.monotonicMs();
    plan = planIngress(served);
    table = new RouteTable(plan);
    const gone = new Set(upstreams.keys());
    for (const [key, backend] of table.backends) {
      gone.delete(key);
      if (upstreams.has(key)) continue;
      upstreams.set(key, new Upstream({ clock, endpoints, resolve }));
      const service = `${backend.namespace}/${backend.service}`;
      const keys = byService.get(service) ?? new Set();
      keys.add(key);
      byService.set(service, keys);
      refresh(key);
    }
    for (const key of gone) {
      upstreams.get(key)?.close();
      upstreams.delete(key);
      troubles.delete(key);
      for (const [service, keys] of byService) if (keys.delete(key) && keys.size === 0) byService.delete(service);
    }
    certificates.update(plan.certificates);
    proxy.setRoutes(table, upstreams);
    renewPair();
    status.look();
    tellSoon();
    plannedMs = clock.monotonicMs();
    planTookMs = plannedMs - beganMs;
  };
  const planSoon = (): void => {
    stale = true;
    if (planning) return;
    planning = true;
    // Many changes of many Ingresses: a fifth of the time at most goes into plans.
    const waitMs = plannedMs + planTookMs * 4 - clock.monotonicMs();
    if (waitMs > 5) replanning = clock.setTimer(replan, waitMs);
    else queueMicrotask(replan);
  };
  const refresh = (key: string): void => {
    const backend = table.backends.get(key);
    const upstream = upstreams.get(key);
    if (backend === undefined || upstream === undefined) return;
    const next = planUpstream(
      backend,
      services.get(backend.namespace, backend.service),
      slices.byIndex('service', `${backend.namespace}/${backend.service}`),
    );
    if ('state' in next) {
      upstream.update(next.state);
      troubles.delete(key);
    } else {
      upstream.update({ targets: [], protocol: 'http', sticky: false });
      troubles.set(key, { ingress: '', reason: next.reason, message: next.message });
      tellSoon();
    }
  };
  const refreshService = (namespace: string, name: string): void => {
    for (const key of byService.get(`${namespace}/${name}`) ?? []) refresh(key);
  };
  const certificatesChanged = (): void => {
    if (closed) return;
    renewPair();
    tellSoon();
  };
  const renewPair = (): void => {
    if (withTls.length === 0 || pair === certificates.withoutName) return;
    pair = certificates.withoutName;
    for (const one of withTls) one.setPair(pair);
  };

  /** Everything that is wrong at present, each sentence once an Ingress. */
  const findings = (): Told[] => {
    const found: Told[] = [...plan.problems, ...certificates.problems()];
    for (const route of [...plan.routes, ...plan.defaults]) {
      const trouble = troubles.get(route.backendKey);
      if (trouble !== undefined) found.push({ ...trouble, ingress: route.ingress });
    }
    return found;
  };
  const tellSoon = (): void => {
    telling ??= clock.setTimer(() => {
      telling = undefined;
      if (closed) return;
      const now = new Set<string>();
      const isFirst = status.isFirst;
      for (const { ingress, reason, message } of findings()) {
        const text = JSON.stringify([ingress, reason, message]);
        if (now.has(text)) continue;
        now.add(text);
        if (told.has(text) || !isFirst) continue;
        const slash = ingress.indexOf('/');
        const object = ingresses.get(ingress.slice(0, slash), ingress.slice(slash + 1));
        if (object !== undefined)
          recorder.event(
            { ...object, apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
            'Warning',
            reason,
            message,
          );
      }
      // Nodes that do not write keep nothing in mind: when they come first, they tell what is wrong then.
      told = isFirst ? now : new Set();
    }, patienceMs);
  };

  const ends = [
    classes.onChange(planSoon),
    ingresses.onChange(({ type, object, old }) => {
      if (type === 'updated' && isSame(object, old)) return status.look();
      planSoon();
    }),
    services.onChange(({ object }) => refreshService(object.metadata.namespace, object.metadata.name)),
    slices.onChange(({ object, old }) => {
      for (const one of [object, old]) {
        const name = one?.metadata.labels?.[serviceNameLabel];
        if (name !== undefined) refreshService(object.metadata.namespace, name);
      }
    }),
    nodes.onChange(({ object, old }) => {
      if (
        JSON.stringify([readyOf(object), object.status?.addresses]) !==
        JSON.stringify([readyOf(old), old?.status?.addresses])
      )
        status.look();
    }),
  ];
  await Promise.all([classes.synced, ingresses.synced, services.synced, slices.synced, nodes.synced]);
  started = true;
  replan();
  await Promise.race([certificates.synced(), new Promise<void>((done) => void clock.setTimer(done, 2_000))]);

  const listening: Listening[] = [];
  const ports: { http?: number; https?: number } = {};
  const retries = new Set<Timer>();
  const listen = async (what: 'http' | 'https', address: string, again: boolean): Promise<void> => {
    const port = (options.ports ?? { http: 80, https: 443 })[what];
    try {
      if (what === 'http') {
        const one = await proxy.listenHttp(address, port);
        listening.push(one);
        ports.http = one.port;
      } else {
        const one = await proxy.listenHttps(address, port, certificates.withoutName);
        listening.push(one);
        ports.https = one.port;
        withTls.push(one);
      }
      if (again) log.info({ address, port }, 'the port of Ingresses is free now');
    } catch (error) {
      if (!again) {
        const message = `${messageOf(error)}: Ingresses are not served there until it is free`;
        log.warn({ address, port }, message);
        recorder.event(
          { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName },
          'Warning',
          'IngressPortTaken',
          message,
        );
      }
      if (closed) return;
      const timer = clock.setTimer(() => {
        retries.delete(timer);
        void listen(what, address, true);
      }, retryListenMs);
      retries.add(timer);
    }
  };
  await Promise.all(
    options.addresses.flatMap((address) => [listen('http', address, false), listen('https', address, false)]),
  );
  return {
    ports,
    idleMs: () => (idleSinceMs === Number.POSITIVE_INFINITY ? 0 : clock.monotonicMs() - idleSinceMs),
    async close() {
      if (closed) return;
      closed = true;
      telling?.cancel();
      replanning?.cancel();
      for (const timer of retries) timer.cancel();
      for (const end of ends) end();
      for (const one of listening) void one.close();
      await Promise.all([proxy.close(drainMs), status.close(), recorder.close()]);
      certificates.close();
      endpoints.close();
    },
  };
}

function readyOf(node: Node | undefined): string {
  return node?.status?.conditions?.find((one) => one.type === 'Ready')?.status ?? '';
}

/** Whether an update changed nothing that rules are made of. */
function isSame(object: Ingress, old: Ingress | undefined): boolean {
  return (
    old !== undefined &&
    object.metadata.uid === old.metadata.uid &&
    object.metadata.generation === old.metadata.generation &&
    object.metadata.deletionTimestamp === old.metadata.deletionTimestamp &&
    JSON.stringify(object.metadata.annotations) === JSON.stringify(old.metadata.annotations)
  );
}

/** Asks the cluster's DNS, and what that knows of outside. */
function resolverOf(servers: readonly string[]): ResolveName {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  if (servers.length > 0) resolver.setServers([...servers]);
  return async (name) => {
    const host = name.endsWith('.') ? name.slice(0, -1) : name;
    if (isIP(host) !== 0) return { addresses: [host], ttlSeconds: 60 };
    const found = await resolver.resolve4(host, { ttl: true });
    return {
      addresses: found.map((one) => one.address),
      ttlSeconds: Math.min(...found.map((one) => one.ttl), 60),
    };
  };
}
