import { type Clock, type Log, messageOf, sleep } from '#base';
import { type ContainerImage, type Node, type NodeStatus, resource, type Taint } from '#api';
import type { Client, Informers } from '#client';
import { cloneObject, deepEqual, isAlreadyExists, isNotFound } from '#machinery';
import type { Cri, RuntimeCondition } from '../cri/contract.ts';
import type { NodePressure } from '../eviction/plan-eviction.ts';
import { addedResources, amountsPatch } from './added-resources.ts';
import { nodeConditions } from './conditions.ts';
import type { MachineFacts } from './machine.ts';

const nodes = resource('v1', 'nodes');
const lookMs = 10_000;
const quickLookMs = 100;
const reportMs = 300_000;
const retryMs = 1000;
const mostImages = 50;

export interface NodeReporterOptions {
  readonly nodeName: string;
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly log: Log;
  readonly cri: Cri;
  readonly machine: MachineFacts;
  readonly rootDir: string;
  readonly nodeIps: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly providerId?: string;
  readonly port: number;
  readonly kubeletVersion: string;
  readonly signal: AbortSignal;
  /** Unique names of the volumes that are mounted here and must not be detached. */
  readonly volumesInUse?: () => Promise<readonly string[]>;
  readonly pressure: () => Promise<NodePressure>;
  /** Told of the runtime's answer each time it is asked. */
  readonly onRuntime?: (conditions: readonly RuntimeCondition[] | undefined) => void;
}

export interface NodeReporter {
  /** The node object as last written or read. */
  readonly node: Node | undefined;
  /** Resolves when the node is registered. */
  readonly registered: Promise<void>;
  /** Resolves when the reporter has ended after its signal. */
  readonly done: Promise<void>;
  /** Looks at the node now instead of at the next turn. */
  hurry(): void;
}

