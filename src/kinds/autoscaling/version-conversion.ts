import type {
  AutoscalingV1HorizontalPodAutoscaler,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerBehavior,
  HPAScalingRules,
  MetricSpec,
} from '#api';
import { nestsDeeper } from '#machinery';
import { measureFromV1, measureToV1, metricFromV1, metricToV1 } from './metric-conversion.ts';

const prefix = 'autoscaling.alpha.kubernetes.io/';
const metricsKey = `${prefix}metrics`;
const measuresKey = `${prefix}current-metrics`;
const behaviorKey = `${prefix}behavior`;
const conditionsKey = `${prefix}conditions`;
const roundTripKeys: readonly string[] = [metricsKey, measuresKey, behaviorKey, conditionsKey];
const defaultCpuPercent = 80;

const isCpuUtilization = (metric: MetricSpec): boolean =>
  metric.type === 'Resource' && metric.resource?.name === 'cpu' && metric.resource.target?.averageUtilization != null;

/** autoscaling/v2 → v1: what v1 has no field for goes into annotations, as upstream does. */
export function autoscalerToV1(autoscaler: HorizontalPodAutoscaler): AutoscalingV1HorizontalPodAutoscaler {
  const { metrics = [], behavior, ...spec } = autoscaler.spec ?? {};
  const { currentMetrics = [], conditions = [], ...status } = autoscaler.status ?? { desiredReplicas: 0 };
  const annotations = withoutRoundTrip(autoscaler.metadata.annotations);
  const others = metrics.filter((metric) => !isCpuUtilization(metric));
  if (others.length > 0) annotations[metricsKey] = JSON.stringify(others.map(metricToV1));
  if (currentMetrics.length > 0) annotations[measuresKey] = JSON.stringify(currentMetrics.map(measureToV1));
  if (behavior != null) annotations[behaviorKey] = JSON.stringify(behaviorToText(behavior));
  if (conditions.length > 0) annotations[conditionsKey] = JSON.stringify(conditions);
  const percent = metrics.findLast(isCpuUtilization)?.resource?.target.averageUtilization;
  const used = currentMetrics.find((one) => one.type === 'Resource' && one.resource?.name === 'cpu');
  const usedPercent = used?.resource?.current?.averageUtilization;
  const { status: _, ...identity } = autoscaler;
  return {
    ...identity,
    apiVersion: 'autoscaling/v1',
    metadata: withAnnotations(autoscaler.metadata, annotations),
    spec: { ...spec, ...(percent == null ? {} : { targetCPUUtilizationPercentage: percent }) },
    ...(autoscaler.status === undefined
      ? {}
      : {
          status: {
            ...status,
            currentReplicas: status.currentReplicas ?? 0,
            ...(usedPercent == null ? {} : { currentCPUUtilizationPercentage: usedPercent }),
          },
        }),
  };
}

/** autoscaling/v1 → v2: annotations written by `autoscalerToV1` become fields again; no metric at all means CPU at 80 %. */
export function autoscalerFromV1(autoscaler: AutoscalingV1HorizontalPodAutoscaler): HorizontalPodAutoscaler {
  const { targetCPUUtilizationPercentage: percent, ...spec } = autoscaler.spec ?? {};
  const { currentCPUUtilizationPercentage: usedPercent, ...status } = autoscaler.status ?? { desiredReplicas: 0 };
  const annotations = autoscaler.metadata.annotations ?? {};
  const metrics = (parseList(annotations[metricsKey]) ?? []).map((one) => metricFromV1(one as never));
  if (percent != null) metrics.push(cpuMetric(percent));
  if (metrics.length === 0) metrics.push(cpuMetric(defaultCpuPercent));
  const behavior = behaviorFromText(annotations[behaviorKey]);
  const conditions = parseList(annotations[conditionsKey]);
  const measures = parseList(annotations[measuresKey])?.map((one) => measureFromV1(one as never));
  const currentMetrics =
    measures ??
    (usedPercent == null
      ? undefined
      : [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: usedPercent } } }]);
  const { status: _, ...identity } = autoscaler;
  return {
    ...identity,
    apiVersion: 'autoscaling/v2',
    metadata: withAnnotations(autoscaler.metadata, withoutRoundTrip(annotations)),
    spec: { ...spec, metrics, ...(behavior === undefined ? {} : { behavior }) },
    ...(autoscaler.status === undefined
      ? {}
      : {
          status: {
            ...status,
            ...(currentMetrics === undefined ? {} : { currentMetrics }),
            ...(conditions === undefined ? {} : { conditions: conditions as never }),
          },
        }),
  };
}

function cpuMetric(averageUtilization: number): MetricSpec {
  return { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } };
}

function withoutRoundTrip(annotations: Record<string, string> | undefined): Record<string, string> {
  const kept = { ...annotations };
  for (const key of roundTripKeys) delete kept[key];
  return kept;
}

function withAnnotations<M extends { annotations?: Record<string, string> }>(
  metadata: M,
  annotations: Record<string, string>,
): M {
  const { annotations: _, ...rest } = metadata;
  return (Object.keys(annotations).length === 0 ? rest : { ...rest, annotations }) as M;
}

/** No metric or behavior nests as deep. */
const deepestAnnotation = 100;

function parseObject(text: string | undefined): unknown {
  if (text === undefined || nestsDeeper(text, deepestAnnotation)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseList(text: string | undefined): object[] | undefined {
  const parsed = parseObject(text);
  return Array.isArray(parsed) && parsed.every((one) => typeof one === 'object' && one !== null) ? parsed : undefined;
}

const capital = (word: string): string => (word[0] ?? '').toUpperCase() + word.slice(1);
const small = (word: string): string => (word[0] ?? '').toLowerCase() + word.slice(1);

function renamed(value: unknown, rename: (word: string) => string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [rename(key), one]));
}

function rulesRenamed(rules: HPAScalingRules | undefined, rename: (word: string) => string): unknown {
  const outer = renamed(rules, small) as HPAScalingRules | undefined;
  if (outer == null) return outer;
  const policies = outer.policies?.map((one) => renamed(one, rename));
  return renamed({ ...outer, ...(policies === undefined ? {} : { policies }) }, rename);
}

/** Upstream writes this annotation with the field names of its internal type, that begin with a capital. */
function behaviorToText({ scaleUp, scaleDown }: HorizontalPodAutoscalerBehavior): object {
  return { ScaleUp: rulesRenamed(scaleUp, capital) ?? null, ScaleDown: rulesRenamed(scaleDown, capital) ?? null };
}

function behaviorFromText(text: string | undefined): HorizontalPodAutoscalerBehavior | undefined {
  const parsed = renamed(parseObject(text), small) as HorizontalPodAutoscalerBehavior | undefined;
  if (parsed == null || typeof parsed !== 'object') return undefined;
  const found = (['scaleUp', 'scaleDown'] as const).flatMap((side) =>
    parsed[side] == null ? [] : [[side, rulesRenamed(parsed[side], small)] as const],
  );
  return found.length === 0 ? undefined : (Object.fromEntries(found) as HorizontalPodAutoscalerBehavior);
}
