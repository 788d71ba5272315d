import { CodedError } from '#base';
import type { Store } from '../../contract.ts';
import type { EtcdConnection } from './connection.ts';
import { keyBytes, keyText, rangeBytes } from './entries.ts';
import { isOurs } from './envelope.ts';
import { EtcdError, said } from './failures.ts';
import { type Header, methods } from './messages.ts';

const readWithinMs = 8000;
const shiftKey = '/k8ts/revision-shift';

/** By how much revisions are higher than etcd's: decided once, for an empty etcd, and remembered there. */
export async function revisionShift(store: Store, wanted: number | undefined): Promise<number> {
  const found = await store.get(shiftKey);
  if (wanted === undefined) return found === undefined ? 0 : Number(Buffer.from(found.value).toString());
  const { count } = await store.range({ start: '', end: '', countOnly: true });
  if (found !== undefined || count > 0) {
    throw new CodedError('StoreNotEmpty', 'this etcd holds data already: give an empty one, or empty it first');
  }
  await store.write({ key: shiftKey, value: Buffer.from(String(wanted)), ifModRevision: 0 });
  return wanted;
}

/** One read with a majority's word, which also shows whose store it is. */
export async function firstLook(connection: EtcdConnection, limitMs: number): Promise<Header> {
  const request = { ...rangeBytes('', ''), limit: 1 };
  const { value } = await connection.call(methods.range, request, { limitMs });
  const [found] = value.kvs;
  if (found !== undefined && !isOurs(found.value)) {
    throw new CodedError(
      'StoreFormat',
      `this etcd holds another program's data (its first key is "${keyText(found.key)}"): give k8ts an etcd of its own`,
    );
  }
  return value.header as Header;
}

/** The oldest revision that can be named. etcd does not tell it: it is where reads stop being refused. */
export async function compactedRevisionOf(connection: EtcdConnection, newest: number): Promise<number> {
  const isKept = async (revision: number): Promise<boolean> => {
    const request = { key: keyBytes('\0'), revision, countOnly: true };
    try {
      await connection.call(methods.range, request, { limitMs: readWithinMs });
      return true;
    } catch (error) {
      if (error instanceof EtcdError && error.message.includes(said.compacted)) return false;
      throw error;
    }
  };
  if (await isKept(1)) return 1;
  let gone = 1;
  let kept = newest;
  while (kept - gone > 1) {
    const middle = Math.floor((kept + gone) / 2);
    if (await isKept(middle)) kept = middle;
    else gone = middle;
  }
  return Math.min(newest, kept + 1);
}
