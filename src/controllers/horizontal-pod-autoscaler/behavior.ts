import type { HorizontalPodAutoscalerBehavior, HPAScalingPolicy, HPAScalingRules } from '#api';

/** A change of size in the past. */
export interface ScaleEvent {
  readonly atMs: number;
  /** Replicas added, or removed when negative. */
  readonly change: number;
}

export interface Recommendation {
  readonly atMs: number;
  readonly replicas: number;
}

/** Remembered between looks; of one autoscaler. */
export interface ScaleHistory {
  readonly recommendations: readonly Recommendation[];
  readonly events: readonly ScaleEvent[];
}

export interface Stated {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export interface Limited {
  readonly replicas: number;
  readonly recommendations: readonly Recommendation[];
  readonly ableToScale: Stated;
  readonly scalingLimited: Stated;
}

const stabilizationDownSeconds = 300;
const defaultUp: readonly HPAScalingPolicy[] = [
  { type: 'Pods', value: 4, periodSeconds: 15 },
  { type: 'Percent', value: 100, periodSeconds: 15 },
];
const defaultDown: readonly HPAScalingPolicy[] = [{ type: 'Percent', value: 100, periodSeconds: 15 }];

/**
 * What becomes of a wish under the behaviour's rules: held against recent wishes (stabilization), then against the rates and bounds.
 * Rules, defaults and words are upstream's.
 */
export function limitScale(options: {
  readonly currentReplicas: number;
  readonly wanted: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly behavior: HorizontalPodAutoscalerBehavior | undefined;
  readonly history: ScaleHistory;
  readonly nowMs: number;
}): Limited {
  const { currentReplicas, wanted, minReplicas, maxReplicas, behavior, history, nowMs } = options;
  const upMs = (behavior?.scaleUp?.stabilizationWindowSeconds ?? 0) * 1000;
  const downMs = (behavior?.scaleDown?.stabilizationWindowSeconds ?? stabilizationDownSeconds) * 1000;
  const before =
    history.recommendations.length > 0 ? history.recommendations : [{ atMs: nowMs, replicas: currentReplicas }];
  let lowest = wanted;
  let highest = wanted;
  for (const { atMs, replicas } of before) {
    if (atMs > nowMs - upMs) lowest = Math.min(lowest, replicas);
    if (atMs > nowMs - downMs) highest = Math.max(highest, replicas);
  }
  const stable = Math.min(Math.max(currentReplicas, lowest), highest);
  const recommendations = [
    ...before.filter(({ atMs }) => atMs > nowMs - Math.max(upMs, downMs)),
    { atMs: nowMs, replicas: wanted },
  ];
  const bounded = bound(stable, { currentReplicas, minReplicas, maxReplicas, behavior, events: history.events, nowMs });
  return { ...bounded, recommendations, ableToScale: stabilized(stable, wanted, currentReplicas) };
}

function stabilized(stable: number, wanted: number, currentReplicas: number): Stated {
  if (stable === wanted)
    return { status: 'True', reason: 'ReadyForNewScale', message: 'recommended size matches current size' };
  return wanted >= currentReplicas
    ? {
        status: 'True',
        reason: 'ScaleUpStabilized',
        message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
      }
    : {
        status: 'True',
        reason: 'ScaleDownStabilized',
        message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
      };
}

interface Bounds {
  readonly currentReplicas: number;
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly behavior: HorizontalPodAutoscalerBehavior | undefined;
  readonly events: readonly ScaleEvent[];
  readonly nowMs: number;
}

function bound(wanted: number, bounds: Bounds): { replicas: number; scalingLimited: Stated } {
  const { currentReplicas, minReplicas, maxReplicas, behavior } = bounds;
  const is = (status: 'True' | 'False', reason: string, message: string): Stated => ({ status, reason, message });
  if (wanted > currentReplicas) {
    const limit = Math.max(currentReplicas, rate(behavior?.scaleUp, defaultUp, bounds, 1));
    const most = Math.min(maxReplicas, limit);
    if (wanted <= most) return { replicas: wanted, scalingLimited: withinRange };
    return limit < maxReplicas
      ? {
          replicas: most,
          scalingLimited: is(
            'True',
            'ScaleUpLimit',
            'the desired replica count is increasing faster than the maximum scale rate',
          ),
        }
      : {
          replicas: most,
          scalingLimited: is(
            'True',
            'TooManyReplicas',
            'the desired replica count is more than the maximum replica count',
          ),
        };
  }
  if (wanted < currentReplicas) {
    const limit = Math.min(currentReplicas, rate(behavior?.scaleDown, defaultDown, bounds, -1));
    const least = Math.max(minReplicas, limit);
    if (wanted >= least) return { replicas: wanted, scalingLimited: withinRange };
    return limit > minReplicas
      ? {
          replicas: least,
          scalingLimited: is(
            'True',
            'ScaleDownLimit',
            'the desired replica count is decreasing faster than the maximum scale rate',
          ),
        }
      : {
          replicas: least,
          scalingLimited: is(
            'True',
            'TooFewReplicas',
            'the desired replica count is less than the minimum replica count',
          ),
        };
  }
  return { replicas: wanted, scalingLimited: withinRange };
}

const withinRange: Stated = {
  status: 'False',
  reason: 'DesiredWithinRange',
  message: 'the desired count is within the acceptable range',
};

/** The size that the policies allow to go to: `sign` 1 upwards, -1 downwards. */
function rate(
  rules: HPAScalingRules | undefined,
  defaults: readonly HPAScalingPolicy[],
  { currentReplicas, events, nowMs }: Bounds,
  sign: 1 | -1,
): number {
  if (rules?.selectPolicy === 'Disabled') return currentReplicas;
  const limits = (rules?.policies ?? defaults).map(({ type, value, periodSeconds }) => {
    const changed = events
      .filter(({ atMs }) => atMs > nowMs - periodSeconds * 1000)
      .reduce((total, { change }) => total + change, 0);
    const atStart = currentReplicas - changed;
    if (type === 'Pods') return atStart + sign * value;
    const exact = atStart * (1 + (sign * value) / 100);
    return sign > 0 ? Math.ceil(exact) : Math.trunc(exact);
  });
  const widest = (rules?.selectPolicy ?? 'Max') === 'Max';
  return widest === sign > 0 ? Math.max(...limits) : Math.min(...limits);
}

/** Events that some policy still looks at. */
export function rememberedEvents(
  events: readonly ScaleEvent[],
  behavior: HorizontalPodAutoscalerBehavior | undefined,
  nowMs: number,
): readonly ScaleEvent[] {
  const policies = [...(behavior?.scaleUp?.policies ?? defaultUp), ...(behavior?.scaleDown?.policies ?? defaultDown)];
  const longestMs = Math.max(...policies.map((one) => one.periodSeconds)) * 1000;
  return events.filter(({ atMs }) => atMs > nowMs - longestMs);
}
