import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#base';
import { type Deployment, type Job, type KubeObject, type Pod, resource, type StatefulSet } from '#api';
import type { Client } from '#client';
import { errServerTimeout } from '#machinery';
import { simulationAnnotations, startCluster } from '#testkit';

const pods = resource('v1', 'pods');
const deployments = resource('apps/v1', 'deployments');
const jobs = resource('batch/v1', 'jobs');
const statefulSets = resource('apps/v1', 'statefulsets');

/** A share of writes fails: half of those before they are made, half after, so that their maker cannot know. */
function unreliable(
  client: Client,
  seed: number,
  share: number,
  begun: () => boolean,
): { client: Client; faults: () => number } {
  const random = seededRandom(seed);
  let faults = 0;
  const failure = (): Error => {
    faults++;
    return errServerTimeout({ group: '', plural: 'things' }, 'write', 0);
  };
  const around =
    <A extends unknown[], R>(act: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const dice = begun() ? random.int(1000) : 1000;
      if (dice < share * 500) throw failure();
      const answer = await act(...args);
      if (dice < share * 1000) throw failure();
      return answer;
    };
  const { create, update, patch, delete: remove, createSubresource } = client;
  const wrapped = {
    ...client,
    create: around(create as never),
    update: around(update as never),
    patch: around(patch as never),
    delete: around(remove as never),
    createSubresource: around(createSubresource as never),
  } as Client;
  return { client: wrapped, faults: () => faults };
}

const template = (labels: object, image: string, extra = {}) => ({
  metadata: { labels, ...extra },
  spec: { containers: [{ name: 'c', image }] },
});
const meta = (name: string) => ({ namespace: 'default', name });
const alive = (all: readonly Pod[], app: string): Pod[] =>
  all.filter(
    (one) =>
      one.metadata.labels?.app === app &&
      one.metadata.deletionTimestamp === undefined &&
      one.status?.phase !== 'Succeeded',
  );

for (const seed of [1, 2, 3]) {
  test(`one write in eight fails, known or unknown: everything ends as it should (seed ${seed})`, async () => {
    let faults = (): number => 0;
    let begun = false;
    await using cluster = await startCluster({
      nodes: 3,
      seed,
      clock: 'manual',
      actors(client) {
        const wrapped = unreliable(client, seed, 0.125, () => begun);
        faults = wrapped.faults;
        return wrapped.client;
      },
    });
    begun = true;
    await run(cluster.client, cluster);
    assert.ok(faults() > 10, `${faults()} faults`);
  });
}

async function run(client: Client, cluster: Awaited<ReturnType<typeof startCluster>>): Promise<void> {
  const web = (image: string, replicas: number) => ({
    metadata: meta('web'),
    spec: { replicas, selector: { matchLabels: { app: 'web' } }, template: template({ app: 'web' }, image) },
  });
  await client.create<Deployment>(deployments, web('i:1', 6) as never);
  await client.create<StatefulSet>(statefulSets, {
    metadata: meta('db'),
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: template({ app: 'db' }, 'i:1'),
    },
  } as never);
  const job = {
    completions: 12,
    parallelism: 4,
    template: {
      ...template({ app: 'job' }, 'i'),
      spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] },
    },
  };
  await client.create<Job>(jobs, { metadata: meta('count'), spec: job } as never);
  const available =
    (image: string, count: number) =>
    (all: readonly Pod[]): boolean => {
      const found = alive(all, 'web');
      return (
        found.length === count &&
        found.every((one) => one.status?.phase === 'Running' && one.spec.containers[0]?.image === image)
      );
    };
  await cluster.waitFor<Pod>(pods, available('i:1', 6));
  await client.patch(deployments, 'web', { type: 'merge', body: web('i:2', 9) }, { namespace: 'default' });
  await cluster.waitFor<Pod>(pods, available('i:2', 9));
  await cluster.waitForOne<Deployment>(
    deployments,
    'web',
    (one) => one.status?.availableReplicas === 9 && one.status.replicas === 9,
  );
  const done = await cluster.waitForOne<Job>(
    jobs,
    'count',
    (one) => one.status?.conditions?.some((c) => c.type === 'Complete') ?? false,
  );
  assert.equal(done.status?.succeeded, 12);
  await cluster.waitForOne<StatefulSet>(statefulSets, 'db', (one) => one.status?.readyReplicas === 3);
  const all = (await client.list<Pod>(pods)).items;
  assert.deepEqual(
    alive(all, 'db')
      .map((one) => one.metadata.name)
      .toSorted(),
    ['db-0', 'db-1', 'db-2'],
  );
  await cluster.waitFor<Pod>(pods, (now) => now.every((one) => one.metadata.finalizers === undefined));
  await client.delete(deployments, 'web', { namespace: 'default' });
  await cluster.waitFor<Pod>(pods, (now) => alive(now, 'web').length === 0);
  const addresses = (objects: readonly KubeObject[]): string[] =>
    (objects as readonly Pod[]).filter((one) => one.status?.phase === 'Running').map((one) => one.status?.podIP ?? '');
  const used = addresses((await client.list<Pod>(pods)).items);
  assert.equal(new Set(used).size, used.length, 'no address twice');
}

test('controllers that stop in the middle and begin again finish the work', async () => {
  const { startControllers } = await import('#controllers');
  const { openInformers } = await import('#client');
  await using cluster = await startCluster({ nodes: 2 });
  const { client, clock } = cluster;
  await cluster.controllers.close();
  const slow = { annotations: { [simulationAnnotations.completeAfter]: '20ms' } };
  await client.create<Job>(jobs, {
    metadata: meta('count'),
    spec: {
      completions: 10,
      parallelism: 3,
      template: { metadata: slow, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } },
    },
  } as never);
  await client.create<Deployment>(deployments, {
    metadata: meta('web'),
    spec: { replicas: 8, selector: { matchLabels: { app: 'web' } }, template: template({ app: 'web' }, 'i:1') },
  } as never);
  const random = seededRandom(7);
  const { silentLog } = await import('#base');
  for (let life = 0; life < 6; life++) {
    const informers = openInformers({ client, clock, random });
    const controllers = await startControllers({ client, informers, clock, random, log: silentLog });
    const before = (await client.list<Pod>(pods)).items.length;
    if (life < 5)
      await cluster
        .waitFor<Pod>(
          pods,
          (all) => all.length > before || all.filter((one) => one.status?.phase === 'Succeeded').length >= 9,
          { timeoutMs: 3000 },
        )
        .catch(() => {});
    else {
      const done = await cluster.waitForOne<Job>(
        jobs,
        'count',
        (one) => one.status?.conditions?.some((c) => c.type === 'Complete') ?? false,
      );
      assert.equal(done.status?.succeeded, 10);
      await cluster.waitForOne<Deployment>(deployments, 'web', (one) => one.status?.availableReplicas === 8);
    }
    await controllers.close();
    informers.close();
  }
  const all = (await client.list<Pod>(pods)).items;
  assert.equal(all.filter((one) => one.status?.phase === 'Succeeded').length, 10);
  assert.equal(alive(all, 'web').length, 8);
});
