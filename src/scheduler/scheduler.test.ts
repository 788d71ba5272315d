import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, silentLog, systemClock } from '#base';
import { type Event, type Node, type Pod, resource } from '#api';
import { startCluster, type TestCluster } from '#testkit';
import { type RunningScheduler, startScheduler } from './index.ts';

const pods = resource('v1', 'pods');
const nodes = resource('v1', 'nodes');
const events = resource('v1', 'events');

interface Running extends AsyncDisposable {
  readonly cluster: TestCluster;
  readonly scheduler: RunningScheduler;
  create(name: string, cpu: string, spec?: object): Promise<Pod>;
  until(name: string, predicate: (pod: Pod) => boolean): Promise<Pod>;
}

async function start(count: number): Promise<Running> {
  const cluster = await startCluster({
    nodes: count,
    nodeShape: { capacity: { cpu: '2', memory: '4Gi', pods: '110' } },
    scheduler: false,
    controllers: ['serviceaccount-controller', 'node-lifecycle-controller'],
  });
  const { client, informers } = cluster;
  const scheduler = await startScheduler({
    client,
    informers,
    clock: systemClock,
    random: seededRandom(1),
    log: silentLog,
  });
  await cluster.waitFor(resource('v1', 'serviceaccounts'), (all) =>
    all.some((one) => one.metadata.namespace === 'default'),
  );
  await cluster.waitFor<Node>(
    nodes,
    (all) =>
      all.length === count &&
      all.every((one) => one.status?.allocatable?.['cpu'] !== undefined && (one.spec?.taints ?? []).length === 0),
  );
  return {
    cluster,
    scheduler,
    create: (name, cpu, spec = {}) =>
      client.create<Pod>(pods, {
        metadata: { name, namespace: 'default' },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'c', image: 'app:1', resources: { requests: { cpu } } }],
          ...spec,
        },
      } as never),
    until: (name, predicate) => cluster.waitForOne<Pod>(pods, name, predicate),
    async [Symbol.asyncDispose]() {
      await scheduler.close();
      await cluster.close();
    },
  };
}

const scheduled = (pod: Pod): boolean => (pod.spec?.nodeName ?? '') !== '';
const refused = (pod: Pod): boolean =>
  pod.status?.conditions?.some((one) => one.type === 'PodScheduled' && one.reason === 'Unschedulable') ?? false;

test('pods get nodes, and users are told', async () => {
  await using running = await start(2);
  const { cluster, create, until } = running;
  await create('a', '1');
  await create('b', '1');
  const [a, b] = [await until('a', scheduled), await until('b', scheduled)];
  assert.notEqual(a.spec?.nodeName, b.spec?.nodeName);
  const told = await cluster.waitFor<Event>(
    events,
    (all) => all.filter((one) => one.reason === 'Scheduled').length === 2,
  );
  const message = told.find((one) => one.involvedObject?.name === 'a' && one.reason === 'Scheduled')?.message;
  assert.equal(message, `Successfully assigned default/a to ${a.spec?.nodeName}`);
});

test('a pod that fits nowhere says why, and goes when there is room', async () => {
  await using running = await start(1);
  const { cluster, create, until } = running;
  await create('first', '1500m');
  await until('first', scheduled);
  await create('second', '1500m');
  const pod = await until('second', refused);
  const condition = pod.status?.conditions?.find((one) => one.type === 'PodScheduled');
  assert.equal(
    condition?.message,
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  );
  await cluster.client.delete(pods, 'first', { namespace: 'default', gracePeriodSeconds: 0 });
  await until('second', scheduled);
});

test('a more important pod takes the place of a less important one', async () => {
  await using running = await start(1);
  const { cluster, create, until } = running;
  const classes = resource('scheduling.k8s.io/v1', 'priorityclasses');
  await cluster.client.create(classes, { metadata: { name: 'high' }, value: 1000 } as never);
  await create('low', '1500m');
  await until('low', scheduled);
  await create('high', '1500m', { priorityClassName: 'high', priority: 1000 });
  await until('high', scheduled);
  await cluster.waitFor<Event>(events, (all) =>
    all.some((one) => one.reason === 'Preempted' && one.involvedObject?.name === 'low'),
  );
});

test('gated pods wait, other schedulers’ pods are left alone', async () => {
  await using running = await start(1);
  const { cluster, create, until } = running;
  await create('gated', '100m', { schedulingGates: [{ name: 'example.com/gate' }] });
  await create('foreign', '100m', { schedulerName: 'other' });
  await create('plain', '100m');
  await until('plain', scheduled);
  for (const name of ['gated', 'foreign']) {
    assert.equal((await cluster.client.get<Pod>(pods, name, { namespace: 'default' })).spec?.nodeName ?? '', '');
  }
  await cluster.client.patch(
    pods,
    'gated',
    { type: 'json', body: [{ op: 'remove', path: '/spec/schedulingGates' }] },
    { namespace: 'default' },
  );
  await until('gated', scheduled);
});
