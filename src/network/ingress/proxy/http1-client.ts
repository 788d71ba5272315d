import type { Socket } from 'node:net';
import { ChunkedDecoder } from './chunked.ts';
import type { Inbound, InboundConsumer } from './exchange.ts';
import {
  BadMessage,
  headEnd,
  longestHeadBytes,
  parseRequestHead,
  type RequestHead,
  type ResponseHead,
} from './heads.ts';
import { reasonOf } from './reasons.ts';
import type { Ticker, Watched } from './ticker.ts';

export interface ClientConnectionOptions {
  readonly socket: Socket;
  readonly secure: boolean;
  readonly ticker: Ticker;
  readonly handle: (inbound: Inbound) => void;
  /** The client speaks HTTP/2 without TLS: everything read so far was put back. */
  readonly onHttp2: (socket: Socket) => void;
  readonly onClose: () => void;
  /** Bytes for one client that may wait here before its backend is asked to hold on. */
  readonly highWaterBytes: () => number;
  /** So many bytes were handed on. */
  readonly onWritten: (bytes: number) => void;
}

const headTimeoutMs = 15_000;
const idleTimeoutMs = 75_000;
const bodyTimeoutMs = 60_000;
const writeTimeoutMs = 60_000;
const lingerMs = 2_000;
/** Small bodies leave in one write together with their head. */
const joinBelowBytes = 16 * 1024;
const http2Preface = 'PRI * HTTP/2.0\r\n\r\n';
const lastChunk = '0\r\n\r\n';

const readingHead = 0;
const exchanging = 1;
const lingering = 2;
const handedOver = 3;
const closed = 4;

/**
 * One HTTP/1.1 connection of a client: requests one after the other, each answered before the next is looked at. Being the `Inbound`
 * of its present request too, it makes nothing a request.
 */
export class ClientConnection implements Inbound, Watched {
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly localPort: number;
  readonly #socket: Socket;
  readonly #options: ClientConnectionOptions;
  #state = readingHead;
  /** Read but not used yet. */
  #rest: Buffer | undefined;
  #searched = 0;
  #request: RequestHead | undefined;
  #consumer: InboundConsumer | undefined;
  #chunked: ChunkedDecoder | undefined;
  #bodyLeft = 0;
  #bodyDone = true;
  #flowing = false;
  #continueSent = false;
  #responded = false;
  #answered = false;
  #closeAfter = false;
  #chunkedAnswer = false;
  #bodyless = false;
  #head: string | undefined;
  #deadlineMs: number;
  #writeDeadlineMs = 0;
  #served = 0;
  #draining = false;

