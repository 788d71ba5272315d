import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { type Clock, metricHead, rfc3339 } from '#base';
import type { ContainerStats, Cri } from '../cri/contract.ts';
import { containerNameLabel, podNameLabel, podNamespaceLabel, podUidLabel } from '../cri/names.ts';
import type { MachineFacts } from '../node/machine.ts';

/** What the whole machine used: seconds of CPU since boot, and memory that cannot simply be dropped. */
async function machineUsage(): Promise<{ cpuSeconds: number; workingSetBytes: number; availableBytes: number }> {
  const meminfo = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const ki = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0);
  const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  return {
    cpuSeconds: busyMs / 1000,
    workingSetBytes: (ki('MemTotal') - ki('MemAvailable')) * 1024,
    availableBytes: ki('MemAvailable') * 1024,
  };
}

const helpOf: Readonly<Record<string, string>> = {
  container_cpu_usage_seconds_total: 'Processor time that a container used.',
  container_memory_working_set_bytes: 'Memory of a container that cannot simply be dropped.',
  container_start_time_seconds: 'When a container was made.',
  pod_cpu_usage_seconds_total: 'Processor time that the containers of a pod used.',
  pod_memory_working_set_bytes: 'Memory of the containers of a pod that cannot simply be dropped.',
  node_cpu_usage_seconds_total: 'Processor time that the node used.',
  node_memory_working_set_bytes: 'Memory of the node that cannot simply be dropped.',
  resource_scrape_error: '1 when something could not be read.',
};

/** `/metrics/resource`: what metrics-server reads. */
export async function resourceMetrics(cri: Cri, clock: Clock): Promise<string> {
  const [stats, node, listed] = await Promise.all([cri.listContainerStats(), machineUsage(), cri.listContainers()]);
  const nowMs = clock.nowMs();
  const startedNs = new Map(listed.map((one) => [one.id, one.created_at]));
  const lines: string[] = [];
  const family = (name: string, type: 'counter' | 'gauge', samples: readonly string[]): void => {
    lines.push(...metricHead(name, helpOf[name] ?? name, type), ...samples);
  };
  const labelsOf = ({ attributes: { labels } }: ContainerStats): string =>
    `container="${labels[containerNameLabel]}",namespace="${labels[podNamespaceLabel]}",pod="${labels[podNameLabel]}"`;
  const own = stats.filter(({ attributes }) => attributes.labels[podUidLabel] !== undefined);
  const cpu = (one: ContainerStats): number => (one.cpu?.usage_core_nano_seconds?.value ?? 0) / 1e9;
  const memory = (one: ContainerStats): number => one.memory?.working_set_bytes?.value ?? 0;
  family(
    'container_cpu_usage_seconds_total',
    'counter',
    own.map(
      (one) =>
        `container_cpu_usage_seconds_total{${labelsOf(one)}} ${cpu(one)} ${Math.floor((one.cpu?.timestamp ?? nowMs * 1e6) / 1e6)}`,
    ),
  );
  family(
    'container_memory_working_set_bytes',
    'gauge',
    own.map(
      (one) =>
        `container_memory_working_set_bytes{${labelsOf(one)}} ${memory(one)} ${Math.floor((one.memory?.timestamp ?? nowMs * 1e6) / 1e6)}`,
    ),
  );
  const started = own.filter(({ attributes: { id } }) => startedNs.has(id));
  family(
    'container_start_time_seconds',
    'gauge',
    started.map((one) => {
      const seconds = (startedNs.get(one.attributes.id) as number) / 1e9;
      return `container_start_time_seconds{${labelsOf(one)}} ${seconds} ${nowMs}`;
    }),
  );
  const pods = new Map<string, { labels: string; cpu: number; memory: number }>();
  for (const one of own) {
    const { labels } = one.attributes;
    const uid = labels[podUidLabel] as string;
    const pod = pods.get(uid) ?? {
      labels: `namespace="${labels[podNamespaceLabel]}",pod="${labels[podNameLabel]}"`,
      cpu: 0,
      memory: 0,
    };
    pod.cpu += cpu(one);
    pod.memory += memory(one);
    pods.set(uid, pod);
  }
  family(
    'pod_cpu_usage_seconds_total',
    'counter',
    [...pods.values()].map((one) => `pod_cpu_usage_seconds_total{${one.labels}} ${one.cpu} ${nowMs}`),
  );
  family(
    'pod_memory_working_set_bytes',
    'gauge',
    [...pods.values()].map((one) => `pod_memory_working_set_bytes{${one.labels}} ${one.memory} ${nowMs}`),
  );
  family('node_cpu_usage_seconds_total', 'counter', [`node_cpu_usage_seconds_total ${node.cpuSeconds} ${nowMs}`]);
  family('node_memory_working_set_bytes', 'gauge', [`node_memory_working_set_bytes ${node.workingSetBytes} ${nowMs}`]);
  family('resource_scrape_error', 'gauge', ['resource_scrape_error 0']);
  return `${lines.join('\n')}\n`;
}

/** `/stats/summary`, with the parts that a CRI runtime tells. */
export async function summaryStats(options: {
  readonly cri: Cri;
  readonly clock: Clock;
  readonly nodeName: string;
  readonly machine: MachineFacts;
}): Promise<object> {
  const { cri, clock, nodeName, machine } = options;
  const [stats, node] = await Promise.all([cri.listContainerStats(), machineUsage()]);
  const time = rfc3339(clock.nowMs());
  const pods = new Map<string, { podRef: object; startTime: string; containers: object[] }>();
  for (const { attributes, cpu, memory, writable_layer: layer } of stats) {
    const { labels } = attributes;
    const uid = labels[podUidLabel];
    if (uid === undefined) continue;
    const pod = pods.get(uid) ?? {
      podRef: { name: labels[podNameLabel], namespace: labels[podNamespaceLabel], uid },
      startTime: time,
      containers: [],
    };
    pod.containers.push({
      name: labels[containerNameLabel],
      startTime: time,
      cpu: {
        time,
        usageCoreNanoSeconds: cpu?.usage_core_nano_seconds?.value ?? 0,
        usageNanoCores: cpu?.usage_nano_cores?.value ?? 0,
      },
      memory: {
        time,
        workingSetBytes: memory?.working_set_bytes?.value ?? 0,
        usageBytes: memory?.usage_bytes?.value ?? 0,
        rssBytes: memory?.rss_bytes?.value ?? 0,
      },
      rootfs: { time, usedBytes: layer?.used_bytes?.value ?? 0, inodesUsed: layer?.inodes_used?.value ?? 0 },
    });
    pods.set(uid, pod);
  }
  return {
    node: {
      nodeName,
      startTime: time,
      cpu: { time, usageCoreNanoSeconds: Math.round(node.cpuSeconds * 1e9) },
      memory: {
        time,
        workingSetBytes: node.workingSetBytes,
        availableBytes: node.availableBytes,
        usageBytes: machine.memoryBytes - node.availableBytes,
      },
    },
    pods: [...pods.values()],
  };
}
