import { type Pod, resource } from '#api';
import type { Client } from '#client';
import { silentLog, systemClock, systemRandom } from '#base';
import type { Bench } from '../measurement.ts';
import { createEmptyNodes, smallPod } from '../target/empty-nodes.ts';
import { residentMib } from '../target/process.ts';
import { temporaryFolder } from '../target/temporary-folder.ts';

const pods = resource('v1', 'pods');

/** Store, API server, controllers and scheduler in this process; pods are created through the in-process API. */
export const benchScheduling: Bench = async ({ quick }, report) => {
  const nodeCount = quick ? 200 : 1000;
  const podCount = quick ? 1000 : 5000;
  const { startCluster } = await import('#testkit');
  const { openLmdbStore } = await import('#store');
  const what = `${podCount} pods on ${nodeCount} empty nodes`;
  for (const kind of ['memory', 'lmdb'] as const) {
    const store =
      kind === 'memory' ? undefined : await openLmdbStore({ dir: temporaryFolder('pods'), clock: systemClock });
    const cluster = await startCluster({ nodes: 0, ...(store === undefined ? {} : { store }) });
    await createEmptyNodes(cluster.client, nodeCount, 20_000);
    const startMs = performance.now();
    const bound = allBound(cluster.informers.of<Pod>(pods), podCount);
    const created = createPods(cluster.client, podCount);
    await bound;
    const tookMs = performance.now() - startMs;
    await created;
    report({
      name: `scheduling: create and bind ${what}, ${kind}`,
      value: (podCount / tookMs) * 1000,
      unit: 'pods/s',
      note: 'in process, with all controllers; first POST to last bound',
    });
    await cluster.close();
    await store?.close();
  }
  const cluster = await startCluster({ nodes: nodeCount });
  const startMs = performance.now();
  const running = allMatch(cluster.informers.of<Pod>(pods), podCount, (pod) => pod.status?.phase === 'Running');
  const created = createPods(cluster.client, podCount);
  await running;
  report({
    name: `scheduling: ${podCount} pods running on ${nodeCount} simulated nodes`,
    value: (podCount / (performance.now() - startMs)) * 1000,
    unit: 'pods/s',
    note: 'in process, memory store; simulated kubelets in the same process',
  });
  await created;
  const more = createPods(cluster.client, podCount);
  await allMatch(cluster.informers.of<Pod>(pods), 2 * podCount, (pod) => pod.status?.phase === 'Running');
  await more;
  report({
    name: `memory: one process with ${nodeCount} simulated nodes and ${2 * podCount} pods`,
    value: residentMib('self'),
    unit: 'MiB',
    note: 'store, API, controllers, scheduler, kubelets; RSS right after the rows above',
  });
  await cluster.close();
};

/** The scheduler against a real in-process API server that does nothing else; all pods wait when it starts. */
export const benchSchedulerAlone: Bench = async ({ quick }, report) => {
  const nodeCount = quick ? 1000 : 5000;
  const podCount = quick ? 1000 : 10_000;
  const { openApiServer } = await import('#apiserver');
  const { openClient, openInformers } = await import('#client');
  const { startScheduler } = await import('#scheduler');
  const { openMemoryStore } = await import('#store');
  const store = await openMemoryStore({ clock: systemClock });
  const server = await openApiServer({ store });
  await server.ready;
  const options = { clock: systemClock, random: systemRandom, log: silentLog };
  const client = openClient({ transport: server.transport({ user: 'bench', groups: ['system:masters'] }) });
  await createEmptyNodes(client, nodeCount);
  await createPods(client, podCount);
  const informers = openInformers({ client, ...options });
  const informer = informers.of<Pod>(pods);
  await informer.synced;
  const bound = allBound(informer, podCount);
  const startMs = performance.now();
  const scheduler = await startScheduler({ client, informers, ...options });
  await bound;
  report({
    name: `scheduling: scheduler alone, ${nodeCount} nodes`,
    value: (podCount / (performance.now() - startMs)) * 1000,
    unit: 'pods/s',
    note: `${podCount} pods waiting, start of the scheduler to last bound, in-process API on memory`,
  });
  await scheduler.close();
  informers.close();
  await server.close();
  await store.close();
};

/** 64 creators, as many as 16 connections × 4 would be. */
async function createPods(client: Client, count: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next++ < count) await client.create<Pod>(pods, smallPod('default'));
  };
  await Promise.all(Array.from({ length: 64 }, worker));
}

type PodInformer = ReturnType<import('#client').Informers['of']>;

const allBound = (informer: unknown, count: number): Promise<void> =>
  allMatch(informer, count, (pod) => Boolean(pod.spec.nodeName));

function allMatch(source: unknown, count: number, matches: (pod: Pod) => boolean): Promise<void> {
  const informer = source as PodInformer;
  const found = new Set<string>();
  return new Promise((resolve) => {
    const end = informer.onChange(({ object }) => {
      if (matches(object as Pod)) found.add(object.metadata.uid);
      if (found.size >= count) {
        queueMicrotask(() => end());
        resolve();
      }
    });
  });
}
