import { type ConfigMap, resource } from '#api';
import { type Bench, median } from '../measurement.ts';
import { residentMib } from '../target/process.ts';

const configMaps = resource('v1', 'configmaps');

/** `startCluster()`: the whole control plane in this process, on memory, with one simulated node. */
export const benchInProcess: Bench = async ({ quick }, report) => {
  const loadStartMs = performance.now();
  const { startCluster } = await import('#testkit');
  report({
    name: 'in process: loading the modules',
    value: performance.now() - loadStartMs,
    unit: 'ms',
    note: 'once a process, from source, beside what node has loaded',
  });
  const first = async (): Promise<number> => {
    const startMs = performance.now();
    await using cluster = await startCluster();
    await cluster.client.create<ConfigMap>(configMaps, { metadata: { name: 'first', namespace: 'default' } });
    return performance.now() - startMs;
  };
  report({
    name: 'in process: startCluster() to first object, first',
    value: await first(),
    unit: 'ms',
    note: 'cold code',
  });
  const runs = quick ? 3 : 9;
  const later: number[] = [];
  for (let run = 0; run < runs; run++) later.push(await first());
  report({
    name: 'in process: startCluster() to first object',
    value: median(later),
    unit: 'ms',
    note: `middle of ${runs} more`,
  });
  const count = quick ? 10 : 50;
  const before = residentMib('self');
  const startMs = performance.now();
  const clusters = await Promise.all(
    Array.from({ length: count }, async () => {
      const cluster = await startCluster();
      await cluster.client.create<ConfigMap>(configMaps, { metadata: { name: 'first', namespace: 'default' } });
      return cluster;
    }),
  );
  const what = `in process: ${count} clusters side by side`;
  report({
    name: `${what}, each`,
    value: (performance.now() - startMs) / count,
    unit: 'ms',
    note: 'all started at once',
  });
  report({
    name: `${what}, memory of each`,
    value: (residentMib('self') - before) / count,
    unit: 'MiB',
    note: 'RSS added',
  });
  await Promise.all(clusters.map((cluster) => cluster.close()));
};
