import {
  type AnyObject,
  apiVersionOf,
  type HorizontalPodAutoscaler,
  type HorizontalPodAutoscalerCondition,
  type HorizontalPodAutoscalerStatus,
  type MetricStatus,
  type Pod,
  resource,
} from '#api';
import { messageOf, rfc3339 } from '#base';
import { changesOf, keyOf, type Outcome, splitKey, startController } from '#client';
import { deepEqual, isNotFound, parseLabelSelector } from '#machinery';
import { type ControllerContext, defineController, type RunningPart } from '../definition.ts';
import type { Directory, ServedResource } from '../discovery/directory.ts';
import { limitScale, rememberedEvents, type ScaleHistory, type Stated } from './behavior.ts';
import { evaluateMetric, type Evaluation, NoMetric } from './evaluate.ts';
import { MetricSource } from './metric-source.ts';

const autoscalers = resource('autoscaling/v2', 'horizontalpodautoscalers');
const everyMs = 15_000;
/** After a look without metrics: those of new pods come within seconds. */
const soonMs = 5_000;

interface Scale extends AnyObject {
  readonly spec: { replicas?: number };
  readonly status?: { replicas?: number; selector?: string };
}

/** What a look at an autoscaler comes to, before anything is written. */
interface Look {
  readonly desired: number;
  readonly reason: string;
  readonly conditions: readonly (Stated & { readonly type: string })[];
  readonly metrics: readonly MetricStatus[] | undefined;
  /** Absent: the wish went through no rules. */
  readonly history?: ScaleHistory;
  /** Metrics were missing. */
  readonly blind?: boolean;
}

const none: ScaleHistory = { recommendations: [], events: [] };

