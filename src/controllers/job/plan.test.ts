import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Job, Pod } from '#api';
import { aPod, template, testStart } from '../../testkit/builders.ts';
import { formatIndexes, parseIndexes } from './indexes.ts';
import { type JobPlan, planJob } from './plan.ts';
import { indexKey, podOfJob, trackingFinalizer } from './pods.ts';

const now = { ms: Date.parse(testStart) + 3_600_000, text: '2026-01-01T01:00:00Z' };
const job = (spec: object, status: object = {}): Job =>
  ({
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { namespace: 'default', name: 'j', uid: 'j', generation: 1 },
    spec: { template: template(), ...spec },
    status,
  }) as unknown as Job;
const pod = (
  name: string,
  phase: string,
  part: { index?: number; tracked?: boolean; deleted?: boolean; exitCode?: number } = {},
): Pod =>
  aPod(name, {
    metadata: {
      uid: name,
      ...(part.tracked === false ? {} : { finalizers: [trackingFinalizer] }),
      ...(part.index === undefined ? {} : { annotations: { [indexKey]: String(part.index) } }),
      ...(part.deleted ? { deletionTimestamp: testStart } : {}),
    },
    status: {
      phase,
      ...(part.exitCode === undefined
        ? {}
        : {
            containerStatuses: [
              {
                name: 'web',
                image: '',
                imageID: '',
                ready: false,
                restartCount: 0,
                state: { terminated: { exitCode: part.exitCode } },
              },
            ],
          }),
    },
  });
const plan = (one: Job, pods: readonly Pod[]): JobPlan => planJob({ job: one, pods, isGoing: () => false, now });

test('a new job starts as many pods as it may run side by side', () => {
  const found = plan(job({ completions: 5, parallelism: 2 }), []);
  assert.equal(found.create.length, 2);
  assert.equal(found.status?.active, 2);
  assert.equal(found.status?.startTime, now.text);
  assert.equal(plan(job({ completions: 1, parallelism: 3 }), []).create.length, 1);
});

test('finished pods are noted by uid before their finalizer goes, and counted once', () => {
  const found = plan(job({ completions: 3, parallelism: 3 }), [
    pod('a', 'Succeeded'),
    pod('b', 'Failed'),
    pod('c', 'Running'),
  ]);
  assert.deepEqual(found.counting?.uncountedTerminatedPods, { succeeded: ['a'], failed: ['b'] });
  assert.deepEqual(
    found.release.map((one) => one.metadata.name),
    ['a', 'b'],
  );
  assert.deepEqual([found.status?.succeeded, found.status?.failed, found.status?.uncountedTerminatedPods], [1, 1, {}]);
  const crashed = job(
    { completions: 3, parallelism: 3 },
    { succeeded: 0, uncountedTerminatedPods: { succeeded: ['a'] } },
  );
  assert.equal(
    plan(crashed, [pod('a', 'Succeeded')]).status?.succeeded,
    1,
    'noted before a crash, finalizer still there',
  );
  assert.equal(
    plan(crashed, [pod('a', 'Succeeded', { tracked: false })]).status?.succeeded,
    1,
    'noted, finalizer gone',
  );
  const counted = job({ completions: 3, parallelism: 3 }, { succeeded: 1, uncountedTerminatedPods: {} });
  assert.equal(plan(counted, [pod('a', 'Succeeded', { tracked: false })]).status?.succeeded, 1, 'counted already');
});

test('each index once, whatever runs twice', () => {
  const one = job({ completions: 4, parallelism: 4, completionMode: 'Indexed' }, { completedIndexes: '0' });
  const found = plan(one, [
    pod('a', 'Succeeded', { index: 1 }),
    pod('b', 'Running', { index: 2 }),
    pod('c', 'Running', { index: 2 }),
    pod('d', 'Running', { index: 1 }),
  ]);
  assert.deepEqual(
    found.create.map((entry) => entry.index),
    [3],
  );
  assert.deepEqual(
    found.remove.map((entry) => entry.metadata.name),
    ['c', 'd'],
  );
  assert.equal(found.status?.completedIndexes, '0,1');
  const made = podOfJob(one, 3);
  assert.deepEqual(
    [made.spec.hostname, made.metadata.generateName, made.spec.containers[0]?.env?.[0]?.name],
    ['j-3', 'j-3-', 'JOB_COMPLETION_INDEX'],
  );
});

test('a pod failure policy: ignored failures do not count, fatal ones end the job', () => {
  const policy = (action: string) => ({
    podFailurePolicy: { rules: [{ action, onExitCodes: { operator: 'In', values: [42] } }] },
  });
  const ignored = plan(job({ completions: 1, ...policy('Ignore') }), [pod('a', 'Failed', { exitCode: 42 })]);
  assert.deepEqual([ignored.status?.failed, ignored.create.length], [undefined, 1]);
  const fatal = plan(job({ completions: 1, ...policy('FailJob') }), [pod('a', 'Failed', { exitCode: 42 })]);
  const condition = fatal.status?.conditions?.find((one) => one.type === 'Failed');
  assert.deepEqual(
    [condition?.reason, condition?.message],
    ['PodFailurePolicy', 'Container web for pod default/a failed with exit code 42 matching FailJob rule at index 0'],
  );
});

test('the end waits for pods that are still going', () => {
  const one = job({ completions: 1, parallelism: 2, backoffLimit: 0 });
  const found = plan(one, [pod('a', 'Failed'), pod('b', 'Running', { deleted: true })]);
  assert.deepEqual(
    found.status?.conditions?.map((entry) => entry.type),
    ['FailureTarget'],
  );
  const done = plan(job(one.spec, found.status), [pod('b', 'Failed', { deleted: true })]);
  assert.deepEqual(
    done.status?.conditions?.map((entry) => entry.type),
    ['FailureTarget', 'Failed'],
  );
});

test('sets of indexes are written and read back', () => {
  assert.equal(formatIndexes([7, 0, 1, 3, 4, 5]), '0,1,3-5,7');
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(200)), (values) =>
      assert.deepEqual(
        [...parseIndexes(formatIndexes(values), 201)],
        values.toSorted((a, b) => a - b),
      ),
    ),
  );
});
