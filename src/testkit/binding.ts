import type { Clock, Closable, Log, Random } from '#base';
import { type Node, type Pod, resource } from '#api';
import { type Client, changesOf, type Informers, keyOf, splitKey, startController } from '#client';
import { isConflict, isNotFound } from '#machinery';

const pods = resource('v1', 'pods');

/** Stands in where the scheduler is not wanted: binds each pod to the ready, schedulable node with the fewest pods. */
export async function startBinding(options: {
  client: Client;
  informers: Informers;
  clock: Clock;
  random: Random;
  log: Log;
}): Promise<Closable> {
  const { client, informers, clock, log } = options;
  const nodes = informers.of<Node>(resource('v1', 'nodes'));
  const podInformer = informers.of<Pod>(pods, {
    indexes: { node: ({ spec }) => (spec.nodeName ? [spec.nodeName] : []) },
  });

  async function reconcile(key: string): Promise<undefined> {
    const { namespace, name } = splitKey(key);
    const pod = podInformer.get(namespace, name);
    if (pod === undefined || pod.spec.nodeName || pod.metadata.deletionTimestamp !== undefined) return;
    const fit = nodes
      .list()
      .filter(
        ({ spec }) => !spec.unschedulable && !(spec.taints ?? []).some((one) => one.effect !== 'PreferNoSchedule'),
      );
    const load = (node: Node): number => podInformer.byIndex('node', node.metadata.name).length;
    const [best] = fit.toSorted((a, b) => load(a) - load(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
    if (best === undefined) return;
    try {
      await client.createSubresource(
        pods,
        name,
        'binding',
        {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name, namespace },
          target: { kind: 'Node', name: best.metadata.name },
        },
        { namespace: namespace as string },
      );
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  const unbound = (): string[] =>
    podInformer
      .list()
      .filter((pod) => !pod.spec.nodeName)
      .map(keyOf);
  return startController({
    name: 'binding',
    clock,
    log,
    concurrency: 1,
    sources: [
      changesOf(podInformer, (pod, { type }) => (type === 'deleted' || pod.spec.nodeName ? undefined : keyOf(pod))),
      changesOf(nodes, (_, { type }) => (type === 'deleted' ? undefined : unbound())),
    ],
    reconcile,
  });
}
