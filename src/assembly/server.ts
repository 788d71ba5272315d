import { type Clock, type Closable, type Log, type Random, sleep, startInOrder } from '#base';
import { type ApiServer, openApiServer } from '#apiserver';
import { openClient, openInformers } from '#client';
import type { Authority } from '#pki';
import { type Compactor, openStore, startCompactor } from '#store';
import { installAddons } from './addons.ts';
import { openRenewedPki } from './certificate-renewal.ts';
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
}

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
  const pki = openRenewedPki({
    dir: configuration.pkiDir,
    clock,
    log,
    clusterDomain: configuration.clusterDomain,
    apiServerNames: configuration.certificateNames ?? [],
    apiServerAddresses: [
      configuration.advertiseAddress,
      firstServiceAddress(configuration.serviceCidr),
      ...(configuration.certificateAddresses ?? []),
    ],
  });
  const store = await openStore(configuration.store, { clock, log: log.child({ component: 'store' }) });
  store.failed.catch((error) => {
    log.error({ error: String(error) }, 'the store failed: nothing is acknowledged any more, the process stops');
    process.exit(1);
  });
  let server: ApiServer | undefined;
  let compactor: Compactor | undefined;
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
      { name: 'controllers', start: () => startActors(server as ApiServer, options, pki.ca) },
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

function apiServerSettings(configuration: ServerConfiguration) {
  return {
    version: configuration.version,
    serviceCidr: configuration.serviceCidr,
    advertise: { address: configuration.advertiseAddress, port: configuration.port },
    ...(configuration.joinable === undefined ? {} : { joinable: configuration.joinable }),
    issuer: `https://kubernetes.default.svc.${configuration.clusterDomain}`,
    ...(configuration.defaultTolerationSeconds === undefined
      ? {}
      : { defaultTolerationSeconds: configuration.defaultTolerationSeconds }),
  };
}

/** Controllers, scheduler, addons and simulated nodes, all over the in-process transport. */
async function startActors(server: ApiServer, options: ServerOptions, authority: Authority): Promise<Closable> {
  const { configuration, clock, random, log } = options;
  await server.ready;
  await sleep(clock, answerReadyMs);
  const { startControllers } = await import('#controllers');
  const { startScheduler } = await import('#scheduler');
  const client = openClient({ transport: server.transport(controllersIdentity), userAgent: 'kube-controller-manager' });
  const informers = openInformers({ client, clock, random, log });
  const schedulerClient = openClient({ transport: server.transport(schedulerIdentity), userAgent: 'kube-scheduler' });
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
        rootCa: authority.certificatePem,
        signer: authority,
        ...(configuration.nodeMonitorGraceMs === undefined
          ? {}
          : { nodeMonitorGraceMs: configuration.nodeMonitorGraceMs }),
      },
    }),
    await startScheduler({
      client: schedulerClient,
      informers,
      clock,
      random,
      log: log.child({ component: 'scheduler' }),
    }),
  ];
  parts.push(startNodeRoles({ client, informers, controlPlaneNodes: configuration.controlPlaneNodes ?? [], log }));
  await installAddons(client, configuration);
  if (configuration.simulate > 0) {
    const { startSimulatedNodes } = await import('#kubelet');
    parts.push(await startSimulatedNodes({ client, informers, clock, random, log, count: configuration.simulate }));
  }
  return {
    async close() {
      await Promise.all(parts.map((one) => one.close()));
      informers.close();
    },
  };
}

/** 10.96.0.0/12 → 10.96.0.1. */
function firstServiceAddress(cidr: string): string {
  const [network = ''] = cidr.split('/');
  return network.replace(/\d+$/, (last) => String(Number(last) + 1));
}
