import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ManualClock } from '#base';
import { openLmdbStore } from './lmdb.driver.ts';

const made: string[] = [];
const newDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-damage-'));
  made.push(dir);
  return dir;
};
after(() => {
  for (const dir of made) rmSync(dir, { recursive: true, force: true });
});
const file = (dir: string): string => join(dir, 'store.lmdb');

describe('an LMDB file that was damaged', () => {
  it('never ends the process, and never gives what was not written', { timeout: 60_000 }, () => {
    const script = join(import.meta.dirname, 'damage.fixture.ts');
    const said = execFileSync(process.execPath, [script, newDir(), '11', '120'], { encoding: 'utf8' });
    const { openRefused, readRefused, right } = JSON.parse(said) as Record<string, number>;
    assert.equal((openRefused ?? 0) + (readRefused ?? 0) + (right ?? 0), 120);
    assert.ok((openRefused ?? 0) > 30 && (right ?? 0) > 30, said);
  });

  it('is refused with its name and what to do', async () => {
    for (const [bytes, detail] of [
      [Buffer.from('abc'), 'it has only 3 bytes'],
      [Buffer.alloc(40_000), 'it does not begin as a store does'],
      [Buffer.alloc(40_000, 'nonsense'), 'it does not begin as a store does'],
    ] as const) {
      const dir = newDir();
      writeFileSync(file(dir), bytes);
      await assert.rejects(openLmdbStore({ dir, clock: new ManualClock() }), {
        code: 'Corrupt',
        message: `${file(dir)} is damaged (${detail}): restore the store from a backup`,
      });
    }
  });

  it('that lost its tail is refused, one that only lacks free pages is not', async () => {
    const dir = newDir();
    let store = await openLmdbStore({ dir, clock: new ManualClock() });
    for (let i = 0; i < 50; i++) await store.write({ key: `k${i}`, value: Buffer.alloc(20_000, 'x') });
    await store.close();
    const { size } = statSync(file(dir));
    truncateSync(file(dir), Math.floor(size / 8192) * 4096);
    await assert.rejects(
      async () => {
        store = await openLmdbStore({ dir, clock: new ManualClock() });
        try {
          await store.range({ start: '', end: '' });
        } finally {
          await store.close();
        }
      },
      { code: 'Corrupt' },
    );
  });

  it('that is empty, as a process killed at once leaves it, is a new store', async () => {
    const dir = newDir();
    writeFileSync(file(dir), '');
    const store = await openLmdbStore({ dir, clock: new ManualClock() });
    assert.equal((await store.write({ key: 'a', value: Buffer.from('1') })).revision, 2);
    await store.close();
  });
});
