import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deployment, ReplicaSet } from '#api';
import { aDeployment, aPod, aReplicaSet, template, testStart } from '../../testkit/builders.ts';
import { type DeploymentPlan, planDeployment } from './plan.ts';

const now = { ms: Date.parse(testStart) + 60_000, text: '2026-01-01T00:01:00Z' };
const scaled = (desired: number, max = desired + 1) => ({
  'deployment.kubernetes.io/revision': '1',
  'deployment.kubernetes.io/desired-replicas': String(desired),
  'deployment.kubernetes.io/max-replicas': String(max),
});
const planOf = (deployment: Deployment, sets: readonly ReplicaSet[], pods = false): DeploymentPlan =>
  planDeployment({ deployment, sets, podsOf: () => (pods ? [aPod('p')] : []), now });
const sizes = (plan: DeploymentPlan): unknown =>
  Object.fromEntries(plan.updates.map(({ set }) => [set.metadata.name, set.spec.replicas]));
const condition = (plan: DeploymentPlan, type: string) => plan.status?.conditions?.find((one) => one.type === type);

test('a new deployment makes its first set', () => {
  const plan = planOf(aDeployment('web', { metadata: { annotations: { team: 'a' } } }), []);
  assert.match(plan.create?.metadata.name ?? '', /^web-[bcdfghjklmnpqrstvwxz2456789]{6,10}$/);
  const hash = plan.create?.metadata.labels?.['pod-template-hash'];
  assert.equal(plan.create?.metadata.name, `web-${hash}`);
  assert.equal(plan.create?.spec.selector.matchLabels?.['pod-template-hash'], hash);
  assert.equal(plan.create?.spec.template?.metadata?.labels?.['pod-template-hash'], hash);
  assert.equal(plan.create?.spec.replicas, 3);
  assert.deepEqual(plan.create?.metadata.annotations, { team: 'a', ...scaled(3, 4) });
  assert.equal(plan.revision, '1');
  assert.equal(condition(plan, 'Progressing')?.reason, 'NewReplicaSetCreated');
  assert.equal(condition(plan, 'Available')?.message, 'Deployment does not have minimum availability.');
});

test('the same template gives the same name; another, or a counted collision, another', () => {
  const nameOf = (deployment: Deployment): string | undefined => planOf(deployment, []).create?.metadata.name;
  assert.equal(nameOf(aDeployment('web')), nameOf(aDeployment('web')));
  assert.notEqual(
    nameOf(aDeployment('web')),
    nameOf(aDeployment('web', { spec: { template: template({ app: 'web' }, 'web:2') } })),
  );
  assert.notEqual(nameOf(aDeployment('web')), nameOf(aDeployment('web', { status: { collisionCount: 1 } })));
});

test('a rollout of 10 with 25%/25%: surge first, then old ones go as new ones become available', () => {
  const deployment = aDeployment('web', { spec: { replicas: 10, template: template({ app: 'web' }, 'web:2') } });
  const old = (replicas: number, available = replicas): ReplicaSet =>
    aReplicaSet('web-old', {
      owner: deployment,
      spec: { replicas },
      available,
      metadata: { annotations: scaled(10, 13) },
    });
  const fresh = (replicas: number, available: number): ReplicaSet =>
    aReplicaSet('web-new', {
      owner: deployment,
      spec: { replicas },
      available,
      image: 'web:2',
      metadata: { annotations: { ...scaled(10, 13), 'deployment.kubernetes.io/revision': '2' } },
    });
  assert.equal(planOf(deployment, [old(10)]).create?.spec.replicas, 3);
  assert.equal(planOf(deployment, [old(10)]).revision, '2');
  assert.deepEqual(sizes(planOf(deployment, [old(10), fresh(3, 0)])), { 'web-old': 8 });
  assert.deepEqual(sizes(planOf(deployment, [old(8), fresh(3, 0)])), { 'web-new': 5 });
  assert.deepEqual(sizes(planOf(deployment, [old(8), fresh(5, 0)])), {});
  assert.deepEqual(sizes(planOf(deployment, [old(8), fresh(5, 2)])), { 'web-old': 6 });
  assert.deepEqual(
    sizes(planOf(deployment, [old(8, 3), fresh(5, 5)])),
    { 'web-old': 3 },
    'unhealthy old pods go first',
  );
  const done = planOf(deployment, [old(0), fresh(10, 10)]);
  assert.deepEqual(sizes(done), {});
  assert.equal(condition(done, 'Progressing')?.message, 'ReplicaSet "web-new" has successfully progressed.');
});