/** Sizes whatever has a scale sub-resource by its metrics: looks every 15 s, and when an autoscaler changes. */
function start(context: ControllerContext): RunningPart {
  const { client, informers, clock, directory, log } = context;
  const informer = informers.of<HorizontalPodAutoscaler>(autoscalers);
  const pods = informers.of<Pod>(resource('v1', 'pods'));
  const events = context.events('horizontal-pod-autoscaler');
  const source = new MetricSource(client);
  const histories = new Map<string, ScaleHistory>();

  async function reconcile(key: string): Promise<Outcome> {
    const { namespace, name } = splitKey(key);
    const autoscaler = informer.get(namespace, name);
    if (autoscaler === undefined) {
      histories.delete(key);
      return;
    }
    const found = await readScale(autoscaler);
    if (typeof found === 'string') {
      events.event(autoscaler, 'Warning', 'FailedGetScale', found);
      await writeStatus(autoscaler, {
        conditions: [
          {
            type: 'AbleToScale',
            status: 'False',
            reason: 'FailedGetScale',
            message: `the HPA controller was unable to get the target's current scale: ${found}`,
          },
        ],
      });
      return { requeueAfterMs: everyMs };
    }
    const { scale, target, known } = found;
    const current = scale.spec.replicas ?? 0;
    const look = await lookAt(autoscaler, { scale, key, known });
    if (look.history !== undefined) histories.set(key, look.history);
    let conditions = look.conditions;
    let { desired } = look;
    let scaled = false;
    if (desired !== current) {
      const outcome = await rescale(autoscaler, { scale, target, desired, reason: look.reason });
      conditions = [...conditions.filter((one) => one.type !== 'AbleToScale'), outcome];
      scaled = outcome.status === 'True';
      if (scaled) remember(key, autoscaler, desired - current);
      else desired = current;
    }
    await writeStatus(autoscaler, {
      conditions,
      currentReplicas: scale.status?.replicas ?? current,
      desiredReplicas: desired,
      currentMetrics: look.metrics,
      scaled,
    });
    return { requeueAfterMs: look.blind === true ? soonMs : everyMs };
  }

  async function readScale(
    autoscaler: HorizontalPodAutoscaler,
  ): Promise<{ scale: Scale; target: ServedResource; known: Directory } | string> {
    const { kind, apiVersion = 'v1', name } = autoscaler.spec.scaleTargetRef;
    const known = await directory.current();
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    const target =
      known.resources.find((one) => one.kind === kind && apiVersionOf(one) === apiVersion) ??
      known.resources.find((one) => one.kind === kind && one.group === group);
    if (target === undefined)
      return `no matches for kind "${kind}" in group "${group}"${version === '' ? ' ' : ''}`.trim();
    try {
      const options = { namespace: autoscaler.metadata.namespace ?? '', subresource: 'scale' };
      return { scale: await client.get<Scale>(target, name, options), target, known };
    } catch (error) {
      return messageOf(error);
    }
  }

  /** Works out the wanted size; reads metrics, writes nothing but events. */
  async function lookAt(
    autoscaler: HorizontalPodAutoscaler,
    { scale, key, known }: { readonly scale: Scale; readonly key: string; readonly known: Directory },
  ): Promise<Look> {
    const { spec } = autoscaler;
    const current = scale.spec.replicas ?? 0;
    const minReplicas = spec.minReplicas ?? 1;
    const able = {
      type: 'AbleToScale',
      status: 'True',
      reason: 'SucceededGetScale',
      message: "the HPA controller was able to get the target's current scale",
    } as const;
    const plain = (desired: number, reason: string): Look => ({
      desired,
      reason,
      conditions: [able],
      metrics: undefined,
    });
    if (current === 0 && minReplicas !== 0) {
      const disabled = {
        type: 'ScalingActive',
        status: 'False',
        reason: 'ScalingDisabled',
        message: 'scaling is disabled since the replica count of the target is zero',
      } as const;
      return { desired: 0, reason: '', conditions: [able, disabled], metrics: undefined };
    }
    if (current > spec.maxReplicas) return plain(spec.maxReplicas, 'Current number of replicas above Spec.MaxReplicas');
    if (current < minReplicas) return plain(minReplicas, 'Current number of replicas below Spec.MinReplicas');
    const nowMs = clock.nowMs();
    const selectorText = scale.status?.selector ?? '';
    if (selectorText === '') {
      const message = "the HPA target's scale is missing a selector";
      events.event(autoscaler, 'Warning', 'SelectorRequired', 'selector is required');
      const inactive = { type: 'ScalingActive', status: 'False', reason: 'InvalidSelector', message } as const;
      return { desired: current, reason: '', conditions: [able, inactive], metrics: undefined };
    }
    const selector = parseLabelSelector(selectorText);
    const wishes = await evaluateAll(autoscaler, {
      directory: known,
      pods: pods.list(autoscaler.metadata.namespace).filter((pod) => selector.matches(pod.metadata.labels)),
      selector: selectorText,
      specReplicas: current,
      statusReplicas: scale.status?.replicas ?? 0,
      nowMs,
    });
    const { highest, failures } = wishes;
    // A metric that is missing may hide a need: then nothing is taken away.
    if (highest === undefined || (failures.length > 0 && highest.replicas < current)) {
      const [first] = failures as [NoMetric, ...NoMetric[]];
      const count = failures.length + wishes.found.length;
      const message = `invalid metrics (${failures.length} invalid out of ${count}), first error is: ${first.message}`;
      events.event(autoscaler, 'Warning', first.reason, first.message);
      events.event(autoscaler, 'Warning', 'FailedComputeMetricsReplicas', message);
      const inactive = {
        type: 'ScalingActive',
        status: 'False',
        reason: first.reason,
        message: `the HPA was unable to compute the replica count: ${first.message}`,
      } as const;
      return {
        desired: current,
        reason: '',
        conditions: [able, inactive],
        metrics: wishes.found.map((one) => one.status),
        blind: true,
      };
    }
    const history = histories.get(key) ?? none;
    const limited = limitScale({
      currentReplicas: current,
      wanted: highest.replicas,
      minReplicas,
      maxReplicas: spec.maxReplicas,
      behavior: spec.behavior,
      history,
      nowMs,
    });
    return {
      desired: limited.replicas,
      reason: limited.replicas > current ? `${highest.metric} above target` : 'All metrics below target',
      conditions: [
        { type: 'AbleToScale', ...limited.ableToScale },
        {
          type: 'ScalingActive',
          status: 'True',
          reason: 'ValidMetricFound',
          message: `the HPA was able to successfully calculate a replica count from ${highest.metric}`,
        },
        { type: 'ScalingLimited', ...limited.scalingLimited },
      ],
      metrics: wishes.found.map((one) => one.status),
      history: {
        recommendations: limited.recommendations,
        events: rememberedEvents(history.events, spec.behavior, nowMs),
      },
    };
  }

  async function evaluateAll(
    autoscaler: HorizontalPodAutoscaler,
    about: Omit<Parameters<typeof evaluateMetric>[1], 'autoscaler' | 'source'>,
  ): Promise<{ found: Evaluation[]; failures: NoMetric[]; highest: Evaluation | undefined }> {
    const found: Evaluation[] = [];
    const failures: NoMetric[] = [];
    for (const spec of autoscaler.spec.metrics ?? []) {
      try {
        found.push(await evaluateMetric(spec, { ...about, autoscaler, source }));
      } catch (error) {
        if (!(error instanceof NoMetric)) throw error;
        failures.push(error);
      }
    }
    let highest: Evaluation | undefined;
    for (const one of found) if (highest === undefined || one.replicas > highest.replicas) highest = one;
    return { found, failures, highest };
  }

  async function rescale(
    autoscaler: HorizontalPodAutoscaler,
    wish: { readonly scale: Scale; readonly target: ServedResource; readonly desired: number; readonly reason: string },
  ): Promise<Stated & { type: string }> {
    const { scale, target, desired, reason } = wish;
    try {
      // Only on what was looked at: another writer's size is looked at anew.
      const body = { metadata: { resourceVersion: scale.metadata.resourceVersion }, spec: { replicas: desired } };
      await client.patch<Scale>(
        target,
        scale.metadata.name,
        { type: 'merge', body },
        { namespace: scale.metadata.namespace ?? '', subresource: 'scale' },
      );
    } catch (error) {
      if (isNotFound(error)) throw error;
      events.event(
        autoscaler,
        'Warning',
        'FailedRescale',
        `New size: ${desired}; reason: ${reason}; error: ${messageOf(error)}`,
      );
      return {
        type: 'AbleToScale',
        status: 'False',
        reason: 'FailedUpdateScale',
        message: `the HPA controller was unable to update the target scale: ${messageOf(error)}`,
      };
    }
    events.event(autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${desired}; reason: ${reason}`);
    return {
      type: 'AbleToScale',
      status: 'True',
      reason: 'SucceededRescale',
      message: `the HPA controller was able to update the target scale to ${desired}`,
    };
  }

  function remember(key: string, autoscaler: HorizontalPodAutoscaler, change: number): void {
    const nowMs = clock.nowMs();
    const { recommendations, events: before } = histories.get(key) ?? none;
    const all = [...rememberedEvents(before, autoscaler.spec.behavior, nowMs), { atMs: nowMs, change }];
    histories.set(key, { recommendations, events: all });
  }

  async function writeStatus(
    autoscaler: HorizontalPodAutoscaler,
    news: {
      readonly conditions: readonly (Stated & { readonly type: string })[];
      readonly currentReplicas?: number;
      readonly desiredReplicas?: number;
      readonly currentMetrics?: readonly MetricStatus[] | undefined;
      readonly scaled?: boolean;
    },
  ): Promise<void> {
    const before = autoscaler.status;
    const now = rfc3339(clock.nowMs());
    const status: HorizontalPodAutoscalerStatus = {
      ...before,
      observedGeneration: autoscaler.metadata.generation ?? 0,
      currentReplicas: news.currentReplicas ?? before?.currentReplicas ?? 0,
      desiredReplicas: news.desiredReplicas ?? before?.desiredReplicas ?? 0,
      conditions: mergedConditions(before?.conditions ?? [], news.conditions, now),
      ...(news.scaled === true ? { lastScaleTime: now } : {}),
    };
    if (news.currentMetrics !== undefined && news.currentMetrics.length > 0)
      status.currentMetrics = [...news.currentMetrics];
    else delete status.currentMetrics;
    if (deepEqual(status, before)) return;
    informer.observe(
      await client.update<HorizontalPodAutoscaler>(autoscalers, { ...autoscaler, status }, { subresource: 'status' }),
    );
  }

  return startController({
    name: 'horizontal-pod-autoscaler',
    queueName: 'horizontalpodautoscaler',
    clock,
    log,
    sources: [
      changesOf(informer, (one, { old }) =>
        old !== undefined && deepEqual(one.spec, old.spec) ? undefined : keyOf(one),
      ),
    ],
    reconcile,
    needs: [pods.synced],
  });
}

function mergedConditions(
  before: readonly HorizontalPodAutoscalerCondition[],
  news: readonly (Stated & { readonly type: string })[],
  now: string,
): HorizontalPodAutoscalerCondition[] {
  const merged = before.map((one) => ({ ...one }));
  for (const { type, status, reason, message } of news) {
    const known = merged.find((one) => one.type === type);
    if (known === undefined) merged.push({ type, status, reason, message, lastTransitionTime: now });
    else
      Object.assign(known, {
        status,
        reason,
        message,
        ...(known.status === status ? {} : { lastTransitionTime: now }),
      });
  }
  return merged;
}

export const horizontalPodAutoscalerController = defineController({
  name: 'horizontal-pod-autoscaler-controller',
  start,
});
