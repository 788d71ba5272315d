import { setTimeout as passMs } from 'node:timers/promises';
import { test } from 'node:test';
import { systemClock } from '#base';
import { etcdMissing, startTestEtcd, type TestEtcd } from '../../../testkit/etcd.ts';
import { type OpenedStore, type StoreTestOptions, storeContract } from '../../../testkit/store-contract.ts';
import { openEtcdStore } from './etcd.driver.ts';

const missing = etcdMissing();
if (missing === false) {
  storeContract(
    { name: 'etcd', open: async (options = {}) => open(await startTestEtcd(), options) },
    { runs: 4, quota: false, remote: true, secondMs: 300 },
  );
} else test('store contract: etcd', { skip: missing }, () => {});

async function open(etcd: TestEtcd, options: StoreTestOptions): Promise<OpenedStore> {
  const { watchLimits } = options;
  const store = await openEtcdStore({ urls: etcd.urls, clock: systemClock, watchLimits });
  return {
    store,
    advance: (byMs) => passMs(byMs),
    // etcd itself starts again: its leases begin anew, as those of other drivers.
    reopen: async () => {
      await store.close();
      await etcd.kill(0);
      etcd.start(0);
      return open(etcd, options);
    },
    dispose: async () => {
      await store.close();
      await etcd.dispose();
    },
  };
}
