export type {
  Entry,
  Lease,
  RangeQuery,
  RangeResult,
  Store,
  StoreBatch,
  StoreEvent,
  StoreWatch,
  WatchOptions,
  Write,
  WriteResult,
} from './contract.ts';
export { Compacted, Corrupt, FutureRevision, SlowWatcher, StoreClosed, StoreFull } from './errors.ts';
