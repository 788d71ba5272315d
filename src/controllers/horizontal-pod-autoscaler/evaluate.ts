import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, Pod } from '#api';
import { messageOf } from '#base';
import { isPodReady } from '#kinds';
import { quantityMilli } from '#machinery';
import type { Directory } from '../discovery/directory.ts';
import type { MetricSource } from './metric-source.ts';
import { groupPods, type PodMetric } from './pod-groups.ts';
import { defaultTolerance, proposeFromPods, proposeFromRatio, type Tolerances } from './proposal.ts';

/** What one metric says about the target's size. */
export interface Evaluation {
  readonly replicas: number;
  /** As in events: `cpu resource utilization (percentage of request)`. */
  readonly metric: string;
  readonly status: MetricStatus;
}

/** A metric that says nothing: with the reason of the condition ScalingActive. */
export class NoMetric extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

export interface EvaluationContext {
  readonly autoscaler: HorizontalPodAutoscaler;
  readonly source: MetricSource;
  readonly directory: Directory;
  /** The target's pods and their selector as text. */
  readonly pods: readonly Pod[];
  readonly selector: string;
  /** spec.replicas and status.replicas of the target's scale. */
  readonly specReplicas: number;
  readonly statusReplicas: number;
  readonly nowMs: number;
}

/** Asks for one metric and proposes a size by it. Throws NoMetric. */
export async function evaluateMetric(spec: MetricSpec, context: EvaluationContext): Promise<Evaluation> {
  const evaluate = Object.hasOwn(evaluators, spec.type) ? evaluators[spec.type as keyof typeof evaluators] : undefined;
  if (evaluate === undefined)
    throw new NoMetric('InvalidMetricSourceType', `unknown metric source type ${JSON.stringify(spec.type)}`);
  return evaluate(spec, context);
}

const evaluators = {
  Resource: (spec: MetricSpec, context: EvaluationContext) => {
    const { name, target } = spec.resource as NonNullable<MetricSpec['resource']>;
    return byResource({ name, target, container: undefined }, context);
  },
  ContainerResource: (spec: MetricSpec, context: EvaluationContext) => {
    const { name, target, container } = spec.containerResource as NonNullable<MetricSpec['containerResource']>;
    return byResource({ name, target, container }, context);
  },
  Pods: byPodMetric,
  Object: byObject,
  External: byExternal,
};

async function byResource(
  wanted: { readonly name: string; readonly target: MetricTarget; readonly container: string | undefined },
  context: EvaluationContext,
): Promise<Evaluation> {
  const { name, target, container } = wanted;
  const reason = container === undefined ? 'FailedGetResourceMetric' : 'FailedGetContainerResourceMetric';
  const { autoscaler, source, pods, selector, nowMs } = context;
  const what = container === undefined ? `${name} resource` : `${name} container resource`;
  const byPercent = target.averageUtilization !== undefined && target.averageUtilization !== null;
  const failed = (error: unknown): NoMetric =>
    new NoMetric(
      reason,
      `failed to get ${byPercent ? `${name} utilization` : `${name} resource metric value`}: ${messageOf(error)}`,
    );
  let metrics: Map<string, PodMetric>;
  try {
    const namespace = autoscaler.metadata.namespace ?? '';
    metrics = await source.resource({ namespace, selector, resource: name, container });
  } catch (error) {
    throw failed(`unable to get metrics for resource ${name}: ${messageOf(error)}`);
  }
  if (metrics.size === 0)
    throw failed(`unable to get metrics for resource ${name}: no metrics returned from resource metrics API`);
  const groups = groupPods(pods, metrics, { resource: name, nowMs });
  const proposal = proposeFromPods({
    currentReplicas: context.specReplicas,
    groups,
    metrics,
    targetMilli: byPercent ? 0 : quantityMilli(target.averageValue ?? '0'),
    ...(byPercent
      ? {
          utilization: {
            requests: requestsOf(pods, name, container, failed),
            percent: target.averageUtilization as number,
          },
        }
      : {}),
    tolerances: tolerancesOf(autoscaler),
  });
  if (typeof proposal === 'string') throw failed(proposal);
  const current = {
    averageValue: fromMilli(proposal.averageMilli, name),
    ...(proposal.percent === undefined ? {} : { averageUtilization: proposal.percent }),
  };
  return {
    replicas: proposal.replicas,
    metric: byPercent ? `${what} utilization (percentage of request)` : what,
    status:
      container === undefined
        ? { type: 'Resource', resource: { name, current } }
        : { type: 'ContainerResource', containerResource: { name, container, current } },
  };
}

