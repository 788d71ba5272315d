import { Duplex } from 'node:stream';
import { controlFrame, dataFrame, finFlag, type Frame, FrameParser, frameType } from './frames.ts';
import { HeaderDecoder, HeaderEncoder } from './header-block.ts';

export interface SpdyConnectionOptions {
  /** The upgraded connection. */
  readonly socket: Duplex;
  /** Bytes that arrived after the upgrade's answer. */
  readonly head?: Uint8Array;
  readonly side: 'client' | 'server';
  /** A stream that the other side opened; it is accepted unless this throws. */
  readonly onStream?: (stream: SpdyStream) => void;
}

/** Streams of one connection that may be open at once. */
const mostStreams = 1000;

/**
 * One SPDY/3.1 connection in the dialect of Kubernetes' streaming servers: streams with headers, half-closing and resets. Like its
 * peers there (moby/spdystream) it has no flow control of its own and leans on TCP's.
 */
export class SpdyConnection {
  readonly #socket: Duplex;
  readonly #options: SpdyConnectionOptions;
  readonly #encoder = new HeaderEncoder();
  readonly #decoder = new HeaderDecoder();
  readonly #parser = new FrameParser();
  readonly #streams = new Map<number, SpdyStream>();
  #nextId: number;
  #incoming: Promise<void> = Promise.resolve();
  #outgoing: Promise<void> = Promise.resolve();
  #closed = false;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;
  readonly #onClosed: () => void;

  constructor(options: SpdyConnectionOptions) {
    this.#options = options;
    this.#socket = options.socket;
    this.#nextId = options.side === 'client' ? 1 : 2;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#onClosed = resolve;
    this.#socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    const over = (): void => void this.#incoming.then(() => this.close());
    this.#socket.on('end', over);
    this.#socket.on('error', over);
    this.#socket.on('close', over);
    if (options.head !== undefined && options.head.length > 0) this.#receive(Buffer.from(options.head));
    this.#socket.resume();
  }

