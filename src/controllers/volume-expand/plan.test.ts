import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PersistentVolume, PersistentVolumeClaim } from '#api';
import { grown, growing, planExpand, refused, waitingForNode } from './plan.ts';

const claim = (asked: string, has: string | undefined, statuses?: object): PersistentVolumeClaim =>
  ({
    spec: { resources: { requests: { storage: asked } } },
    status: { ...(has === undefined ? {} : { capacity: { storage: has } }), allocatedResourceStatuses: statuses },
  }) as unknown as PersistentVolumeClaim;
const volume = (storage: string): PersistentVolume =>
  ({ spec: { capacity: { storage } } }) as unknown as PersistentVolume;

test('what a claim that asks for more needs next', () => {
  assert.equal(planExpand(claim('1Gi', '1024Mi'), volume('1Gi')), 'nothing');
  assert.equal(planExpand(claim('1Gi', undefined), volume('1Gi')), 'nothing');
  assert.equal(planExpand(claim('1Gi', '1Gi', { storage: 'ControllerResizeInfeasible' }), volume('1Gi')), 'give-up');
  assert.equal(planExpand(claim('2Gi', '1Gi'), volume('1Gi')), 'grow');
  assert.equal(planExpand(claim('2Gi', '1Gi'), volume('2Gi')), 'finish');
  assert.equal(planExpand(claim('2Gi', '1Gi', { storage: 'NodeResizePending' }), volume('2Gi')), 'wait-for-node');
  assert.equal(planExpand(claim('3Gi', '1Gi', { storage: 'NodeResizePending' }), volume('2Gi')), 'grow');
});

test('conditions tell how far it is, and are gone at the end', () => {
  const kept = { type: 'Other', status: 'True' };
  const start = { phase: 'Bound', capacity: { storage: '1Gi' }, conditions: [kept] };
  const first = growing(start, '2Gi', 'then');
  assert.deepEqual(first.conditions, [kept, { type: 'Resizing', status: 'True', lastTransitionTime: 'then' }]);
  assert.deepEqual(growing(first, '2Gi', 'later'), first, 'nothing new');
  const failed = refused(first, { message: 'no room', final: true }, 'now');
  assert.deepEqual(
    failed.conditions?.map(({ type }) => type),
    ['Other', 'Resizing', 'ControllerResizeError'],
  );
  assert.equal(failed.allocatedResourceStatuses?.storage, 'ControllerResizeInfeasible');
  assert.equal(growing(failed, '2Gi', 'later'), failed, 'a failure that repeats itself is no news');
  assert.equal(refused(failed, { message: 'no room', final: true }, 'later'), failed);
  const waits = waitingForNode(failed, '2Gi', 'now');
  assert.deepEqual(
    waits.conditions?.map(({ type }) => type),
    ['Other', 'FileSystemResizePending'],
  );
  assert.deepEqual(grown(waits, '2Gi'), {
    phase: 'Bound',
    capacity: { storage: '2Gi' },
    allocatedResources: { storage: '2Gi' },
    conditions: [kept],
  });
});
