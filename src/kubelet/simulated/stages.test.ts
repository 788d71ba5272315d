import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '#api';
import { aPod } from '../../testkit/builders.ts';
import { AddressPool } from './addresses.ts';
import { podStages, simulationAnnotations } from './stages.ts';

const context = { now: '2026-01-01T00:00:09Z', podIp: () => '10.244.0.5', hostIp: '172.31.0.1' };
const stageOf = (pod: Pod): string | undefined => podStages.find((one) => one.when(pod))?.name;
const play = (pod: Pod): Pod =>
  ({ ...pod, status: podStages.find((one) => one.when(pod))?.status?.(pod, context) }) as Pod;
const isReady = (pod: Pod): string | undefined => pod.status?.conditions?.find((one) => one.type === 'Ready')?.status;
const pending = (annotations: Record<string, string> = {}, part: object = {}): Pod =>
  aPod('p', { metadata: { annotations }, status: { phase: 'Pending', conditions: [] }, ...part });

test('a pod runs, is ready and has addresses; one on the host network has its node’s', () => {
  const running = play(pending());
  assert.deepEqual(
    [running.status?.phase, isReady(running), running.status?.podIP, running.status?.hostIP],
    ['Running', 'True', '10.244.0.5', '172.31.0.1'],
  );
  assert.equal(stageOf(running), undefined);
  assert.equal(play(pending({}, { spec: { hostNetwork: true } })).status?.podIP, '172.31.0.1');
  assert.equal(running.status?.containerStatuses?.[0]?.state?.running?.startedAt, context.now);
});

test('readiness may come later, never, or wait for a gate', () => {
  const late = play(pending({ [simulationAnnotations.readyAfter]: '5s' }));
  assert.deepEqual([isReady(late), stageOf(late)], ['False', 'ready']);
  assert.equal(isReady(play(late)), 'True');
  const never = play(pending({ [simulationAnnotations.neverReady]: 'true' }));
  assert.deepEqual([isReady(never), stageOf(never)], ['False', undefined]);
  const gated = play(pending({}, { spec: { readinessGates: [{ conditionType: 'x/y' }] } }));
  assert.deepEqual([isReady(gated), stageOf(gated)], ['False', undefined]);
  const opened = {
    ...gated,
    status: { ...gated.status, conditions: [...(gated.status?.conditions ?? []), { type: 'x/y', status: 'True' }] },
  } as Pod;
  assert.equal(stageOf(opened), 'ready');
});

test('pods of a Job finish, others only when asked; the exit code decides how; deletion comes first', () => {
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j', uid: 'j' } } as never;
  const ended = play(play(aPod('p', { owner: job, status: { phase: 'Pending', conditions: [] } })));
  assert.deepEqual(
    [ended.status?.phase, isReady(ended), ended.status?.containerStatuses?.[0]?.state?.terminated?.exitCode],
    ['Succeeded', 'False', 0],
  );
  const failed = play(
    play(pending({ [simulationAnnotations.completeAfter]: '1s', [simulationAnnotations.exitCode]: '3' })),
  );
  assert.deepEqual(
    [failed.status?.phase, failed.status?.containerStatuses?.[0]?.state?.terminated?.reason],
    ['Failed', 'Error'],
  );
  assert.equal(stageOf(aPod('p', { metadata: { deletionTimestamp: context.now } })), 'remove');
});

test('addresses: each holder its own, the same when asked again, freed ones again', () => {
  const pool = new AddressPool('10.0.0.0/29');
  assert.deepEqual(
    ['a', 'b', 'a'].map((one) => pool.take(one)),
    ['10.0.0.2', '10.0.0.3', '10.0.0.2'],
  );
  pool.release('a');
  assert.deepEqual(
    ['c', 'd', 'e', 'f'].map((one) => pool.take(one)),
    ['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.2'],
  );
  assert.throws(() => pool.take('g'), /no address/);
});