  /** Opens a stream; resolves when its first frame is handed to the socket, without waiting for the reply. */
  async open(headers: Readonly<Record<string, string>>): Promise<SpdyStream> {
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = new SpdyStream(this, id, new Map(Object.entries(headers)));
    this.#streams.set(id, stream);
    await this.#enqueue(async () => {
      const fixed = Buffer.alloc(10);
      fixed.writeUInt32BE(id, 0);
      this.#write(controlFrame(frameType.synStream, 0, Buffer.concat([fixed, await this.#encoder.encode(headers)])));
    });
    return stream;
  }

  /** Ends every stream and the connection. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stream of this.#streams.values()) stream.connectionLost();
    this.#streams.clear();
    this.#encoder.close();
    this.#decoder.close();
    if (!this.#socket.destroyed) this.#socket.end(() => this.#socket.destroy());
    this.#onClosed();
  }

  /** For streams: sends data; `done` is called when the socket takes more. */
  sendData(id: number, flags: number, payload: Uint8Array, done: (error?: Error | null) => void): void {
    void this.#enqueue(() => {
      if (this.#closed) return done(new Error('the SPDY connection is closed'));
      const frames = dataFrame(id, flags, payload);
      frames.forEach((bytes, at) => {
        this.#socket.write(bytes, at === frames.length - 1 ? done : undefined);
      });
    });
  }

  /** For streams: refuses or gives up a stream. */
  sendReset(id: number, status: number): void {
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(id, 0);
    payload.writeUInt32BE(status, 4);
    void this.#enqueue(() => this.#write(controlFrame(frameType.rstStream, 0, payload)));
  }

  /** For streams: no frame of this stream will come or go any more. */
  forget(id: number): void {
    this.#streams.delete(id);
  }

  /** For streams: stops reading the connection while a reader is behind. */
  pause(paused: boolean): void {
    if (paused) this.#socket.pause();
    else this.#socket.resume();
  }

  #enqueue(work: () => void | Promise<void>): Promise<void> {
    this.#outgoing = this.#outgoing.then(work).catch(() => this.close());
    return this.#outgoing;
  }

  #write(bytes: Buffer): void {
    if (!this.#closed && !this.#socket.destroyed) this.#socket.write(bytes);
  }

  #receive(chunk: Buffer): void {
    let frames: Frame[];
    try {
      frames = this.#parser.push(chunk);
    } catch {
      return this.close();
    }
    for (const frame of frames)
      this.#incoming = this.#incoming.then(() => this.#handle(frame)).catch(() => this.close());
  }

  async #handle(frame: Frame): Promise<void> {
    if (this.#closed) return;
    if (frame.kind === 'data') {
      this.#streams.get(frame.streamId)?.receive(frame.payload, (frame.flags & finFlag) !== 0);
      return;
    }
    const { type, flags, payload } = frame;
    const id = payload.length >= 4 ? payload.readUInt32BE(0) & 0x7fffffff : 0;
    switch (type) {
      case frameType.synStream:
        return this.#accept(id, flags, await this.#decoder.decode(payload.subarray(10)));
      case frameType.synReply:
      case frameType.headers:
        await this.#decoder.decode(payload.subarray(4));
        if ((flags & finFlag) !== 0) this.#streams.get(id)?.receive(Buffer.alloc(0), true);
        return;
      case frameType.rstStream:
        this.#streams.get(id)?.connectionLost();
        this.#streams.delete(id);
        return;
      case frameType.ping:
        // Even numbers are the server's, odd ones the client's: one's own number coming back is an answer.
        if ((id % 2 === 1) === (this.#options.side === 'server')) {
          await this.#enqueue(() => this.#write(controlFrame(frameType.ping, 0, payload)));
        }
        return;
      default:
        return;
    }
  }

  async #accept(id: number, flags: number, headers: Map<string, string>): Promise<void> {
    const { onStream } = this.#options;
    if (onStream === undefined || this.#streams.size >= mostStreams) return this.sendReset(id, 3);
    const stream = new SpdyStream(this, id, headers);
    this.#streams.set(id, stream);
    await this.#enqueue(async () => {
      const fixed = Buffer.alloc(4);
      fixed.writeUInt32BE(id, 0);
      this.#write(controlFrame(frameType.synReply, 0, Buffer.concat([fixed, await this.#encoder.encode({})])));
    });
    if ((flags & finFlag) !== 0) stream.receive(Buffer.alloc(0), true);
    onStream(stream);
  }
}

/** One stream of a SPDY connection, a Duplex that half-closes. */
export class SpdyStream extends Duplex {
  readonly id: number;
  /** The headers it was opened with, names in lower case when the other side opened it. */
  readonly headers: ReadonlyMap<string, string>;
  readonly #connection: SpdyConnection;
  #paused = false;
  #readingEnded = false;
  #lost = false;

  constructor(connection: SpdyConnection, id: number, headers: ReadonlyMap<string, string>) {
    super({ allowHalfOpen: true, autoDestroy: true });
    this.#connection = connection;
    this.id = id;
    this.headers = headers;
    this.on('error', () => {});
  }

  /** For the connection: data from the other side. */
  receive(payload: Buffer, last: boolean): void {
    if (this.#readingEnded) return;
    if (payload.length > 0 && !this.push(payload)) {
      this.#paused = true;
      this.#connection.pause(true);
    }
    if (last) this.#endReading();
  }

  /** For the connection: nothing more will come or go. What has come can still be read. */
  connectionLost(): void {
    this.#resume();
    this.#lost = true;
    this.#endReading();
    this.end();
  }

  /** Gives the stream up at once, telling the other side (RST_STREAM, CANCEL). */
  reset(): void {
    this.#connection.sendReset(this.id, 5);
    this.destroy();
  }

  override _read(): void {
    this.#resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#connection.sendData(this.id, 0, chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#lost) return callback();
    this.#connection.sendData(this.id, finFlag, new Uint8Array(0), () => callback());
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#resume();
    this.#connection.forget(this.id);
    callback(error);
  }

  #endReading(): void {
    if (this.#readingEnded) return;
    this.#readingEnded = true;
    this.push(null);
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#connection.pause(false);
  }
}
