import type { Socket } from 'node:net';
import { systemClock, type Timer } from '#base';
import type { ByteSource, ExchangeHandler, ResponseHeaders } from '../http/exchange.ts';
import { CompressionFailed, HeaderDecoder, tooLarge } from './header-decoder.ts';
import { HeaderEncoder } from './header-encoder.ts';
import {
  ConnectionError,
  errorCode,
  flag,
  frameBytes,
  frameHeadBytes,
  frameType,
  largestWindow,
  preface,
  setting,
  writeHead,
} from './frames.ts';
import { Output } from './output.ts';
import { requestOf } from './request-fields.ts';
import { ServerStream } from './stream.ts';

export interface Http2Limits {
  readonly maxConcurrentStreams: number;
  readonly largestHeaderBytes: number;
  readonly mostHeaderFields: number;
  /** How much of a body may be on its way before it is taken. Default: 1 MiB a stream, 16 MiB in all. */
  readonly windows?: { readonly streamBytes: number; readonly connectionBytes: number };
}

const defaultWindows = { streamBytes: 1 << 20, connectionBytes: 16 << 20 };
const mostContinuations = 16;
const headersTimeoutMs = 15_000;
/** Frames that cost the sender nothing (resets, pings, settings, empty data): a bucket of that many, refilled each second. */
const cheapBurst = 1000;
const cheapPerSecond = 200;
/** Above this many bytes not yet sent, streams hold their data back. */
const highWaterBytes = 1 << 20;
/** A peer that asks and does not read what it asked for. */
const mostPendingBytes = 64 << 20;

/**
 * The server's side of one HTTP/2 connection (RFC 9113), made for many small requests: frames are read in place, answers of a turn leave
 * in one write. Whatever a peer can make grow has a limit; who exceeds one loses the connection.
 */
export class Http2Connection {
  readonly socket: Socket;
  readonly output: Output;
  readonly #handle: ExchangeHandler;
  readonly #limits: Http2Limits;
  readonly #decoder: HeaderDecoder;
  readonly #encoder = new HeaderEncoder();
  readonly #streams = new Map<number, ServerStream>();
  /** Streams with data that could not be sent yet. */
  readonly #blocked = new Set<ServerStream>();
  #rest: Buffer | undefined;
  /** Requests with a body, new in this chunk. */
  #opened: ServerStream[] = [];
  #prefaceLeft = preface.length;
  #settled = false;
  #lastStream = 0;
  #block: { stream: number; endStream: boolean; parts: Buffer[]; bytes: number; timer: Timer } | undefined;
  #sendWindow = 65_535;
  #initialSendWindow = 65_535;
  #received = 0;
  #receiveWindow: number;
  readonly #streamWindow: number;
  readonly #connectionWindow: number;
  #cheap = cheapBurst;
  #cheapMs = 0;
  #closing = false;
  #ended = false;
  #looks = 0;
  #lastSeen = 0;
  #finished = false;
  #finishedLooks = 0;
  #stuckLooks = 0;
  #flushedBytes = 0;

