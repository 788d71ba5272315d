import { rfc3339 } from '#base';
import { type Node, type Pod, resource } from '#api';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { isConflict, isNotFound } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import { podsByNode } from '../node-lifecycle/node-lifecycle.controller.ts';
import { evictionTimeMs } from './plan.ts';

const nodes = resource('v1', 'nodes');
const pods = resource('v1', 'pods');

/** Deletes pods that do not tolerate their node's NoExecute taints, or not for that long. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, log } = context;
  const nodeInformer = informers.of<Node>(nodes);
  const podInformer = informers.of<Pod>(pods, { indexes: podsByNode });
  const events = context.events('taint-eviction-controller');
  const marked = new Set<string>();
  /** Taints without a time run from when they were first seen here. */
  const seenMs = new Map<string, number>();

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const pod = podInformer.get(namespace, name);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || !pod.spec.nodeName) {
      marked.delete(key);
      return;
    }
    const node = nodeInformer.get(undefined, pod.spec.nodeName);
    const nowMs = clock.nowMs();
    const taints = (node?.spec.taints ?? []).filter((one) => one.effect === 'NoExecute');
    const timed = taints.map((taint) =>
      taint.timeAdded === undefined ? { ...taint, timeAdded: firstSeen(pod, taint.key, nowMs) } : taint,
    );
    if (timed.length === 0) seenMs.delete(pod.metadata.uid);
    const leaveMs = evictionTimeMs(timed, pod.spec.tolerations ?? [], nowMs);
    if (leaveMs === undefined) {
      if (marked.delete(key)) events.event(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`);
      return;
    }
    if (!marked.has(key)) {
      marked.add(key);
      if (leaveMs > nowMs) return { requeueAfterMs: leaveMs - nowMs };
    }
    if (leaveMs > nowMs) return { requeueAfterMs: leaveMs - nowMs };
    events.event(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`);
    await evict(pod);
  }

  function firstSeen(pod: Pod, taintKey: string, nowMs: number): string {
    const key = `${pod.metadata.uid} ${taintKey}`;
    const first = seenMs.get(key) ?? nowMs;
    seenMs.set(key, first);
    return rfc3339(first);
  }

  async function evict(pod: Pod): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const now = rfc3339(clock.nowMs());
    const condition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: now,
    };
    try {
      const body = { metadata: { uid }, status: { conditions: [condition] } };
      await client.patch<Pod>(pods, name, { type: 'strategic', body }, { namespace, subresource: 'status' });
      await client.delete(pods, name, { namespace, preconditions: { uid } });
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  return startController({
    name: 'taint-eviction',
    queueName: 'noexec_taint_pod',
    clock,
    log,
    sources: [
      changesOf(podInformer, (pod, { type, old }) =>
        type !== 'updated' || old?.spec.nodeName !== pod.spec.nodeName || old?.spec.tolerations !== pod.spec.tolerations
          ? keyOf(pod)
          : undefined,
      ),
      changesOf(nodeInformer, (node, { object, old }) =>
        old !== undefined && sameTaints(object, old)
          ? undefined
          : podInformer.byIndex('node', node.metadata.name).map(keyOf),
      ),
    ],
    reconcile,
    concurrency: 8,
  });
}

function sameTaints(a: Node, b: Node): boolean {
  const keys = ({ spec }: Node): string =>
    (spec.taints ?? [])
      .filter((one) => one.effect === 'NoExecute')
      .map((one) => `${one.key}=${one.value ?? ''}@${one.timeAdded ?? ''}`)
      .join();
  return keys(a) === keys(b);
}

export const taintEvictionController = defineController({ name: 'taint-eviction-controller', start });
