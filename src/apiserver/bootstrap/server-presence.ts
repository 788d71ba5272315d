import { type Clock, type Closable, type Log, messageOf, sleep } from '#base';
import { type Lease, prefixEnd, type Store } from '#store';

export interface ServerPresenceOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Of this server. */
  readonly address: string;
  readonly port: number;
  /** Called with the addresses of all servers that live, at first and at each change. */
  readonly onServers: (addresses: readonly string[]) => Promise<void>;
}

/** How long a server that says nothing counts as alive, as upstream. */
const ttlSeconds = 15;
const sayEveryMs = 5000;
const againMs = 1000;
const prefix = '/k8ts/apiservers/';
const range = { start: prefix, end: prefixEnd(prefix) } as const;

/** Says in the store, under a lease, that this server lives, and follows which others do. Resolves when it has been said. */
export async function startServerPresence(options: ServerPresenceOptions): Promise<Closable> {
  const { store, clock, log, address, port, onServers } = options;
  const closing = new AbortController();
  let lease: Lease | undefined;
  let tellAgain = false;
  let telling: Promise<void> | undefined;

  const say = async (): Promise<void> => {
    if (lease !== undefined) {
      try {
        return await lease.keepAlive();
      } catch (error) {
        if ((error as { code?: string }).code !== 'LeaseNotFound') throw error;
      }
    }
    lease = await store.grantLease(ttlSeconds);
    await store.write({ key: `${prefix}${address}`, value: Buffer.from(JSON.stringify({ address, port })), lease });
  };
  const living = async (): Promise<string[]> => {
    const { entries } = await store.range(range);
    return entries.map(({ key }) => key.slice(prefix.length));
  };
  const tell = async (): Promise<void> => {
    do {
      tellAgain = false;
      try {
        const addresses = await living();
        if (addresses.includes(address) && !closing.signal.aborted) await onServers(addresses);
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'the endpoints of the API servers were not written');
        await sleep(clock, againMs, closing.signal).catch(() => {});
        tellAgain = true;
      }
    } while (tellAgain && !closing.signal.aborted);
    telling = undefined;
  };
  const changed = (): void => {
    tellAgain = true;
    telling ??= tell();
  };
  const keepSaying = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await sleep(clock, sayEveryMs, closing.signal).catch(() => {});
      if (closing.signal.aborted) return;
      await say().catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'the store was not told that this server lives'),
      );
    }
  };
  let watch = store.watch(range);
  const follow = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        for await (const _batch of watch) changed();
      } catch (error) {
        if (closing.signal.aborted || (error as { code?: string }).code === 'StoreClosed') return;
        await sleep(clock, againMs, closing.signal).catch(() => {});
      }
      if (closing.signal.aborted) return;
      watch = store.watch(range);
      changed();
    }
  };
  await say();
  const running = [keepSaying(), follow()];
  changed();
  await telling;
  return {
    async close() {
      closing.abort();
      watch.close();
      await lease?.revoke().catch(() => {});
      await Promise.all([...running, telling]);
    },
  };
}
