import type { CrossVersionObjectReference, LabelSelector } from '#api';
import type { Client } from '#client';
import { labelSelectorOf, parseGoDuration, parseTimeMs, quantityMilli } from '#machinery';
import type { ServedResource } from '../discovery/directory.ts';
import type { PodMetric } from './pod-groups.ts';

interface PodMetricsList {
  readonly items?: readonly {
    readonly metadata: { readonly name: string };
    readonly timestamp: string;
    readonly window: string;
    readonly containers?: readonly { readonly name: string; readonly usage: Readonly<Record<string, string>> }[];
  }[];
}

interface MetricValueList {
  readonly items?: readonly {
    readonly describedObject?: { readonly name?: string };
    readonly timestamp?: string;
    readonly windowSeconds?: number | null;
    readonly value: string;
  }[];
}

/** Reads metrics where Kubernetes serves them: `metrics.k8s.io`, `custom.metrics.k8s.io`, `external.metrics.k8s.io`. */
export class MetricSource {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Use of `resource` by pod; of one container when it is named. A pod of which a container lacks it is left out. */
  async resource(options: {
    readonly namespace: string;
    readonly selector: string;
    readonly resource: string;
    readonly container: string | undefined;
  }): Promise<Map<string, PodMetric>> {
    const { namespace, selector, resource, container } = options;
    const target = `/apis/metrics.k8s.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/pods?labelSelector=${encodeURIComponent(selector)}`;
    const list = (await this.#client.raw('GET', target)) as PodMetricsList;
    const found = new Map<string, PodMetric>();
    for (const { metadata, timestamp, window, containers = [] } of list.items ?? []) {
      const looked = container === undefined ? containers : containers.filter((one) => one.name === container);
      const values = looked.map((one) => one.usage[resource]);
      if (values.length === 0 || values.includes(undefined)) continue;
      found.set(metadata.name, {
        milli: values.reduce((total, one) => total + quantityMilli(one as string), 0),
        atMs: parseTimeMs(timestamp),
        windowMs: parseGoDuration(window),
      });
    }
    return found;
  }

  /** A custom metric by pod. */
  async pods(namespace: string, selector: string, metric: Metric, nowMs: number): Promise<Map<string, PodMetric>> {
    const list = await this.#custom(
      `namespaces/${encodeURIComponent(namespace)}/pods/*/${encodeURIComponent(metric.name)}`,
      metric,
      selector,
    );
    return new Map(
      (list.items ?? []).map((one) => [
        one.describedObject?.name ?? '',
        {
          milli: quantityMilli(one.value),
          atMs: one.timestamp === undefined ? nowMs : parseTimeMs(one.timestamp),
          windowMs: (one.windowSeconds ?? 60) * 1000,
        },
      ]),
    );
  }

  /** A custom metric of one object, in thousandths. Throws when there is none. */
  async object(
    namespace: string,
    object: CrossVersionObjectReference & { readonly resource: ServedResource },
    metric: Metric,
  ): Promise<number> {
    const { resource, name } = object;
    const what = resource.group === '' ? resource.plural : `${resource.plural}.${resource.group}`;
    const path =
      resource.kind === 'Namespace'
        ? `namespaces/${encodeURIComponent(name)}/metrics/${encodeURIComponent(metric.name)}`
        : `${resource.namespaced ? `namespaces/${encodeURIComponent(namespace)}/` : ''}${what}/${encodeURIComponent(name)}/${encodeURIComponent(metric.name)}`;
    const [first] = (await this.#custom(path, metric, '')).items ?? [];
    if (first === undefined) throw new Error(`no metric ${metric.name} of ${resource.kind} ${name}`);
    return quantityMilli(first.value);
  }

  /** The sum of an external metric, in thousandths. Throws when there is none. */
  async external(namespace: string, metric: Metric): Promise<number> {
    const target = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/${encodeURIComponent(metric.name)}`;
    const list = (await this.#client.raw('GET', withSelector(target, 'labelSelector', metric))) as MetricValueList;
    const items = list.items ?? [];
    if (items.length === 0) throw new Error('no metrics returned from external metrics API');
    return items.reduce((total, one) => total + quantityMilli(one.value), 0);
  }

  async #custom(path: string, metric: Metric, selector: string): Promise<MetricValueList> {
    const target = `/apis/custom.metrics.k8s.io/v1beta2/${path}${selector === '' ? '' : `?labelSelector=${encodeURIComponent(selector)}`}`;
    return (await this.#client.raw('GET', withSelector(target, 'metricLabelSelector', metric))) as MetricValueList;
  }
}

export interface Metric {
  readonly name: string;
  readonly selector?: LabelSelector;
}

function withSelector(target: string, parameter: string, { selector }: Metric): string {
  if (selector === undefined) return target;
  const text = labelSelectorOf(selector).toString();
  return text === '' ? target : `${target}${target.includes('?') ? '&' : '?'}${parameter}=${encodeURIComponent(text)}`;
}