/** Registers the node, then reports its status: whenever it changes, and every five minutes. */
export function startNodeReporter(options: NodeReporterOptions): NodeReporter {
  const { nodeName, client, clock, log, cri, machine, signal } = options;
  let node: Node | undefined;
  let runtimeVersion: { runtime_name: string; runtime_version: string } | undefined;
  let hurry = new AbortController();
  const own = options.informers.of<Node>(nodes, { fieldSelector: `metadata.name=${nodeName}` });
  const stop = own.onChange(({ type, object }) => {
    const seen = node?.metadata;
    if (seen === undefined || type === 'deleted') return;
    if (BigInt(object.metadata.resourceVersion) <= BigInt(seen.resourceVersion)) return;
    node = object;
    const added = (amounts: Record<string, string> | undefined) => addedResources(amounts, machine.capacity);
    if (!deepEqual(added(object.status?.capacity), added(object.status?.allocatable))) hurry.abort();
  });
  const { promise: registered, resolve: onRegistered } = Promise.withResolvers<void>();

  async function observe(): Promise<NodeStatus> {
    let runtime: RuntimeCondition[] | undefined;
    let runtimeError: string | undefined;
    try {
      runtimeVersion ??= await cri.version();
      runtime = await cri.status();
    } catch (error) {
      runtimeError = messageOf(error);
    }
    options.onRuntime?.(runtime);
    const health = { runtime, runtimeError, ...(await options.pressure()) };
    const images = runtime === undefined ? node?.status?.images : await listImages(cri);
    const added = addedResources(node?.status?.capacity, machine.capacity);
    const inUse = [...((await options.volumesInUse?.()) ?? [])];
    return {
      addresses: [
        ...options.nodeIps.map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: nodeName },
      ],
      capacity: { ...added, ...machine.capacity },
      allocatable: { ...added, ...machine.allocatable },
      conditions: nodeConditions(health, node?.status?.conditions ?? [], clock.nowMs()),
      daemonEndpoints: { kubeletEndpoint: { Port: options.port } },
      nodeInfo: {
        ...machine.info,
        kubeletVersion: options.kubeletVersion,
        containerRuntimeVersion:
          runtimeVersion === undefined
            ? ''
            : `${runtimeVersion.runtime_name}://${runtimeVersion.runtime_version.replace(/^v/, '').split(/[~+]/)[0]}`,
      },
      ...(images === undefined ? {} : { images }),
      ...(inUse.length === 0 && node?.status?.volumesInUse === undefined ? {} : { volumesInUse: inUse }),
    };
  }

  async function register(status: NodeStatus): Promise<Node> {
    const { architecture } = machine.info;
    const labels = {
      'beta.kubernetes.io/arch': architecture,
      'beta.kubernetes.io/os': 'linux',
      'kubernetes.io/arch': architecture,
      'kubernetes.io/hostname': nodeName,
      'kubernetes.io/os': 'linux',
      ...options.labels,
    };
    try {
      return await client.create<Node>(nodes, {
        metadata: {
          name: nodeName,
          labels,
          annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true', ...options.annotations },
        },
        spec: {
          ...(options.taints.length === 0 ? {} : { taints: [...options.taints] }),
          ...(options.providerId === undefined ? {} : { providerID: options.providerId }),
        },
        status,
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      const existing = await client.get<Node>(nodes, nodeName);
      if (Object.entries(labels).every(([key, value]) => existing.metadata.labels?.[key] === value)) return existing;
      return client.patch<Node>(nodes, nodeName, { type: 'merge', body: { metadata: { labels } } });
    }
  }

  async function report(status: NodeStatus): Promise<void> {
    const body = { status: changedFields(node?.status, status) };
    node = await client.patch<Node>(nodes, nodeName, { type: 'strategic', body }, { subresource: 'status' });
  }

  const done = (async () => {
    let reportedMs = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      let pauseMs = lookMs;
      try {
        const status = await observe();
        if (node === undefined) {
          node = await register(status);
          onRegistered();
          reportedMs = clock.monotonicMs();
        }
        const due = clock.monotonicMs() - reportedMs >= reportMs;
        if (due || differs(node.status, status)) {
          await report(status);
          reportedMs = clock.monotonicMs();
        }
        if (status.conditions?.find(({ type }) => type === 'Ready')?.status !== 'True') pauseMs = quickLookMs;
      } catch (error) {
        if (isNotFound(error)) node = undefined;
        log.warn({ error: messageOf(error) }, 'the node status was not reported');
        pauseMs = retryMs;
      }
      await sleep(clock, pauseMs, AbortSignal.any([signal, hurry.signal])).catch(() => {});
      if (hurry.signal.aborted) hurry = new AbortController();
    }
    stop();
  })();

  return {
    get node() {
      return node;
    },
    registered,
    done,
    hurry: () => hurry.abort(),
  };
}

async function listImages(cri: Cri): Promise<ContainerImage[]> {
  const images = await cri.listImages();
  return images
    .sort((a, b) => b.size - a.size)
    .slice(0, mostImages)
    .map(({ repo_digests, repo_tags, size }) => ({
      names: [...repo_digests, ...repo_tags].slice(0, 5),
      sizeBytes: size,
    }));
}

/** Heartbeat times alone are not a difference: they are what the five-minute report is for. */
function differs(old: NodeStatus | undefined, next: NodeStatus): boolean {
  const plain = (status: NodeStatus | undefined): object => {
    const copy = cloneObject(status ?? {});
    for (const condition of copy.conditions ?? []) delete condition.lastHeartbeatTime;
    return { ...copy, conditions: copy.conditions?.filter(({ type }) => ownConditions.has(type)) };
  };
  const keys = Object.keys(next) as (keyof NodeStatus)[];
  const pick = (status: object): object => Object.fromEntries(keys.map((key) => [key, (status as NodeStatus)[key]]));
  return !deepEqual(pick(plain(old)), pick(plain(next)));
}

const ownConditions = new Set(['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready']);

function changedFields(old: NodeStatus | undefined, next: NodeStatus): object {
  const changes: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(next)) {
    if (!deepEqual(value, old?.[key as keyof NodeStatus])) changes[key] = value;
  }
  for (const name of ['capacity', 'allocatable'] as const)
    if (changes[name] !== undefined) changes[name] = amountsPatch(old?.[name], next[name] ?? {});
  if (changes.addresses !== undefined && (old?.addresses?.length ?? 0) > 0) {
    changes.addresses = [...(next.addresses ?? []), { $patch: 'replace' }];
  }
  return changes;
}
