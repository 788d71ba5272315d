import type { Duplex, Readable } from 'node:stream';
import { CodedError } from '#base';

/** A body whose bytes are made in the moment in which they can be sent. */
export interface ByteSource {
  /** Writes at most `end - start` bytes into `target` from `start` on; returns how many. Fewer: those were the last. */
  fill(target: Buffer, start: number, end: number): number;
}

/** Where a streamed body goes. */
export interface ByteSink {
  /** False: the receiver is behind; wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /**
   * Takes the rest of the body from `source` at the receiver's pace, with turns for others between, and ends it; nothing is written any
   * more. When `fill` throws, the body is broken off. Absent: bytes can only be written.
   */
  pull?(source: ByteSource): void;
  /** `callback` runs each time the receiver has caught up. */
  onDrain(callback: () => void): void;
  /** Bytes taken but not yet sent. */
  readonly pendingBytes: number;
  end(): void;
  /** Breaks the body off: the receiver must see that it is not whole. */
  destroy(): void;
  /** The receiver went away or the body ended. */
  onClose(callback: () => void): void;
}

export type ResponseHeaders = Readonly<Record<string, string | readonly string[]>>;

/** One request on a socket and the place for its answer, the same for HTTP/1.1 and HTTP/2. Exactly one answer is given. */
export interface HttpExchange {
  readonly method: string;
  /** Path and query as they came. */
  readonly target: string;
  /** Lower-case names; repeated ones joined. Pseudo-headers are left out. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Each value of a header that came several times. */
  headerValues(name: string): readonly string[];
  readonly remoteAddress: string;
  /** Certificates that the client has shown (DER, leaf first); possession of the leaf's key is proven, trust is not judged. */
  clientCertificates(): readonly Uint8Array[] | undefined;
  /** Lower-case token of a request to switch protocols (HTTP/1.1 only). */
  readonly upgrade: string | undefined;
  readonly aborted: boolean;
  /** Runs when the client goes away before the answer has ended; returns a function that forgets it. */
  onAbort(callback: () => void): () => void;
  /** The whole body; rejects with BodyTooLarge above `limitBytes`. */
  body(limitBytes: number): Promise<Uint8Array>;
  /** The body when it is here as a whole and within the limit; undefined: ask `body`. */
  bodyAtHand?(limitBytes: number): Uint8Array | undefined;
  /** The body piece by piece; not together with `body`. */
  stream(): AsyncIterable<Uint8Array>;
  respond(status: number, headers: ResponseHeaders, body?: Uint8Array | readonly Uint8Array[]): void;
  /** `patient`: the receiver may pause for as long as it likes (logs, watches); else `ServeTimeouts.readMs` holds. */
  respondStream(status: number, headers: ResponseHeaders, how?: { readonly patient?: boolean }): ByteSink;
  /** This was the last request of its HTTP/2 connection: those in flight end, then it is closed. HTTP/1.1 goes on: it has one at a time. */
  endConnection(): void;
  /** Hands out the raw connection of a request to switch protocols: the caller writes the answer. */
  takeOver(): { readonly socket: Duplex; readonly head: Uint8Array };
}

export type ExchangeHandler = (exchange: HttpExchange) => void;

export class BodyTooLarge extends CodedError {
  constructor(limitBytes: number) {
    super('BodyTooLarge', `the request's body is larger than ${limitBytes} bytes`);
  }
}

/** The client went away before its request was whole. */
export class RequestAborted extends CodedError {
  constructor() {
    super('RequestAborted', 'the client went away before its request was whole');
  }
}

const noBytes = new Uint8Array();

/** Collects a readable's data up to a limit. */
export function collectBody(readable: Readable, limitBytes: number): Promise<Uint8Array> {
  if (readable.destroyed && !readable.readableEnded) return Promise.reject(new RequestAborted());
  return new Promise((resolve, reject) => {
    let first: Uint8Array | undefined;
    let parts: Uint8Array[] | undefined;
    let length = 0;
    let done = false;
    readable.on('data', (chunk: Buffer) => {
      if (done) return;
      length += chunk.length;
      if (length > limitBytes) {
        done = true;
        reject(new BodyTooLarge(limitBytes));
        return;
      }
      if (first === undefined) first = chunk;
      else if (parts === undefined) parts = [first, chunk];
      else parts.push(chunk);
    });
    readable.on('end', () => {
      if (done) return;
      done = true;
      resolve(parts !== undefined ? Buffer.concat(parts) : (first ?? noBytes));
    });
    const fail = (): void => {
      if (done) return;
      done = true;
      reject(new RequestAborted());
    };
    readable.on('aborted', fail);
    readable.on('close', fail);
    readable.on('error', fail);
  });
}
