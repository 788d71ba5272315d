import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ManualClock } from '#base';
import { startCompactor } from './compactor.ts';
import { openMemoryStore } from './drivers/memory.driver.ts';

it('keeps as much history as asked for', async () => {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock });
  const compactor = startCompactor({ store, clock, keepMs: 60_000 });
  const write = (): Promise<unknown> => store.write({ key: 'a', value: Buffer.from('x') });
  for (let minute = 0; minute < 5; minute++) {
    for (let i = 0; i < 10; i++) {
      await write();
      await clock.advance(6_000);
    }
    const expected = minute === 0 ? 1 : store.revision() - 10;
    assert.equal(store.compactedRevision(), expected, `after ${minute + 1} minutes`);
  }
  await compactor.close();
  const before = store.compactedRevision();
  await clock.advance(600_000);
  assert.equal(store.compactedRevision(), before);
  assert.equal(clock.nextDelayMs(), undefined);
});
