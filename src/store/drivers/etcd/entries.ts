import type { Entry, StoreEvent } from '../../contract.ts';
import { Corrupt } from '../../errors.ts';
import { openValue } from './envelope.ts';
import { deleted, type EtcdEvent, type KeyValue } from './messages.ts';

const nothing = new Uint8Array(0);

export function keyBytes(key: string): Buffer {
  return Buffer.from(key);
}

export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('utf8');
}

/** From `start` to `end` in etcd's terms: one zero byte is the least key, and as an end it is none. */
export function rangeBytes(start: string, end: string): { key: Buffer; rangeEnd: Buffer } {
  return { key: keyBytes(start === '' ? '\0' : start), rangeEnd: keyBytes(end === '' ? '\0' : end) };
}

/** Throws Corrupt for a value that is damaged or was written by another program. */
export function entryOf(found: KeyValue): Entry {
  const value = openValue(found.value);
  const key = keyText(found.key);
  if (value === undefined) throw new Corrupt(key);
  const { modRevision, createRevision, version, lease } = found;
  const entry = { key, value, modRevision, createRevision, version };
  return lease === 0n ? entry : { ...entry, lease: lease.toString(16) };
}

/** Undefined when etcd no longer had the state before the change: its history was compacted. */
export function eventOf(event: EtcdEvent): StoreEvent | undefined {
  const found = event.kv as KeyValue;
  const created = event.type !== deleted && found.createRevision === found.modRevision;
  if (event.previous === undefined && !created) return undefined;
  const previous = event.previous === undefined || created ? undefined : entryOf(event.previous);
  const key = keyText(found.key);
  if (event.type !== deleted) {
    const entry = entryOf(found);
    return previous === undefined ? { type: 'put', key, entry } : { type: 'put', key, entry, previous };
  }
  const entry = { key, value: nothing, modRevision: found.modRevision, createRevision: 0, version: 0 };
  return previous === undefined ? { type: 'delete', key, entry } : { type: 'delete', key, entry, previous };
}
