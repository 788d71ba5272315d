import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '#base';
import { startMemorySaver } from './memory-saver.ts';

function watched(heapMib: number) {
  const clock = new ManualClock();
  const state = { busy: 0, heapMib, saving: false, times: 0 };
  const saver = startMemorySaver({
    clock,
    process: {
      busy: () => state.busy,
      heapBytes: () => state.heapMib * 2 ** 20,
      save(on) {
        state.saving = on;
        if (on) state.times++;
      },
    },
  });
  return { clock, state, saver };
}

test('memory is saved when the process has been quiet, for a while, and again only after the heap has grown', async () => {
  const { clock, state, saver } = watched(60);
  state.busy = 0.9;
  await clock.advance(60_000);
  assert.equal(state.times, 0);
  state.busy = 0.01;
  await clock.advance(4000);
  assert.equal(state.saving, false, 'not yet');
  await clock.advance(2000);
  assert.equal(state.saving, true);
  state.heapMib = 40;
  await clock.advance(60_000);
  assert.deepEqual([state.saving, state.times], [false, 1]);
  await clock.advance(600_000);
  assert.equal(state.times, 1, 'there is nothing to be gained');
  state.heapMib = 57;
  await clock.advance(10_000);
  assert.deepEqual([state.saving, state.times], [true, 2]);
  await saver.close();
  assert.equal(state.saving, false);
});

test('work ends it; one busy look is the collection itself', async () => {
  const { clock, state, saver } = watched(60);
  await clock.advance(6000);
  assert.equal(state.saving, true);
  state.busy = 0.7;
  await clock.advance(2000);
  assert.equal(state.saving, true);
  state.busy = 0.1;
  await clock.advance(2000);
  state.busy = 0.7;
  await clock.advance(4000);
  assert.equal(state.saving, false);
  await saver.close();
});
