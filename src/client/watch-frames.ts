import { decodeJson } from '#codec';

/** One event of a watch as it stands on the wire. */
export interface RawEvent {
  readonly type: string;
  readonly object: object;
}

const newline = 0x0a;

/** Cuts a stream of bytes into lines (without their newline); blank ones are skipped. */
export async function* framesOf(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let pieces: Uint8Array[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      pieces.push(chunk.subarray(start, end));
      const line = pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
      pieces = [];
      start = end + 1;
      if (line.length > 0) yield line;
    }
    if (start < chunk.length) pieces.push(chunk.subarray(start));
  }
  const rest = Buffer.concat(pieces);
  if (rest.length > 0) yield rest;
}

export async function* decodeFrames(frames: AsyncIterable<Uint8Array>): AsyncIterable<RawEvent> {
  for await (const frame of frames) yield decodeJson(frame) as RawEvent;
}
