import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Closable, type Log, messageOf, type Random, makeDirectory } from '#base';
import {
  type ObjectReference,
  type Pod,
  type RuntimeClass,
  resource,
  type Secret,
  type Service,
  type Taint,
} from '#api';
import { type Client, openEventRecorder, openInformers } from '#client';
import { defaultEvictionThresholds, isNotFound, parseEvictionThresholds } from '#machinery';
import { openPodCgroups } from './cgroups/pod-cgroups.ts';
import { openCri } from './cri/client.ts';
import type { Cri } from './cri/contract.ts';
import { keepNodePressure, type NodePressureKeeper } from './eviction/node-pressure.ts';
import { readSignals } from './eviction/read-signals.ts';
import { keepStorageLimits } from './eviction/storage-limits.ts';
import { imageDirectory, startImageCollector } from './images/collector.ts';
import { openImagePuller } from './images/puller.ts';
import { startLogRotation } from './logs/rotation.ts';
import { renewLease } from './node/lease.ts';
import { readMachine } from './node/machine.ts';
import { type NodeReporter, startNodeReporter } from './node/node-status.ts';
import type { PodContext } from './pods/context.ts';
import { parseResolvConf } from './pods/dns.ts';
import { openPodEvents } from './pods/events.ts';
import { type PodSet, startPodSet } from './pods/pod-set.ts';
import { startRelist } from './pods/relist.ts';
import { openStatusWriter } from './pods/status-writer.ts';
import { startKubeletServer } from './server/server.ts';
import { openNodeStorage } from './volumes/node-storage.ts';
import { openPodVolumes } from './volumes/pod-volumes.ts';
import { openReferencedObjects } from './volumes/referenced-objects.ts';
import { openTokenSource } from './volumes/tokens.ts';

export interface KubeletOptions {
  readonly nodeName: string;
  /** Speaks to the API server as `system:node:<nodeName>` (or in-process with that identity). */
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Socket of the container runtime (CRI v1). */
  readonly criSocket: string;
  readonly rootDir?: string;
  readonly podLogsDir?: string;
  /** Flat links to logs for collectors; default `containers` beside `podLogsDir`. */
  readonly containerLogsDir?: string;
  /** The node's addresses, the primary first. */
  readonly nodeIp: string | readonly string[];
  readonly clusterDns?: readonly string[];
  readonly clusterDomain?: string;
  /** resolv.conf that pods inherit; default /etc/resolv.conf. */
  readonly resolvConf?: string;
  /** Path in the control group hierarchy below which `kubepods` is made; default `/`. */
  readonly cgroupRoot?: string;
  /** Serving certificate and key in PEM, and the CA that clients' certificates must come from. Absent: no server. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa: string };
  /** Address to listen on; default all. */
  readonly host?: string;
  /** Default 10250; 0 takes a free one. */
  readonly port?: number;
  readonly maxPods?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly taints?: readonly Taint[];
  readonly providerId?: string;
  /** Overrides what was measured of the machine: several nodes may share one. */
  readonly capacity?: Readonly<Record<string, string>>;
  /** Least amounts of `memory.available` and so on, as upstream's; what is not named is not kept. Default: upstream's. */
  readonly evictionHard?: Readonly<Record<string, string>>;
  /** Per cent of the disk of images from which, and down to which, unused ones are removed. Default 85 and 80; 100: never. */
  readonly imageGcHighPercent?: number;
  readonly imageGcLowPercent?: number;
  readonly kubeletVersion?: string;
  readonly seccompDir?: string;
  /** Awaited before the first container of a pod starts, once its addresses are known; a rejection is told and tried again. */
  readonly beforeContainers?: (pod: Pod, addresses: readonly string[]) => Promise<void>;
  readonly signal?: AbortSignal;
}

export interface Kubelet extends Closable {
  /** Where the server listens; undefined without TLS. */
  readonly port: number | undefined;
  /** Resolves when the node object exists. */
  readonly registered: Promise<void>;
  /** Takes renewed certificates for the server, without dropping connections. */
  setTls(tls: NonNullable<KubeletOptions['tls']>): void;
}

const services = resource('v1', 'services');
const secrets = resource('v1', 'secrets');
const runtimeClasses = resource('node.k8s.io/v1', 'runtimeclasses');
const podsResource = resource('v1', 'pods');
/** Sandboxes and containers being made at once: more only makes each slower. */
const startsAtOnce = 8;
const defaultVersion = 'v1.36.0';

