import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManualClock } from '#base';
import { openLmdbStore } from '#store';
import { type OpenedStore, type StoreTestOptions, storeContract } from '../../testkit/store-contract.ts';

storeContract(
  { name: 'lmdb', open: (options = {}) => open(mkdtempSync(join(tmpdir(), 'k8ts-store-')), options) },
  { runs: 30 },
);

async function open(dir: string, { maxBytes, watchLimits }: StoreTestOptions): Promise<OpenedStore> {
  const clock = new ManualClock();
  const store = await openLmdbStore({ dir, clock, mapSizeBytes: maxBytes, watchLimits });
  return {
    store,
    advance: (byMs) => clock.advance(byMs),
    reopen: async () => {
      await store.close();
      return open(dir, { maxBytes, watchLimits });
    },
    dispose: async () => {
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
