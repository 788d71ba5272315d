import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ControllerRevision,
  type CronJob,
  type DaemonSet,
  type Job,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  resource,
  type StatefulSet,
} from '#api';
import { simulationAnnotations, startCluster } from '#testkit';

const pods = resource('v1', 'pods');
const jobs = resource('batch/v1', 'jobs');
const cronJobs = resource('batch/v1', 'cronjobs');
const daemonSets = resource('apps/v1', 'daemonsets');
const statefulSets = resource('apps/v1', 'statefulsets');

const template = (annotations = {}, image = 'i:1', spec = {}) => ({
  metadata: { labels: { app: 'x' }, annotations },
  spec: { containers: [{ name: 'c', image }], ...spec },
});
const meta = (name: string) => ({ namespace: 'default', name });
const has = (job: Job, type: string): boolean =>
  job.status?.conditions?.some((one) => one.type === type && one.status === 'True') ?? false;
const jobOf = (name: string, spec: object, annotations = {}) =>
  ({
    metadata: meta(name),
    spec: {
      ...spec,
      template: { ...template(annotations, 'i:1', { restartPolicy: 'Never' }), metadata: { annotations } },
    },
  }) as never;

test('a job runs to its completions, counts each pod once, and leaves no finalizer', async () => {
  await using cluster = await startCluster();
  await cluster.client.create<Job>(jobs, jobOf('count', { completions: 7, parallelism: 3 }));
  const done = await cluster.waitForOne<Job>(jobs, 'count', (job) => has(job, 'Complete'));
  assert.deepEqual([done.status?.succeeded, done.status?.failed, done.status?.active], [7, undefined, undefined]);
  assert.ok(done.status?.completionTime);
  const left = (await cluster.client.list<Pod>(pods)).items;
  assert.equal(left.length, 7);
  assert.ok(left.every((pod) => pod.metadata.finalizers === undefined));
});

test('an indexed job gives every index to one pod', async () => {
  await using cluster = await startCluster();
  await cluster.client.create<Job>(
    jobs,
    jobOf('indexed', { completions: 5, parallelism: 2, completionMode: 'Indexed' }),
  );
  const done = await cluster.waitForOne<Job>(jobs, 'indexed', (job) => has(job, 'Complete'));
  assert.deepEqual([done.status?.completedIndexes, done.status?.succeeded], ['0-4', 5]);
  const hosts = (await cluster.client.list<Pod>(pods)).items.map((pod) => pod.spec.hostname).toSorted();
  assert.deepEqual(
    hosts,
    [0, 1, 2, 3, 4].map((index) => `indexed-${index}`),
  );
});

test('failures wait longer and longer, then the limit ends the job; a ttl removes it', async () => {
  await using cluster = await startCluster({ clock: 'manual' });
  const startMs = cluster.manual.monotonicMs();
  await cluster.client.create<Job>(
    jobs,
    jobOf('bad', { backoffLimit: 2, ttlSecondsAfterFinished: 60 }, { [simulationAnnotations.exitCode]: '1' }),
  );
  const failed = await cluster.waitForOne<Job>(jobs, 'bad', (job) => has(job, 'Failed'));
  const tookMs = cluster.manual.monotonicMs() - startMs;
  assert.equal(failed.status?.failed, 3);
  assert.equal(failed.status?.conditions?.find((one) => one.type === 'Failed')?.reason, 'BackoffLimitExceeded');
  assert.ok(tookMs >= 28_000 && tookMs < 40_000, `${tookMs} ms`);
  await cluster.waitFor<Job>(jobs, (all) => all.length === 0);
  await cluster.waitFor<Pod>(pods, (all) => all.length === 0);
});

test('a suspended job has no pods until it is resumed; a deadline ends it', async () => {
  await using cluster = await startCluster({ clock: 'manual' });
  const { client } = cluster;
  const slow = { [simulationAnnotations.completeAfter]: '1h' };
  await client.create<Job>(jobs, jobOf('late', { suspend: true, activeDeadlineSeconds: 30 }, slow));
  await cluster.waitForOne<Job>(jobs, 'late', (job) => has(job, 'Suspended'));
  assert.deepEqual((await client.list(pods)).items, []);
  await client.patch(jobs, 'late', { type: 'merge', body: { spec: { suspend: false } } }, { namespace: 'default' });
  await cluster.waitForOne<Job>(jobs, 'late', (job) => job.status?.active === 1 && job.status.ready === 1);
  const failed = await cluster.waitForOne<Job>(jobs, 'late', (job) => has(job, 'Failed'));
  assert.equal(failed.status?.conditions?.find((one) => one.type === 'Failed')?.reason, 'DeadlineExceeded');
  await cluster.waitFor<Pod>(pods, (all) => all.length === 0);
});

