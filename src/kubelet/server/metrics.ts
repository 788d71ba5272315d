import { availableParallelism } from 'node:os';
import { type Clock, labelText, metricHead, ProcessGauges, processMetrics } from '#base';
import type { Pod } from '#api';
import type { Cri, ContainerStats } from '../cri/contract.ts';
import { containerNameLabel, podNameLabel, podNamespaceLabel, podUidLabel } from '../cri/names.ts';
import type { MachineFacts } from '../node/machine.ts';
import { stateNames } from '../pods/runtime-state.ts';

export interface KubeletMetricsOptions {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly nodeName: string;
  readonly pods: () => readonly Pod[];
}

/** `/metrics`: what the kubelet says of itself. The event loop is measured from the first reading on. */
export class KubeletMetrics {
  readonly #options: KubeletMetricsOptions;
  #process: ProcessGauges | undefined;

  constructor(options: KubeletMetricsOptions) {
    this.#options = options;
  }

  async text(): Promise<string> {
    const { cri, clock, nodeName, pods } = this.#options;
    if (this.#process === undefined) {
      this.#process = new ProcessGauges(clock);
      this.#process.start();
    }
    const [containers, sandboxes] = await Promise.all([cri.listContainers(), cri.listPodSandboxes()]);
    const counts = { created: 0, running: 0, exited: 0, unknown: 0 };
    for (const { state } of containers) counts[stateNames[state] ?? 'unknown']++;
    const running = sandboxes.filter(({ state }) => state === 'SANDBOX_READY').length;
    const lines = [
      ...metricHead('kubelet_node_name', 'The name of this node; always 1.', 'gauge'),
      `kubelet_node_name{node="${labelText(nodeName)}"} 1`,
      ...metricHead('kubelet_running_pods', 'Pods whose sandbox runs.', 'gauge'),
      `kubelet_running_pods ${running}`,
      ...metricHead('kubelet_desired_pods', 'Pods that are meant to be here.', 'gauge'),
      `kubelet_desired_pods{static=""} ${pods().length}`,
      ...metricHead('kubelet_running_containers', 'Containers by their state.', 'gauge'),
      ...Object.entries(counts).map(([state, n]) => `kubelet_running_containers{container_state="${state}"} ${n}`),
      ...processMetrics.lines(),
      ...this.#process.lines(),
    ];
    return `${lines.join('\n')}\n`;
  }

  close(): void {
    this.#process?.close();
  }
}

interface ContainerFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly labels?: string;
  readonly value: (one: ContainerStats) => number | undefined;
}

const families: readonly ContainerFamily[] = [
  {
    name: 'container_cpu_usage_seconds_total',
    type: 'counter',
    help: 'Processor time used.',
    labels: 'cpu="total"',
    value: ({ cpu }) => scaled(cpu?.usage_core_nano_seconds?.value, 1e9),
  },
  {
    name: 'container_memory_working_set_bytes',
    type: 'gauge',
    help: 'Memory that cannot simply be dropped.',
    value: ({ memory }) => memory?.working_set_bytes?.value,
  },
  {
    name: 'container_memory_usage_bytes',
    type: 'gauge',
    help: 'Memory used, caches included.',
    value: ({ memory }) => memory?.usage_bytes?.value,
  },
  {
    name: 'container_memory_rss',
    type: 'gauge',
    help: 'Anonymous memory.',
    value: ({ memory }) => memory?.rss_bytes?.value,
  },
  {
    name: 'container_fs_usage_bytes',
    type: 'gauge',
    help: 'Bytes written to the container’s own layer.',
    value: ({ writable_layer: layer }) => layer?.used_bytes?.value,
  },
];

/** `/metrics/cadvisor`: what containers use, with the labels of cAdvisor; `id` and `name` are the container's id. */
export async function containerMetrics(options: {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly machine: MachineFacts;
}): Promise<string> {
  const { cri, clock, machine } = options;
  const [stats, listed] = await Promise.all([cri.listContainerStats(), cri.listContainers()]);
  const nowMs = clock.nowMs();
  const known = new Map(listed.map((one) => [one.id, one]));
  const own = stats.filter(({ attributes }) => attributes.labels[podUidLabel] !== undefined);
  const labelsOf = ({ attributes: { id, labels } }: ContainerStats): string =>
    Object.entries({
      container: labels[containerNameLabel],
      id: `/${id}`,
      image: known.get(id)?.image?.image,
      name: id,
      namespace: labels[podNamespaceLabel],
      pod: labels[podNameLabel],
    })
      .map(([name, value]) => `${name}="${labelText(value ?? '')}"`)
      .join(',');
  const lines: string[] = [];
  for (const { name, type, help, labels, value } of families) {
    lines.push(...metricHead(name, help, type));
    for (const one of own) {
      const found = value(one);
      if (found === undefined) continue;
      const all = labels === undefined ? labelsOf(one) : `${labels},${labelsOf(one)}`;
      lines.push(`${name}{${all}} ${found} ${nowMs}`);
    }
  }
  lines.push(...metricHead('container_start_time_seconds', 'When the container was made.', 'gauge'));
  for (const one of own) {
    const madeNs = known.get(one.attributes.id)?.created_at;
    if (madeNs !== undefined) lines.push(`container_start_time_seconds{${labelsOf(one)}} ${madeNs / 1e9}`);
  }
  lines.push(
    ...metricHead('machine_cpu_cores', 'Processors of this machine.', 'gauge'),
    `machine_cpu_cores ${availableParallelism()}`,
    ...metricHead('machine_memory_bytes', 'Memory of this machine.', 'gauge'),
    `machine_memory_bytes ${machine.memoryBytes}`,
  );
  return `${lines.join('\n')}\n`;
}

const scaled = (value: number | undefined, by: number): number | undefined =>
  value === undefined ? undefined : value / by;
