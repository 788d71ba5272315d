import { type Clock, type Closable, type Log, messageOf, type Random, rfc3339, rfc3339Micro, type Timer } from '#base';
import { type Lease, type Node, type Pod, resource } from '#api';
import { type Client, changesOf, type Informers, keyOf, type Outcome, splitKey, startController } from '#client';
import { isAlreadyExists, isConflict, isNotFound, parseGoDuration } from '#machinery';
import { AddressPool } from './addresses.ts';
import { healthyConditions, type SimulatedNodeShape, simulatedNode } from './node-object.ts';
import { podStages, type Stage } from './stages.ts';

export interface SimulatedNodesOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly count: number;
  /** Node names; default `sim-0`, `sim-1` … */
  readonly nameOf?: (index: number) => string;
  readonly shape?: SimulatedNodeShape | ((index: number) => SimulatedNodeShape);
  /** From scheduled to running; default 0. */
  readonly startDelayMs?: number;
  /** Between renewals of a node's Lease; default 10 s. */
  readonly heartbeatMs?: number;
  /** Addresses of pods on nodes that have no podCIDR; default 100.64.0.0/10. */
  readonly fallbackCidr?: string;
}

export interface SimulatedNodes extends Closable {
  readonly names: readonly string[];
  /** Registers one more node and plays it. */
  add(name: string, shape?: SimulatedNodeShape): Promise<void>;
  /** A power cut: no heartbeats, no pod moves. */
  stop(name: string): void;
  /** Power comes back: the node reports at once. */
  start(name: string): Promise<void>;
  readonly idle: boolean;
}

interface Machine {
  readonly name: string;
  readonly address: string;
  readonly shape: SimulatedNodeShape;
  on: boolean;
  pool?: AddressPool;
  timer?: Timer;
}

const nodes = resource('v1', 'nodes');
const pods = resource('v1', 'pods');
const leases = resource('coordination.k8s.io/v1', 'leases');
const leaseNamespace = 'kube-node-lease';
/** Index of pods by node, shared with others that use this name. */
const byNode = { node: ({ spec }: Pod): readonly string[] => (spec.nodeName ? [spec.nodeName] : []) };

/**
 * Nodes without machines: each is registered, keeps its Lease, and plays the kubelet's part for the pods bound to it by a small
 * table of stages. Resolves when all are registered.
 */
