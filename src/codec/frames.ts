import type { WatchEvent } from '#api';
import { DecodeError } from './errors.ts';
import { ReverseWriter } from './reverse-writer.ts';
import { invalidProtobuf, WireReader } from './wire-reader.ts';

type EventType = WatchEvent['type'];

const jsonHeads = new Map<string, Buffer>();
const jsonTail = Buffer.from('}\n');

/** One line of a JSON watch around the object's JSON bytes, which are copied and not looked at. */
export function encodeWatchEventJson(type: EventType, object: Uint8Array): Buffer {
  let head = jsonHeads.get(type);
  if (head === undefined) {
    head = Buffer.from(`{"type":"${type}","object":`);
    jsonHeads.set(type, head);
  }
  const frame = Buffer.allocUnsafe(head.length + object.length + jsonTail.length);
  frame.set(head);
  frame.set(object, head.length);
  frame.set(jsonTail, head.length + object.length);
  return frame;
}

/**
 * One frame of a protobuf watch around the object's document (envelope included): the length in four bytes, big-endian,
 * then the WatchEvent message, which has no envelope of its own.
 */
export function encodeWatchEventProtobuf(type: EventType, object: Uint8Array): Buffer {
  const writer = new ReverseWriter(object.length + type.length + 32);
  const before = writer.written;
  writer.bytes(object);
  writer.varint(object.length);
  writer.varint(0x0a);
  writer.varint(writer.written - before);
  writer.varint(0x12);
  writer.string(type);
  writer.varint(0x0a);
  const length = writer.written;
  writer.bytes(Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length));
  return writer.take();
}

/** A frame's content (without the length) as type and the object's document. */
export function decodeWatchEventProtobuf(frame: Uint8Array): { readonly type: string; readonly object: Uint8Array } {
  const reader = new WireReader(frame);
  let type = '';
  let object: Uint8Array = new Uint8Array();
  reader.message(frame.length, (number, wireType) => {
    if (number === 1 && wireType === 2) type = reader.string();
    else if (number === 2 && wireType === 2) {
      reader.message(reader.length(), (inner, innerType) => {
        if (inner === 1 && innerType === 2) object = reader.bytes();
        else reader.skip(innerType);
      });
    } else reader.skip(wireType);
  });
  if (type === '') throw invalidProtobuf('a watch event without a type');
  return { type, object };
}

export interface FrameSplitterOptions {
  /** A frame beyond this is a DecodeError `TooLarge`. Default 64 MiB. */
  readonly maxFrameBytes?: number;
}

const defaultMaxFrameBytes = 64 << 20;

/** Collects chunks until a frame is whole, without copying what lies whole in one chunk. */
class FrameBuffer {
  #chunks: Uint8Array[] = [];
  #length = 0;
  readonly #max: number;

  constructor({ maxFrameBytes = defaultMaxFrameBytes }: FrameSplitterOptions) {
    this.#max = maxFrameBytes;
  }

  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.check(this.#length + chunk.length);
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  check(length: number): void {
    if (length > this.#max) throw new DecodeError('TooLarge', `a frame of the stream exceeds ${this.#max} bytes`);
  }

  /** All that was collected and `last`, in one piece. */
  take(last: Uint8Array): Uint8Array {
    if (this.#length === 0) return last;
    this.check(this.#length + last.length);
    const whole = Buffer.concat([...this.#chunks, last]);
    this.#chunks = [];
    this.#length = 0;
    return whole;
  }
}

/** Splits a stream of JSON lines. `push` answers the lines that the chunk completes, without their newline; blank ones are dropped. */
export class JsonLineSplitter {
  readonly #pending: FrameBuffer;

  constructor(options: FrameSplitterOptions = {}) {
    this.#pending = new FrameBuffer(options);
  }

  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const line = this.#pending.take(chunk.subarray(start, end));
      this.#pending.check(line.length);
      if (line.length > 0 && !(line.length === 1 && line[0] === 0x0d)) lines.push(line);
      start = end + 1;
    }
    this.#pending.add(chunk.subarray(start));
    return lines;
  }

  /** Bytes of a line that is not complete; more than 0 at the end of the stream means that it was cut off. */
  get pendingBytes(): number {
    return this.#pending.length;
  }
}

/** Splits a stream of length-prefixed frames. `push` answers the frames that the chunk completes, without their length. */
export class LengthFrameSplitter {
  readonly #pending: FrameBuffer;

  constructor(options: FrameSplitterOptions = {}) {
    this.#pending = new FrameBuffer(options);
  }

  push(chunk: Uint8Array): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const waiting = this.#missing;
    if (this.#pending.length > 0 && chunk.length < waiting) {
      this.#missing -= chunk.length;
      this.#pending.add(chunk);
      return frames;
    }
    let rest = this.#pending.take(chunk);
    for (;;) {
      if (rest.length < 4) break;
      const length =
        (((rest[0] as number) << 24) |
          ((rest[1] as number) << 16) |
          ((rest[2] as number) << 8) |
          (rest[3] as number)) >>>
        0;
      this.#pending.check(length);
      if (rest.length < 4 + length) break;
      frames.push(rest.subarray(4, 4 + length));
      rest = rest.subarray(4 + length);
    }
    this.#missing = this.#missingIn(rest);
    this.#pending.add(rest);
    return frames;
  }

  /** Bytes that the frame at hand still lacks: chunks are only collected until they are there. */
  #missing = 4;

  #missingIn(rest: Uint8Array): number {
    if (rest.length < 4) return 4 - rest.length;
    const length =
      (((rest[0] as number) << 24) | ((rest[1] as number) << 16) | ((rest[2] as number) << 8) | (rest[3] as number)) >>>
      0;
    return 4 + length - rest.length;
  }

  get pendingBytes(): number {
    return this.#pending.length;
  }
}
