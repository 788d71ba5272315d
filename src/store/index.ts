export {
  type ArchivedWrite,
  type ArchiveEnd,
  type ArchiveHeader,
  ArchiveDamaged,
  type ArchiveMoment,
  type ArchiveSelection,
  type ArchiveSource,
  describeWindow,
  readArchiveHeader,
  readSelection,
  selectFromArchive,
  writeArchive,
} from './archive/index.ts';
export { type Compactor, type CompactorOptions, startCompactor } from './compactor.ts';
export type {
  Entry,
  Lease,
  RangeQuery,
  RangeResult,
  RevisionTime,
  Store,
  StoreBatch,
  StoreEvent,
  StoreWatch,
  WatchOptions,
  Write,
  WriteResult,
} from './contract.ts';
export { MemoryJournal, type MemoryStoreOptions, openMemoryStore } from './drivers/memory.driver.ts';
export type { WatchLimits } from './engine/watcher.ts';
export {
  Compacted,
  Corrupt,
  FutureRevision,
  InvalidWrite,
  LeaseNotFound,
  SlowWatcher,
  StoreClosed,
  StoreFull,
  StoreUnavailable,
  WriteUnknown,
} from './errors.ts';
export type { StoreMember, StoreMembers } from './drivers/etcd/members.ts';
/** The membership of an etcd cluster: loaded when it is changed. */
export const loadEtcdMembers = () => import('./drivers/etcd/members.ts');
export { compareKeys, keyInRange, prefixEnd } from './keys.ts';
export { type LmdbStoreOptions, openLmdbStore } from './drivers/lmdb.driver.ts';
export { type LmdbRestoreOptions, restoreLmdbStore } from './drivers/lmdb.restore.ts';
export { type OpenStoreOptions, openStore } from './open-store.ts';
