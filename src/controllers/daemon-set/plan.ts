import type { DaemonSet, DaemonSetStatus, Node, Pod } from '#api';
import { isPodAvailable, isPodReady } from '#kinds';
import { deepEqual, parseTimeMs, resolveIntOrPercent } from '#machinery';
import { hashOf } from '../revisions/revisions.ts';
import { nodeOfDaemonPod, placementOn } from './placement.ts';

export interface DaemonView {
  readonly set: DaemonSet;
  readonly nodes: readonly Node[];
  /** Claimed pods, those with a deletion of ours under way left out. */
  readonly pods: readonly Pod[];
  /** Hash of the present template. */
  readonly hash: string;
  readonly nowMs: number;
  /** How long a failed pod's replacement on this node has to wait; 0: now. */
  readonly backoffMs: (pod: Pod) => number;
}

export interface DaemonPlan {
  /** Names of nodes that get a pod. */
  readonly create: readonly string[];
  readonly remove: readonly { readonly pod: Pod; readonly failed: boolean }[];
  readonly requeueAfterMs?: number;
}

const burst = 250;

export function podsByNodeOf(pods: readonly Pod[]): Map<string, Pod[]> {
  const found = new Map<string, Pod[]>();
  for (const pod of pods) {
    const node = nodeOfDaemonPod(pod.spec);
    if (node === undefined) continue;
    const list = found.get(node);
    if (list === undefined) found.set(node, [pod]);
    else list.push(pod);
  }
  return found;
}

const isGoing = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;
const isEnded = (pod: Pod): boolean => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';

/** One pod on every node where it should run; then, when that holds, one step of a rolling update. */
export function planDaemons(view: DaemonView): DaemonPlan {
  const { set, nodes, pods, backoffMs } = view;
  const byNode = podsByNodeOf(pods);
  const create: string[] = [];
  const remove: { pod: Pod; failed: boolean }[] = [];
  let waitMs: number | undefined;
  const known = new Set(nodes.map((node) => node.metadata.name));
  for (const [name, list] of byNode) {
    if (!known.has(name))
      for (const pod of list) if (!pod.spec.nodeName && !isGoing(pod)) remove.push({ pod, failed: false });
  }
  for (const node of nodes) {
    const { name } = node.metadata;
    const here = byNode.get(name) ?? [];
    const { shouldRun, shouldContinue } = placementOn(set, node);
    if (!shouldContinue) {
      for (const pod of here) if (!isGoing(pod)) remove.push({ pod, failed: false });
      continue;
    }
    const running: Pod[] = [];
    for (const pod of here) {
      if (isGoing(pod)) continue;
      if (!isEnded(pod)) running.push(pod);
      else {
        const leftMs = backoffMs(pod);
        if (leftMs > 0) waitMs = Math.min(waitMs ?? leftMs, leftMs);
        else remove.push({ pod, failed: pod.status?.phase === 'Failed' });
      }
    }
    if (shouldRun && here.length === 0) create.push(name);
    if (running.length > 1 && surgeOf(set, nodes.length) === 0) {
      for (const pod of running.toSorted(oldestFirst).slice(1)) remove.push({ pod, failed: false });
    }
  }
  const settled = create.length === 0 && remove.length === 0;
  const step =
    settled && set.spec.updateStrategy?.type !== 'OnDelete' ? planUpdate(view, byNode) : { create: [], remove: [] };
  const plan = {
    create: [...create, ...step.create].slice(0, burst),
    remove: [...remove, ...step.remove].slice(0, burst),
  };
  return waitMs === undefined ? plan : { ...plan, requeueAfterMs: waitMs };
}

const oldestFirst = (a: Pod, b: Pod): number =>
  Number(Boolean(b.spec.nodeName)) - Number(Boolean(a.spec.nodeName)) ||
  parseTimeMs(a.metadata.creationTimestamp) - parseTimeMs(b.metadata.creationTimestamp) ||
  (a.metadata.name < b.metadata.name ? -1 : 1);

function surgeOf(set: DaemonSet, desired: number): number {
  if (set.spec.updateStrategy?.type === 'OnDelete') return 0;
  return resolveIntOrPercent(set.spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0, desired, true);
}

