import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base';
import type { Store } from '../contract.ts';
import { openLmdbStore } from './lmdb.driver.ts';

/** Runs on a file system of 3 MiB: fills it, and prints what still works. Freed pages serve from the second commit after. */
const dir = process.argv[2] as string;
const said: Record<string, unknown> = {};
let store = await openLmdbStore({ dir, clock: systemClock });

const value = Buffer.alloc(50_000, 'x');
said.full = await fillUp(store, 'k', value);
said.readable = (await store.get('k3'))?.value.length === value.length;
said.deleted = (await store.write({ key: 'k3' })).applied;
for (let i = 4; i < 12; i++) await store.write({ key: `k${i}` });
await store.compact(store.revision());
for (let i = 12; i < 20; i++) await store.write({ key: `k${i}` });
said.after = (await store.write({ key: 'again', value })).applied;

await fillUp(store, 'small', Buffer.alloc(1500, 'x'));
const filler = join(dir, 'filler');
for (let bytes = 1 << 20; bytes >= 4096; bytes >>= 1) {
  try {
    writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
  } catch {}
}
const small = await store.range({ start: 'small', end: 't' });
await Promise.all(small.entries.map(({ key }) => store.write({ key })));
await store.compact(store.revision());
said.reserveUsed = !existsSync(join(dir, 'reserve'));
rmSync(filler);
said.afterwards = (await store.write({ key: 'last', value })).applied;
said.reserveBack = existsSync(join(dir, 'reserve'));

const { count } = await store.range({ start: '', end: '' });
await store.close();
store = await openLmdbStore({ dir, clock: systemClock });
said.reopened = (await store.range({ start: '', end: '' })).count === count && (await store.get('again')) !== undefined;
await store.close();
console.log(JSON.stringify(said));

async function fillUp(into: Store, prefix: string, bytes: Uint8Array): Promise<string> {
  for (let i = 0; ; i++) {
    try {
      await into.write({ key: `${prefix}${i}`, value: bytes });
    } catch (error) {
      return (error as { code: string }).code;
    }
  }
}
