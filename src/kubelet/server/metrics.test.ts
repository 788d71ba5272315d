import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '#base';
import { parsePrometheusText } from '#testkit';
import type { Cri } from '../cri/contract.ts';
import { measureOperation } from '../cri/operation-metrics.ts';
import { containerMetrics, KubeletMetrics } from './metrics.ts';
import { resourceMetrics } from './stats.ts';

const labels = {
  'io.kubernetes.container.name': 'app',
  'io.kubernetes.pod.name': 'web-0',
  'io.kubernetes.pod.namespace': 'shop',
  'io.kubernetes.pod.uid': 'u1',
};
const stats = {
  attributes: { id: 'c1', metadata: { name: 'app', attempt: 0 }, labels },
  cpu: { timestamp: 5e9, usage_core_nano_seconds: { value: 2_500_000_000 } },
  memory: {
    timestamp: 5e9,
    working_set_bytes: { value: 1000 },
    usage_bytes: { value: 2000 },
    rss_bytes: { value: 500 },
  },
  writable_layer: { timestamp: 5e9, used_bytes: { value: 77 } },
};
const foreign = { attributes: { id: 'x', metadata: { name: 'x', attempt: 0 }, labels: {} } };
const container = {
  id: 'c1',
  state: 'CONTAINER_RUNNING',
  created_at: 3e9,
  image: { image: 'example.com/a"b:1' },
  labels,
};
const cri = {
  listContainerStats: async () => [stats, foreign],
  listContainers: async () => [container, { ...container, id: 'c2', state: 'CONTAINER_EXITED' }],
  listPodSandboxes: async () => [{ state: 'SANDBOX_READY' }, { state: 'SANDBOX_NOTREADY' }],
} as never as Cri;
const clock = new ManualClock();

test('/metrics/cadvisor names containers as cAdvisor does', async () => {
  const families = parsePrometheusText(await containerMetrics({ cri, clock, machine: { memoryBytes: 4096 } as never }));
  const [cpu] = families.get('container_cpu_usage_seconds_total')?.samples ?? [];
  assert.deepEqual(cpu?.labels, {
    cpu: 'total',
    container: 'app',
    id: '/c1',
    image: 'example.com/a"b:1',
    name: 'c1',
    namespace: 'shop',
    pod: 'web-0',
  });
  assert.equal(cpu?.value, 2.5);
  assert.equal(families.get('container_memory_working_set_bytes')?.samples[0]?.value, 1000);
  assert.equal(families.get('container_fs_usage_bytes')?.samples[0]?.value, 77);
  assert.equal(families.get('machine_memory_bytes')?.samples[0]?.value, 4096);
});

test('/metrics/resource is what metrics-server reads', async () => {
  const families = parsePrometheusText(await resourceMetrics(cri, clock));
  const value = (name: string): number | undefined => families.get(name)?.samples[0]?.value;
  assert.deepEqual(families.get('container_cpu_usage_seconds_total')?.samples[0], {
    name: 'container_cpu_usage_seconds_total',
    labels: { container: 'app', namespace: 'shop', pod: 'web-0' },
    value: 2.5,
    timestampMs: 5000,
  });
  assert.deepEqual([value('container_start_time_seconds'), value('pod_memory_working_set_bytes')], [3, 1000]);
  assert.ok((value('node_cpu_usage_seconds_total') as number) > 0);
  assert.equal(value('resource_scrape_error'), 0);
});

test('/metrics counts pods, containers and calls to the runtime', async () => {
  const metrics = new KubeletMetrics({ cri, clock, nodeName: 'n1', pods: () => [] });
  const done = measureOperation('ListPodSandbox', clock);
  await clock.advance(100);
  done(true);
  measureOperation('PullImage', clock)(false);
  const families = parsePrometheusText(await metrics.text());
  metrics.close();
  const count = (name: string, key: string, wanted: string): number | undefined =>
    families.get(name)?.samples.find(({ labels: one }) => one[key] === wanted)?.value;
  assert.equal(families.get('kubelet_running_pods')?.samples[0]?.value, 1);
  assert.equal(count('kubelet_running_containers', 'container_state', 'running'), 1);
  assert.equal(count('kubelet_running_containers', 'container_state', 'exited'), 1);
  assert.equal(count('kubelet_runtime_operations_total', 'operation_type', 'list_podsandbox'), 1);
  assert.equal(count('kubelet_runtime_operations_errors_total', 'operation_type', 'pull_image'), 1);
  assert.ok((families.get('process_resident_memory_bytes')?.samples[0]?.value as number) > 0);
});
