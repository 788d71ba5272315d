import { type Clock, type Closable, type Log, type Random, sleep, startInOrder } from '#base';
import { type ApiServer, type ApiServerOptions, type ComponentHealth, openApiServer } from '#apiserver';
import { type Client, type Informers, openClient, openInformers } from '#client';
import type { ClusterPki } from '#pki';
import type { Identity } from '#wire';
import { type Compactor, startCompactor } from '#store';
import { installAddons } from './addons.ts';
import { openRenewedPki, type RenewedPki } from './certificate-renewal.ts';
import { openConfiguredStore } from './configured-store.ts';
import { startElected } from './elected.ts';
import { openEncryptionKey } from './encryption-key.ts';
import { startNodeRoles } from './node-roles.ts';
import { secureServer } from './secure-server.ts';
import type { ServerConfiguration } from './server-configuration.ts';
import { archiveRoute, startScheduledSnapshots } from './store-archive.ts';

export interface ServerOptions {
  readonly configuration: ServerConfiguration;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Only the API server runs here; default: controllers and scheduler too. */
  readonly only?: 'apiserver';
  /** Instead of the configuration's folder. */
  readonly pki?: RenewedPki;
}

const nothing: Closable = { close: async () => {} };

/** Loading the rest keeps the process from answering: those who wait for /readyz are served before. */
const answerReadyMs = 25;

const defaultHistoryMs = 3_600_000;
const keepRevisions = 20_000;

const controllersIdentity = {
  user: 'system:kube-controller-manager',
  groups: ['system:masters', 'system:authenticated'],
};
const schedulerIdentity = { user: 'system:kube-scheduler', groups: ['system:authenticated'] };

/**
 * Runs a whole control plane in this process: store, API server, controllers, scheduler. The API is served as soon as the store is
 * open; the rest is loaded when its first objects are there.
 */
export async function startServer(options: ServerOptions): Promise<Closable> {
  const { configuration, clock, random, log } = options;
  const stopping = new AbortController();
  const pki = options.pki ?? openServerPki(options);
  const store = await openConfiguredStore(configuration, { clock, log: log.child({ component: 'store' }) });
  store.failed.catch((error) => {
    log.error({ error: String(error) }, 'the store failed: nothing is acknowledged any more, the process stops');
    process.exit(1);
  });
  let server: ApiServer | undefined;
  let compactor: Compactor | undefined;
  let audit: Pick<ApiServerOptions, 'audit' | 'onUnauthenticated'> = {};
  let acting: Closable | undefined;
  const actors =
    options.only === 'apiserver'
      ? []
      : ['scheduler', 'controller-manager'].map((name) => ({ name, running: () => acting !== undefined }));
  const archive = () => ({ store, compactor: compactor as Compactor, clock, log });
  const running = await startInOrder(
    [
      {
        name: 'compactor',
        async start() {
          const keepMs = configuration.historyMs ?? defaultHistoryMs;
          compactor = startCompactor({ store, clock, log, keepMs, keepRevisions });
          return compactor;
        },
      },
      {
        name: 'audit',
        async start() {
          const { audit: wanted } = configuration;
          if (wanted === undefined) return { close: async () => {} };
          const { openAudit } = await import('./audit.ts');
          const opened = await openAudit({ configuration: wanted, clock, random, log });
          audit = opened.options;
          return opened;
        },
      },
      {
        name: 'apiserver',
        async start() {
          server = await openApiServer({
            ...secureServer({
              store,
              pki,
              clock,
              random,
              log: log.child({ component: 'apiserver' }),
              encryptionKey: openEncryptionKey(configuration.pkiDir, random),
              ...apiServerSettings(configuration),
            }),
            routes: () => [archiveRoute(archive())],
            components: () => actors.map(({ name, running }) => componentOf(name, running())),
            ...(configuration.slowRequestMs === undefined ? {} : { slowRequestMs: configuration.slowRequestMs }),
            ...audit,
          });
          return server;
        },
      },
      {
        name: 'listeners',
        async start() {
          const tls = () => {
            const credential = pki.credential('apiserver');
            return {
              cert: credential.certificatePem,
              key: credential.keyPem,
              clientCa: pki.ca.certificatePem + pki.frontProxyCa.certificatePem,
            };
          };
          const listening = await Promise.all(
            configuration.listen.map((host) =>
              (server as ApiServer).listen({
                host,
                port: configuration.port,
                tls: tls(),
              }),
            ),
          );
          pki.onChange(() => {
            for (const one of listening) one.setTls(tls());
          });
          return { close: async () => void (await Promise.all(listening.map((one) => one.close()))) };
        },
      },
      {
        name: 'controllers',
        start: async () => {
          const shared = store.newestRevision !== undefined;
          if (options.only === 'apiserver') return nothing;
          acting = await startActors(server as ApiServer, options, { pki, shared });
          return acting;
        },
      },
      { name: 'snapshots', start: () => startScheduledSnapshots({ ...archive(), configuration, random }) },
    ],
    stopping.signal,
  );
  log.info({ port: configuration.port }, 'the control plane runs');
  return {
    async close() {
      stopping.abort();
      await running.close();
      await Promise.all([store.close(), pki.close()]);
    },
  };
}

