import type { Container, EphemeralContainer, Pod, PodCondition, PodSpec } from '#api';
import { parseTimeMs } from '#machinery';

/** The condition of that type, if the pod reports it. */
export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((one) => one.type === type);
}

/** Condition Ready is True. */
export function isPodReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

/** Ready, and has been for `minReadySeconds` at `nowMs`. */
export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const ready = podCondition(pod, 'Ready');
  if (ready?.status !== 'True') return false;
  if (minReadySeconds === 0) return true;
  return ready.lastTransitionTime ? parseTimeMs(ready.lastTransitionTime) + minReadySeconds * 1000 <= nowMs : false;
}

/** Phase Succeeded or Failed: it will never run again. */
export function isPodTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Not finished and not being deleted: what controllers count. */
export function isPodActive(pod: Pod): boolean {
  return !isPodTerminal(pod) && !pod.metadata.deletionTimestamp;
}

/** An init container that keeps running beside the main ones (a sidecar). */
export function isRestartableInit(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

export type ContainerRole = 'init' | 'main' | 'ephemeral';

/**
 * Visits every container of a pod or template: init, main, ephemeral. All policies go through here, so that none forgets a list.
 * `field` is the path below the spec: `initContainers[0]`.
 */
export function forEachContainer(
  spec: PodSpec | undefined,
  visit: (container: Container | EphemeralContainer, field: string, role: ContainerRole) => void,
): void {
  for (const [list, role] of containerLists)
    for (const [index, container] of (spec?.[list] ?? []).entries()) visit(container, `${list}[${index}]`, role);
}

const containerLists = [
  ['initContainers', 'init'],
  ['containers', 'main'],
  ['ephemeralContainers', 'ephemeral'],
] as const;
