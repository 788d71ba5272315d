import type { Taint, Toleration } from '#api';
import { parseTimeMs } from '#machinery';

/** Whether a toleration covers a taint, in upstream's terms. */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  const { key = '', operator = 'Equal', value = '', effect = '' } = toleration;
  if (effect !== '' && effect !== taint.effect) return false;
  if (key !== '' && key !== taint.key) return false;
  if (operator === 'Exists') return true;
  return key !== '' && value === (taint.value ?? '');
}

/**
 * When a pod must leave a node with these taints: `undefined` never, otherwise the wall time in milliseconds (now or past: at
 * once). Each toleration's time runs from when its taint came; the shortest counts.
 */
export function evictionTimeMs(
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
  nowMs: number,
): number | undefined {
  let earliestMs: number | undefined;
  for (const taint of taints) {
    if (taint.effect !== 'NoExecute') continue;
    const covering = tolerations.filter((one) => tolerates(one, taint));
    if (covering.length === 0) return nowMs;
    const limits = covering.flatMap(({ tolerationSeconds }) =>
      tolerationSeconds === undefined ? [] : [Math.max(0, tolerationSeconds)],
    );
    if (limits.length === 0) continue;
    const addedMs = parseTimeMs(taint.timeAdded);
    const leaveMs = (Number.isNaN(addedMs) ? nowMs : addedMs) + Math.min(...limits) * 1000;
    earliestMs = Math.min(earliestMs ?? Number.POSITIVE_INFINITY, leaveMs);
  }
  return earliestMs;
}
