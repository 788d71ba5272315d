import type { Pod } from '#api';
import { podCondition } from '#kinds';
import { parseTimeMs } from '#machinery';

/** When the pod has been (or will be) ready for `minReadySeconds`; undefined while it is not ready. */
export function availableAtMs(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = podCondition(pod, 'Ready');
  if (ready?.status !== 'True') return undefined;
  if (minReadySeconds === 0) return 0;
  if (ready.lastTransitionTime === undefined) return undefined;
  return parseTimeMs(ready.lastTransitionTime) + minReadySeconds * 1000;
}
