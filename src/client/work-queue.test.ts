import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, processMetrics, silentLog } from '#base';
import { parsePrometheusText } from '#testkit';
import { startController } from './controller.ts';
import { openWorkQueue } from './work-queue.ts';

test('a key waits once, is worked on once at a time, and comes again when added meanwhile', async () => {
  const queue = openWorkQueue({ clock: new ManualClock() });
  queue.add('a');
  queue.add('a');
  queue.add('b');
  assert.equal(await queue.take(), 'a');
  queue.add('a');
  assert.equal(await queue.take(), 'b');
  assert.equal(queue.length, 0);
  queue.done('a');
  assert.equal(await queue.take(), 'a');
  queue.done('a');
  queue.done('b');
  assert.ok(queue.idle);
});

test('delays: the earliest wins; failures double; closing frees the takers', async () => {
  const clock = new ManualClock();
  const queue = openWorkQueue({ clock, backoff: { firstMs: 10, longestMs: 1000 } });
  queue.addAfter('a', 500);
  queue.addAfter('a', 100);
  queue.addAfter('a', 300);
  await clock.advance(99);
  assert.equal(queue.length, 0);
  await clock.advance(1);
  assert.equal(queue.length, 1);
  await clock.advance(1000);
  assert.equal(queue.length, 1);
  await queue.take();
  queue.done('a');
  for (const delayMs of [10, 20, 40]) {
    queue.addRateLimited('a');
    assert.equal(clock.nextDelayMs(), delayMs);
    await clock.advance(delayMs);
    await queue.take();
    queue.done('a');
  }
  queue.forget('a');
  queue.addRateLimited('a');
  assert.equal(clock.nextDelayMs(), 10);
  const waiting = queue.take();
  queue.close();
  assert.equal(await waiting, undefined);
  assert.equal(await queue.take(), undefined);
  assert.equal(clock.nextDelayMs(), undefined);
});

test('a controller: done, later, again after an error; nothing before its sources have synced', async () => {
  const clock = new ManualClock();
  const calls: string[] = [];
  const { promise: synced, resolve: sync } = Promise.withResolvers<void>();
  let enqueue: (key: string) => void = () => {};
  const controller = startController({
    name: 'test',
    clock,
    log: silentLog,
    backoff: { firstMs: 5, longestMs: 100 },
    sources: [
      {
        synced,
        start(given) {
          enqueue = given;
          return () => calls.push('ended');
        },
      },
    ],
    async reconcile(key) {
      calls.push(key);
      if (key === 'later' && calls.filter((one) => one === key).length === 1) return { requeueAfterMs: 50 };
      if (key === 'bad' && calls.filter((one) => one === key).length < 3) throw new Error('no');
      return undefined;
    },
  });
  for (const key of ['done', 'later', 'bad']) enqueue(key);
  await clock.advance(0);
  assert.equal(calls.length, 0);
  sync();
  await clock.advance(4);
  assert.deepEqual(calls.splice(0), ['done', 'later', 'bad']);
  await clock.advance(1);
  assert.deepEqual(calls.splice(0), ['bad']);
  calls.push('bad', 'bad', 'later');
  await clock.advance(10);
  assert.deepEqual(calls.splice(0, 4), ['bad', 'bad', 'later', 'bad']);
  await controller.close();
  assert.deepEqual(calls, ['ended']);
});

test('a queue with a name is measured under workqueue_', async () => {
  const clock = new ManualClock();
  const queue = openWorkQueue({ name: 'measured', clock, backoff: { firstMs: 1000, longestMs: 1000 } });
  const read = (): ((name: string) => number | undefined) => {
    const families = parsePrometheusText(`${processMetrics.lines().join('\n')}\n`);
    return (name) =>
      families
        .get(name.replace(/_(sum|count)$/, ''))
        ?.samples.find((one) => one.name === name && one.labels.name === 'measured')?.value;
  };
  for (const key of ['a', 'a', 'b', 'c']) queue.add(key);
  await clock.advance(2000);
  assert.equal(await queue.take(), 'a');
  queue.add('a');
  queue.add('a');
  await clock.advance(3000);
  let value = read();
  assert.equal(value('workqueue_adds_total'), 4);
  assert.equal(value('workqueue_depth'), 2);
  assert.equal(value('workqueue_queue_duration_seconds_sum'), 2);
  assert.equal(value('workqueue_unfinished_work_seconds'), 3);
  assert.equal(value('workqueue_longest_running_processor_seconds'), 3);
  assert.equal(value('workqueue_work_duration_seconds_count'), 0);
  queue.done('a');
  queue.addRateLimited('d');
  value = read();
  assert.equal(value('workqueue_work_duration_seconds_sum'), 3);
  assert.equal(value('workqueue_depth'), 3, 'what was added meanwhile waits, what is delayed does not yet');
  assert.equal(value('workqueue_adds_total'), 4);
  assert.equal(value('workqueue_retries_total'), 1);
  queue.close();
  assert.equal(read()('workqueue_depth'), undefined);
});
