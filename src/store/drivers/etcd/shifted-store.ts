import type {
  Entry,
  RangeQuery,
  RangeResult,
  Store,
  StoreBatch,
  StoreEvent,
  StoreWatch,
  WatchOptions,
  Write,
  WriteResult,
} from '../../contract.ts';
import { Compacted, FutureRevision } from '../../errors.ts';

/** No key was ever written then. */
const never = -1;

/**
 * A store whose revisions are `by` higher than those of the one behind it: etcd counts from 1, and what moved there from another store
 * must go on above the revisions that its readers have seen.
 */
export function shiftRevisions(store: Store, by: number): Store {
  const inner = (revision: number): number => {
    if (revision > by) return revision - by;
    throw new Compacted(store.compactedRevision() + by);
  };
  const explain = (error: unknown): never => {
    if (error instanceof Compacted) throw new Compacted(error.compactedRevision + by);
    throw error;
  };
  const entry = (found: Entry): Entry => ({
    ...found,
    modRevision: found.modRevision + by,
    createRevision: found.createRevision === 0 ? 0 : found.createRevision + by,
  });
  const event = (one: StoreEvent): StoreEvent =>
    one.previous === undefined
      ? { ...one, entry: entry(one.entry) }
      : { ...one, entry: entry(one.entry), previous: entry(one.previous) };
  const at = (revision: number | undefined): { revision?: number } => {
    if (revision === undefined) return {};
    if (revision > store.revision() + by) throw new FutureRevision(revision, store.revision() + by);
    return { revision: inner(revision) };
  };
  const { newestRevision, isFull } = store;
  return {
    failed: store.failed,
    revision: () => store.revision() + by,
    compactedRevision: () => store.compactedRevision() + by,
    ...(newestRevision === undefined ? {} : { newestRevision: async () => (await newestRevision.call(store)) + by }),
    ...(isFull === undefined ? {} : { isFull: () => isFull.call(store) }),
    async get(key, options = {}) {
      const found = await store.get(key, at(options.revision)).catch(explain);
      return found && entry(found);
    },
    async range({ revision, ...query }: RangeQuery): Promise<RangeResult> {
      const found = await store.range({ ...query, ...at(revision) }).catch(explain);
      return { ...found, revision: found.revision + by, entries: found.entries.map(entry) };
    },
    async write({ ifModRevision, ...write }: Write): Promise<WriteResult> {
      const condition =
        ifModRevision === undefined
          ? {}
          : { ifModRevision: ifModRevision === 0 ? 0 : ifModRevision > by ? ifModRevision - by : never };
      const { current, ...result } = await store.write({ ...write, ...condition });
      const shifted = { ...result, revision: result.revision + by };
      return current === undefined ? shifted : { ...shifted, current: entry(current) };
    },
    watch({ fromRevision, ...options }: WatchOptions): StoreWatch {
      if (fromRevision !== undefined && fromRevision <= by) return endedWatch(store.compactedRevision() + by);
      const watch = store.watch(fromRevision === undefined ? options : { ...options, fromRevision: fromRevision - by });
      return {
        close: () => watch.close(),
        async *[Symbol.asyncIterator](): AsyncGenerator<StoreBatch> {
          try {
            for await (const { revision, events } of watch) {
              yield { revision: revision + by, events: events.map(event) };
            }
          } catch (error) {
            explain(error);
          }
        },
      };
    },
    async compact(revision) {
      if (revision > store.revision() + by) throw new FutureRevision(revision, store.revision() + by);
      if (revision > by) await store.compact(revision - by).catch(explain);
    },
    grantLease: (ttlSeconds) => store.grantLease(ttlSeconds),
    close: () => store.close(),
  };
}

function endedWatch(compacted: number): StoreWatch {
  return {
    close() {},
    // biome-ignore lint/correctness/useYield: it has nothing to give
    async *[Symbol.asyncIterator](): AsyncGenerator<StoreBatch> {
      throw new Compacted(compacted);
    },
  };
}
