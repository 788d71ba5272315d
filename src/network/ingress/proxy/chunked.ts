import { BadMessage } from './heads.ts';

const longestSizeLine = 512;
const longestTrailers = 16 * 1024;
const sizeLine = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/;

const inSize = 0;
const inData = 1;
const afterData = 2;
const inTrailers = 3;
const isDone = 4;

/**
 * Takes a chunked body apart (RFC 9112, section 7.1). Strict: a size that another reader could understand otherwise is refused.
 * Trailers and extensions are dropped.
 */
export class ChunkedDecoder {
  #state = inSize;
  #left = 0;
  /** The beginning of a line that has not ended yet. */
  #line = '';
  #trailerBytes = 0;

  get done(): boolean {
    return this.#state === isDone;
  }

  /** Hands out the data in `input` from `start`; returns the place after the last byte used. Throws BadMessage. */
  decode(input: Buffer, start: number, take: (data: Buffer) => void): number {
    let at = start;
    while (at < input.length && this.#state !== isDone) {
      if (this.#state === inData) {
        const end = Math.min(input.length, at + this.#left);
        take(at === 0 && end === input.length ? input : input.subarray(at, end));
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#state = afterData;
        continue;
      }
      const newline = input.indexOf(0x0a, at);
      const end = newline === -1 ? input.length : newline + 1;
      this.#line += input.toString('latin1', at, end);
      at = end;
      if (this.#line.length > longestSizeLine && this.#state !== inTrailers)
        throw new BadMessage(400, 'a chunk begins with a line that does not end');
      if (this.#line.length + this.#trailerBytes > longestTrailers) throw new BadMessage(431, 'too many trailers');
      if (newline !== -1) this.#takeLine();
    }
    return at;
  }

  #takeLine(): void {
    const line = this.#line;
    this.#line = '';
    if (!line.endsWith('\r\n')) throw new BadMessage(400, 'a line of a chunked body does not end in CR LF');
    const text = line.slice(0, -2);
    if (this.#state === afterData) {
      if (text !== '') throw new BadMessage(400, 'a chunk is longer than it says');
      this.#state = inSize;
    } else if (this.#state === inSize) {
      const size = sizeLine.exec(text)?.[1];
      if (size === undefined) throw new BadMessage(400, 'the size of a chunk is malformed');
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? inTrailers : inData;
    } else if (text === '') this.#state = isDone;
    else {
      if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/.test(text))
        throw new BadMessage(400, 'a trailer is malformed');
      this.#trailerBytes += line.length;
    }
  }
}
