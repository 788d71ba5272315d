import { crc32 } from 'node:zlib';
import type { JournalRecord, RecordHead } from '../engine/journal.ts';
import { Corrupt } from '../errors.ts';

/*
 * A record on disk; numbers are big-endian. Both checksums are seeded with the revision: a record found at another's place
 * does not pass.
 *
 *    0  crc32 of everything from 4 to the value
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
  bytes.writeUInt32BE(crc32(value, seedOf(record.revision)), 4);
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

/** Reads all but the value, whose checksum is left for when it is read, of a record that is the first `length` of `bytes`. */
export function decodeHead(bytes: Buffer, revision: number, length: number): RecordHead {
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

/** A copy of the value of a record, the first `length` of `bytes`; undefined unless it is what was written at `revision`. */
export function decodeValue(bytes: Buffer, revision: number, length: number): Buffer | undefined {
  if (length < headBytes) return undefined;
  const from = headBytes + bytes.readUInt16BE(10);
  if (from > length || crc32(bytes.subarray(from, length), seedOf(revision)) !== bytes.readUInt32BE(4))
    return undefined;
  const value = Buffer.allocUnsafe(length - from);
  bytes.copy(value, 0, from, length);
  return value;
}

/** A number with a checksum that is seeded with `place`, the number in its key. */
export function encodeNumber(place: number, value: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeDoubleBE(value, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(4), seedOf(place)), 0);
  return bytes;
}

/** Undefined unless the bytes are what was written at `place`. */
export function decodeNumber(bytes: Buffer, place: number): number | undefined {
  if (bytes.length !== 12 || crc32(bytes.subarray(4), seedOf(place)) !== bytes.readUInt32BE(0)) return undefined;
  return bytes.readDoubleBE(4);
}

function headCrc(bytes: Buffer, revision: number, keyBytes: number): number {
  return crc32(bytes.subarray(4, headBytes + keyBytes), seedOf(revision));
}

function seedOf(revision: number): number {
  return revision % 2 ** 32;
}
