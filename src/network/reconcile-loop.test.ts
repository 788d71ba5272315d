import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '#base';
import { openReconcileLoop } from './reconcile-loop.ts';

const settle = () => new Promise((resolve) => setImmediate(resolve));

function open() {
  const clock = new ManualClock();
  const failures: number[] = [];
  const seen = { runs: 0, under: 0, most: 0 };
  let gate: PromiseWithResolvers<void> | undefined;
  const loop = openReconcileLoop({
    ...{ clock, firstPauseMs: 100, longestPauseMs: 300 },
    async reconcile() {
      seen.runs++;
      seen.most = Math.max(seen.most, ++seen.under);
      gate = Promise.withResolvers<void>();
      await gate.promise.finally(() => seen.under--);
    },
    onFailure: (_, delayMs) => failures.push(delayMs),
  });
  const end = async (error?: Error): Promise<void> => {
    if (error === undefined) gate?.resolve();
    else gate?.reject(error);
    await settle();
  };
  return { clock, failures, seen, loop, end };
}

describe('a reconcile loop', () => {
  it('waits for its start, and makes one run of many requests', async () => {
    const { loop, seen, end } = open();
    loop.schedule();
    await settle();
    assert.equal(seen.runs, 0);
    loop.start();
    for (let i = 0; i < 5; i++) loop.schedule();
    await settle();
    assert.deepEqual([seen.runs, loop.isRunning], [1, true]);
    await end();
    // The five came while the first was under way: they are the second.
    assert.equal(seen.runs, 2);
    await end();
    assert.deepEqual([seen.runs, seen.most, loop.isRunning], [2, 1, false]);
  });

  it('tries a failed run again after growing pauses, and requests do not shorten them', async () => {
    const { loop, seen, end, clock, failures } = open();
    loop.start();
    loop.schedule();
    await settle();
    for (const [index, pauseMs] of [100, 200, 300, 300].entries()) {
      await end(new Error('no'));
      loop.schedule();
      clock.advance(pauseMs - 1);
      await settle();
      assert.equal(seen.runs, index + 1);
      clock.advance(1);
      await settle();
      assert.equal(seen.runs, index + 2);
    }
    assert.deepEqual(failures, [100, 200, 300, 300]);
    await end();
    assert.equal(loop.isRunning, false);
    loop.schedule();
    await settle();
    await end(new Error('no'));
    assert.equal(failures.at(-1), 100, 'a run that succeeds forgets');
  });

  it('ends with the run that is under way, and no pause brings another', async () => {
    const { loop, seen, end, clock } = open();
    loop.start();
    loop.schedule();
    await settle();
    loop.schedule();
    const closing = loop.close();
    await end(new Error('no'));
    await closing;
    loop.schedule();
    clock.advance(10_000);
    await settle();
    assert.equal(seen.runs, 1);
  });
});
