import { Backoff, messageOf } from '#base';
import { type ControllerRevision, type DaemonSet, type NewObject, type Node, type Pod, resource } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { controllerOf, isNamespaceTerminating, isNotFound, labelSelectorOf } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { claim, claimIndexes } from '../ownership/claim.ts';
import { podFromTemplate } from '../pods/from-template.ts';
import { PendingDeletions } from '../pods/pending-deletions.ts';
import { slowStart } from '../pods/slow-start.ts';
import { nextAvailableMs } from '../replica-set/plan.ts';
import { currentRevision, hashOf, pruneRevisions, revisionHashLabel } from '../revisions/revisions.ts';
import { nodeOfDaemonPod, pinnedTo, withDaemonTolerations } from './placement.ts';
import { type DaemonView, planDaemonStatus, planDaemons } from './plan.ts';

const daemonSets = resource('apps/v1', 'daemonsets');
const pods = resource('v1', 'pods');
const nodes = resource('v1', 'nodes');
const generationAnnotation = 'deprecated.daemonset.template.generation';
const generationLabel = 'pod-template-generation';

/** Runs one pod on every node that a DaemonSet selects. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const informer = informers.of<DaemonSet>(daemonSets);
  const podInformer = informers.of<Pod>(pods, { indexes: claimIndexes });
  const nodeInformer = informers.of<Node>(nodes);
  const revisionInformer = informers.of<ControllerRevision>(resource('apps/v1', 'controllerrevisions'), {
    indexes: claimIndexes,
  });
  const events = context.events('daemonset-controller');
  const deleting = new PendingDeletions(clock, podInformer);
  const backoff = new Backoff({ firstMs: 1_000, longestMs: 900_000 });
  const retryAtMs = new Map<string, number>();

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const set = informer.get(namespace, name);
    if (set === undefined) return;
    const selector = labelSelectorOf(set.spec.selector);
    if (selector.isEmpty()) {
      events.event(
        set,
        'Warning',
        'SelectingAll',
        'This daemon set is selecting all pods. A non-empty selector is required.',
      );
      return;
    }
    const history = await currentRevision({
      client,
      informer: revisionInformer,
      owner: set,
      ownerResource: daemonSets,
    });
    const claimed = await claim({ client, owner: set, ownerResource: daemonSets, informer: podInformer, selector });
    const viewOf = (all: readonly Pod[]): DaemonView => ({
      set,
      nodes: nodeInformer.list(),
      pods: all.filter((pod) => !deleting.has(pod)),
      hash: hashOf(history.current),
      nowMs: clock.nowMs(),
      backoffMs: (pod) => retryDelay(set, pod),
    });
    const plan =
      set.metadata.deletionTimestamp === undefined ? planDaemons(viewOf(claimed)) : { create: [], remove: [] };
    const results = await Promise.allSettled(plan.remove.map(({ pod, failed }) => removePod(set, pod, failed)));
    const { error } = await slowStart(plan.create.length, (at) =>
      createPod(set, plan.create[at] as string, hashOf(history.current)),
    );
    const after = podInformer.byIndex('owner', set.metadata.uid).filter((pod) => selector.matches(pod.metadata.labels));
    const status = planDaemonStatus(viewOf(after), history.collisionCount);
    if (status !== undefined)
      informer.observe(await client.update<DaemonSet>(daemonSets, { ...set, status }, { subresource: 'status' }));
    const inUse = new Set(after.map(hashOf));
    await pruneRevisions(client, history.others, inUse, set.spec.revisionHistoryLimit ?? 10);
    const failure = error ?? results.find((one) => one.status === 'rejected')?.reason;
    if (failure !== undefined) throw failure;
    const waits = [plan.requeueAfterMs, nextAvailableMs(after, set.spec.minReadySeconds ?? 0, clock.nowMs())].filter(
      (one) => one !== undefined,
    );
    return waits.length === 0 ? undefined : { requeueAfterMs: Math.min(...waits) };
  }

  /** A node where pods keep failing is tried at growing intervals. */
  function retryDelay(set: DaemonSet, pod: Pod): number {
    if (pod.status?.phase !== 'Failed') return 0;
    const key = `${set.metadata.uid}/${nodeOfDaemonPod(pod.spec)}`;
    const seen = `${key}/${pod.metadata.uid}`;
    const nowMs = clock.monotonicMs();
    let atMs = retryAtMs.get(seen);
    if (atMs === undefined) {
      const failures = backoff.failures(key);
      atMs = failures === 0 ? nowMs : nowMs + backoff.next(key);
      if (failures === 0) backoff.next(key);
      retryAtMs.set(seen, atMs);
    }
    return atMs - nowMs;
  }

  async function removePod(set: DaemonSet, pod: Pod, failed: boolean): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    if (failed) {
      events.event(
        set,
        'Warning',
        'FailedDaemonPod',
        `Found failed daemon pod ${namespace}/${name} on node ${pod.spec.nodeName}, will try to kill it`,
      );
    }
    await deleting.during(pod, async () => {
      try {
        await client.delete(pods, name, { namespace, preconditions: { uid } });
        events.event(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  }

  async function createPod(set: DaemonSet, nodeName: string, hash: string): Promise<void> {
    try {
      const made = await client.create<Pod>(pods, daemonPod(set, nodeName, hash));
      podInformer.observe(made);
      events.event(set, 'Normal', 'SuccessfulCreate', `Created pod: ${made.metadata.name}`);
    } catch (error) {
      if (isNamespaceTerminating(error)) return;
      events.event(set, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
      throw error;
    }
  }

  function setsOf(pod: Pod): string[] {
    const owner = controllerOf(pod);
    if (owner !== undefined) return owner.kind === 'DaemonSet' ? [`${pod.metadata.namespace}/${owner.name}`] : [];
    return informer
      .list(pod.metadata.namespace)
      .filter((set) => labelSelectorOf(set.spec.selector).matches(pod.metadata.labels))
      .map(keyOf);
  }

  podInformer.onChange(({ type, object }) => {
    if (type !== 'deleted') return;
    for (const key of retryAtMs.keys()) if (key.endsWith(`/${object.metadata.uid}`)) retryAtMs.delete(key);
  });
  return startController({
    name: 'daemonset',
    clock,
    log,
    concurrency: 2,
    sources: [
      changesOf(informer),
      changesOf(podInformer, setsOf),
      changesOf(nodeInformer, (_, { object, old }) =>
        old !== undefined && !placementChanged(object, old) ? undefined : informer.list().map(keyOf),
      ),
    ],
    needs: [revisionInformer.synced],
    reconcile,
    pace: 3,
  });
}

/** Heartbeats must not wake every DaemonSet. */
function placementChanged(a: Node, b: Node): boolean {
  const facts = ({ metadata, spec }: Node): string =>
    JSON.stringify([metadata.labels, spec.taints?.map((one) => [one.key, one.value, one.effect]), spec.unschedulable]);
  return facts(a) !== facts(b);
}

function daemonPod(set: DaemonSet, nodeName: string, hash: string): NewObject<Pod> {
  const pod = podFromTemplate(set.spec.template, set, daemonSets);
  const generation = set.metadata.annotations?.[generationAnnotation] ?? String(set.metadata.generation ?? 1);
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: { ...pod.metadata.labels, [revisionHashLabel]: hash, [generationLabel]: generation },
    },
    spec: pinnedTo(withDaemonTolerations(pod.spec), nodeName),
  };
}

export const daemonSetController = defineController({ name: 'daemonset-controller', start });
