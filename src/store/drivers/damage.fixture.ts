import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom, systemClock } from '#base';
import type { Store } from '../contract.ts';
import { openLmdbStore } from './lmdb.driver.ts';

/**
 * Damages a store's file in many ways and uses what is left, in this process: one that LMDB is led astray by ends it. Prints how
 * often opening was refused, a read was refused, and everything was right; anything else is an error.
 */
const [base = '', seed = '1', rounds = '10'] = process.argv.slice(2);
const random = seededRandom(Number(seed));
const whole = join(base, 'whole');
const clock = systemClock;
const valueOf = (key: string, version: number): string =>
  `${key}:${version}:`.repeat(20 + ((key.length * 131 + version * 37) % 200));

const expected = new Map<string, string>();
let newest = 0;
{
  const store = await openLmdbStore({ dir: whole, clock });
  const lease = await store.grantLease(3600);
  for (let i = 0; i < 900; i++) {
    const key = `k/${(i * 7) % 120}`;
    const value = i % 13 === 0 ? undefined : valueOf(key, i);
    await store.write({
      key,
      ...(value === undefined ? {} : { value: Buffer.from(value) }),
      ...(i % 50 === 1 ? { lease } : {}),
    });
    if (value === undefined) expected.delete(key);
    else expected.set(key, value);
    if (i % 300 === 299) await store.compact(store.revision() - 100);
  }
  newest = store.revision();
  await store.close();
}
const bytes = readFileSync(join(whole, 'store.lmdb'));
const said = { openRefused: 0, readRefused: 0, right: 0 };
for (let round = 0; round < Number(rounds); round++) {
  const dir = join(base, `round-${round}`);
  mkdirSync(dir, { recursive: true });
  const file = join(dir, 'store.lmdb');
  copyFileSync(join(whole, 'store.lmdb'), file);
  writeFileSync(file, damaged(round));
  await use(dir, round);
  rmSync(dir, { recursive: true, force: true });
}
console.log(JSON.stringify(said));

/** A flipped bit, a page of zeros or noise or of another page, or a file cut short. */
function damaged(round: number): Buffer {
  const copy = Buffer.from(bytes);
  const pages = copy.length / 4096;
  const at = random.int(pages) * 4096;
  if (round % 6 === 0) return copy.subarray(0, random.int(copy.length));
  if (round % 6 === 1) copy.fill(0, at, at + 4096);
  else if (round % 6 === 2) copy.set(random.bytes(4096), at);
  else if (round % 6 === 3) copy.copy(copy, at, random.int(pages) * 4096, 0);
  else if (round % 6 === 4) copy.set(copy.subarray(random.int(pages) * 4096).subarray(0, 4096), at);
  else {
    // Heads of pages and nodes are where LMDB is most easily led astray.
    const spot = round % 2 === 0 ? random.int(copy.length) : at + random.int(200);
    copy[spot] = (copy[spot] as number) ^ (1 << random.int(8));
  }
  return copy;
}

async function use(dir: string, round: number): Promise<void> {
  let store: Store;
  try {
    store = await openLmdbStore({ dir, clock });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'Corrupt' && code !== 'StoreFormat') throw new Error(`round ${round}`, { cause: error });
    said.openRefused++;
    return;
  }
  let refused = false;
  for (const [key, value] of expected) {
    try {
      const entry = await store.get(key);
      const found = entry === undefined ? undefined : Buffer.from(entry.value).toString();
      // The roots of the last two commits are not protected from each other: an earlier commit may be taken for the newest.
      const earlier = store.revision() < newest && (found === undefined || wasWritten(key, found));
      if (found !== value && !earlier) throw new Error(`round ${round}: ${key} is wrong`);
    } catch (error) {
      if ((error as { code?: string }).code !== 'Corrupt') throw error;
      refused = true;
    }
  }
  for (let i = 0; i < 30; i++) await store.write({ key: `new/${i}`, value: Buffer.alloc(100 + i * 200, 'x') });
  await store.compact(store.revision());
  await store.close();
  said[refused ? 'readRefused' : 'right']++;
}

function wasWritten(key: string, value: string): boolean {
  for (let i = 0; i < 900; i++) if (valueOf(key, i) === value) return true;
  return false;
}
