import type { Node, Pod } from '#api';
import { isPodTerminal } from '#kinds';
import { parseTimeMs } from '#machinery';
import { nodeCondition } from '#kinds';

export interface DoomedPod {
  readonly pod: Pod;
  readonly why: 'terminated' | 'outOfService' | 'unscheduledTerminating' | 'orphaned';
}

export interface PodGcInput {
  readonly pods: readonly Pod[];
  readonly nodeOf: (name: string) => Node | undefined;
  /** Finished pods that may stay; 0: all. */
  readonly terminatedThreshold: number;
}

const outOfService = 'node.kubernetes.io/out-of-service';

/** Pods nobody will finish off: too many ended ones, those of dead or vanished nodes, those deleted before they had a node. */
export function planPodCollection({ pods, nodeOf, terminatedThreshold }: PodGcInput): DoomedPod[] {
  const doomed: DoomedPod[] = [];
  for (const pod of pods) {
    const deleted = pod.metadata.deletionTimestamp !== undefined;
    const { nodeName } = pod.spec;
    if (!nodeName) {
      if (deleted) doomed.push({ pod, why: 'unscheduledTerminating' });
      continue;
    }
    const node = nodeOf(nodeName);
    if (node === undefined) doomed.push({ pod, why: 'orphaned' });
    else if (deleted && isOutOfService(node)) doomed.push({ pod, why: 'outOfService' });
  }
  if (terminatedThreshold <= 0) return doomed;
  const ended = pods.filter((pod) => isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined);
  const surplus = ended.length - terminatedThreshold;
  if (surplus <= 0) return doomed;
  const age = (pod: Pod): number => parseTimeMs(pod.metadata.creationTimestamp);
  const oldest = ended
    .toSorted((a, b) => age(a) - age(b) || (a.metadata.name < b.metadata.name ? -1 : 1))
    .slice(0, surplus);
  return [...doomed, ...oldest.map((pod) => ({ pod, why: 'terminated' as const }))];
}

function isOutOfService(node: Node): boolean {
  const ready = nodeCondition(node, 'Ready')?.status === 'True';
  return !ready && (node.spec.taints ?? []).some((one) => one.key === outOfService);
}