  constructor(options: ClientConnectionOptions) {
    const { socket, ticker } = options;
    this.#options = options;
    this.#socket = socket;
    this.secure = options.secure;
    this.remoteAddress = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    this.localPort = socket.localPort ?? 0;
    this.#deadlineMs = ticker.nowMs + headTimeoutMs;
    socket.setNoDelay(true);
    socket.on('data', this.#onData);
    socket.on('close', this.#onClose);
    socket.on('end', this.#onEnd);
    ticker.add(this);
  }

  // ------------------------------------------------------------ the request

  get method(): string {
    return (this.#request as RequestHead).method;
  }
  get target(): string {
    return (this.#request as RequestHead).target;
  }
  get authority(): string {
    return (this.#request as RequestHead).authority;
  }
  get headers(): readonly string[] {
    return (this.#request as RequestHead).headers;
  }
  get contentLength(): number | undefined {
    return (this.#request as RequestHead).contentLength;
  }
  get upgrade(): string | undefined {
    return (this.#request as RequestHead).upgrade;
  }
  get bodyDone(): boolean {
    return this.#bodyDone;
  }
  get alive(): boolean {
    return this.#state === exchanging;
  }

  attach(consumer: InboundConsumer): void {
    this.#consumer = consumer;
  }

  resumeBody(): void {
    if (this.#flowing || this.#bodyDone || this.#state !== exchanging) return;
    this.#flowing = true;
    this.#deadlineMs = this.#options.ticker.nowMs + bodyTimeoutMs;
    if (this.#request?.expectsContinue && !this.#continueSent && !this.#responded) {
      this.#continueSent = true;
      this.#socket.write('HTTP/1.1 100 Continue\r\n\r\n', 'latin1');
    }
    const rest = this.#rest;
    if (rest !== undefined) {
      this.#rest = undefined;
      this.#takeBody(rest);
    }
    if (this.#flowing || this.#bodyDone) this.#socket.resume();
  }

  pauseBody(): void {
    this.#flowing = false;
    if (!this.#bodyDone) this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  // ------------------------------------------------------------ the answer

  inform(head: ResponseHead): void {
    if (this.#state !== exchanging || this.#responded || this.#request?.http11 !== true) return;
    this.#socket.write(`HTTP/1.1 ${head.status} ${reasonOf(head)}\r\n${fieldsText(head.headers)}\r\n`, 'latin1');
  }

  respond(head: ResponseHead, length: number | undefined): void {
    if (this.#state !== exchanging || this.#responded) return;
    const request = this.#request as RequestHead;
    this.#responded = true;
    this.#bodyless = request.method === 'HEAD' || head.status === 204 || head.status === 304;
    let text = `HTTP/1.1 ${head.status} ${reasonOf(head)}\r\n${fieldsText(head.headers)}`;
    this.#chunkedAnswer = false;
    if (!this.#bodyless) {
      if (length !== undefined) text += `content-length: ${length}\r\n`;
      else if (request.http11) {
        this.#chunkedAnswer = true;
        text += 'transfer-encoding: chunked\r\n';
      } else this.#closeAfter = true;
    }
    // The client waits for 100 before it sends the body, and may never send it now.
    if (request.expectsContinue && !this.#continueSent && !this.#bodyDone) this.#closeAfter = true;
    if (!request.keepAlive || this.#draining) this.#closeAfter = true;
    if (this.#closeAfter) text += 'connection: close\r\n';
    else if (!request.http11) text += 'connection: keep-alive\r\n';
    // Kept until the first bytes of the body are there: they leave together.
    this.#head = `${text}\r\n`;
    queueMicrotask(this.#flushHead);
  }

  write(bytes: Buffer): boolean {
    if (this.#state !== exchanging || this.#bodyless || bytes.length === 0) return true;
    const socket = this.#socket;
    const head = this.#head ?? '';
    this.#head = undefined;
    this.#options.onWritten(bytes.length);
    const isBehind = socket.writableLength + bytes.length >= this.#options.highWaterBytes();
    // Called when these bytes have left, and so have all before them.
    const then = isBehind ? this.#onDrain : undefined;
    if (this.#chunkedAnswer) {
      socket.cork();
      socket.write(`${head}${bytes.length.toString(16)}\r\n`, 'latin1');
      socket.write(bytes);
      socket.write('\r\n', 'latin1', then);
      socket.uncork();
    } else if (head === '') socket.write(bytes, then);
    else if (bytes.length <= joinBelowBytes) {
      const joined = Buffer.allocUnsafe(head.length + bytes.length);
      joined.write(head, 0, 'latin1');
      bytes.copy(joined, head.length);
      socket.write(joined, then);
    } else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(bytes, then);
      socket.uncork();
    }
    if (!isBehind) return true;
    this.#writeDeadlineMs = this.#options.ticker.nowMs + writeTimeoutMs;
    return false;
  }

  end(): void {
    if (this.#state !== exchanging || this.#answered) return;
    this.#answered = true;
    const head = this.#head ?? '';
    this.#head = undefined;
    if (this.#chunkedAnswer) this.#socket.write(head + lastChunk, 'latin1');
    else if (head !== '') this.#socket.write(head, 'latin1');
    this.#next();
  }

  abort(): void {
    this.#socket.destroy();
  }

  takeOver(head: ResponseHead): { socket: Socket; first: Buffer | undefined } {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    this.#state = handedOver;
    this.#options.ticker.delete(this);
    socket.pause();
    socket.write(
      `HTTP/1.1 101 ${reasonOf(head)}\r\n${fieldsText(head.headers)}connection: upgrade\r\nupgrade: ${head.upgrade}\r\n\r\n`,
      'latin1',
    );
    const first = this.#rest;
    this.#rest = undefined;
    return { socket, first };
  }

  /** Bytes that the client has not taken yet. */
  get heldBytes(): number {
    return this.#socket.writableLength;
  }

  /** Answers the present request, takes no other. */
  drain(): void {
    this.#draining = true;
    if (this.#state === readingHead && this.#rest === undefined) this.#socket.end();
  }

  tick(nowMs: number): void {
    if (nowMs > this.#deadlineMs) {
      if (this.#state === readingHead && this.#rest !== undefined)
        return this.#refuse(408, 'the request did not come in time');
      if (this.#state === exchanging && !this.#responded) return this.#refuse(408, 'the body did not come in time');
      this.#socket.destroy();
      return;
    }
    if (this.#writeDeadlineMs !== 0 && nowMs > this.#writeDeadlineMs) this.#socket.destroy();
  }

  // ------------------------------------------------------------ inside

  readonly #flushHead = (): void => {
    if (this.#head === undefined || this.#state !== exchanging) return;
    this.#socket.write(this.#head, 'latin1');
    this.#head = undefined;
  };

  readonly #onData = (chunk: Buffer): void => {
    if (this.#state === lingering) return;
    if (this.#state === exchanging && this.#flowing) {
      if (this.#rest === undefined) return this.#takeBody(chunk);
    }
    const rest = this.#rest;
    this.#rest = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    if (this.#state === readingHead) return this.#takeHead();
    // Not wanted yet: the rest stays with the kernel.
    this.#socket.pause();
  };

  #takeHead(): void {
    let rest = this.#rest as Buffer;
    if (this.#searched === 0) {
      // Empty lines before a request are passed over (RFC 9112, section 2.2).
      while (rest[0] === 0x0d && rest[1] === 0x0a) {
        rest = rest.subarray(2);
        this.#rest = rest.length === 0 ? undefined : rest;
        if (this.#rest === undefined) return;
      }
      this.#deadlineMs = Math.min(this.#deadlineMs, this.#options.ticker.nowMs + headTimeoutMs);
    }
    const end = rest.indexOf(headEnd, Math.max(0, this.#searched - 3));
    if (end === -1) {
      this.#searched = rest.length;
      if (rest.length > longestHeadBytes) this.#refuse(431, 'the head is larger than 64 KiB');
      return;
    }
    if (end > longestHeadBytes) return this.#refuse(431, 'the head is larger than 64 KiB');
    if (this.#served === 0 && !this.secure && end === 14 && rest.toString('latin1', 0, 18) === http2Preface)
      return this.#becomeHttp2(rest);
    let request: RequestHead;
    try {
      request = parseRequestHead(rest.toString('latin1', 0, end));
    } catch (error) {
      if (error instanceof BadMessage) return this.#refuse(error.status, error.message);
      throw error;
    }
    const bodyStart = end + headEnd.length;
    this.#rest = bodyStart === rest.length ? undefined : rest.subarray(bodyStart);
    this.#searched = 0;
    this.#begin(request);
  }

  #begin(request: RequestHead): void {
    this.#served++;
    this.#state = exchanging;
    this.#request = request;
    this.#consumer = undefined;
    this.#flowing = false;
    this.#continueSent = false;
    this.#responded = false;
    this.#answered = false;
    this.#bodyDone = request.contentLength === 0;
    this.#bodyLeft = request.contentLength ?? 0;
    this.#chunked = request.contentLength === undefined ? new ChunkedDecoder() : undefined;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
    this.#options.handle(this);
  }

  #takeBody(chunk: Buffer): void {
    const consumer = this.#consumer as InboundConsumer;
    this.#deadlineMs = this.#options.ticker.nowMs + bodyTimeoutMs;
    let used: number;
    if (this.#chunked !== undefined) {
      try {
        used = this.#chunked.decode(chunk, 0, (data) => consumer.onBody(data));
      } catch (error) {
        if (error instanceof BadMessage) return this.#refuse(error.status, error.message);
        throw error;
      }
      this.#bodyDone = this.#chunked.done;
    } else {
      used = Math.min(chunk.length, this.#bodyLeft);
      this.#bodyLeft -= used;
      this.#bodyDone = this.#bodyLeft === 0;
      // Before the consumer hears of it: it may answer at once, and then these are the next request.
      if (used < chunk.length) this.#rest = chunk.subarray(used);
      consumer.onBody(used === chunk.length ? chunk : chunk.subarray(0, used));
    }
    if (this.#state !== exchanging || this.#consumer !== consumer) return;
    if (used < chunk.length) {
      this.#rest ??= chunk.subarray(used);
      this.#socket.pause();
    } else if (!this.#flowing) this.#socket.pause();
    if (this.#bodyDone) {
      this.#flowing = false;
      this.#deadlineMs = Number.POSITIVE_INFINITY;
      consumer.onBodyEnd();
    }
  }

  /** The answer is whole: on to the next request, if there is one. */
  #next(): void {
    this.#consumer = undefined;
    this.#request = undefined;
    this.#responded = false;
    this.#writeDeadlineMs = 0;
    if (this.#closeAfter || this.#draining || !this.#bodyDone) return this.#linger();
    this.#state = readingHead;
    this.#deadlineMs = this.#options.ticker.nowMs + idleTimeoutMs;
    if (this.#socket.isPaused()) this.#socket.resume();
    // Not from here: many requests at once must not become many calls inside each other.
    if (this.#rest !== undefined) queueMicrotask(this.#takeRest);
  }

  readonly #takeRest = (): void => {
    if (this.#state === readingHead && this.#rest !== undefined) this.#takeHead();
  };

  /** A connection closed with bytes unread would take the answer with it: they are read for a moment and thrown away. */
  #linger(): void {
    this.#state = lingering;
    this.#rest = undefined;
    this.#deadlineMs = this.#options.ticker.nowMs + writeTimeoutMs;
    this.#socket.end(() => {
      this.#deadlineMs = this.#options.ticker.nowMs + lingerMs;
    });
    this.#socket.resume();
  }

  #refuse(status: number, why: string): void {
    const consumer = this.#consumer;
    this.#consumer = undefined;
    const body = `${status}: ${why}\n`;
    if (!this.#responded)
      this.#socket.write(
        `HTTP/1.1 ${status} ${reasonOf({ status, reason: '' })}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
        'latin1',
      );
    const wasAnswering = this.#responded;
    this.#linger();
    if (wasAnswering) this.#socket.destroy();
    consumer?.onGone();
  }

  #becomeHttp2(read: Buffer): void {
    const socket = this.#socket;
    this.#state = handedOver;
    this.#rest = undefined;
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    this.#options.ticker.delete(this);
    socket.pause();
    this.#options.onHttp2(socket);
    socket.unshift(read);
    socket.resume();
  }

  readonly #onDrain = (): void => {
    this.#writeDeadlineMs = 0;
    this.#consumer?.onDrain();
  };

  /** The client has hung up: answers that are on their way still leave, a request that is being worked on is given up. */
  readonly #onEnd = (): void => {
    if (this.#state === exchanging) this.#socket.destroy();
    else if (this.#state === readingHead) this.#linger();
  };

  readonly #onClose = (): void => {
    this.#options.ticker.delete(this);
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (this.#state !== handedOver) this.#state = closed;
    this.#rest = undefined;
    consumer?.onGone();
    this.#options.onClose();
  };
}

export function fieldsText(headers: readonly string[]): string {
  let text = '';
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}