/**
 * Runs one node: registers it, keeps its lease and status, and runs the pods bound to it on a CRI v1 runtime. Pods and containers
 * of an earlier run are found again and go on. Closing leaves them running.
 */
export async function startKubelet(options: KubeletOptions): Promise<Kubelet> {
  const { nodeName, client, clock, random, log: parentLog } = options;
  const { rootDir = '/var/lib/kubelet', podLogsDir = '/var/log/pods', cgroupRoot = '/', maxPods = 110 } = options;
  const containerLogsDir = options.containerLogsDir ?? join(podLogsDir, '..', 'containers');
  const log = parentLog.child({ node: nodeName });
  const nodeIps = typeof options.nodeIp === 'string' ? [options.nodeIp] : options.nodeIp;
  const thresholds =
    options.evictionHard === undefined ? defaultEvictionThresholds : parseEvictionThresholds(options.evictionHard);
  const ending = new AbortController();
  const { signal } = ending;
  for (const directory of [rootDir, podLogsDir, containerLogsDir]) await makeDirectory(directory);

  const cri = openCri({ socket: options.criSocket, clock, log });
  const [machine, cgroups, runtimeName, resolvConf] = await Promise.all([
    readMachine({ rootDir, maxPods, ...(options.capacity === undefined ? {} : { capacity: options.capacity }) }),
    openPodCgroups({ cgroupRoot, log }),
    nameOfRuntime(cri),
    readFile(options.resolvConf ?? '/etc/resolv.conf', 'utf8').catch(() => ''),
  ]);
  const recorder = openEventRecorder({ client, component: 'kubelet', host: nodeName, clock, random, log });
  const informers = openInformers({ client, clock, log, random });
  const statusWriter = openStatusWriter({ client, clock, log });
  let pods: PodSet | undefined;
  const objects = openReferencedObjects({ client, informers, onChange: (uid) => pods?.refreshVolumes(uid) });
  const tokens = openTokenSource({ client, clock });
  let reporter: NodeReporter | undefined;
  const storage = await openNodeStorage({
    ...{ rootDir, nodeName, client, tokens, clock, log },
    nodeLabels: () => reporter?.node?.metadata.labels,
    onUse: () => reporter?.hurry(),
  });
  const volumes = await openPodVolumes({ rootDir, claimed: storage.claimed, objects, tokens, clock, random });
  const serviceInformer = informers.of<Service>(services);
  const podInformer = informers.of<Pod>(podsResource, { fieldSelector: `spec.nodeName=${nodeName}` });
  const dns = {
    clusterDns: options.clusterDns ?? [],
    clusterDomain: options.clusterDomain ?? 'cluster.local',
    host: parseResolvConf(resolvConf),
  };

  const context: PodContext = {
    ...{
      client,
      clock,
      random,
      log,
      cri,
      volumes,
      objects,
      cgroups,
      statusWriter,
      nodeIps,
      podLogsDir,
      containerLogsDir,
      runtimeName,
    },
    events: openPodEvents(recorder),
    images: openImagePuller({ cri, clock }),
    dns: () => dns,
    services: async () => {
      await serviceInformer.synced;
      return serviceInformer.list();
    },
    pullSecrets: (pod) => pullSecretsOf(client, pod),
    runtimeHandler: (pod) => runtimeHandlerOf(client, pod),
    limited: limiter(startsAtOnce),
    allocatable: () => machine.allocatable,
    memoryBytes: machine.memoryBytes,
    seccompDir: options.seccompDir ?? join(rootDir, 'seccomp'),
    hostsFile: () => readFile('/etc/hosts', 'utf8').catch(() => ''),
    ...(options.beforeContainers === undefined ? {} : { beforeContainers: options.beforeContainers }),
  };

  const relist = startRelist({ cri, clock, log, signal, onChange: (uid) => pods?.runtimeChanged(uid) });
  await relist.now();
  const collector = startImageCollector({
    ...{ cri, clock, log, signal },
    ...(options.imageGcHighPercent === undefined ? {} : { highPercent: options.imageGcHighPercent }),
    ...(options.imageGcLowPercent === undefined ? {} : { lowPercent: options.imageGcLowPercent }),
  });
  const use = {
    ...{ clock, log, signal },
    pods: () => pods?.list() ?? [],
    volumeUsage: (pod: Pod) => volumes.usage(pod),
    containerStats: () => cri.listContainerStats(),
    tellPod: (pod: Pod, message: string) => context.events.pod(pod, 'Warning', 'Evicted', message),
  };
  let imageDir: string | undefined;
  const pressed: NodePressureKeeper = keepNodePressure({
    ...{ ...use, thresholds },
    readSignals: async () => {
      imageDir ??= await imageDirectory(cri).catch(() => undefined);
      return readSignals({ rootDir, imageDir });
    },
    reclaimDisk: () => collector.reclaim(),
    tellNode: (reason, message) => recorder.event(nodeReference(nodeName), 'Warning', reason, message),
    onChange: () => reporter?.hurry(),
  });
  pods = startPodSet({
    context,
    informer: podInformer,
    relist,
    node: () => reporter?.node,
    pressure: () => pressed.pressure,
    clock,
    log,
    signal,
  });
  const running = pods;
  const rotation = startLogRotation({ cri, clock, log, signal });
  const limits = keepStorageLimits({ ...use, tell: use.tellPod });
  const server =
    options.tls === undefined
      ? undefined
      : await startKubeletServer({
          ...{ client, clock, log, cri, nodeName, machine, podLogsDir },
          tls: options.tls,
          host: options.host,
          port: options.port ?? 10_250,
          storage: storage.service,
          refreshVolumes: () => {
            for (const { uid } of running.list()) running.refreshVolumes(uid);
          },
          pods: () => running.list().map(({ pod }) => pod),
          findPod: (namespace, name) =>
            running.list().find(({ pod }) => pod.metadata.namespace === namespace && pod.metadata.name === name)?.pod,
        });
  const reporting = startNodeReporter({
    ...{ nodeName, client, informers, clock, log, cri, machine, rootDir, nodeIps, signal },
    labels: options.labels ?? {},
    annotations: options.annotations ?? {},
    taints: options.taints ?? [],
    ...(options.providerId === undefined ? {} : { providerId: options.providerId }),
    port: server?.port ?? options.port ?? 10_250,
    kubeletVersion: options.kubeletVersion ?? defaultVersion,
    volumesInUse: () => storage.inUse(),
    pressure: async () => {
      await pressed.looked;
      return pressed.pressure;
    },
  });
  reporter = reporting;
  // Drivers are told to the cluster under the node's name, so only once there is a node.
  void reporting.registered.then(() => signal.aborted || storage.watchDrivers());
  const lease = renewLease({ nodeName, node: () => reporting.node, client, clock, log, signal });

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      ending.abort();
      running.close();
      statusWriter.close();
      objects.close();
      storage.close();
      await server?.close();
      await Promise.all([reporting.done, lease, rotation, collector.done, limits, pressed.done]);
      informers.close();
      await recorder.close();
      cri.close();
    })();
    return closing;
  };
  options.signal?.addEventListener(
    'abort',
    () => void close().catch((error) => log.error({ error: messageOf(error) }, 'closing failed')),
    { once: true },
  );
  return { port: server?.port, registered: reporting.registered, setTls: (tls) => server?.setTls(tls), close };
}

/** The node as events name it: its name stands for its uid, as upstream's kubelet has it. */
function nodeReference(name: string): ObjectReference {
  return { kind: 'Node', apiVersion: 'v1', name, uid: name };
}

/** `containerd`, `cri-o`: asked once, for container ids; the node may come up before its runtime. */
async function nameOfRuntime(cri: Cri): Promise<string> {
  try {
    return (await cri.version()).runtime_name;
  } catch {
    return 'containerd';
  }
}

/** Lets at most `most` pieces of work run at a time, in order of asking. */
function limiter(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const queue: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => queue.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

async function pullSecretsOf(client: Client, pod: Pod): Promise<Secret[]> {
  const { namespace } = pod.metadata;
  const names = new Set((pod.spec?.imagePullSecrets ?? []).map(({ name }) => name ?? '').filter((name) => name !== ''));
  const found = await Promise.all(
    [...names].map((name) => orUndefined(client.get<Secret>(secrets, name, { namespace }))),
  );
  return found.filter((one) => one !== undefined);
}

async function runtimeHandlerOf(client: Client, pod: Pod): Promise<string> {
  const name = pod.spec?.runtimeClassName;
  return name ? (await client.get<RuntimeClass>(runtimeClasses, name)).handler : '';
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
