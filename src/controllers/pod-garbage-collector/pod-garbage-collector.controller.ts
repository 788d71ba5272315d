import { messageOf, rfc3339, type Timer } from '#base';
import { type Node, type Pod, resource } from '#api';
import { isPodTerminal } from '#kinds';
import { isConflict, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { type DoomedPod, planPodCollection } from './plan.ts';

const nodes = resource('v1', 'nodes');
const pods = resource('v1', 'pods');
const periodMs = 20_000;
/** A node that vanished from the cache must stay away this long before its pods go. */
const quarantineMs = 40_000;

const reasons: Partial<Record<DoomedPod['why'], string>> = {
  orphaned: 'PodGC: node no longer exists',
  outOfService: 'PodGC: node has out-of-service taint',
};

/** Removes pods that no kubelet will remove. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log, settings } = context;
  const nodeInformer = informers.of<Node>(nodes);
  const podInformer = informers.of<Pod>(pods);
  const missingSinceMs = new Map<string, number>();
  let timer: Timer | undefined;
  let working: Promise<void> = Promise.resolve();
  let open = true;

  async function collect(): Promise<void> {
    const doomed = planPodCollection({
      pods: podInformer.list(),
      nodeOf: (name) => nodeInformer.get(undefined, name),
      terminatedThreshold: settings.terminatedPodThreshold ?? 12_500,
    });
    const gone = await goneNodes(doomed);
    for (const one of doomed) {
      if (one.why === 'orphaned' && !gone.has(one.pod.spec.nodeName ?? '')) continue;
      await remove(one).catch((error) => {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      });
    }
  }

  /** Nodes that have been missing for the quarantine and that the server does not know either. */
  async function goneNodes(doomed: readonly DoomedPod[]): Promise<Set<string>> {
    const missing = new Set(doomed.filter((one) => one.why === 'orphaned').map((one) => one.pod.spec.nodeName ?? ''));
    for (const name of [...missingSinceMs.keys()]) if (!missing.has(name)) missingSinceMs.delete(name);
    const gone = new Set<string>();
    const nowMs = clock.monotonicMs();
    for (const name of missing) {
      const since = missingSinceMs.get(name) ?? nowMs;
      missingSinceMs.set(name, since);
      if (nowMs - since < quarantineMs) continue;
      const live = await client.get<Node>(nodes, name).catch((error) => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
      if (live === undefined) gone.add(name);
    }
    return gone;
  }

  async function remove({ pod, why }: DoomedPod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    if (!isPodTerminal(pod)) {
      const message = reasons[why];
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByPodGC',
        message,
        lastTransitionTime: rfc3339(clock.nowMs()),
      };
      const status = { phase: 'Failed', ...(message === undefined ? {} : { conditions: [condition] }) };
      await client.patch<Pod>(
        pods,
        name,
        { type: 'strategic', body: { metadata: { uid }, status } },
        { namespace, subresource: 'status' },
      );
    }
    await client.delete(pods, name, { namespace, gracePeriodSeconds: 0, preconditions: { uid } });
    log.info({ controller: 'pod-garbage-collector', namespace, name, why }, 'removed a pod');
  }

  function plan(): void {
    if (!open) return;
    timer = clock.setTimer(() => {
      working = collect()
        .catch((error) =>
          log.warn({ controller: 'pod-garbage-collector', error: messageOf(error) }, 'collection failed'),
        )
        .then(plan);
    }, periodMs);
  }

  void Promise.all([nodeInformer.synced, podInformer.synced]).then(plan);
  return {
    idle: true,
    async close() {
      open = false;
      timer?.cancel();
      await working;
    },
  };
}

export const podGarbageCollectorController = defineController({ name: 'pod-garbage-collector-controller', start });