export async function startSimulatedNodes(options: SimulatedNodesOptions): Promise<SimulatedNodes> {
  const {
    client,
    informers,
    clock,
    random,
    log,
    count,
    nameOf = (index) => `sim-${index}`,
    startDelayMs = 0,
  } = options;
  const { heartbeatMs = 10_000, fallbackCidr = '100.64.0.0/10' } = options;
  const machines = new Map<string, Machine>();
  const nodeInformer = informers.of<Node>(nodes);
  const podInformer = informers.of<Pod>(pods, { indexes: byNode });
  const fallback = new AddressPool(fallbackCidr);
  const holders = new Map<string, AddressPool>();
  /** When a pod's present stage began to hold, by uid. */
  const since = new Map<string, { readonly stage: Stage; readonly atMs: number }>();
  let open = true;
  let made = 0;

  async function register(name: string, shape: SimulatedNodeShape): Promise<Machine> {
    const index = made++;
    const address = `172.31.${Math.floor(index / 254) % 256}.${(index % 254) + 1}`;
    const machine: Machine = { name, address, shape, on: true };
    machines.set(name, machine);
    try {
      const node = await client.create<Node>(nodes, simulatedNode(name, address, clock, shape));
      nodeInformer.observe(node);
      if (!node.status?.conditions?.some((one) => one.type === 'Ready')) await report(machine);
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await report(machine);
    }
    await heartbeat(machine);
    return machine;
  }

  /** Writes the node's status as a healthy kubelet does. */
  async function report({ name, address, shape }: Machine): Promise<void> {
    const node = await client.get<Node>(nodes, name);
    const fresh = simulatedNode(name, address, clock, shape).status;
    const capacity = { ...node.status?.capacity, ...fresh?.capacity };
    const conditions = healthyConditions(clock, node.status?.conditions);
    const status = { ...node.status, ...fresh, capacity, allocatable: capacity, conditions };
    nodeInformer.observe(await client.update<Node>(nodes, { ...node, status }, { subresource: 'status' }));
  }

  async function renew({ name }: Machine): Promise<void> {
    const renewTime = rfc3339Micro(clock.nowMs());
    const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
    try {
      const body = { spec };
      await client.patch<Lease>(leases, name, { type: 'merge', body }, { namespace: leaseNamespace });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const owner = nodeInformer.get(undefined, name);
      const ownerReferences =
        owner === undefined ? [] : [{ apiVersion: 'v1', kind: 'Node', name, uid: owner.metadata.uid }];
      await client.create<Lease>(leases, { metadata: { namespace: leaseNamespace, name, ownerReferences }, spec });
    }
  }

  async function heartbeat(machine: Machine): Promise<void> {
    machine.timer?.cancel();
    if (!open || !machine.on) return;
    try {
      await renew(machine);
      const node = nodeInformer.get(undefined, machine.name);
      const ready = node?.status?.conditions?.find((one) => one.type === 'Ready');
      if (node !== undefined && ready?.status !== 'True') await report(machine);
    } catch (error) {
      if (open) log.debug({ node: machine.name, error: messageOf(error) }, 'heartbeat failed');
    }
    if (!open || !machine.on) return;
    const nextMs = heartbeatMs * 0.9 + random.int(Math.max(1, Math.floor(heartbeatMs * 0.2)));
    machine.timer = clock.setTimer(() => void heartbeat(machine), nextMs);
  }

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const pod = podInformer.get(namespace, name);
    const machine = machines.get(pod?.spec.nodeName ?? '');
    if (pod === undefined || machine?.on !== true) return;
    const { uid } = pod.metadata;
    const stage = podStages.find((one) => one.when(pod));
    if (stage === undefined) return;
    const nowMs = clock.monotonicMs();
    const began = since.get(uid)?.stage === stage ? (since.get(uid)?.atMs ?? nowMs) : nowMs;
    since.set(uid, { stage, atMs: began });
    const leftMs = began + delayOf(stage, pod) - nowMs;
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    try {
      if (stage.status === undefined)
        await client.delete(pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid } });
      else await writeStatus(pod, machine, stage.status);
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  async function writeStatus(pod: Pod, machine: Machine, make: NonNullable<Stage['status']>): Promise<void> {
    const podIp = (): string => poolOf(pod, machine).take(pod.metadata.uid);
    const status = make(pod, { now: rfc3339(clock.nowMs()), podIp, hostIp: machine.address });
    podInformer.observe(await client.update<Pod>(pods, { ...pod, status }, { subresource: 'status' }));
  }

  function poolOf(pod: Pod, machine: Machine): AddressPool {
    const held = holders.get(pod.metadata.uid);
    if (held !== undefined) return held;
    const cidr = nodeInformer.get(undefined, machine.name)?.spec.podCIDR;
    if (cidr !== undefined && cidr.includes('.')) machine.pool ??= new AddressPool(cidr);
    const pool = machine.pool ?? fallback;
    holders.set(pod.metadata.uid, pool);
    return pool;
  }

  function delayOf(stage: Stage, pod: Pod): number {
    const text = pod.metadata.annotations?.[stage.delay.annotation];
    if (text !== undefined) {
      try {
        return parseGoDuration(text);
      } catch {
        return 0;
      }
    }
    return stage.delay.fallback === 'start' ? startDelayMs : 0;
  }

  /** Resources that somebody adds to a node's capacity can be allocated, as a kubelet sees to it. */
  const endCapacity = nodeInformer.onChange(({ type, object }) => {
    const machine = machines.get(object.metadata.name);
    if (type !== 'updated' || machine?.on !== true) return;
    const { capacity = {}, allocatable = {} } = object.status ?? {};
    if (Object.keys(capacity).every((name) => allocatable[name] !== undefined)) return;
    report(machine).catch((error) => log.debug({ node: machine.name, error: messageOf(error) }, 'status not written'));
  });
  const endForget = podInformer.onChange(({ type, object }) => {
    if (type !== 'deleted') return;
    const { uid } = object.metadata;
    since.delete(uid);
    holders.get(uid)?.release(uid);
    holders.delete(uid);
  });
  const controller = startController({
    name: 'simulated-nodes',
    clock,
    log,
    sources: [
      changesOf(podInformer, (pod, { type }) =>
        type === 'deleted' || !machines.has(pod.spec.nodeName ?? '') ? undefined : keyOf(pod),
      ),
    ],
    reconcile,
    concurrency: 32,
  });
  const shapeOf = (index: number): SimulatedNodeShape =>
    typeof options.shape === 'function' ? options.shape(index) : (options.shape ?? {});
  for (let first = 0; first < count; first += 64) {
    const batch = Array.from({ length: Math.min(64, count - first) }, (_, i) => first + i);
    await Promise.all(batch.map((index) => register(nameOf(index), shapeOf(index))));
  }

  const machineOf = (name: string): Machine => {
    const machine = machines.get(name);
    if (machine === undefined) throw new TypeError(`there is no simulated node ${name}`);
    return machine;
  };
  const wakePods = (name: string): void => {
    for (const pod of podInformer.byIndex('node', name)) controller.enqueue(keyOf(pod));
  };
  return {
    get names() {
      return [...machines.keys()];
    },
    get idle() {
      return controller.idle;
    },
    async add(name, shape = {}) {
      await register(name, shape);
      wakePods(name);
    },
    stop(name) {
      const machine = machineOf(name);
      machine.on = false;
      machine.timer?.cancel();
    },
    async start(name) {
      const machine = machineOf(name);
      machine.on = true;
      await heartbeat(machine);
      wakePods(name);
    },
    async close() {
      open = false;
      endForget();
      endCapacity();
      for (const machine of machines.values()) machine.timer?.cancel();
      await controller.close();
    },
  };
}
