import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base';
import { openLmdbStore, prefixEnd, type Store } from '#store';

export interface Measurement {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

const value = Buffer.alloc(600, 'x');

/** The embedded store on this machine's disk. By hand: `node bench/store.ts`. */
export async function benchStore(options: { secondsEach?: number } = {}): Promise<Measurement[]> {
  const { secondsEach = 1 } = options;
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-bench-store-'));
  const rows: Measurement[] = [];
  const row = (name: string, measured: number, unit: string): void =>
    void rows.push({ name: `store: ${name}`, value: measured, unit });
  let store = await openLmdbStore({ dir, clock: systemClock });
  try {
    for (const inFlight of [1, 16, 128]) {
      row(`durable writes, ${inFlight} in flight`, await writesPerSecond(store, inFlight, secondsEach), '/s');
    }
    row('watch fan-out, write to last of 100 watchers', await fanOutMs(store), 'ms');
    await fill(store, 10_000);
    row('range of 10,000', await rangeMs(store), 'ms');
    await store.compact(store.revision());
    await store.close();
    const startMs = performance.now();
    store = await openLmdbStore({ dir, clock: systemClock });
    row('open with 10,000 objects and more', performance.now() - startMs, 'ms');
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
  return rows;
}

async function writesPerSecond(store: Store, inFlight: number, seconds: number): Promise<number> {
  const startMs = performance.now();
  let writes = 0;
  const writer = async (): Promise<void> => {
    while (performance.now() - startMs < seconds * 1000) {
      await store.write({ key: `/registry/bench/${writes++ % 5000}`, value });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, writer));
  return Math.round((writes / (performance.now() - startMs)) * 1000);
}

async function fill(store: Store, count: number): Promise<void> {
  for (let i = 0; i < count; i += 500) {
    await Promise.all(
      Array.from({ length: 500 }, (_, k) => store.write({ key: `/registry/pods/ns/pod-${i + k}`, value })),
    );
  }
}

async function rangeMs(store: Store): Promise<number> {
  const startMs = performance.now();
  const rounds = 10;
  for (let i = 0; i < rounds; i++) await store.range({ start: '/registry/pods/', end: prefixEnd('/registry/pods/') });
  return (performance.now() - startMs) / rounds;
}

async function fanOutMs(store: Store): Promise<number> {
  const rounds = 200;
  const watches = Array.from({ length: 100 }, () =>
    store.watch({ start: '/registry/w/', end: prefixEnd('/registry/w/') }),
  );
  const iterators = watches.map((watch) => watch[Symbol.asyncIterator]());
  const startMs = performance.now();
  for (let i = 0; i < rounds; i++) {
    const all = iterators.map((iterator) => iterator.next());
    await store.write({ key: '/registry/w/one', value });
    await Promise.all(all);
  }
  for (const watch of watches) watch.close();
  return (performance.now() - startMs) / rounds;
}

if (import.meta.main) for (const { name, value, unit } of await benchStore()) console.log(`${name}: ${value} ${unit}`);
