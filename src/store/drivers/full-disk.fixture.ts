import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '#base';
import type { Store } from '../contract.ts';
import { openLmdbStore } from './lmdb.driver.ts';

/** Runs on a file system of 4 MiB: fills it, and prints what still works. */
const dir = process.argv[2] as string;
const said: Record<string, unknown> = {};
let store = await openLmdbStore({ dir, clock: systemClock });

const value = Buffer.alloc(50_000, 'x');
said.full = await fillUp(store, 'k', value);
said.readable = (await store.get('k3'))?.value.length === value.length;
said.deleted = (await store.write({ key: 'k3' })).applied;
for (let i = 4; i < 20; i++) await store.write({ key: `k${i}` });
await store.compact(store.revision());
said.after = (await store.write({ key: 'again', value })).applied;
said.more = (await fillUp(store, 'more', value)) === 'StoreFull' && (await store.get('more10')) !== undefined;

await fillUp(store, 'small', Buffer.alloc(1500, 'x'));
const filler = join(dir, 'filler');
fillDisk();
const gone = await store.range({ start: 'more', end: 't' });
await Promise.all(gone.entries.map(({ key }) => store.write({ key })));
await store.compact(store.revision());
said.reserveUsed = !existsSync(join(dir, 'reserve'));
fillDisk();
said.inside = (await store.write({ key: 'inside', value })).applied && !existsSync(join(dir, 'reserve'));
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

function fillDisk(): void {
  for (let bytes = 1 << 20; bytes >= 4096; bytes >>= 1) {
    try {
      writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
    } catch {}
  }
}