test('a cron job makes a job each time, keeps its history short, and skips while one runs', async () => {
  await using cluster = await startCluster({ clock: 'manual' });
  const jobTemplate = {
    spec: { template: { spec: { containers: [{ name: 'c', image: 'i' }], restartPolicy: 'Never' } } },
  };
  await cluster.client.create<CronJob>(cronJobs, {
    metadata: meta('tick'),
    spec: { schedule: '*/5 * * * *', successfulJobsHistoryLimit: 2, jobTemplate },
  } as never);
  await cluster.waitFor<Job>(jobs, (all) => all.filter((job) => has(job, 'Complete')).length === 2, {
    withinMs: 900_000,
  });
  await cluster.manual.advance(1_200_000);
  const left = (await cluster.client.list<Job>(jobs)).items;
  assert.equal(left.length, 2);
  const tick = await cluster.client.get<CronJob>(cronJobs, 'tick', { namespace: 'default' });
  assert.equal(tick.status?.active, undefined);
  assert.ok(
    left.some(
      (job) =>
        job.metadata.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp'] === tick.status?.lastScheduleTime,
    ),
  );
});

test('a daemon set runs on every node that comes, rolls over one by one, and keeps its revisions', async () => {
  await using cluster = await startCluster({ nodes: 3 });
  const { client } = cluster;
  const set = (image: string) =>
    ({
      metadata: meta('agent'),
      spec: { selector: { matchLabels: { app: 'x' } }, template: template({}, image) },
    }) as never;
  await client.create<DaemonSet>(daemonSets, set('i:1'));
  const ready =
    (count: number) =>
    (one: DaemonSet): boolean =>
      one.status?.numberAvailable === count &&
      one.status.updatedNumberScheduled === count &&
      one.status.observedGeneration === one.metadata.generation;
  await cluster.waitForOne<DaemonSet>(daemonSets, 'agent', ready(3));
  const names = (await client.list<Pod>(pods)).items.map((pod) => pod.spec.nodeName).toSorted();
  assert.deepEqual(names, ['sim-0', 'sim-1', 'sim-2']);
  await cluster.nodes.add('extra');
  await cluster.waitForOne<DaemonSet>(daemonSets, 'agent', ready(4));
  await client.patch(daemonSets, 'agent', { type: 'merge', body: set('i:2') }, { namespace: 'default' });
  await cluster.waitForOne<DaemonSet>(daemonSets, 'agent', ready(4));
  assert.ok(
    (await client.list<Pod>(pods)).items
      .filter((pod) => !pod.metadata.deletionTimestamp)
      .every((pod) => pod.spec.containers[0]?.image === 'i:2'),
  );
  const revisions = (await client.list<ControllerRevision>(resource('apps/v1', 'controllerrevisions'))).items;
  assert.deepEqual(revisions.map((one) => Number(one.revision)).toSorted(), [1, 2]);
});

