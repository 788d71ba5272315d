import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Node, resource } from '#api';
import {
  type Clock,
  type Closable,
  type Log,
  messageOf,
  type Random,
  runCommand,
  startInOrder,
  makeDirectorySync,
} from '#base';
import {
  type Informers,
  kubeconfigTarget,
  openClient,
  openInformers,
  openKubeconfigTransport,
  readKubeconfig,
} from '#client';
import { buildPauseImage, type Kubelet, loadKubelet, pauseImageName } from '#kubelet';
import {
  cniConfiguration,
  cniFileName,
  loadIngressSupervisor,
  type NetworkPolicies,
  startDnsServer,
  startNetworkPolicies,
  startPodRoutes,
  startReservationCare,
  startServiceProxy,
  startServiceRoute,
} from '#network';
import type { Transport } from '#wire';
import type { AgentConfiguration } from './agent-configuration.ts';
import { followApiServers, readApiServers } from './api-servers.ts';
import { servingCredential, startCertificateRotation, temporaryCredential } from './certificate-rotation.ts';
import { openForeignRuntime } from './runtime/foreign-runtime.ts';
import type { IngressConfiguration } from './ingress.ts';
import { type Runtime, startContainerd } from './runtime/containerd.ts';

export interface AgentOptions {
  readonly configuration: AgentConfiguration;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Runs one node: container runtime, kubelet, pod network, Services and DNS. Pods outlive it, and the next start finds them. */
export async function startAgent(options: AgentOptions): Promise<Closable> {
  const { configuration, clock, random, log } = options;
  const stopping = new AbortController();
  prepareKernel(log);
  const serversFile = join(configuration.kubeletDir, 'api-servers.json');
  const servers = readApiServers(serversFile);
  const transport = await openKubeconfigTransport({ file: configuration.kubeconfig, servers });
  const client = openClient({ transport, userAgent: 'kubelet' });
  const podInformers = openInformers({ client, clock, random, log });
  const proxyTransport =
    configuration.proxyKubeconfig === configuration.kubeconfig
      ? transport
      : await openKubeconfigTransport({ file: configuration.proxyKubeconfig, servers });
  const proxyClient = openClient({ transport: proxyTransport, userAgent: 'kube-proxy' });
  const informers = openInformers({ client: proxyClient, clock, random, log });
  const stopFollowing = followApiServers({
    ...{ informers, transports: [transport, proxyTransport], file: serversFile, log },
    own: kubeconfigTarget(await readKubeconfig(configuration.kubeconfig)).cluster.server,
  });
  // Loaded while the container runtime starts.
  const kubeletCode = loadKubelet();
  const network = startNetwork({ configuration, clock, random, log, informers, podInformers });
  let runtime: Runtime | undefined;
  let kubelet: Kubelet | undefined;
  const components = await startInOrder(
    [
      {
        name: 'containerd',
        async start() {
          if (configuration.criSocket !== undefined) {
            runtime = openForeignRuntime(configuration.criSocket);
            return runtime;
          }
          runtime = await startContainerd({
            ...configuration.containerd,
            sandboxImage: pauseImageName,
            clock,
            log: log.child({ component: 'runtime' }),
          });
          await importPauseImage(runtime, configuration);
          return runtime;
        },
      },
      {
        name: 'kubelet',
        async start() {
          const { startKubelet } = await kubeletCode;
          kubelet = await startKubelet({
            nodeName: configuration.nodeName,
            nodeIp: configuration.nodeIp,
            client,
            clock,
            random,
            log: log.child({ component: 'kubelet' }),
            criSocket: configuration.criSocket ?? configuration.containerd.socket,
            rootDir: configuration.kubeletDir,
            podLogsDir: configuration.podLogsDir,
            clusterDns: [configuration.clusterDns],
            clusterDomain: configuration.clusterDomain,
            cgroupRoot: configuration.cgroupRoot,
            tls: servingCredential(configuration) ?? (await temporaryCredential(configuration, clock)),
            labels: configuration.labels,
            taints: configuration.taints,
            ...nodeLimits(configuration),
            beforeContainers: async (pod, addresses) => (await network).policies?.ready(pod, addresses),
          });
          return kubelet;
        },
      },
      {
        name: 'certificates',
        start: async () =>
          startCertificateRotation({
            ...{ configuration, client, clock, random, log },
            onClient() {
              transport.reconnect();
              proxyTransport.reconnect();
            },
            onServing: (credential) => kubelet?.setTls(credential),
          }),
      },
      { name: 'network', start: () => network },
      { name: 'addresses', start: async () => careForAddresses(options) },
    ],
    stopping.signal,
  );
  for (const archive of configuration.images) await importOnce(runtime as unknown as Runtime, archive, configuration);
  makeDirectorySync(dirname(configuration.readyFile));
  writeFileSync(configuration.readyFile, '');
  log.info({ node: configuration.nodeName }, 'the node runs');
  const ingress = superviseIngress(options, transport).catch((error) => {
    log.warn({ error: messageOf(error) }, 'Ingresses are not served on this node');
    return undefined;
  });
  return {
    async close() {
      stopping.abort();
      await (await ingress)?.close();
      await components.close();
      stopFollowing();
      informers.close();
      podInformers.close();
      await Promise.all([transport.close(), proxyTransport.close()]);
      rmSync(configuration.readyFile, { force: true });
    },
  };
}

/** Ingresses are served by a process of their own, which runs while there are any: user data never keep the kubelet waiting. */
async function superviseIngress(options: AgentOptions, ownTransport: Transport): Promise<Closable | undefined> {
  const { configuration, clock, random, log } = options;
  const { ingressKubeconfig, clientCertificate, nodeName, nodeIp, dnsAddresses, clusterDns } = configuration;
  const [entry] = process.argv.slice(1);
  if (ingressKubeconfig === undefined || entry === undefined) return undefined;
  const { startIngressSupervisor } = await loadIngressSupervisor();
  const folder = dirname(configuration.readyFile);
  const file = join(folder, 'ingress.json');
  const own: IngressConfiguration = {
    nodeName,
    addresses: [nodeIp],
    kubeconfig: ingressKubeconfig,
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
    resolvers: dnsAddresses.length > 0 ? dnsAddresses : [clusterDns],
    pidFile: join(folder, 'ingress.pid'),
  };
  writeFileSync(file, `${JSON.stringify(own, null, 2)}\n`, { mode: 0o600 });
  const isOwn = ingressKubeconfig === configuration.kubeconfig;
  const transport = isOwn ? ownTransport : await openKubeconfigTransport({ file: ingressKubeconfig });
  const supervisor = startIngressSupervisor({
    client: openClient({ transport, userAgent: 'k8ts-ingress-supervisor' }),
    command: [process.execPath, ...nodeFlags(), entry, 'ingress', '--config', file],
    clock,
    random,
    log: log.child({ component: 'ingress-supervisor' }),
  });
  return {
    async close() {
      await supervisor.close();
      if (!isOwn) await transport.close();
    },
  };
}

/** Those of this process, but room for the short-lived objects of many requests. */
function nodeFlags(): string[] {
  return [...process.execArgv.filter((one) => !one.startsWith('--max-semi-space-size')), '--max-semi-space-size=8'];
}

/** Routing between pods, and limits that many pods of one node need. A refusal is told, not fatal: the machine may forbid it. */
function prepareKernel(log: Log): void {
  writeKernelSettings(log, [
    ['/proc/sys/net/ipv4/ip_forward', '1'],
    ['/proc/sys/net/ipv4/conf/all/rp_filter', '0'],
    ['/proc/sys/net/ipv4/conf/default/rp_filter', '0'],
    ['/proc/sys/net/ipv4/neigh/default/gc_thresh3', '16384'],
    ['/proc/sys/net/ipv6/conf/default/accept_ra', '0'],
  ]);
  const watches = '/proc/sys/fs/inotify/max_user_instances';
  try {
    if (Number(readFileSync(watches, 'utf8')) < 4096) writeFileSync(watches, '4096');
  } catch {}
}

/**
 * A connection that a dead endpoint never answered is forgotten soon: its next attempt, or a later one from the same port, is sent
 * to an endpoint that lives. The kernel has this setting once the rules of Services are loaded.
 */
function forgetUnanswered(log: Log): void {
  writeKernelSettings(log, [['/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_syn_sent', '5']]);
}

function writeKernelSettings(log: Log, settings: readonly (readonly [file: string, value: string])[]): void {
  for (const [file, value] of settings) {
    try {
      if (existsSync(file) && readFileSync(file, 'utf8').trim() !== value) writeFileSync(file, value);
    } catch (error) {
      log.warn({ file, error: messageOf(error) }, 'a kernel setting could not be made');
    }
  }
}

interface NetworkOptions extends AgentOptions {
  readonly informers: Informers;
  readonly podInformers: Informers;
}

/** Starts at once what needs only the API: rules, routes and names are there before the first pod asks for them. */
async function startNetwork(
  options: NetworkOptions,
): Promise<Closable & { readonly policies: NetworkPolicies | undefined }> {
  const { configuration, informers, podInformers, clock, random } = options;
  const log = options.log.child({ component: 'network' });
  const { nodeName, nodeIp, podCidr, serviceCidr, uplink } = configuration;
  await runCommand('ip', ['address', 'replace', `${configuration.clusterDns}/32`, 'dev', 'lo']);
  const serviceRoute = await startServiceRoute({ serviceCidr, uplink, nodeIp, clock, log });
  const dns = await startDnsServer({
    addresses: [configuration.clusterDns, ...configuration.dnsAddresses],
    domain: configuration.clusterDomain,
    upstreams: configuration.dnsUpstreams,
    ranges: [podCidr, serviceCidr],
    recordsFile: join(configuration.kubeletDir, 'dns-records.json'),
    informers,
    clock,
    random,
    log,
  });
  const ownNode = informers.of<Node>(resource('v1', 'nodes'));
  let ownRange: string | undefined;
  let podMtu: number | undefined;
  const offerNetwork = (): void => {
    if (ownRange !== undefined && podMtu !== undefined) writeCni(configuration, { podCidr: ownRange, mtu: podMtu });
  };
  const stopCni = ownNode.onChange(({ type, object }) => {
    if (type === 'deleted' || object.metadata.name !== nodeName || object.spec.podCIDR === undefined) return;
    ownRange = object.spec.podCIDR;
    offerNetwork();
  });
  const ownNetwork = configuration.podNetwork !== 'none';
  const routes = !ownNetwork
    ? undefined
    : await startPodRoutes({
        ...{ nodeName, nodeIp, uplink, informers, clock, log },
        ...(configuration.networkMode === undefined ? {} : { mode: configuration.networkMode }),
        onPodMtu(mtu) {
          podMtu = mtu;
          offerNetwork();
        },
      });
  const policies = ownNetwork
    ? startNetworkPolicies({ nodeName, informers, podInformers, clock, log })
    : Promise.resolve(undefined);
  const proxy = await startServiceProxy({
    nodeName,
    network: { nodeAddresses: [nodeIp], clusterCidr: podCidr, serviceCidr, uplink },
    informers,
    podInformers,
    clock,
    log,
  });
  forgetUnanswered(log);
  const enforced = await policies;
  return {
    policies: enforced,
    async close() {
      stopCni();
      await Promise.all([enforced?.close(), proxy.close(), routes?.close(), dns.close(), serviceRoute.close()]);
    },
  };
}

/** Addresses whose sandbox the runtime has forgotten are given back. */
function careForAddresses({ configuration, clock, log }: AgentOptions): Closable {
  const socket = configuration.criSocket ?? configuration.containerd.socket;
  return startReservationCare({
    stateDir: configuration.cniStateDir,
    async sandboxes() {
      const { stdout } = await runCommand('ctr', ['-a', socket, '-n', 'k8s.io', 'containers', 'list', '-q']);
      return new Set(stdout.split('\n'));
    },
    clock,
    log: log.child({ component: 'network' }),
  });
}

/** The runtime watches the folder: the node's network is there as soon as this file is. */
function writeCni(configuration: AgentConfiguration, range: { readonly podCidr: string; readonly mtu: number }): void {
  const file = join(configuration.containerd.cniConfDir, cniFileName);
  const text = cniConfiguration({ ...range, stateDir: configuration.cniStateDir });
  if (existsSync(file) && readFileSync(file, 'utf8') === text) return;
  makeDirectorySync(dirname(file));
  writeFileSync(file, text, { mode: 0o644 });
}

async function importPauseImage(runtime: Runtime, configuration: AgentConfiguration): Promise<void> {
  const archive = join(configuration.kubeletDir, 'pause-image.tar');
  const mark = join(configuration.containerd.rootDir, 'pause-image-2.imported');
  if (existsSync(mark)) return;
  makeDirectorySync(dirname(archive));
  writeFileSync(archive, buildPauseImage());
  await runtime.importImage(archive);
  rmSync(archive, { force: true });
  writeFileSync(mark, '');
}

async function importOnce(runtime: Runtime, archive: string, configuration: AgentConfiguration): Promise<void> {
  const { size, mtimeMs } = statSync(archive);
  const mark = join(configuration.containerd.rootDir, `imported-${basename(archive)}-${size}-${Math.floor(mtimeMs)}`);
  if (existsSync(mark)) return;
  await runtime.importImage(archive);
  writeFileSync(mark, '');
}

function nodeLimits(configuration: AgentConfiguration) {
  const { evictionHard, imageGcHighPercent, imageGcLowPercent, maxPods } = configuration;
  return {
    ...(evictionHard === undefined ? {} : { evictionHard }),
    ...(imageGcHighPercent === undefined ? {} : { imageGcHighPercent }),
    ...(imageGcLowPercent === undefined ? {} : { imageGcLowPercent }),
    ...(maxPods === undefined ? {} : { maxPods }),
  };
}
