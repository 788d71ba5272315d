import type { Socket } from 'node:net';
import { ChunkedDecoder } from './chunked.ts';
import type { Outbound, OutboundConsumer, OutboundRequest } from './exchange.ts';
import { BadMessage, headEnd, longestHeadBytes, parseResponseHead, type ResponseHead } from './heads.ts';
import { fieldsText } from './http1-client.ts';

const highWaterBytes = 128 * 1024;
const mostInformation = 16;

const idle = 0;
const awaitingHead = 1;
const readingBody = 2;
const bodyRead = 3;
const handedOver = 4;
const closed = 5;

export interface BackendConnectionOwner {
  /** The exchange is over and the connection may serve another. */
  free(connection: BackendConnection): void;
  /** An idle connection has gone. */
  lost(connection: BackendConnection): void;
}

/** One HTTP/1.1 connection to an endpoint, for one exchange at a time. */
export class BackendConnection implements Outbound {
  fresh = true;
  /** Monotonic: when the last exchange ended. */
  idleSinceMs = 0;
  /** How long the endpoint keeps idle connections, when it said so. */
  idleLimitMs: number | undefined;
  readonly #socket: Socket;
  readonly #owner: BackendConnectionOwner;
  #state = idle;
  #consumer: OutboundConsumer | undefined;
  #toHead = false;
  #rest: Buffer | undefined;
  #searched = 0;
  #head: ResponseHead | undefined;
  #left = 0;
  #chunked: ChunkedDecoder | undefined;
  #requestDone = false;
  #chunkedRequest = false;
  #informations = 0;
  #paused = false;

  constructor(socket: Socket, owner: BackendConnectionOwner) {
    this.#socket = socket;
    this.#owner = owner;
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
  }

  get usable(): boolean {
    return this.#state === idle && !this.#socket.destroyed && this.#socket.writable;
  }

  /** Sends the head of a request; its body follows by `write` and `end`. */
  begin(request: OutboundRequest, consumer: OutboundConsumer): void {
    this.#consumer = consumer;
    this.#state = awaitingHead;
    this.#toHead = request.method === 'HEAD';
    this.#searched = 0;
    this.#informations = 0;
    this.#head = undefined;
    this.#chunked = undefined;
    this.#requestDone = request.contentLength === 0;
    this.#chunkedRequest = request.contentLength === undefined;
    let text = `${request.method} ${request.target} HTTP/1.1\r\nhost: ${request.authority}\r\n${fieldsText(request.headers)}`;
    if (request.contentLength === undefined) text += 'transfer-encoding: chunked\r\n';
    else if (request.contentLength > 0 || needsLength(request.method))
      text += `content-length: ${request.contentLength}\r\n`;
    if (request.upgrade !== undefined) text += `connection: upgrade\r\nupgrade: ${request.upgrade}\r\n`;
    this.#socket.write(`${text}\r\n`, 'latin1');
  }

