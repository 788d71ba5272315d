import { type Clock, type Closable, type Log, messageOf, type Random, rfc3339 } from '#base';
import { type Namespace, type Node, type Pod, type PodDisruptionBudget, resource } from '#api';
import { type Change, type Client, type EventRecorder, type Informers, openEventRecorder } from '#client';
import { isConflict, isNotFound } from '#machinery';
import { Bounded } from './bounded.ts';
import { Decider, type Failure } from './decide.ts';
import { fitMessage } from './fit-error.ts';
import type { ClusterEvent, SchedulingPlugin } from './framework.ts';
import { type OwnSelectors, openOwnSelector } from './own-selector.ts';
import { schedulingPlugins } from './plugins/order.ts';
import { type Preemption, planPreemption } from './preemption/plan-preemption.ts';
import { type QueuedPod, SchedulingQueue } from './queue/scheduling-queue.ts';
import { ClusterState } from './state/cluster-state.ts';
import type { NodeInfo } from './state/node-info.ts';
import { type PodInfo, PodShapes } from './state/pod-info.ts';
import { SchedulerMetrics } from './scheduler-metrics.ts';
import { openVolumeBinder, type VolumeBinder } from './volume-binder.ts';
import { claimsOf, planVolumes, type VolumePlan } from './volumes.ts';

export interface SchedulerOptions {
  readonly client: Client;
  /** Shared with whoever else runs in this process. */
  readonly informers: Informers;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Pods with this spec.schedulerName are ours. */
  readonly name?: string;
}

export interface RunningScheduler extends Closable {
  /** Nothing can be scheduled now and nothing is being bound. */
  readonly idle: boolean;
}

interface PlannedBinding {
  readonly queued: QueuedPod;
  readonly nodeName: string;
  readonly plan: VolumePlan | undefined;
  /** When the attempt began. */
  readonly beganMs: number;
}

const pods = resource('v1', 'pods');
const nodes = resource('v1', 'nodes');
const namespaces = resource('v1', 'namespaces');
const budgets = resource('policy/v1', 'poddisruptionbudgets');

const bindingsAtOnce = 192;
const writesAtOnce = 16;
const podsPerTurn = 32;
const mostHeldEvents = 1000;
const heldEventsPerTurn = 2;

const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Lets requests and events that are ready run. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** Starts the scheduler: resolves when it knows the cluster and has begun to work. */
export async function startScheduler(options: SchedulerOptions): Promise<RunningScheduler> {
  const scheduler = new Scheduler(options);
  await scheduler.start();
  return scheduler;
}

class Scheduler implements RunningScheduler {
  readonly #name: string;
  readonly #client: Client;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #informers: Informers;
  readonly #shapes = new PodShapes();
  readonly #cluster = new ClusterState();
  readonly #queue: SchedulingQueue;
  readonly #decider: Decider;
  readonly #plugins: readonly SchedulingPlugin[];
  readonly #volumes: VolumeBinder;
  readonly #ownSelector: OwnSelectors;
  readonly #recorder: EventRecorder;
  readonly #metrics: SchedulerMetrics;
  readonly #bindings = new Bounded(bindingsAtOnce);
  readonly #writes = new Bounded(writesAtOnce);
  readonly #endings: (() => void)[] = [];
  readonly #heldEvents: (() => void)[] = [];
  #budgets: () => readonly PodDisruptionBudget[] = () => [];
  #podOf: (namespace: string, name: string) => Pod | undefined = () => undefined;
  #open = true;
  #loop: Promise<void> = Promise.resolve();
  #resting = true;