test('rolling back takes the old set again, with a new revision and its history', () => {
  const deployment = aDeployment('web', { metadata: { annotations: { 'deployment.kubernetes.io/revision': '2' } } });
  const first = aReplicaSet('web-1', {
    owner: deployment,
    spec: { replicas: 0 },
    metadata: { annotations: scaled(3, 4) },
  });
  const second = aReplicaSet('web-2', {
    owner: deployment,
    image: 'web:2',
    metadata: { annotations: { ...scaled(3, 4), 'deployment.kubernetes.io/revision': '2' } },
  });
  const plan = planOf(deployment, [first, second]);
  const revised = plan.updates.find(({ set }) => set.metadata.name === 'web-1');
  assert.equal(plan.create, undefined);
  assert.equal(revised?.set.metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
  assert.equal(revised?.set.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1');
  assert.equal(revised?.set.spec.replicas, 1, 'the surge of 25% of 3');
  assert.equal(plan.revision, '3');
});

test('revisions are whole numbers of 64 bits', () => {
  const deployment = aDeployment('web');
  const huge = { annotations: { 'deployment.kubernetes.io/revision': '3546343826724305832' } };
  const old = aReplicaSet('web-old', { owner: deployment, image: 'web:0', metadata: huge });
  assert.equal(planOf(deployment, [old]).revision, '3546343826724305833');
});

test('scaling in the middle of a rollout shares out in proportion', () => {
  const deployment = aDeployment('web', {
    spec: {
      replicas: 15,
      template: template({ app: 'web' }, 'web:2'),
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
    },
  });
  const old = aReplicaSet('web-old', {
    owner: deployment,
    spec: { replicas: 8 },
    metadata: { annotations: scaled(10, 13) },
  });
  const fresh = aReplicaSet('web-new', {
    owner: deployment,
    spec: { replicas: 5 },
    available: 0,
    image: 'web:2',
    metadata: { annotations: { ...scaled(10, 13), 'deployment.kubernetes.io/revision': '2' } },
  });
  assert.deepEqual(sizes(planOf(deployment, [old, fresh])), { 'web-old': 11, 'web-new': 7 });
});

test('paused: sizes follow, the rollout does not, and the deadline does not run', () => {
  const paused = { spec: { paused: true, replicas: 5, template: template({ app: 'web' }, 'web:2') } };
  const first = planOf(aDeployment('web', paused), []);
  assert.equal(condition(first, 'Progressing')?.reason, 'DeploymentPaused');
  const deployment = aDeployment('web', {
    ...paused,
    status: { conditions: [{ type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused' }] },
  });
  const old = aReplicaSet('web-old', { owner: deployment, metadata: { annotations: scaled(3, 4) } });
  const plan = planOf(deployment, [old]);
  assert.deepEqual([plan.create, sizes(plan), plan.requeueAfterMs], [undefined, { 'web-old': 5 }, undefined]);
});

test('Recreate waits until every old pod has ended', () => {
  const deployment = aDeployment('web', {
    spec: { template: template({ app: 'web' }, 'web:2'), strategy: { type: 'Recreate' } },
  });
  const old = (replicas: number): ReplicaSet =>
    aReplicaSet('web-old', { owner: deployment, spec: { replicas }, metadata: { annotations: scaled(3, 3) } });
  assert.deepEqual(sizes(planOf(deployment, [old(3)])), { 'web-old': 0 });
  assert.equal(planOf(deployment, [old(0)], true).create, undefined);
  assert.equal(planOf(deployment, [old(0)]).create?.spec.replicas, 3);
});

test('a rollout that does not move within its deadline times out, once', () => {
  const status = (reason: string): Deployment['status'] => ({
    replicas: 3,
    updatedReplicas: 3,
    observedGeneration: 1,
    unavailableReplicas: 3,
    conditions: [
      { type: 'Progressing', status: 'True', reason, lastUpdateTime: testStart, lastTransitionTime: testStart },
    ],
  });
  const set = aReplicaSet('web-1', { available: 0, metadata: { annotations: scaled(3, 4) } });
  const late = planOf(
    aDeployment('web', { spec: { progressDeadlineSeconds: 30 }, status: status('ReplicaSetUpdated') }),
    [set],
  );
  assert.deepEqual(
    [condition(late, 'Progressing')?.status, condition(late, 'Progressing')?.reason],
    ['False', 'ProgressDeadlineExceeded'],
  );
  const early = planOf(
    aDeployment('web', { spec: { progressDeadlineSeconds: 90 }, status: status('ReplicaSetUpdated') }),
    [set],
  );
  assert.equal(condition(early, 'Progressing')?.reason, 'ReplicaSetUpdated');
  assert.equal(early.requeueAfterMs, 31_000);
});

test('old empty sets beyond the history limit go, oldest revision first', () => {
  const deployment = aDeployment('web', { spec: { revisionHistoryLimit: 1 }, status: { observedGeneration: 1 } });
  const old = (revision: number): ReplicaSet =>
    aReplicaSet(`web-${revision}`, {
      owner: deployment,
      image: `web:${revision + 10}`,
      spec: { replicas: 0 },
      metadata: { annotations: { 'deployment.kubernetes.io/revision': String(revision) } },
    });
  const current = aReplicaSet('web-9', {
    owner: deployment,
    metadata: { annotations: { ...scaled(3, 4), 'deployment.kubernetes.io/revision': '9' } },
  });
  const plan = planOf(deployment, [old(3), old(1), old(2), current]);
  assert.deepEqual(
    plan.removals.map((set) => set.metadata.name),
    ['web-1', 'web-2'],
  );
});