  write(bytes: Buffer): boolean {
    if (this.#state === closed || this.#requestDone) return true;
    const socket = this.#socket;
    if (this.#chunkedRequest) {
      socket.cork();
      socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1');
      socket.write(bytes);
      socket.write('\r\n', 'latin1');
      socket.uncork();
    } else socket.write(bytes);
    return socket.writableLength < highWaterBytes;
  }

  end(): void {
    if (this.#state === closed || this.#requestDone) return;
    if (this.#chunkedRequest) this.#socket.write('0\r\n\r\n', 'latin1');
    this.#requestDone = true;
    if (this.#state === bodyRead) this.#release();
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  abort(): void {
    this.#consumer = undefined;
    this.#state = closed;
    this.#socket.destroy();
  }

  takeOver(): { socket: Socket; first: Buffer | undefined } {
    const socket = this.#socket;
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onEnd);
    socket.off('close', this.#onClose);
    this.#state = handedOver;
    this.#consumer = undefined;
    const first = this.#rest;
    this.#rest = undefined;
    socket.pause();
    return { socket, first };
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#state === readingBody) return this.#takeBody(chunk);
    // Nothing was asked: such an answer must never meet the next request.
    if (this.#state !== awaitingHead) return void this.#socket.destroy();
    const rest = this.#rest;
    this.#rest = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    this.#takeHead();
  };

  #takeHead(): void {
    for (;;) {
      const rest = this.#rest as Buffer;
      const end = rest.indexOf(headEnd, Math.max(0, this.#searched - 3));
      if (end === -1 || end > longestHeadBytes) {
        this.#searched = rest.length;
        if (rest.length > longestHeadBytes) this.#fail('its head is larger than 64 KiB');
        return;
      }
      let head: ResponseHead;
      try {
        head = parseResponseHead(rest.toString('latin1', 0, end), this.#toHead);
      } catch (error) {
        if (error instanceof BadMessage) return this.#fail(error.message);
        throw error;
      }
      const start = end + headEnd.length;
      this.#rest = start === rest.length ? undefined : rest.subarray(start);
      this.#searched = 0;
      if (head.status === 101) return this.#consumer?.onHead(head);
      if (head.status >= 200) return this.#begun(head);
      if (++this.#informations > mostInformation) return this.#fail('it sends 1xx without end');
      if (head.status !== 100) this.#consumer?.onInformation(head);
      if (this.#rest === undefined) return;
    }
  }

  #begun(head: ResponseHead): void {
    this.#head = head;
    if (head.idleSeconds !== undefined) this.idleLimitMs = head.idleSeconds * 1000;
    const rest = this.#rest;
    this.#rest = undefined;
    const { contentLength } = head;
    this.#chunked = contentLength === undefined && !head.untilClose ? new ChunkedDecoder() : undefined;
    this.#left = contentLength ?? 0;
    const consumer = this.#consumer as OutboundConsumer;
    if (contentLength === 0) {
      this.#state = bodyRead;
      // Bytes that belong to no answer: the connection is not used again.
      if (rest !== undefined) this.#head = { ...head, keepAlive: false };
      consumer.onHead(head);
      return this.#whole(consumer);
    }
    this.#state = readingBody;
    consumer.onHead(head);
    if (rest !== undefined && this.#state === readingBody) this.#takeBody(rest);
  }

  #takeBody(chunk: Buffer): void {
    const consumer = this.#consumer as OutboundConsumer;
    let used = chunk.length;
    let done = false;
    if (this.#chunked !== undefined) {
      try {
        used = this.#chunked.decode(chunk, 0, (data) => consumer.onData(data));
      } catch (error) {
        if (error instanceof BadMessage) return this.#fail(error.message);
        throw error;
      }
      done = this.#chunked.done;
    } else if (this.#head?.untilClose) consumer.onData(chunk);
    else {
      used = Math.min(chunk.length, this.#left);
      this.#left -= used;
      done = this.#left === 0;
      consumer.onData(used === chunk.length ? chunk : chunk.subarray(0, used));
    }
    if (this.#state !== readingBody || !done) return;
    if (used < chunk.length) this.#head = { ...(this.#head as ResponseHead), keepAlive: false };
    this.#state = bodyRead;
    this.#whole(consumer);
  }

  #whole(consumer: OutboundConsumer): void {
    if (this.#requestDone) this.#release();
    consumer.onEnd();
    // An answer before its request was whole: what is left of that would be taken for another request.
    if (this.#state === bodyRead) this.abort();
  }

  #release(): void {
    this.#consumer = undefined;
    this.fresh = false;
    if (this.#head?.keepAlive !== true || this.#socket.destroyed) {
      this.#state = closed;
      this.#socket.destroy();
      return;
    }
    this.#state = idle;
    this.#head = undefined;
    if (this.#paused) this.resume();
    this.#owner.free(this);
  }

  #fail(why: string): void {
    const consumer = this.#consumer;
    const unsent = false;
    this.#consumer = undefined;
    this.#state = closed;
    this.#socket.destroy();
    consumer?.onFailed(why, unsent);
  }

  readonly #onDrain = (): void => this.#consumer?.onRequestDrain();

  readonly #onEnd = (): void => {
    if (this.#state === readingBody && this.#head?.untilClose) {
      const consumer = this.#consumer;
      this.#consumer = undefined;
      this.#state = closed;
      consumer?.onEnd();
    }
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    const before = this.#state;
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#state = closed;
    if (before === idle) this.#owner.lost(this);
    consumer?.onFailed('it closed the connection', false);
  };
}

const needsLength = (method: string): boolean => method === 'POST' || method === 'PUT' || method === 'PATCH';