  constructor(options: SchedulerOptions) {
    const { client, informers, clock, random, log, name = 'default-scheduler' } = options;
    this.#name = name;
    this.#client = client;
    this.#clock = clock;
    this.#random = random;
    this.#log = log.child({ component: 'scheduler' });
    this.#informers = informers;
    this.#recorder = openEventRecorder({ client, component: name, clock, random, log });
    this.#volumes = openVolumeBinder({ client, informers, clock });
    this.#ownSelector = openOwnSelector(informers);
    this.#endings.push(() => this.#ownSelector.close());
    this.#plugins = schedulingPlugins({
      ownSelector: this.#ownSelector.selectorOf,
      volumes: this.#volumes.catalogue,
      takenVolumes: this.#volumes.taken,
    });
    this.#decider = new Decider(this.#cluster, this.#plugins, random);
    const listeners = Map.groupBy(
      this.#plugins.flatMap((plugin) => plugin.events.map((event) => ({ event, name: plugin.name }))),
      (one) => one.event,
    );
    const names = new Map([...listeners].map(([event, list]) => [event, new Set(list.map((one) => one.name))]));
    this.#queue = new SchedulingQueue({
      clock,
      wakes: (event, refusedBy) => refusedBy.size === 0 || !(names.get(event)?.isDisjointFrom(refusedBy) ?? true),
    });
    const gauges = { waiting: () => this.#queue.counts(), nodes: () => this.#cluster.nodes.size };
    this.#metrics = new SchedulerMetrics({ clock, profile: name, gauges });
  }

  get idle(): boolean {
    return this.#resting && this.#queue.ready === 0 && this.#bindings.size === 0 && this.#writes.size === 0;
  }

  async start(): Promise<void> {
    const nodeInformer = this.#informers.of<Node>(nodes);
    const podInformer = this.#informers.of<Pod>(pods);
    const namespaceInformer = this.#informers.of<Namespace>(namespaces);
    const budgetInformer = this.#informers.of<PodDisruptionBudget>(budgets);
    this.#cluster.useNamespaces((name) => namespaceInformer.get(undefined, name)?.metadata.labels);
    this.#budgets = () => budgetInformer.list();
    this.#podOf = (namespace, name) => podInformer.get(namespace, name);
    const watched = [nodeInformer, podInformer, namespaceInformer, budgetInformer];
    await Promise.all([...watched.map((one) => one.synced), this.#ownSelector.synced, this.#volumes.synced]);
    this.#endings.push(
      nodeInformer.onChange((change) => this.#onNode(change)),
      podInformer.onChange((change) => this.#onPod(change)),
      namespaceInformer.onChange(({ type, object, old }) => {
        if (type === 'updated' && object.metadata.labels === old?.metadata.labels) return;
        this.#cluster.namespacesChanged();
        this.#queue.happened('NamespaceChange');
      }),
    );
    this.#volumes.onChange((event) => this.#queue.happened(event));
    for (const one of watched) this.#endings.push(() => one.close());
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#queue.close();
    this.#metrics.close();
    await this.#loop;
    for (const end of this.#endings) end();
    this.#volumes.close();
    await this.#recorder.close();
  }

  // ---------------------------------------------------------------- what happens in the cluster

  #onNode({ type, object }: Change<Node>): void {
    const { name } = object.metadata;
    if (type === 'deleted') {
      this.#cluster.removeNode(name);
      this.#queue.happened('NodeUpdate');
      return;
    }
    const change = this.#cluster.setNode(object);
    if (change === 'same') return;
    this.#happenedAt(change === 'added' ? 'NodeAdd' : 'NodeUpdate', this.#cluster.nodes.get(name));
  }

  /** Wakes pods that the event may help; those refused by the node alone only when that node would now take them. */
  #happenedAt(event: ClusterEvent, node: NodeInfo | undefined): void {
    this.#queue.happened(event, ({ info, refusedBy }) => {
      if (node?.node === undefined || refusedBy.has('PodTopologySpread') || refusedBy.has('InterPodAffinity'))
        return true;
      return this.#decider.verdicts.judge(info, node) === undefined;
    });
  }

  #onPod({ type, object: pod, old }: Change<Pod>): void {
    const nodeName = pod.spec?.nodeName ?? '';
    const { uid } = pod.metadata;
    if (type === 'deleted' || isFinished(pod)) {
      this.#queue.delete(uid);
      this.#cluster.clearNomination(uid);
      const node = this.#cluster.nodeOf(uid);
      if (this.#cluster.remove(uid)) this.#happenedAt('AssignedPodDelete', node);
      return;
    }
    if (nodeName !== '') {
      this.#queue.delete(uid);
      if (old !== undefined && old.spec?.nodeName === nodeName && unchangedForUs(old, pod)) return;
      const known = this.#cluster.isAssumed(uid);
      const placed = this.#cluster.infoOf(uid);
      const info = placed === undefined ? this.#shapes.info(pod) : this.#shapes.renewed(placed, pod);
      const change = this.#cluster.place(info, nodeName);
      if (change === 'same' && !known) return;
      if (change === 'changed') this.#happenedAt('AssignedPodUpdate', this.#cluster.nodeOf(uid));
      else this.#queue.happened('AssignedPodAdd');
      return;
    }
    if ((pod.spec?.schedulerName ?? 'default-scheduler') !== this.#name) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.#queue.delete(uid);
      this.#cluster.clearNomination(uid);
      return;
    }
    if (this.#cluster.isAssumed(uid)) return;
    const info = this.#shapes.info(pod);
    const nominated = pod.status?.nominatedNodeName ?? '';
    if (nominated !== '' && this.#cluster.nominationOf(uid) === undefined && !this.#queue.has(uid)) {
      this.#cluster.nominate(info, nominated);
    }
    this.#queue.set(info);
  }

  // ---------------------------------------------------------------- one pod after the other

  async #run(): Promise<void> {
    let inTurn = 0;
    while (this.#open) {
      const queued = this.#queue.pop();
      if (queued === undefined) {
        this.#tellHeldEvents(mostHeldEvents);
        this.#resting = true;
        await this.#queue.wait();
        this.#resting = false;
        inTurn = 0;
        continue;
      }
      const beganMs = this.#clock.monotonicMs();
      try {
        this.#schedule(queued, beganMs);
      } catch (error) {
        this.#metrics.ended('error', queued, beganMs);
        this.#log.error(
          { pod: `${queued.info.namespace}/${queued.info.name}`, error: messageOf(error) },
          'scheduling a pod failed',
        );
        this.#queue.giveBack(queued, undefined);
      }
      if (this.#bindings.size >= bindingsAtOnce) await this.#bindings.room();
      if (++inTurn >= podsPerTurn) {
        inTurn = 0;
        this.#tellHeldEvents(heldEventsPerTurn);
        await turn();
      }
    }
    this.#resting = true;
  }

  #schedule(queued: QueuedPod, beganMs: number): void {
    const { info } = queued;
    const { node, failure } = this.#decider.decide(info);
    this.#metrics.decided(beganMs);
    if (node === undefined) {
      this.#refused(queued, failure as Failure);
      return this.#metrics.ended('unschedulable', queued, beganMs);
    }
    const plan = this.#planVolumes(info, node);
    if (plan !== undefined) this.#volumes.reserve(plan, node.name);
    this.#cluster.place(info, node.name, true);
    this.#bindings.run(() => this.#bind({ queued, nodeName: node.name, plan, beganMs }));
  }

  #planVolumes(info: PodInfo, node: NodeInfo): VolumePlan | undefined {
    if (info.shape.claims.length === 0) return undefined;
    const claims = claimsOf(info, this.#volumes.catalogue);
    if (typeof claims === 'string' || claims.delayed.length === 0) return undefined;
    const plan = planVolumes(claims, node, this.#volumes.catalogue, this.#volumes.taken);
    return typeof plan === 'string' ? undefined : plan;
  }

  async #bind({ queued, nodeName, plan, beganMs }: PlannedBinding): Promise<void> {
    const { namespace, name, uid, pod } = queued.info;
    try {
      if (plan !== undefined) await this.#volumes.carryOut(plan, nodeName);
      const body = {
        apiVersion: 'v1',
        kind: 'Binding',
        metadata: { namespace, name, uid },
        target: { kind: 'Node', name: nodeName },
      };
      await this.#client.createSubresource(pods, name, 'binding', body, { namespace });
      this.#queue.delete(uid);
      this.#metrics.ended('scheduled', queued, beganMs);
      this.#hold(() =>
        this.#recorder.event(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${nodeName}`),
      );
    } catch (error) {
      this.#metrics.ended('error', queued, beganMs);
      const node = this.#cluster.nodeOf(uid);
      if (this.#cluster.isAssumed(uid)) this.#cluster.remove(uid);
      if (node !== undefined) this.#happenedAt('AssignedPodDelete', node);
      const gone = isNotFound(error) && this.#podOf(namespace, name)?.metadata.uid !== uid;
      if (gone || (this.#podOf(namespace, name)?.spec?.nodeName ?? '') !== '') this.#queue.delete(uid);
      else if (this.#open) {
        const newest = this.#podOf(namespace, name);
        if (newest?.metadata.uid === uid) queued.info = this.#shapes.info(newest);
        this.#queue.giveBack(queued, undefined);
        const message = `binding rejected: ${messageOf(error)}`;
        if (!isConflict(error)) this.#recorder.event(pod, 'Warning', 'FailedScheduling', message);
        this.#log.warn(
          { pod: `${namespace}/${name}`, node: nodeName, error: messageOf(error) },
          'binding failed; trying again',
        );
      }
    } finally {
      if (plan !== undefined) this.#volumes.release(plan, nodeName);
    }
  }

  #refused(queued: QueuedPod, failure: Failure): void {
    const { info } = queued;
    const refusedBy = new Set<string>();
    if (failure.whole !== undefined) refusedBy.add(failure.whole.plugin);
    const counts = new Map<Failure['whole'] & object, number>();
    for (const refusal of failure.refusals.values()) {
      refusedBy.add(refusal.plugin);
      counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
    }
    let message = fitMessage(failure.nodes, failure.whole, counts);
    let nominated: string | undefined;
    if (failure.nodes > 0) {
      const plan = planPreemption({
        pod: info,
        failure,
        decider: this.#decider,
        budgets: this.#budgets(),
        offset: this.#random.int(Math.max(1, failure.nodes)),
      });
      if (typeof plan === 'string') message += ` ${plan}`;
      else {
        nominated = plan.node.name;
        this.#preempt(info, plan);
      }
    }
    if (nominated === undefined) this.#cluster.clearNomination(info.uid);
    this.#queue.giveBack(queued, refusedBy);
    this.#recorder.event(info.pod, 'Warning', 'FailedScheduling', message);
    this.#report(info, message, nominated);
  }

  // ---------------------------------------------------------------- making room

  #preempt(info: PodInfo, { node, victims }: Preemption): void {
    this.#metrics.preempted(victims.length);
    this.#cluster.nominate(info, node.name);
    for (const other of this.#cluster.nominated.get(node.name)?.values() ?? []) {
      if (other.priority >= info.priority) continue;
      this.#cluster.clearNomination(other.uid);
      this.#patchStatus(other, { nominatedNodeName: null });
    }
    for (const victim of victims) this.#writes.run(() => this.#evict(victim, info, node.name));
  }

  async #evict(victim: PodInfo, preemptor: PodInfo, nodeName: string): Promise<void> {
    const { namespace, name, uid, pod } = victim;
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      message: `${this.#name}: preempting to accommodate a higher priority pod`,
      lastTransitionTime: rfc3339(this.#clock.nowMs()),
    };
    try {
      const patch = { type: 'strategic' as const, body: { metadata: { uid }, status: { conditions: [condition] } } };
      await this.#client.patch(pods, name, patch, { namespace, subresource: 'status' });
      await this.#client.delete(pods, name, { namespace, preconditions: { uid } });
      this.#recorder.event(pod, 'Normal', 'Preempted', `Preempted by pod ${preemptor.uid} on node ${nodeName}`);
    } catch (error) {
      if (isNotFound(error) || isConflict(error)) return;
      this.#log.warn({ pod: `${namespace}/${name}`, error: messageOf(error) }, 'a pod could not be preempted');
    }
  }

  // ---------------------------------------------------------------- telling users

  /** Condition PodScheduled=False with the reason, written only when it says something new. */
  #report(info: PodInfo, message: string, nominated: string | undefined): void {
    const { status } = this.#podOf(info.namespace, info.name) ?? info.pod;
    const known = status?.conditions?.find((one) => one.type === 'PodScheduled');
    const same = known?.status === 'False' && known.reason === 'Unschedulable' && known.message === message;
    if (same && (nominated === undefined || nominated === status?.nominatedNodeName)) return;
    const lastTransitionTime = known?.status === 'False' ? known.lastTransitionTime : rfc3339(this.#clock.nowMs());
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message, lastTransitionTime };
    this.#patchStatus(info, {
      conditions: [condition],
      ...(nominated === undefined ? {} : { nominatedNodeName: nominated }),
    });
  }

  #patchStatus({ namespace, name, uid }: PodInfo, status: object): void {
    this.#writes.run(async () => {
      try {
        const patch = { type: 'strategic' as const, body: { metadata: { uid }, status } };
        await this.#client.patch(pods, name, patch, { namespace, subresource: 'status' });
      } catch (error) {
        if (!isNotFound(error) && !isConflict(error)) {
          this.#log.warn({ pod: `${namespace}/${name}`, error: messageOf(error) }, 'a status could not be written');
        }
      }
    });
  }

  /** Tells an event when pods no longer wait for the time that takes; the newest are dropped when too many are held. */
  #hold(tell: () => void): void {
    if (this.#resting) tell();
    else if (this.#heldEvents.length < mostHeldEvents) this.#heldEvents.push(tell);
  }

  #tellHeldEvents(most: number): void {
    for (const tell of this.#heldEvents.splice(0, most)) tell();
  }
}

/** An update of an assigned pod that scheduling need not read: its status, mostly. */
function unchangedForUs(old: Pod, pod: Pod): boolean {
  return (
    old.metadata.deletionTimestamp === pod.metadata.deletionTimestamp &&
    old.metadata.generation !== undefined &&
    old.metadata.generation === pod.metadata.generation &&
    sameLabels(old.metadata.labels, pod.metadata.labels)
  );
}

function sameLabels(a: Record<string, string> = {}, b: Record<string, string> = {}): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