test('a stateful set: pods in order with claims of their own, updated from the last, scaled down from the last', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const claim = {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  const set = (replicas: number, image: string, claims: object[] = []) =>
    ({
      metadata: meta('db'),
      spec: {
        replicas,
        serviceName: 'db',
        selector: { matchLabels: { app: 'x' } },
        template: template({}, image),
        volumeClaimTemplates: claims,
      },
    }) as never;
  const order: string[] = [];
  const end = cluster.informers
    .of<Pod>(pods)
    .onChange(({ type, object }) => type !== 'updated' && order.push(`${type} ${object.metadata.name}`));
  await client.create<StatefulSet>(statefulSets, set(3, 'i:1'));
  const ready =
    (count: number) =>
    (one: StatefulSet): boolean =>
      (one.status?.readyReplicas ?? 0) === count &&
      (one.status?.updatedReplicas ?? 0) === count &&
      one.status?.observedGeneration === one.metadata.generation &&
      one.status?.replicas === count;
  const first = await cluster.waitForOne<StatefulSet>(statefulSets, 'db', ready(3));
  assert.deepEqual(order.splice(0), ['added db-0', 'added db-1', 'added db-2']);
  await client.patch(
    statefulSets,
    'db',
    { type: 'merge', body: { spec: { template: template({}, 'i:2') } } },
    { namespace: 'default' },
  );
  const second = await cluster.waitForOne<StatefulSet>(
    statefulSets,
    'db',
    (one) => ready(3)(one) && one.status?.currentRevision !== first.status?.currentRevision,
  );
  assert.equal(second.status?.currentRevision, second.status?.updateRevision);
  assert.deepEqual(
    order.splice(0),
    [2, 1, 0].flatMap((i) => [`deleted db-${i}`, `added db-${i}`]),
  );
  await client.patch(statefulSets, 'db', { type: 'merge', body: { spec: { replicas: 1 } } }, { namespace: 'default' });
  await cluster.waitForOne<StatefulSet>(statefulSets, 'db', ready(1));
  assert.deepEqual(order.splice(0), ['deleted db-2', 'deleted db-1']);
  end();
  await client.create<StatefulSet>(statefulSets, {
    ...(set(2, 'i:1', [claim]) as object),
    metadata: meta('vol'),
  } as never);
  await cluster.waitFor<PersistentVolumeClaim>(resource('v1', 'persistentvolumeclaims'), (all) =>
    all.some((one) => one.metadata.name === 'data-vol-0'),
  );
});

test('a disruption budget says how many pods may go', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  await client.create(resource('apps/v1', 'deployments'), {
    metadata: meta('web'),
    spec: { replicas: 4, selector: { matchLabels: { app: 'x' } }, template: template() },
  } as never);
  const budgets = resource('policy/v1', 'poddisruptionbudgets');
  await client.create(budgets, {
    metadata: meta('most'),
    spec: { maxUnavailable: '25%', selector: { matchLabels: { app: 'x' } } },
  } as never);
  await client.create(budgets, {
    metadata: meta('three'),
    spec: { minAvailable: 3, selector: { matchLabels: { app: 'x' } } },
  } as never);
  for (const name of ['most', 'three']) {
    const budget = await cluster.waitForOne<PodDisruptionBudget>(
      budgets,
      name,
      (one) => one.status?.currentHealthy === 4,
    );
    assert.deepEqual(
      [budget.status?.desiredHealthy, budget.status?.disruptionsAllowed, budget.status?.expectedPods],
      [3, 1, 4],
    );
  }
});

test('a revision keeps the template byte for byte as clients make it, and an old one comes back', async () => {
  await using cluster = await startCluster();
  const { client } = cluster;
  const set = (image: string) =>
    ({
      metadata: meta('agent'),
      spec: { selector: { matchLabels: { app: 'x' } }, template: template({}, image) },
    }) as never;
  await client.create<DaemonSet>(daemonSets, set('i:1'));
  const rolled =
    (revision: number) =>
    (all: readonly ControllerRevision[]): boolean =>
      all.some((one) => Number(one.revision) === revision);
  const revisions = resource('apps/v1', 'controllerrevisions');
  const [first] = await cluster.waitFor<ControllerRevision>(revisions, rolled(1));
  assert.match(
    JSON.stringify(first?.data),
    /^\{"spec":\{"template":\{"\$patch":"replace","metadata":\{"creationTimestamp":null,"labels":\{"app":"x"\}\},"spec":\{"containers":\[\{"image":"i:1","imagePullPolicy":/,
  );
  await client.patch(daemonSets, 'agent', { type: 'merge', body: set('i:2') }, { namespace: 'default' });
  await cluster.waitFor<ControllerRevision>(revisions, rolled(2));
  await client.patch(daemonSets, 'agent', { type: 'strategic', body: first?.data as object }, { namespace: 'default' });
  const after = await cluster.waitFor<ControllerRevision>(revisions, rolled(3));
  assert.equal(after.length, 2);
  assert.equal(after.find((one) => Number(one.revision) === 3)?.metadata.uid, first?.metadata.uid);
});
