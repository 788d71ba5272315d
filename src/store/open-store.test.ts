import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { ManualClock } from '#base';
import { openStore } from './open-store.ts';

it('opens a store by name', async () => {
  const clock = new ManualClock();
  const dir = mkdtempSync(join(tmpdir(), 'k8ts-store-'));
  for (const spec of ['memory', `lmdb:${dir}`]) {
    const store = await openStore(spec, { clock, maxBytes: 50_000 });
    assert.equal((await store.write({ key: 'a', value: Buffer.from('x') })).revision, 2);
    await assert.rejects(store.write({ key: 'b', value: Buffer.alloc(60_000) }), { code: 'StoreFull' });
    await store.close();
  }
  rmSync(dir, { recursive: true });
  for (const spec of ['lmdb:', 'etc', '']) await assert.rejects(openStore(spec, { clock }), { code: 'UnknownStore' });
});
