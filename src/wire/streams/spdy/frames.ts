/** Frames of SPDY/3.1 as far as Kubernetes' streaming uses them. */
export const frameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  headers: 8,
  windowUpdate: 9,
} as const;

/** The sender will send nothing more on the stream. */
export const finFlag = 1;

export type Frame =
  | { readonly kind: 'data'; readonly streamId: number; readonly flags: number; readonly payload: Buffer }
  | { readonly kind: 'control'; readonly type: number; readonly flags: number; readonly payload: Buffer };

const headerBytes = 8;
const versionWord = 0x8003;
const largestFrame = 16 << 20;
const idMask = 0x7fffffff;

export function dataFrame(streamId: number, flags: number, payload: Uint8Array): Buffer[] {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(streamId & idMask, 0);
  header.writeUInt32BE(((flags << 24) | payload.length) >>> 0, 4);
  return payload.length === 0
    ? [header]
    : [header, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)];
}

export function controlFrame(type: number, flags: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt16BE(versionWord, 0);
  header.writeUInt16BE(type, 2);
  header.writeUInt32BE(((flags << 24) | payload.length) >>> 0, 4);
  return Buffer.concat([header, payload]);
}

/** Cuts a byte stream into frames. Throws RangeError on a frame larger than 16 MiB or of another version. */
export class FrameParser {
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer): Frame[] {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | undefined {
    if (this.#length < headerBytes) return undefined;
    const first = this.#chunks[0] as Buffer;
    const joined = first.length >= headerBytes ? first : this.#join();
    const length = joined.readUInt32BE(4) & 0xffffff;
    if (length > largestFrame) throw new RangeError(`SPDY frame of ${length} bytes`);
    if (this.#length < headerBytes + length) return undefined;
    const whole = joined.length >= headerBytes + length ? joined : this.#join();
    const payload = whole.subarray(headerBytes, headerBytes + length);
    const rest = whole.subarray(headerBytes + length);
    this.#chunks[0] = rest;
    if (rest.length === 0) this.#chunks.shift();
    this.#length -= headerBytes + length;
    const word = whole.readUInt32BE(0);
    const flags = whole[4] as number;
    if (word >>> 31 === 0) return { kind: 'data', streamId: word, flags, payload };
    if (word >>> 16 !== versionWord) throw new RangeError(`SPDY version ${(word >>> 16) & 0x7fff} is not 3`);
    return { kind: 'control', type: word & 0xffff, flags, payload };
  }

  #join(): Buffer {
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}