/** As upstream's probe of a component would find it. */
const componentOf = (name: string, healthy: boolean): ComponentHealth => ({
  name,
  healthy,
  message: healthy ? 'ok' : 'not started yet',
});

function openServerPki({ configuration, clock, log }: ServerOptions): RenewedPki {
  return openRenewedPki({
    dir: configuration.pkiDir,
    clock,
    log,
    clusterDomain: configuration.clusterDomain,
    ...(configuration.etcdMember === undefined ? {} : { etcd: configuration.etcdMember }),
    apiServerNames: configuration.certificateNames ?? [],
    apiServerAddresses: [
      configuration.advertiseAddress,
      firstServiceAddress(configuration.serviceCidr),
      ...(configuration.certificateAddresses ?? []),
    ],
  });
}

function apiServerSettings(configuration: ServerConfiguration) {
  return {
    version: configuration.version,
    serviceCidr: configuration.serviceCidr,
    advertise: { address: configuration.advertiseAddress, port: configuration.port },
    ...(configuration.seats === undefined ? {} : { seats: configuration.seats }),
    ...(configuration.openId === undefined ? {} : { openId: configuration.openId }),
    ...(configuration.joinable === undefined ? {} : { joinable: configuration.joinable }),
    issuer: configuration.issuer ?? `https://kubernetes.default.svc.${configuration.clusterDomain}`,
    ...(configuration.defaultTolerationSeconds === undefined
      ? {}
      : { defaultTolerationSeconds: configuration.defaultTolerationSeconds }),
  };
}

/**
 * Controllers, scheduler, addons and simulated nodes, all over the in-process transport. With a shared store, several control planes
 * elect who of them acts.
 */
async function startActors(
  server: ApiServer,
  options: ServerOptions,
  { pki, shared }: { readonly pki: RenewedPki; readonly shared: boolean },
): Promise<Closable> {
  const { configuration, clock, random, log } = options;
  await server.ready;
  await sleep(clock, answerReadyMs);
  const inProcess = (identity: Identity, userAgent: string): Client =>
    openClient({ transport: server.transport(identity), userAgent, host: 'in-process' });
  const client = inProcess(controllersIdentity, 'kube-controller-manager');
  const schedulerClient = inProcess(schedulerIdentity, 'kube-scheduler');
  const informers = openInformers({ client, clock, random, log });
  const controllers = (of: Informers) => startClusterControllers({ ...options, client, informers: of, pki });
  const scheduler = async (of: Informers): Promise<Closable> => {
    const { startScheduler } = await import('#scheduler');
    const own = log.child({ component: 'scheduler' });
    return startScheduler({ client: schedulerClient, informers: of, clock, random, log: own });
  };
  const elected = (name: string, as: Client, start: (informers: Informers) => Promise<Closable>): Closable =>
    startElected({
      ...{ client: as, clock, random, log, name, settings: configuration.election },
      start: () => withInformers({ client: as, clock, random, log }, start),
    });
  const parts: Closable[] = shared
    ? [elected('kube-controller-manager', client, controllers), elected('kube-scheduler', schedulerClient, scheduler)]
    : [await controllers(informers), await scheduler(informers)];
  parts.push(startNodeRoles({ client, informers, controlPlaneNodes: configuration.controlPlaneNodes ?? [], log }));
  return {
    async close() {
      await Promise.all(parts.map((one) => one.close()));
      informers.close();
    },
  };
}

/** Runs something on informers of its own, which end with it. */
async function withInformers(
  options: Parameters<typeof openInformers>[0],
  start: (informers: Informers) => Promise<Closable>,
): Promise<Closable> {
  const informers = openInformers(options);
  try {
    const running = await start(informers);
    return {
      async close() {
        await running.close();
        informers.close();
      },
    };
  } catch (error) {
    informers.close();
    throw error;
  }
}

async function startClusterControllers(
  options: ServerOptions & { readonly client: Client; readonly informers: Informers; readonly pki: ClusterPki },
): Promise<Closable> {
  const { configuration, clock, random, log, client, informers, pki } = options;
  const { startControllers } = await import('#controllers');
  const parts: Closable[] = [
    await startControllers({
      client,
      informers,
      clock,
      random,
      log: log.child({ component: 'controllers' }),
      settings: {
        clusterCidr: configuration.podCidr,
        ...(configuration.loadBalancerRanges === undefined
          ? {}
          : { loadBalancerRanges: configuration.loadBalancerRanges }),
        rootCa: pki.ca.certificatePem,
        signer: pki.ca,
        serviceAccountKey: () => pki.serviceAccountKey,
        ...(configuration.nodeMonitorGraceMs === undefined
          ? {}
          : { nodeMonitorGraceMs: configuration.nodeMonitorGraceMs }),
      },
    }),
  ];
  await installAddons(client, configuration);
  if (configuration.simulate > 0) {
    const { startSimulatedNodes } = await (await import('#kubelet')).loadSimulatedNodes();
    parts.push(await startSimulatedNodes({ client, informers, clock, random, log, count: configuration.simulate }));
  }
  return { close: async () => void (await Promise.all(parts.map((one) => one.close()))) };
}

/** 10.96.0.0/12 → 10.96.0.1. */
function firstServiceAddress(cidr: string): string {
  const [network = ''] = cidr.split('/');
  return network.replace(/\d+$/, (last) => String(Number(last) + 1));
}