/** What each pod requests in thousandths. Throws when a container that counts requests nothing. */
function requestsOf(
  pods: readonly Pod[],
  resource: string,
  container: string | undefined,
  failed: (error: unknown) => NoMetric,
): Map<string, number> {
  const requests = new Map<string, number>();
  for (const pod of pods) {
    const sidecars = (pod.spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always');
    const all = [...(pod.spec?.containers ?? []), ...sidecars];
    let total = 0;
    for (const one of all) {
      if (container !== undefined && one.name !== container) continue;
      const request = one.resources?.requests?.[resource];
      if (request === undefined)
        throw failed(`missing request for ${resource} in container ${one.name} of Pod ${pod.metadata.name}`);
      total += quantityMilli(request);
    }
    requests.set(pod.metadata.name, total);
  }
  return requests;
}

async function byPodMetric(spec: MetricSpec, context: EvaluationContext): Promise<Evaluation> {
  const { metric, target } = spec.pods as NonNullable<MetricSpec['pods']>;
  const { autoscaler, source, pods, selector, nowMs } = context;
  const failed = (error: unknown): NoMetric =>
    new NoMetric(
      'FailedGetPodsMetric',
      `failed to get pods metric value: unable to get metric ${metric.name}: ${messageOf(error)}`,
    );
  let metrics: Map<string, PodMetric>;
  try {
    metrics = await source.pods(autoscaler.metadata.namespace ?? '', selector, metric, nowMs);
  } catch (error) {
    throw failed(error);
  }
  const proposal = proposeFromPods({
    currentReplicas: context.specReplicas,
    groups: groupPods(pods, metrics, { resource: '', nowMs }),
    metrics,
    targetMilli: quantityMilli(target.averageValue ?? '0'),
    tolerances: tolerancesOf(autoscaler),
  });
  if (typeof proposal === 'string') throw failed(proposal);
  const current = { averageValue: fromMilli(proposal.averageMilli) };
  return {
    replicas: proposal.replicas,
    metric: `pods metric ${metric.name}`,
    status: { type: 'Pods', pods: { metric, current } },
  };
}

async function byObject(spec: MetricSpec, context: EvaluationContext): Promise<Evaluation> {
  const { metric, target, describedObject } = spec.object as NonNullable<MetricSpec['object']>;
  const { autoscaler, source, directory } = context;
  const resource = directory.resources.find((one) => one.kind === describedObject.kind);
  try {
    if (resource === undefined) throw new Error(`no resource of kind ${describedObject.kind}`);
    const milli = await source.object(autoscaler.metadata.namespace ?? '', { ...describedObject, resource }, metric);
    const { replicas, current } = byTotal(milli, target, context);
    return {
      replicas,
      metric: `${describedObject.kind} metric ${metric.name}`,
      status: { type: 'Object', object: { metric, describedObject, current } },
    };
  } catch (error) {
    throw new NoMetric(
      'FailedGetObjectMetric',
      `failed to get object metric value: unable to get metric ${metric.name}: ${messageOf(error)}`,
    );
  }
}

async function byExternal(spec: MetricSpec, context: EvaluationContext): Promise<Evaluation> {
  const { metric, target } = spec.external as NonNullable<MetricSpec['external']>;
  try {
    const milli = await context.source.external(context.autoscaler.metadata.namespace ?? '', metric);
    const { replicas, current } = byTotal(milli, target, context);
    return {
      replicas,
      metric: `external metric ${metric.name}`,
      status: { type: 'External', external: { metric, current } },
    };
  } catch (error) {
    throw new NoMetric(
      'FailedGetExternalMetric',
      `failed to get ${metric.name} external metric value: ${messageOf(error)}`,
    );
  }
}

/** One value for the whole target: wanted as it is, or on average of all pods. */
function byTotal(
  milli: number,
  target: MetricTarget,
  { autoscaler, pods, specReplicas, statusReplicas }: EvaluationContext,
): { replicas: number; current: { value?: string; averageValue?: string } } {
  const tolerances = tolerancesOf(autoscaler);
  if (target.type === 'AverageValue') {
    const each = quantityMilli(target.averageValue ?? '0');
    const ratio = milli / (each * Math.max(1, statusReplicas));
    const within = statusReplicas > 0 && ratio >= 1 - tolerances.down && ratio <= 1 + tolerances.up;
    const replicas = within ? statusReplicas : Math.ceil(milli / each - 1e-9);
    return { replicas, current: { averageValue: fromMilli(Math.ceil(milli / Math.max(1, statusReplicas))) } };
  }
  const ready = pods.filter((pod) => pod.status?.phase === 'Running' && isPodReady(pod)).length;
  const ratio = milli / quantityMilli(target.value ?? '0');
  const replicas = proposeFromRatio({ currentReplicas: specReplicas, ratio, pods: ready, tolerances });
  return { replicas, current: { value: fromMilli(milli) } };
}

function tolerancesOf({ spec }: HorizontalPodAutoscaler): Tolerances {
  const read = (text: string | undefined): number =>
    text === undefined ? defaultTolerance : quantityMilli(text) / 1000;
  return { up: read(spec.behavior?.scaleUp?.tolerance), down: read(spec.behavior?.scaleDown?.tolerance) };
}

/** Thousandths as a quantity; memory in whole bytes. */
function fromMilli(milli: number, resource = ''): string {
  if (milli % 1000 === 0) return String(milli / 1000);
  return resource === 'memory' ? String(Math.ceil(milli / 1000)) : `${Math.ceil(milli)}m`;
}
