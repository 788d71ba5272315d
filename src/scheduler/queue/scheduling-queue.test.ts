import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ManualClock } from '#base';
import type { Pod } from '#api';
import { PodShapes } from '../state/pod-info.ts';
import { Heap } from './heap.ts';
import { SchedulingQueue } from './scheduling-queue.ts';

const shapes = new PodShapes();

function pod(name: string, more: { priority?: number; gates?: string[]; labels?: Record<string, string> } = {}) {
  const { priority = 0, gates = [], labels } = more;
  return shapes.info({
    metadata: { name, namespace: 'd', uid: name, labels },
    spec: { priority, containers: [{ name: 'c' }], schedulingGates: gates.map((one) => ({ name: one })) },
  } as unknown as Pod);
}

function open() {
  const clock = new ManualClock();
  const queue = new SchedulingQueue({ clock, wakes: (event, by) => event === 'NodeAdd' && by.has('Fit') });
  const names = (): string[] => {
    const found: string[] = [];
    for (let one = queue.pop(); one !== undefined; one = queue.pop()) found.push(one.info.name);
    return found;
  };
  return { clock, queue, names };
}

test('a heap gives its items in order, also when some are taken out', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { maxLength: 50 }), fc.array(fc.nat(49)), (numbers, gone) => {
      const items = numbers.map((value) => ({ value }));
      const heap = new Heap<{ value: number }>((a, b) => a.value < b.value);
      for (const one of items) heap.push(one);
      const removed = new Set(gone.map((index) => items[index]));
      for (const one of removed) if (one !== undefined) assert.equal(heap.delete(one), true);
      const left = items.filter((one) => !removed.has(one)).map((one) => one.value);
      const got: number[] = [];
      for (let one = heap.pop(); one !== undefined; one = heap.pop()) got.push(one.value);
      assert.deepEqual(
        got,
        left.sort((a, b) => a - b),
      );
    }),
  );
});

test('priority first, then first come', () => {
  const { queue, names } = open();
  for (const one of [pod('a'), pod('b', { priority: 5 }), pod('c'), pod('d', { priority: 5 })]) queue.set(one);
  queue.delete('c');
  assert.deepEqual(names(), ['b', 'd', 'a']);
  queue.close();
});

test('a refused pod waits for an event that may help', () => {
  const { queue, names } = open();
  queue.set(pod('a'));
  const queued = queue.pop();
  assert.ok(queued);
  queue.giveBack(queued, new Set(['Fit']));
  assert.deepEqual(names(), []);
  queue.happened('NodeUpdate');
  queue.happened('NodeAdd', () => false);
  assert.deepEqual(names(), []);
  queue.happened('NodeAdd');
  assert.deepEqual(names(), ['a']);
  queue.close();
});

test('errors delay, longer each time', async () => {
  const { clock, queue, names } = open();
  queue.set(pod('a'));
  for (const delayMs of [1000, 2000, 4000, 8000, 10_000, 10_000]) {
    const queued = queue.pop();
    assert.ok(queued);
    queue.giveBack(queued, undefined);
    await clock.advance(delayMs - 1);
    assert.deepEqual(names(), []);
    await clock.advance(1);
  }
  queue.close();
});

test('a pod is tried again when it asks for something else, not when its status changes', () => {
  const { queue, names } = open();
  queue.set(pod('a'));
  const queued = queue.pop();
  assert.ok(queued);
  queue.giveBack(queued, new Set(['Fit']));
  queue.set(pod('a'));
  assert.deepEqual(names(), []);
  queue.set(pod('a', { labels: { x: 'y' } }));
  assert.deepEqual(names(), ['a']);
  queue.close();
});

test('gated pods wait for their gates, forgotten ones five minutes', async () => {
  const { clock, queue, names } = open();
  queue.set(pod('a', { gates: ['x'] }));
  assert.deepEqual(names(), []);
  const waiting = queue.wait();
  queue.set(pod('a'));
  await waiting;
  const queued = queue.pop();
  assert.ok(queued);
  queue.giveBack(queued, new Set(['Other']));
  await clock.advance(299_000);
  assert.deepEqual(names(), []);
  await clock.advance(60_000);
  assert.deepEqual(names(), ['a']);
  queue.close();
});
