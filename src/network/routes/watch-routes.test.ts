import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '#base';
import { watchRoutes } from './watch-routes.ts';

test('a change of the routes is noticed within a second, once', async () => {
  const clock = new ManualClock();
  let table = 'eth0 a\n';
  let told = 0;
  const stop = watchRoutes({ clock, onChange: () => told++, read: () => table });
  await clock.advance(5_000);
  assert.equal(told, 0);
  table = '';
  await clock.advance(1_000);
  assert.equal(told, 1);
  table = 'eth0 a\n';
  await clock.advance(3_000);
  assert.equal(told, 2);
  stop();
  table = '';
  await clock.advance(3_000);
  assert.equal(told, 2);
});
