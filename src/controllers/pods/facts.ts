import type { Pod, PodCondition } from '#api';
import { parseTimeMs } from '#machinery';

export function conditionOfPod(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((one) => one.type === type);
}

export function isReady(pod: Pod): boolean {
  return conditionOfPod(pod, 'Ready')?.status === 'True';
}

/** Succeeded or Failed: it will never run again. */
export function isFinished(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Counts as a replica: neither finished nor being deleted. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata.deletionTimestamp === undefined;
}

/** When the pod has been (or will be) ready for `minReadySeconds`; undefined while it is not ready. */
export function availableAtMs(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = conditionOfPod(pod, 'Ready');
  if (ready?.status !== 'True') return undefined;
  if (minReadySeconds === 0) return 0;
  if (ready.lastTransitionTime === undefined) return undefined;
  return parseTimeMs(ready.lastTransitionTime) + minReadySeconds * 1000;
}

export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const atMs = availableAtMs(pod, minReadySeconds);
  return atMs !== undefined && atMs <= nowMs;
}
