import type { Condition, Pod, PodDisruptionBudget, PodDisruptionBudgetStatus } from '#api';
import { isPodReady, isPodTerminal } from '#kinds';
import { deepEqual, parseTimeMs, resolveIntOrPercent } from '#machinery';

/** An eviction that was granted counts as done for this long, though its pod is still there. */
const evictionTimeoutMs = 120_000;

export interface BudgetView {
  readonly budget: PodDisruptionBudget;
  /** Pods it selects. */
  readonly pods: readonly Pod[];
  /** How many pods there should be, by the scales of their controllers; undefined: not to be found out for some pod. */
  readonly expected: number | undefined;
  readonly now: { readonly ms: number; readonly text: string };
}

export interface BudgetPlan {
  readonly status?: PodDisruptionBudgetStatus;
  readonly requeueAfterMs?: number;
}

/** How many of the selected pods may be disturbed now. */
export function planBudget({ budget, pods, expected, now }: BudgetView): BudgetPlan {
  const { spec, status: old } = budget;
  const counted = pods.filter((pod) => !isPodTerminal(pod) && pod.metadata.deletionTimestamp === undefined);
  const expectedPods =
    spec.maxUnavailable === undefined && typeof spec.minAvailable !== 'string' ? counted.length : (expected ?? 0);
  const desiredHealthy = desired(budget, expectedPods);
  const disruptedPods: Record<string, string> = {};
  let recheckMs: number | undefined;
  for (const pod of counted) {
    const since = old?.disruptedPods?.[pod.metadata.name];
    if (since === undefined) continue;
    const leftMs = parseTimeMs(since) + evictionTimeoutMs - now.ms;
    if (leftMs <= 0) continue;
    disruptedPods[pod.metadata.name] = since;
    recheckMs = Math.min(recheckMs ?? leftMs, leftMs);
  }
  const currentHealthy = counted.filter(
    (pod) => isPodReady(pod) && disruptedPods[pod.metadata.name] === undefined,
  ).length;
  const failed =
    expected === undefined &&
    expectedPods === 0 &&
    counted.length > 0 &&
    (spec.maxUnavailable !== undefined || typeof spec.minAvailable === 'string');
  const allowed = failed || expectedPods <= 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const status: PodDisruptionBudgetStatus = {
    ...(budget.metadata.generation === undefined ? {} : { observedGeneration: budget.metadata.generation }),
    ...(Object.keys(disruptedPods).length === 0 ? {} : { disruptedPods }),
    disruptionsAllowed: allowed,
    currentHealthy,
    desiredHealthy,
    expectedPods,
    conditions: conditionsOf(budget, allowed, failed, now.text),
  };
  return {
    ...(deepEqual(status, old) ? {} : { status }),
    ...(recheckMs === undefined ? {} : { requeueAfterMs: recheckMs }),
  };
}

function desired({ spec }: PodDisruptionBudget, expected: number): number {
  if (spec.maxUnavailable !== undefined)
    return Math.max(0, expected - resolveIntOrPercent(spec.maxUnavailable, expected, true));
  if (spec.minAvailable !== undefined) return resolveIntOrPercent(spec.minAvailable, expected, true);
  return 1;
}

function conditionsOf(
  { status, metadata }: PodDisruptionBudget,
  allowed: number,
  failed: boolean,
  now: string,
): Condition[] {
  const flag = allowed > 0 ? 'True' : 'False';
  const reason = failed ? 'SyncFailed' : allowed > 0 ? 'SufficientPods' : 'InsufficientPods';
  const others = (status?.conditions ?? []).filter((one) => one.type !== 'DisruptionAllowed');
  const present = status?.conditions?.find((one) => one.type === 'DisruptionAllowed');
  const lastTransitionTime = present?.status === flag ? present.lastTransitionTime : now;
  const observedGeneration = metadata.generation;
  return [
    ...others,
    {
      type: 'DisruptionAllowed',
      status: flag,
      reason,
      message: '',
      lastTransitionTime,
      ...(observedGeneration === undefined ? {} : { observedGeneration }),
    },
  ];
}