function planUpdate({ set, nodes, hash, nowMs }: DaemonView, byNode: ReadonlyMap<string, readonly Pod[]>): DaemonPlan {
  const wanted = nodes.filter((node) => placementOn(set, node).shouldRun);
  const minReady = set.spec.minReadySeconds ?? 0;
  const surge = surgeOf(set, wanted.length);
  let unavailable = resolveIntOrPercent(
    set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1,
    wanted.length,
    true,
  );
  if (unavailable === 0 && surge === 0) unavailable = 1;
  const up = (pod: Pod): boolean => isPodAvailable(pod, minReady, nowMs) && !isGoing(pod);
  return surge > 0 ? surgeStep() : replaceStep();

  /** Old pods go while no more than `unavailable` nodes lack an available pod; those that are not available go first, for nothing. */
  function replaceStep(): DaemonPlan {
    const down = wanted.filter((node) => !(byNode.get(node.metadata.name) ?? []).some(up)).length;
    const unhealthy: Pod[] = [];
    const healthy: Pod[] = [];
    for (const node of wanted) {
      for (const pod of byNode.get(node.metadata.name) ?? []) {
        if (hashOf(pod) === hash || isGoing(pod)) continue;
        (up(pod) ? healthy : unhealthy).push(pod);
      }
    }
    const going = [...unhealthy, ...healthy.slice(0, Math.max(0, unavailable - down))];
    return { create: [], remove: going.map((pod) => ({ pod, failed: false })) };
  }

  /** New pods come beside old ones, `surge` at a time; an old one goes when its new one is available. */
  function surgeStep(): DaemonPlan {
    const create: string[] = [];
    const remove: { pod: Pod; failed: boolean }[] = [];
    let surging = 0;
    const candidates: string[] = [];
    for (const node of wanted) {
      const here = (byNode.get(node.metadata.name) ?? []).filter((pod) => !isGoing(pod));
      const fresh = here.find((pod) => hashOf(pod) === hash);
      const old = here.filter((pod) => hashOf(pod) !== hash);
      if (old.length === 0) continue;
      if (fresh !== undefined) {
        if (up(fresh)) for (const pod of old) remove.push({ pod, failed: false });
        else surging++;
      } else if (!old.some(up)) create.push(node.metadata.name);
      else candidates.push(node.metadata.name);
    }
    return { create: [...create, ...candidates.slice(0, Math.max(0, surge - surging))], remove };
  }
}

/** The status to write; undefined when nothing changed. */
export function planDaemonStatus(view: DaemonView, collisionCount?: number): DaemonSetStatus | undefined {
  const { set, nodes, pods, hash, nowMs } = view;
  const byNode = podsByNodeOf(pods);
  const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, updated: 0, available: 0 };
  for (const node of nodes) {
    const here = (byNode.get(node.metadata.name) ?? []).filter((pod) => !isGoing(pod));
    const { shouldRun } = placementOn(set, node);
    if (!shouldRun) {
      if (here.length > 0) counts.misscheduled++;
      continue;
    }
    counts.desired++;
    if (here.length === 0) continue;
    counts.current++;
    const [oldest] = here.toSorted((a, b) => Number(isPodReady(b)) - Number(isPodReady(a)) || oldestFirst(a, b));
    if (oldest !== undefined && isPodReady(oldest)) {
      counts.ready++;
      if (isPodAvailable(oldest, set.spec.minReadySeconds ?? 0, nowMs)) counts.available++;
    }
    if (here.some((pod) => hashOf(pod) === hash)) counts.updated++;
  }
  const unavailable = counts.desired - counts.available;
  const collisions = collisionCount ?? set.status?.collisionCount;
  const status: DaemonSetStatus = {
    currentNumberScheduled: counts.current,
    numberMisscheduled: counts.misscheduled,
    desiredNumberScheduled: counts.desired,
    numberReady: counts.ready,
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    ...(counts.updated > 0 ? { updatedNumberScheduled: counts.updated } : {}),
    ...(counts.available > 0 ? { numberAvailable: counts.available } : {}),
    ...(unavailable > 0 ? { numberUnavailable: unavailable } : {}),
    ...(collisions === undefined ? {} : { collisionCount: collisions }),
    ...(set.status?.conditions === undefined ? {} : { conditions: set.status.conditions }),
  };
  return deepEqual(status, set.status) ? undefined : status;
}
