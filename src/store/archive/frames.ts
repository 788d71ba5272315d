import { CodedError } from '#base';

/*
 * An archive is a sequence of frames: length of the payload (4 bytes), type (1), payload. Numbers are big-endian.
 *
 *   header   JSON: format, base revision, newest revision, times
 *   entries  those at the base revision, in order of their keys
 *   events   every later write up to the newest revision, in order
 *   end      JSON: how many entries and events, and the SHA-256 of every byte before this frame
 *
 *   entry, put   mod revision (6), create revision (6), version (4), flags (1: has a lease), bytes of the key (2), key, value
 *   delete       mod revision (6), bytes of the key (2), key
 */
export const frameTypes = { header: 1, entry: 2, put: 3, delete: 4, end: 9 } as const;
export type FrameType = (typeof frameTypes)[keyof typeof frameTypes];

export interface Frame {
  readonly type: FrameType;
  readonly payload: Buffer;
}

export interface ArchivedWrite {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: number;
  readonly createRevision: number;
  readonly version: number;
  readonly leased: boolean;
}

const frameHeadBytes = 5;
const writeHeadBytes = 19;
/** Above any value and any header with its times. */
const longestPayloadBytes = 64 << 20;

export class ArchiveDamaged extends CodedError {
  constructor(detail: string) {
    super('ArchiveDamaged', `the archive of the store is damaged: ${detail}`);
  }
}

export function encodeFrame(type: FrameType, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeadBytes + payload.length);
  bytes.writeUInt32BE(payload.length, 0);
  bytes[4] = type;
  bytes.set(payload, frameHeadBytes);
  return bytes;
}

export function encodeJsonFrame(type: FrameType, value: object): Buffer {
  return encodeFrame(type, Buffer.from(JSON.stringify(value)));
}

export function encodeWrite(type: typeof frameTypes.entry | typeof frameTypes.put, write: ArchivedWrite): Buffer {
  const { key, value } = write;
  const keyBytes = Buffer.byteLength(key);
  const length = writeHeadBytes + keyBytes + value.length;
  const bytes = Buffer.allocUnsafe(frameHeadBytes + length);
  bytes.writeUInt32BE(length, 0);
  bytes[4] = type;
  const at = frameHeadBytes;
  bytes.writeUIntBE(write.modRevision, at, 6);
  bytes.writeUIntBE(write.createRevision, at + 6, 6);
  bytes.writeUInt32BE(write.version, at + 12);
  bytes[at + 16] = write.leased ? 1 : 0;
  bytes.writeUInt16BE(keyBytes, at + 17);
  bytes.write(key, at + writeHeadBytes, 'utf8');
  bytes.set(value, at + writeHeadBytes + keyBytes);
  return bytes;
}

export function encodeDelete(key: string, modRevision: number): Buffer {
  const payload = Buffer.allocUnsafe(8 + Buffer.byteLength(key));
  payload.writeUIntBE(modRevision, 0, 6);
  payload.writeUInt16BE(payload.length - 8, 6);
  payload.write(key, 8, 'utf8');
  return encodeFrame(frameTypes.delete, payload);
}

/** Throws ArchiveDamaged. */
export function decodeWrite(payload: Buffer): ArchivedWrite {
  const keyBytes = payload.length >= writeHeadBytes ? payload.readUInt16BE(17) : 0;
  const valueAt = writeHeadBytes + keyBytes;
  if (valueAt > payload.length) throw new ArchiveDamaged('an entry is shorter than its key');
  return {
    modRevision: payload.readUIntBE(0, 6),
    createRevision: payload.readUIntBE(6, 6),
    version: payload.readUInt32BE(12),
    leased: payload[16] === 1,
    key: payload.toString('utf8', writeHeadBytes, valueAt),
    value: payload.subarray(valueAt),
  };
}

/** Throws ArchiveDamaged. */
export function decodeDelete(payload: Buffer): { readonly key: string; readonly modRevision: number } {
  if (payload.length < 8 || payload.readUInt16BE(6) !== payload.length - 8)
    throw new ArchiveDamaged('a delete is shorter than its key');
  return { modRevision: payload.readUIntBE(0, 6), key: payload.toString('utf8', 8) };
}

/** Cuts bytes that come in any pieces into frames. Throws ArchiveDamaged when they end inside one. */
export async function* splitFrames(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Frame> {
  let held: Buffer = Buffer.alloc(0);
  const waiting: Buffer[] = [];
  let waitingBytes = 0;
  let wanted = frameHeadBytes;
  for await (const piece of pieces) {
    waiting.push(Buffer.from(piece.buffer, piece.byteOffset, piece.length));
    waitingBytes += piece.length;
    if (held.length + waitingBytes < wanted) continue;
    held = Buffer.concat([held, ...waiting.splice(0)]);
    waitingBytes = 0;
    let at = 0;
    for (;;) {
      wanted = frameHeadBytes;
      if (held.length - at < wanted) break;
      const length = held.readUInt32BE(at);
      if (length > longestPayloadBytes) throw new ArchiveDamaged(`a frame of ${length} bytes`);
      wanted += length;
      if (held.length - at < wanted) break;
      yield { type: held[at + 4] as FrameType, payload: held.subarray(at + frameHeadBytes, at + wanted) };
      at += wanted;
    }
    held = held.subarray(at);
  }
  if (held.length + waitingBytes > 0) throw new ArchiveDamaged('it ends in the middle of a frame');
}