  constructor(socket: Socket, handle: ExchangeHandler, limits: Http2Limits) {
    this.socket = socket;
    this.#handle = handle;
    this.#limits = limits;
    const { streamBytes, connectionBytes } = limits.windows ?? defaultWindows;
    this.#streamWindow = streamBytes;
    this.#connectionWindow = connectionBytes;
    this.#receiveWindow = connectionBytes;
    this.#decoder = new HeaderDecoder({ largestBytes: limits.largestHeaderBytes, mostFields: limits.mostHeaderFields });
    this.output = new Output(socket);
    this.#greet();
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#pump());
    socket.on('close', () => this.#end());
    socket.on('error', () => this.#end());
    socket.on('end', () => this.#end());
  }

  get isBusy(): boolean {
    return this.#streams.size > 0;
  }

  /** Bytes of all answers that the peer has not taken yet. */
  get heldBytes(): number {
    let held = this.output.pendingBytes;
    for (const stream of this.#streams.values()) held += stream.pendingBytes;
    return held;
  }

  /** No new streams; the connection ends with its last one. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#goAway(errorCode.noError);
    if (this.#streams.size === 0) this.#finish();
  }

  /**
   * Called now and then: breaks a connection that has not greeted after so many looks, and ends one that had no stream during
   * so many; the peer is told a look before, so that what it has just sent is refused in a way that lets it try again. A stream whose
   * answer is not taken is reset, and a connection broken whose peer reads nothing at all, or does not end when it is told to.
   */
  look(limits: { readonly greetingLooks: number; readonly idleLooks: number; readonly readLooks: number }): void {
    if (this.#isStuck(limits.readLooks) || (this.#finished && ++this.#finishedLooks > limits.greetingLooks))
      return void this.socket.destroy();
    for (const stream of this.#streams.values())
      if (stream.isStalled(limits.readLooks, this.#blocked.has(stream))) this.#breakStream(stream, errorCode.cancel);
    this.#looks = this.#streams.size === 0 && this.#lastSeen === this.#lastStream ? this.#looks + 1 : 0;
    this.#lastSeen = this.#lastStream;
    if (!this.#settled && this.#looks > limits.greetingLooks) this.socket.destroy();
    else if (this.#looks === limits.idleLooks && !this.#closing) {
      this.#closing = true;
      this.#goAway(errorCode.noError);
    } else if (this.#looks > limits.idleLooks) this.#finish();
  }

  /** True when nothing of what waits in the socket was sent during twice that many looks: what is written at once counts only as a whole. */
  #isStuck(looks: number): boolean {
    const flushed = this.socket.bytesWritten - this.socket.writableLength;
    const isStuck = this.socket.writableLength > 0 && flushed === this.#flushedBytes;
    this.#flushedBytes = flushed;
    this.#stuckLooks = isStuck ? this.#stuckLooks + 1 : 0;
    return this.#stuckLooks > looks * 2;
  }

  // ------------------------------------------------------------ for streams

  /** True while the socket keeps up. */
  get hasRoom(): boolean {
    return this.output.pendingBytes < highWaterBytes;
  }

  sendHeaders(
    stream: ServerStream,
    status: number | undefined,
    headers: ResponseHeaders,
    more: { readonly length: number | undefined; readonly end: boolean },
  ): void {
    const { block, at } = this.output.reserve(HeaderEncoder.largest(headers) + frameHeadBytes);
    const start = at + frameHeadBytes;
    const end = this.#encoder.encode(block, start, status, headers, more.length);
    const length = end - start;
    if (length <= frameBytes) {
      writeHead(block, at, {
        length,
        type: frameType.headers,
        flags: flag.endHeaders | (more.end ? flag.endStream : 0),
        stream: stream.id,
      });
      this.output.commit(end);
      return;
    }
    // Rare: a block beyond one frame goes on in continuations.
    const fields = Buffer.from(block.subarray(start, end));
    for (let from = 0; from < fields.length; from += frameBytes) {
      const part = fields.subarray(from, from + frameBytes);
      const last = from + frameBytes >= fields.length;
      const first = from === 0;
      const flags = (last ? flag.endHeaders : 0) | (first && more.end ? flag.endStream : 0);
      this.#frame(first ? frameType.headers : frameType.continuation, flags, stream.id, part);
    }
  }

  /** Sends as much of `bytes` as windows and socket allow; returns how much. `end` goes with the last byte. */
  sendData(stream: ServerStream, bytes: Uint8Array, end: boolean): number {
    let sent = 0;
    do {
      const left = bytes.length - sent;
      const size = Math.min(left, frameBytes, this.#sendWindow, stream.sendWindow);
      if (size <= 0 && left > 0) break;
      const last = size === left;
      const { block, at } = this.output.reserve(frameHeadBytes);
      this.output.commit(
        writeHead(block, at, {
          length: size,
          type: frameType.data,
          flags: last && end ? flag.endStream : 0,
          stream: stream.id,
        }),
      );
      if (size > 0) this.output.append(size === bytes.length ? bytes : bytes.subarray(sent, sent + size));
      this.#sendWindow -= size;
      stream.sendWindow -= size;
      stream.sentBytes += size;
      sent += size;
      if (sent < bytes.length && !this.hasRoom) break;
    } while (sent < bytes.length);
    return sent;
  }

  /**
   * Sends frames from `source`, one block of them, when windows and socket allow; true after the last one. Else the stream is to be
   * pumped again: it waits for windows, for the socket, or for its next turn.
   */
  sendFrom(stream: ServerStream, source: ByteSource): boolean {
    const block = this.hasRoom ? this.output.takeBulk() : undefined;
    let at = 0;
    let last = false;
    if (block !== undefined) {
      try {
        while (!last && at + frameHeadBytes + frameBytes <= block.length) {
          const room = Math.min(frameBytes, this.#sendWindow, stream.sendWindow);
          if (room <= 0) break;
          const start = at + frameHeadBytes;
          const length = source.fill(block, start, start + room);
          last = length < room;
          writeHead(block, at, { length, type: frameType.data, flags: last ? flag.endStream : 0, stream: stream.id });
          at = start + length;
          this.#sendWindow -= length;
          stream.sendWindow -= length;
          stream.sentBytes += length;
        }
      } catch (error) {
        this.output.dropBulk();
        throw error;
      }
      if (at > 0) this.output.writeBulk(at, () => this.#pump());
      else this.output.dropBulk();
    }
    if (!last) this.block(stream);
    return last;
  }

  /** The stream waits for windows or for the socket. */
  block(stream: ServerStream): void {
    this.#blocked.add(stream);
  }

  reset(stream: ServerStream, code: number): void {
    const payload = Buffer.allocUnsafe(4);
    payload.writeUInt32BE(code);
    this.#frame(frameType.resetStream, 0, stream.id, payload);
    this.forget(stream);
  }

  /** The stream is over on both sides. */
  forget(stream: ServerStream): void {
    this.#blocked.delete(stream);
    if (!this.#streams.delete(stream.id)) return;
    if (this.#closing && this.#streams.size === 0) this.#finish();
  }

  /** Bytes of a body were taken: the peer may send as many again. */
  consumed(stream: ServerStream, bytes: number, streamOpen: boolean): void {
    this.#received += bytes;
    if (this.#received >= this.#connectionWindow / 2) {
      this.#windowUpdate(0, this.#received);
      this.#receiveWindow += this.#received;
      this.#received = 0;
    }
    if (!streamOpen) return;
    stream.unacknowledged += bytes;
    if (stream.unacknowledged >= this.#streamWindow / 2) {
      this.#windowUpdate(stream.id, stream.unacknowledged);
      stream.receiveWindow += stream.unacknowledged;
      stream.unacknowledged = 0;
    }
  }

  // ------------------------------------------------------------ reading

  #greet(): void {
    const values: [number, number][] = [
      [setting.maxConcurrentStreams, this.#limits.maxConcurrentStreams],
      [setting.initialWindowSize, this.#streamWindow],
      [setting.maxHeaderListSize, this.#limits.largestHeaderBytes],
    ];
    const payload = Buffer.allocUnsafe(values.length * 6);
    for (const [index, [id, value]] of values.entries()) {
      payload.writeUInt16BE(id, index * 6);
      payload.writeUInt32BE(value, index * 6 + 2);
    }
    this.#frame(frameType.settings, 0, 0, payload);
    this.#windowUpdate(0, this.#connectionWindow - 65_535);
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      this.#parse(this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]));
    } catch (error) {
      const code =
        error instanceof ConnectionError
          ? error.code
          : error instanceof CompressionFailed
            ? errorCode.compressionError
            : errorCode.internalError;
      this.#goAway(code);
      this.output.flush();
      this.socket.destroySoon();
      this.#end();
    }
  }

  #parse(input: Buffer): void {
    let at = 0;
    if (this.#prefaceLeft > 0) {
      if (input.length < preface.length) {
        if (!preface.subarray(0, input.length).equals(input))
          throw new ConnectionError(errorCode.protocolError, 'no preface');
        this.#rest = input;
        return;
      }
      if (!input.subarray(0, preface.length).equals(preface))
        throw new ConnectionError(errorCode.protocolError, 'no preface');
      this.#prefaceLeft = 0;
      at = preface.length;
    }
    at = this.#frames(input, at);
    if (this.#ended) return;
    this.#handleOpened();
    // A copy: what is kept must not hold the whole chunk.
    this.#rest = at === input.length ? undefined : at === 0 ? input : Buffer.from(input.subarray(at));
  }

  /** Requests that are not whole yet are handled after the rest of their chunk was read: small bodies are then at hand. */
  #handleOpened(): void {
    if (this.#opened.length === 0) return;
    const opened = this.#opened;
    this.#opened = [];
    for (const stream of opened) if (this.#streams.has(stream.id)) this.#handle(stream);
  }

  /** Takes all frames that are whole; returns where the rest begins. */
  #frames(input: Buffer, start: number): number {
    let at = start;
    while (input.length - at >= frameHeadBytes) {
      const length = ((input[at] as number) << 16) | ((input[at + 1] as number) << 8) | (input[at + 2] as number);
      if (length > frameBytes) throw new ConnectionError(errorCode.frameSizeError, 'a frame beyond the limit');
      const payload = at + frameHeadBytes;
      if (input.length - payload < length) break;
      const type = input[at + 3] as number;
      if (!this.#settled && type !== frameType.settings)
        throw new ConnectionError(errorCode.protocolError, 'settings must come first');
      this.#take(
        type,
        input[at + 4] as number,
        input.readUInt32BE(at + 5) & 0x7fffffff,
        input.subarray(payload, payload + length),
      );
      at = payload + length;
      if (this.#ended) break;
    }
    return at;
  }

  #take(type: number, flags: number, id: number, payload: Buffer): void {
    if (this.#block !== undefined && (type !== frameType.continuation || id !== this.#block.stream)) {
      throw new ConnectionError(errorCode.protocolError, 'a header block was left unfinished');
    }
    switch (type) {
      case frameType.data:
        return this.#data(flags, id, payload);
      case frameType.headers:
        return this.#headers(flags, id, payload);
      case frameType.continuation:
        return this.#continuation(flags, payload);
      case frameType.resetStream:
        return this.#resetByPeer(id, payload);
      case frameType.windowUpdate:
        return this.#windowUpdated(id, payload);
      case frameType.settings:
        return this.#settings(flags, id, payload);
      case frameType.ping:
        return this.#ping(flags, id, payload);
      case frameType.priority:
        this.#spendCheap();
        if (payload.length !== 5) throw new ConnectionError(errorCode.frameSizeError, 'a priority of another size');
        return;
      case frameType.goAway:
        this.#closing = true;
        if (this.#streams.size === 0) this.#finish();
        return;
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocolError, 'a client cannot push');
      default:
        this.#spendCheap();
    }
  }

  #headers(flags: number, id: number, payload: Buffer): void {
    let start = 0;
    let end = payload.length;
    if ((flags & flag.padded) !== 0) {
      end -= payload[0] ?? 0;
      start = 1;
    }
    if ((flags & flag.priority) !== 0) start += 5;
    if (start > end) throw new ConnectionError(errorCode.protocolError, 'padding beyond the frame');
    const block = payload.subarray(start, end);
    const endStream = (flags & flag.endStream) !== 0;
    if ((flags & flag.endHeaders) !== 0) return this.#open(id, endStream, block);
    const timer = systemClock.setTimer(() => void this.socket.destroy(), headersTimeoutMs);
    this.#block = { stream: id, endStream, parts: [Buffer.from(block)], bytes: block.length, timer };
  }

  #continuation(flags: number, payload: Buffer): void {
    const block = this.#block;
    if (block === undefined) throw new ConnectionError(errorCode.protocolError, 'a continuation of nothing');
    block.parts.push(Buffer.from(payload));
    block.bytes += payload.length;
    if (block.parts.length > mostContinuations || block.bytes > this.#limits.largestHeaderBytes * 2) {
      throw new ConnectionError(errorCode.enhanceYourCalm, 'a header block that does not end');
    }
    if ((flags & flag.endHeaders) === 0) return;
    block.timer.cancel();
    this.#block = undefined;
    this.#open(block.stream, block.endStream, Buffer.concat(block.parts));
  }

  #open(id: number, endStream: boolean, block: Buffer): void {
    const known = this.#streams.get(id);
    const fields = this.#decoder.decode(block);
    if (known !== undefined) {
      // Trailers: read for the table's sake, not used.
      if (!endStream) throw new ConnectionError(errorCode.protocolError, 'trailers that do not end the stream');
      known.ended();
      return;
    }
    if (id % 2 === 0 || id <= this.#lastStream) {
      throw new ConnectionError(
        id !== 0 && id % 2 === 1 ? errorCode.streamClosed : errorCode.protocolError,
        'a stream that cannot be opened',
      );
    }
    this.#lastStream = id;
    if (this.#closing) return this.#refuse(id, errorCode.refusedStream);
    if (this.#streams.size >= this.#limits.maxConcurrentStreams) return this.#refuse(id, errorCode.refusedStream);
    const request = fields === tooLarge ? undefined : requestOf(fields);
    if (request === undefined) {
      if (fields !== tooLarge) return this.#refuse(id, errorCode.protocolError);
      const stream = new ServerStream(
        this,
        id,
        { method: 'GET', target: '/', headers: {}, fields: [], contentLength: undefined },
        this.#initialSendWindow,
      );
      this.#streams.set(id, stream);
      if (endStream) stream.ended();
      stream.respond(431, {});
      return;
    }
    const stream = new ServerStream(this, id, request, this.#initialSendWindow);
    stream.receiveWindow = this.#streamWindow;
    this.#streams.set(id, stream);
    if (endStream) stream.ended();
    else if (request.headers.expect === '100-continue')
      this.sendHeaders(stream, 100, {}, { length: undefined, end: false });
    if (endStream) this.#handle(stream);
    else this.#opened.push(stream);
  }

  #refuse(id: number, code: number): void {
    this.#spendCheap();
    const payload = Buffer.allocUnsafe(4);
    payload.writeUInt32BE(code);
    this.#frame(frameType.resetStream, 0, id, payload);
  }

  #data(flags: number, id: number, payload: Buffer): void {
    if (id === 0) throw new ConnectionError(errorCode.protocolError, 'data for no stream');
    this.#receiveWindow -= payload.length;
    if (this.#receiveWindow < 0) throw new ConnectionError(errorCode.flowControlError, 'more data than the window');
    let start = 0;
    let end = payload.length;
    if ((flags & flag.padded) !== 0) {
      end -= payload[0] ?? 0;
      start = 1;
      if (start > end) throw new ConnectionError(errorCode.protocolError, 'padding beyond the frame');
    }
    const endStream = (flags & flag.endStream) !== 0;
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.isEnded) {
      if (id > this.#lastStream)
        throw new ConnectionError(errorCode.protocolError, 'data for a stream that is not open');
      // Of a stream that was reset: the peer did not know yet.
      this.#received += payload.length;
      if (payload.length === 0) this.#spendCheap();
      if (this.#received >= this.#connectionWindow / 2) {
        this.#windowUpdate(0, this.#received);
        this.#receiveWindow += this.#received;
        this.#received = 0;
      }
      return;
    }
    stream.receiveWindow -= payload.length;
    if (stream.receiveWindow < 0) return this.reset(stream, errorCode.flowControlError);
    if (end === start && !endStream) this.#spendCheap();
    if (payload.length > end - start) this.consumed(stream, payload.length - (end - start), !endStream);
    // The chunk's memory is the socket's own allocation and is not used again: no copy.
    if (end > start) stream.received(payload.subarray(start, end));
    if (endStream) stream.ended();
  }

  #resetByPeer(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw new ConnectionError(errorCode.frameSizeError, 'a reset of another size');
    if (id === 0 || id > this.#lastStream)
      throw new ConnectionError(errorCode.protocolError, 'a reset of a stream that is not open');
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#spendCheap();
    this.forget(stream);
    stream.broken();
  }

  #windowUpdated(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw new ConnectionError(errorCode.frameSizeError, 'a window update of another size');
    const by = payload.readUInt32BE(0) & 0x7fffffff;
    if (id === 0) {
      if (by === 0) throw new ConnectionError(errorCode.protocolError, 'a window update of nothing');
      this.#sendWindow += by;
      if (this.#sendWindow > largestWindow)
        throw new ConnectionError(errorCode.flowControlError, 'a window beyond the limit');
      this.#pump();
      return;
    }
    if (id > this.#lastStream)
      throw new ConnectionError(errorCode.protocolError, 'a window of a stream that is not open');
    const stream = this.#streams.get(id);
    // Late updates of streams that ended are usual: receivers give back what they read, not knowing yet.
    if (stream === undefined) return;
    stream.sendWindow += by;
    if (by === 0) return this.#breakStream(stream, errorCode.protocolError);
    if (stream.sendWindow > largestWindow) return this.#breakStream(stream, errorCode.flowControlError);
    if (this.#blocked.has(stream)) this.#pumpOne(stream);
  }

  #breakStream(stream: ServerStream, code: number): void {
    this.reset(stream, code);
    stream.broken();
  }

  #settings(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocolError, 'settings of a stream');
    if ((flags & flag.ack) !== 0) {
      if (payload.length !== 0) throw new ConnectionError(errorCode.frameSizeError, 'an acknowledgement with content');
      this.#spendCheap();
      return;
    }
    if (payload.length % 6 !== 0 || payload.length > 6 * 32)
      throw new ConnectionError(errorCode.frameSizeError, 'settings of another size');
    if (this.#settled) this.#spendCheap();
    this.#settled = true;
    for (let at = 0; at < payload.length; at += 6)
      this.#setting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    this.#frame(frameType.settings, flag.ack, 0, noBytes);
  }

  #setting(id: number, value: number): void {
    if (id === setting.headerTableSize) this.#encoder.setLimit(value);
    else if (id === setting.initialWindowSize) {
      if (value > largestWindow) throw new ConnectionError(errorCode.flowControlError, 'a window beyond the limit');
      const by = value - this.#initialSendWindow;
      this.#initialSendWindow = value;
      for (const stream of this.#streams.values()) {
        stream.sendWindow += by;
        if (stream.sendWindow > largestWindow)
          throw new ConnectionError(errorCode.flowControlError, 'a window beyond the limit');
      }
      if (by > 0) this.#pump();
    } else if (id === setting.maxFrameSize) {
      if (value < frameBytes || value > 0xffffff)
        throw new ConnectionError(errorCode.protocolError, 'a frame size out of range');
    } else if (id === setting.enablePush && value > 1)
      throw new ConnectionError(errorCode.protocolError, 'push is on or off');
  }

  #ping(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocolError, 'a ping of a stream');
    if (payload.length !== 8) throw new ConnectionError(errorCode.frameSizeError, 'a ping of another size');
    if ((flags & flag.ack) !== 0) return;
    this.#spendCheap();
    this.#frame(frameType.ping, flag.ack, 0, payload);
  }

  /** Cheap frames are counted: a flood of them ends the connection. */
  #spendCheap(): void {
    if (this.#cheap <= 0) {
      const nowMs = systemClock.monotonicMs();
      this.#cheap = Math.min(cheapBurst, Math.floor(((nowMs - this.#cheapMs) / 1000) * cheapPerSecond));
      this.#cheapMs = nowMs;
      if (this.#cheap <= 0) throw new ConnectionError(errorCode.enhanceYourCalm, 'a flood of frames that cost nothing');
    } else if (this.#cheap === cheapBurst) this.#cheapMs = systemClock.monotonicMs();
    this.#cheap--;
    if (this.output.pendingBytes > mostPendingBytes) this.socket.destroy();
  }

  // ------------------------------------------------------------ writing

  #pump(): void {
    for (const stream of [...this.#blocked]) {
      if (this.#sendWindow <= 0 || !this.hasRoom) return;
      this.#pumpOne(stream);
    }
  }

  #pumpOne(stream: ServerStream): void {
    this.#blocked.delete(stream);
    stream.pump();
  }

  #windowUpdate(stream: number, by: number): void {
    const payload = Buffer.allocUnsafe(4);
    payload.writeUInt32BE(by);
    this.#frame(frameType.windowUpdate, 0, stream, payload);
  }

  #goAway(code: number): void {
    const payload = Buffer.allocUnsafe(8);
    payload.writeUInt32BE(this.#lastStream, 0);
    payload.writeUInt32BE(code, 4);
    this.#frame(frameType.goAway, 0, 0, payload);
  }

  #frame(type: number, flags: number, stream: number, payload: Uint8Array): void {
    const { block, at } = this.output.reserve(frameHeadBytes + payload.length);
    const start = writeHead(block, at, { length: payload.length, type, flags, stream });
    block.set(payload, start);
    this.output.commit(start + payload.length);
  }

  #finish(): void {
    this.#finished = true;
    this.output.flush();
    this.socket.end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#block?.timer.cancel();
    this.#blocked.clear();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.broken();
    if (!this.socket.destroyed) this.socket.destroySoon();
  }
}

const noBytes = new Uint8Array();
