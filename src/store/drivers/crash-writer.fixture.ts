import { writeSync } from 'node:fs';
import { systemClock } from '#base';
import { openLmdbStore } from './lmdb.driver.ts';

/** A process made to be killed: writes without end and prints `revision key value` for each write that was acknowledged. */
const [dir, seed] = process.argv.slice(2) as [string, string];
const store = await openLmdbStore({ dir, clock: systemClock });
let count = 0;

const writer = async (name: number): Promise<never> => {
  for (;;) {
    const i = count++;
    const key = `k/${(i * 7 + name) % 60}`;
    const value = i % 11 === 0 ? undefined : `${seed}.${i}${'.'.repeat((i * 37) % 3000)}`;
    const bytes = value === undefined ? undefined : Buffer.from(value);
    const { revision, current } = await store.write({ key, value: bytes });
    if (value !== undefined || current !== undefined) writeSync(1, `${revision} ${key} ${value ?? '-'}\n`);
    if (i % 500 === 499) {
      await store.compact(Math.max(1, store.revision() - 300));
      writeSync(1, `compacted ${store.compactedRevision()}\n`);
    }
  }
};
await Promise.all(Array.from({ length: 24 }, (_, name) => writer(name)));
