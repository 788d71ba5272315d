import { existsSync, readdirSync } from 'node:fs';
import { type Clock, CodedError } from '#base';
import { type ArchivedWrite, openStore, restoreLmdbStore, type Store } from '#store';
import { openConfiguredStore, readEtcdTls, type StorePlace } from './configured-store.ts';

export interface CopyStoreOptions {
  readonly from: StorePlace;
  /** Must be empty. */
  readonly to: StorePlace;
  readonly clock: Clock;
}

export interface CopiedStore {
  readonly objects: number;
  /** Of the source. */
  readonly fromRevision: number;
  /** Of the copy: higher than any that the source gave. */
  readonly toRevision: number;
}

/** Left free, so that what the source still writes unseen is not given again. */
const marginRevisions = 1_000_000;
const leaseTtlSeconds = 3600;
const page = 500;
/** What servers note for themselves: claims, who lives. It is not taken along. */
const own = '/k8ts/';

/**
 * Copies all that is in a store into an empty one. The control plane must not run meanwhile. Revisions of the copy begin above those of
 * the source: whoever resumes from one of those is told to list again, and none is ever given twice.
 */
export async function copyStore(options: CopyStoreOptions): Promise<CopiedStore> {
  const { from, to, clock } = options;
  if (from.store.startsWith('lmdb:') && !existsSync(from.store.slice(5)))
    throw new CodedError('NoStore', `there is no store at ${from.store.slice(5)}`);
  const source = await openConfiguredStore(from, { clock });
  try {
    const fromRevision = source.revision();
    const firstRevision = fromRevision + marginRevisions;
    if (to.store.startsWith('lmdb:')) {
      const dir = to.store.slice(5);
      if (existsSync(dir) && readdirSync(dir).length > 0)
        throw new CodedError('StoreNotEmpty', `${dir} is not empty: give a folder that is not there yet`);
      let objects = 0;
      const entries = async function* () {
        for await (const one of entriesOf(source, fromRevision)) {
          objects++;
          yield one;
        }
      };
      const toRevision = await restoreLmdbStore({ dir, clock, entries: entries(), firstRevision, leaseTtlSeconds });
      return { objects, fromRevision, toRevision };
    }
    if (!to.store.startsWith('etcd:'))
      throw new CodedError('WrongUsage', `a store cannot be copied to "${to.store}": use lmdb:DIR or etcd:URL[,URL]`);
    const tls = to.etcdTls === undefined ? {} : { etcdTls: readEtcdTls(to.etcdTls) };
    const target = await openStore(to.store, { clock, shiftRevisions: firstRevision, ...tls });
    try {
      const objects = await writeAll(source, target, fromRevision);
      return { objects, fromRevision, toRevision: target.revision() };
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function writeAll(source: Store, target: Store, revision: number): Promise<number> {
  const lease = await target.grantLease(leaseTtlSeconds);
  let objects = 0;
  let writing: Promise<unknown>[] = [];
  for await (const { key, value, leased } of entriesOf(source, revision)) {
    writing.push(target.write({ key, value, ifModRevision: 0, ...(leased ? { lease } : {}) }));
    objects++;
    if (writing.length < page) continue;
    await Promise.all(writing);
    writing = [];
  }
  await Promise.all(writing);
  const { count } = await target.range({ start: '', end: '', countOnly: true });
  if (count !== objects + 1)
    throw new CodedError(
      'CopyIncomplete',
      `${count - 1} of ${objects} objects are in the copy: do not use it, begin anew`,
    );
  return objects;
}

async function* entriesOf(store: Store, revision: number): AsyncGenerator<ArchivedWrite> {
  for (let start = ''; ; ) {
    const { entries, more } = await store.range({ start, end: '', limit: page, revision });
    for (const { lease, ...entry } of entries)
      if (!entry.key.startsWith(own)) yield { ...entry, leased: lease !== undefined };
    const last = entries.at(-1);
    if (!more || last === undefined) return;
    start = `${last.key}\0`;
  }
}
