import { messageOf, rfc3339, type Timer } from '#base';
import { type Lease, type Node, type Pod, resource, type Taint } from '#api';
import { changesOf, startController } from '#client';
import { nodeCondition, podCondition } from '#kinds';
import { isConflict, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { graceOf, type HealthRecord, observeHealth, planUnknown } from './health.ts';
import { evictionTaintOf, planNoExecute, planNoSchedule } from './taints.ts';
import { EvictionLimiter, evictionRate, stateOfZone, zoneOf } from './zones.ts';

const nodes = resource('v1', 'nodes');
const leases = resource('coordination.k8s.io/v1', 'leases');
const pods = resource('v1', 'pods');
export const podsByNode = { node: ({ spec }: Pod): readonly string[] => (spec.nodeName ? [spec.nodeName] : []) };

/** Marks silent nodes unknown and their pods not ready, and taints nodes by their conditions. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log, settings } = context;
  const { nodeMonitorPeriodMs = 5_000, nodeEvictionRate = 0.1 } = settings;
  const grace = { graceMs: settings.nodeMonitorGraceMs ?? 40_000, startupMs: settings.nodeStartupGraceMs ?? 60_000 };
  const nodeInformer = informers.of<Node>(nodes);
  const leaseInformer = informers.of<Lease>(leases, { namespace: 'kube-node-lease' });
  const podInformer = informers.of<Pod>(pods, { indexes: podsByNode });
  const events = context.events('node-controller');
  const records = new Map<string, HealthRecord>();
  const limiters = new Map<string, EvictionLimiter>();
  const known = new Set<string>();
  let timer: Timer | undefined;
  let looking: Promise<void> = Promise.resolve();
  /** Nodes whose pods were told since the node became not ready. Once: a kubelet that lives may say otherwise of its pods. */
  const marked = new Set<string>();
  let open = true;

  const now = (): string => rfc3339(clock.nowMs());

  async function writeTaints(node: Node, taints: Taint[]): Promise<void> {
    const body = { metadata: { resourceVersion: node.metadata.resourceVersion }, spec: { taints } };
    nodeInformer.observe(await client.patch<Node>(nodes, node.metadata.name, { type: 'merge', body }));
  }

  /** NoSchedule taints follow conditions at once. Pods of a node that is not ready are told so. */
  async function reconcile(name: string): Promise<void> {
    const node = nodeInformer.get(undefined, name);
    if (node === undefined) {
      records.delete(name);
      marked.delete(name);
      if (known.delete(name)) tell(name, 'RemovingNode', `Removing Node ${name} from Controller`);
      return;
    }
    if (!known.has(name)) {
      known.add(name);
      tell(name, 'RegisteredNode', `Registered Node ${name} in Controller`, node.metadata.uid);
    }
    const taints = planNoSchedule(node, now());
    if (taints !== undefined) await writeTaints(node, taints);
    const latest = nodeInformer.get(undefined, name) ?? node;
    if (evictionTaintOf(latest) === undefined) {
      marked.delete(name);
      const cleared = planNoExecute(latest, undefined, now());
      if (cleared !== undefined) await writeTaints(latest, cleared);
    } else if (!marked.has(name)) {
      await markPodsNotReady(name);
      marked.add(name);
    }
  }

  function tell(name: string, reason: string, what: string, uid = name): void {
    events.event({ kind: 'Node', name, uid }, 'Normal', reason, `Node ${name} event: ${what}`);
  }

  async function markPodsNotReady(nodeName: string): Promise<void> {
    for (const pod of podInformer.byIndex('node', nodeName)) {
      const ready = podCondition(pod, 'Ready');
      if (ready?.status !== 'True') continue;
      const conditions = (pod.status?.conditions ?? []).map((one) =>
        one.type === 'Ready' ? { ...one, status: 'False', lastTransitionTime: now() } : one,
      );
      events.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready');
      try {
        const status = { ...pod.status, conditions };
        podInformer.observe(await client.update<Pod>(pods, { ...pod, status }, { subresource: 'status' }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  }

  async function look(): Promise<void> {
    const nowMs = clock.monotonicMs();
    const silent: Node[] = [];
    for (const node of nodeInformer.list()) {
      const { name } = node.metadata;
      const record = observeHealth(records.get(name), node, leaseInformer.get('kube-node-lease', name), nowMs);
      records.set(name, record);
      if (nowMs - record.heardMs > graceOf(node, grace)) silent.push(node);
    }
    for (const node of silent) await markUnknown(node);
    await driveAway(nowMs);
  }

  async function markUnknown(node: Node): Promise<void> {
    const conditions = planUnknown(node, now());
    if (conditions === undefined) return;
    const { name, uid } = node.metadata;
    try {
      nodeInformer.observe(
        await client.update<Node>(
          nodes,
          { ...node, status: { ...node.status, conditions } },
          { subresource: 'status' },
        ),
      );
      if (nodeCondition(node, 'Ready')?.status === 'True') {
        events.event({ kind: 'Node', name, uid }, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
      }
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  /** NoExecute taints, at the zone's pace; none at all while every zone is down: then the fault is here. */
  async function driveAway(nowMs: number): Promise<void> {
    const zones = Map.groupBy(nodeInformer.list(), zoneOf);
    const states = new Map([...zones].map(([zone, members]) => [zone, stateOfZone(members)]));
    const allDown = states.size > 0 && [...states.values()].every((state) => state === 'full');
    for (const [zone, members] of zones) {
      const limiter = limiters.get(zone) ?? new EvictionLimiter(nowMs);
      limiters.set(zone, limiter);
      const rate = evictionRate(states.get(zone) ?? 'normal', members.length, nodeEvictionRate);
      for (const node of members) {
        const key = allDown ? undefined : evictionTaintOf(node);
        const taints = planNoExecute(node, key, now());
        if (taints === undefined) continue;
        const changesKind = (node.spec.taints ?? []).length >= taints.length;
        if (key !== undefined && !changesKind && !limiter.take(rate, nowMs)) continue;
        if (!(await writeNoExecute(node, taints, key))) limiter.giveBack();
      }
    }
  }

  /** False when someone else was quicker twice: conditions and NoSchedule taints of the same node change at the same moment. */
  async function writeNoExecute(
    node: Node,
    taints: Taint[],
    key: Parameters<typeof planNoExecute>[1],
  ): Promise<boolean> {
    try {
      await writeTaints(node, taints);
    } catch (error) {
      if (isNotFound(error)) return true;
      if (!isConflict(error)) throw error;
      try {
        const fresh = await client.get<Node>(nodes, node.metadata.name);
        const again = planNoExecute(fresh, key, now());
        if (again !== undefined) await writeTaints(fresh, again);
      } catch (second) {
        if (isNotFound(second)) return true;
        if (!isConflict(second)) throw second;
        return false;
      }
    }
    return true;
  }

  function plan(): void {
    if (!open) return;
    timer = clock.setTimer(() => {
      looking = look()
        .catch((error) => log.warn({ controller: 'node-lifecycle', error: messageOf(error) }, 'look at nodes failed'))
        .then(plan);
    }, nodeMonitorPeriodMs);
  }

  const controller = startController({
    name: 'node-lifecycle',
    queueName: 'node_lifecycle_controller',
    clock,
    log,
    sources: [changesOf(nodeInformer)],
    needs: [podInformer.synced, leaseInformer.synced],
    reconcile,
  });
  void Promise.all([nodeInformer.synced, leaseInformer.synced, podInformer.synced]).then(plan);
  return {
    get idle() {
      return controller.idle;
    },
    async close() {
      open = false;
      timer?.cancel();
      await Promise.all([controller.close(), looking]);
    },
  };
}

export const nodeLifecycleController = defineController({ name: 'node-lifecycle-controller', start });
