import { ManualClock } from '#base';
import { MemoryJournal, openMemoryStore } from '#store';
import { type OpenedStore, type StoreTestOptions, storeContract } from '../../testkit/store-contract.ts';

storeContract({ name: 'memory', open: (options = {}) => open(new MemoryJournal(), options) }, { runs: 200 });

async function open(journal: MemoryJournal, options: StoreTestOptions): Promise<OpenedStore> {
  const clock = new ManualClock();
  const store = await openMemoryStore({ clock, journal, ...options });
  return {
    store,
    advance: (byMs) => clock.advance(byMs),
    reopen: async () => {
      await store.close();
      return open(journal, options);
    },
    dispose: () => store.close(),
  };
}
