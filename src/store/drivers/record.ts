import { crc32 } from 'node:zlib';
import type { JournalRecord, RecordHead } from '../engine/journal.ts';
import { Corrupt } from '../errors.ts';

/*
 * A record on disk; numbers are big-endian:
 *
 *    0  crc32 of everything from 4 to the value, seeded with the revision
 *    4  crc32 of the value
 *    8  flags: 1 delete          9  zero             10  bytes of the key (2)
 *   12  create revision (6)     18  lease (6)        24  version (4)
 *   28  the key, UTF-8, then the value to the end
 */
const headBytes = 28;
const deletedFlag = 1;

export function encodeRecord(record: JournalRecord): Buffer {
  const { key, value } = record;
  const keyBytes = Buffer.byteLength(key);
  const bytes = Buffer.allocUnsafe(headBytes + keyBytes + value.length);
  bytes.writeUInt32BE(crc32(value), 4);
  bytes[8] = record.deleted ? deletedFlag : 0;
  bytes[9] = 0;
  bytes.writeUInt16BE(keyBytes, 10);
  bytes.writeUIntBE(record.createRevision, 12, 6);
  bytes.writeUIntBE(record.lease, 18, 6);
  bytes.writeUInt32BE(record.version, 24);
  bytes.write(key, headBytes, 'utf8');
  bytes.set(value, headBytes + keyBytes);
  bytes.writeUInt32BE(headCrc(bytes, record.revision, keyBytes), 0);
  return bytes;
}

/** Reads all but the value, whose checksum is left for when it is read. `length`: of the record, when the buffer is longer. */
export function decodeHead(bytes: Buffer, revision: number, length = bytes.length): RecordHead {
  const keyBytes = length >= headBytes ? bytes.readUInt16BE(10) : 0;
  const valueLength = length - headBytes - keyBytes;
  if (length < headBytes || valueLength < 0 || headCrc(bytes, revision, keyBytes) !== bytes.readUInt32BE(0)) {
    throw new Corrupt(`revision ${revision}`);
  }
  return {
    revision,
    key: bytes.toString('utf8', headBytes, headBytes + keyBytes),
    deleted: bytes[8] === deletedFlag,
    createRevision: bytes.readUIntBE(12, 6),
    lease: bytes.readUIntBE(18, 6),
    version: bytes.readUInt32BE(24),
    valueLength,
  };
}

/** The value of `key` written at `revision`; throws Corrupt unless this is exactly that. */
export function decodeValue(bytes: Buffer, revision: number, key: string): Buffer {
  const head = decodeHead(bytes, revision);
  const value = bytes.subarray(bytes.length - head.valueLength);
  if (head.key !== key || crc32(value) !== bytes.readUInt32BE(4)) throw new Corrupt(key);
  return value;
}

/** The seed ties a record to its revision: one found at another's place does not pass. */
function headCrc(bytes: Buffer, revision: number, keyBytes: number): number {
  return crc32(bytes.subarray(4, headBytes + keyBytes), revision % 2 ** 32);
}
