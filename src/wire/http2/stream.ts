import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import {
  BodyTooLarge,
  type ByteSink,
  type ByteSource,
  type HttpExchange,
  RequestAborted,
  type ResponseHeaders,
} from '../http/exchange.ts';
import { certificatesOf } from '../http/peer-certificates.ts';
import type { Http2Connection } from './connection.ts';
import { errorCode } from './frames.ts';
import type { RequestHead } from './request-fields.ts';

const noBytes: Uint8Array = new Uint8Array();
/** A sink that holds more than this says that it is behind. */
const sinkHighWaterBytes = 256 * 1024;
/** Who takes less of a waiting answer in all the time that it has for some takes nothing: a byte now and then does not count. */
const leastTakenBytes = 64 * 1024;

/** One request and its answer. */
export class ServerStream implements HttpExchange {
  readonly id: number;
  readonly upgrade = undefined;
  sendWindow: number;
  receiveWindow = 0;
  /** Bytes of the answer that left. */
  sentBytes = 0;
  /** Bytes taken whose window was not given back yet. */
  unacknowledged = 0;
  readonly #connection: Http2Connection;
  readonly #request: RequestHead;
  #bodyBytes = 0;
  #body: Uint8Array[] | undefined;
  #take: ((chunk: Uint8Array | undefined) => void) | undefined;
  #isEnded = false;
  #answered = false;
  #finished = false;
  #broken = false;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #endAfterPending = false;
  #patient = false;
  /** How many bytes of the answer had left when it was last seen to move on. */
  #seenBytes = 0;
  #slowLooks = 0;
  #source: ByteSource | undefined;
  #trailers: ResponseHeaders | undefined;
  #aborts: Set<() => void> | undefined;
  #drains: (() => void)[] | undefined;
  #closes: (() => void)[] | undefined;

  constructor(connection: Http2Connection, id: number, request: RequestHead, sendWindow: number) {
    this.#connection = connection;
    this.id = id;
    this.#request = request;
    this.sendWindow = sendWindow;
  }

  get method(): string {
    return this.#request.method;
  }

  get target(): string {
    return this.#request.target;
  }

  get headers(): Readonly<Record<string, string | undefined>> {
    return this.#request.headers;
  }

  /** All fields as they came, pseudo-headers too: names and values in turn. */
  get fields(): readonly string[] {
    return this.#request.fields;
  }

  /** What the request announced of its body; undefined: nothing. */
  get contentLength(): number | undefined {
    return this.#request.contentLength;
  }

  headerValues(name: string): readonly string[] {
    const { fields } = this.#request;
    const values: string[] = [];
    for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) values.push(fields[i + 1] as string);
    return values;
  }

  get remoteAddress(): string {
    return this.#connection.socket.remoteAddress ?? '';
  }

  clientCertificates(): readonly Uint8Array[] | undefined {
    return certificatesOf(this.#connection.socket as TLSSocket);
  }

  get aborted(): boolean {
    return this.#broken && !this.#finished;
  }

  onAbort(callback: () => void): () => void {
    if (this.#broken) {
      if (!this.#finished) callback();
      return () => {};
    }
    this.#aborts ??= new Set();
    this.#aborts.add(callback);
    return () => void this.#aborts?.delete(callback);
  }

  /** Bytes of the answer that wait for windows or for the socket. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Called now and then: true when the answer has waited for its receiver during that many calls, and hardly any of it was taken. */
  isStalled(looks: number, waits: boolean): boolean {
    if (!waits || this.#patient || this.sentBytes - this.#seenBytes >= leastTakenBytes) {
      this.#seenBytes = this.sentBytes;
      this.#slowLooks = 0;
      return false;
    }
    return ++this.#slowLooks > looks;
  }

  // ------------------------------------------------------------ the request's body

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Bytes of the body that have come so far, read or not. */
  get receivedBytes(): number {
    return this.#bodyBytes;
  }

  /** Called by the connection with each piece. */
  received(chunk: Uint8Array): void {
    this.#bodyBytes += chunk.length;
    const { contentLength } = this.#request;
    if (contentLength !== undefined && this.#bodyBytes > contentLength) return this.#malformed();
    if (this.#take !== undefined) this.#take(chunk);
    else {
      this.#body ??= [];
      this.#body.push(chunk);
    }
  }

  /** Called by the connection: the request is whole. */
  ended(): void {
    if (this.#isEnded) return;
    const { contentLength } = this.#request;
    if (contentLength !== undefined && this.#bodyBytes !== contentLength) return this.#malformed();
    this.#isEnded = true;
    this.#take?.(undefined);
    if (this.#finished) this.#connection.forget(this);
  }

  #malformed(): void {
    this.#connection.reset(this, errorCode.protocolError);
    this.broken();
  }

  bodyAtHand(limitBytes: number): Uint8Array | undefined {
    if (!this.#isEnded || this.#bodyBytes > limitBytes) return undefined;
    const parts = this.#body;
    if (parts === undefined) return noBytes;
    this.#body = undefined;
    this.#connection.consumed(this, this.#bodyBytes, false);
    return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
  }

  body(limitBytes: number): Promise<Uint8Array> {
    if (this.#isEnded) {
      const atHand = this.bodyAtHand(limitBytes);
      if (atHand !== undefined) return Promise.resolve(atHand);
      this.#body = undefined;
      this.#connection.consumed(this, this.#bodyBytes, false);
      return Promise.reject(new BodyTooLarge(limitBytes));
    }
    if (this.#broken) return Promise.reject(new RequestAborted());
    const { contentLength } = this.#request;
    if (contentLength !== undefined && contentLength > limitBytes) return Promise.reject(new BodyTooLarge(limitBytes));
    return new Promise((resolve, reject) => {
      const parts: Uint8Array[] = [];
      let length = 0;
      const forget = this.onAbort(() => reject(new RequestAborted()));
      const take = (chunk: Uint8Array | undefined): void => {
        if (chunk === undefined) {
          forget();
          resolve(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts));
          return;
        }
        length += chunk.length;
        this.#connection.consumed(this, chunk.length, true);
        if (length > limitBytes) {
          this.#take = () => {};
          forget();
          reject(new BodyTooLarge(limitBytes));
          return;
        }
        parts.push(chunk);
      };
      const early = this.#body;
      this.#body = undefined;
      this.#take = take;
      for (const chunk of early ?? []) take(chunk);
    });
  }

  async *stream(): AsyncIterable<Uint8Array> {
    let wake: (() => void) | undefined;
    const queue: Uint8Array[] = this.#body ?? [];
    this.#body = undefined;
    this.#take = (chunk) => {
      if (chunk !== undefined) queue.push(chunk);
      wake?.();
    };
    const forget = this.onAbort(() => wake?.());
    try {
      for (;;) {
        const chunk = queue.shift();
        if (chunk !== undefined) {
          yield chunk;
          this.#connection.consumed(this, chunk.length, !this.#isEnded);
          continue;
        }
        if (this.#isEnded) return;
        if (this.#broken) throw new RequestAborted();
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      forget();
    }
  }

  // ------------------------------------------------------------ the answer

  respond(status: number, headers: ResponseHeaders, body?: Uint8Array | readonly Uint8Array[]): void {
    if (this.#answered || this.#broken) return;
    this.#answered = true;
    const bodyless = status === 304 || status === 204 || this.method === 'HEAD';
    if (body === undefined || bodyless) {
      this.#connection.sendHeaders(this, status, headers, { length: bodyless ? undefined : 0, end: true });
      return this.#sentAll();
    }
    if (body instanceof Uint8Array) {
      const end = body.length === 0;
      this.#connection.sendHeaders(this, status, headers, { length: body.length, end });
      return end ? this.#sentAll() : this.#send(body, true);
    }
    let length = 0;
    for (const part of body) length += part.length;
    this.#connection.sendHeaders(this, status, headers, { length, end: length === 0 });
    if (length === 0) return this.#sentAll();
    body.forEach((part, index) => this.#send(part, index === body.length - 1));
  }

  respondStream(status: number, headers: ResponseHeaders, how: { readonly patient?: boolean } = {}): ByteSink {
    const stream = this;
    this.#patient = how.patient === true;
    if (!this.#answered && !this.#broken) {
      this.#answered = true;
      this.#connection.sendHeaders(this, status, headers, { length: undefined, end: false });
    }
    return {
      write(bytes) {
        if (stream.#broken || stream.#finished || stream.#endAfterPending) return true;
        if (bytes.length > 0) stream.#send(bytes, false);
        return stream.#pendingBytes < sinkHighWaterBytes;
      },
      pull(source) {
        if (stream.#broken || stream.#finished || stream.#endAfterPending) return;
        stream.#source = source;
        stream.pump();
      },
      onDrain(callback) {
        stream.#drains ??= [];
        stream.#drains.push(callback);
      },
      get pendingBytes() {
        return stream.#pendingBytes;
      },
      end() {
        if (!stream.#broken && !stream.#finished && !stream.#endAfterPending) stream.#send(noBytes, true);
      },
      destroy() {
        if (stream.#broken || stream.#finished) return;
        stream.#connection.reset(stream, errorCode.internalError);
        stream.broken();
      },
      onClose(callback) {
        if (stream.#broken || stream.#finished) return callback();
        stream.#closes ??= [];
        stream.#closes.push(callback);
      },
    };
  }

  /** Ends a streamed answer with trailers, once all of its body is on its way. */
  endWithTrailers(trailers: ResponseHeaders): void {
    if (this.#broken || this.#finished || this.#endAfterPending) return;
    this.#trailers = trailers;
    if (this.#pending.length === 0) this.#sendTrailers(trailers);
  }

  #sendTrailers(trailers: ResponseHeaders): void {
    this.#trailers = undefined;
    this.#connection.sendHeaders(this, undefined, trailers, { length: undefined, end: true });
    this.#sentAll();
  }

  endConnection(): void {
    this.#connection.close();
  }

  takeOver(): { socket: Duplex; head: Uint8Array } {
    throw new TypeError('an HTTP/2 stream cannot switch protocols');
  }

  /** Called by the connection when windows or the socket have room again. */
  pump(): void {
    const wasBehind = this.#pendingBytes >= sinkHighWaterBytes;
    while (this.#pending.length > 0) {
      const next = this.#pending[0] as Uint8Array;
      const last = this.#pending.length === 1 && this.#endAfterPending;
      const sent = this.#connection.sendData(this, next, last);
      this.#pendingBytes -= sent;
      if (sent < next.length) {
        this.#pending[0] = next.subarray(sent);
        this.#connection.block(this);
        break;
      }
      this.#pending.shift();
      if (last) return this.#sentAll();
    }
    if (this.#trailers !== undefined && this.#pending.length === 0) return this.#sendTrailers(this.#trailers);
    if (this.#source !== undefined && this.#pending.length === 0) return this.#pumpSource(this.#source);
    if (wasBehind && this.#pendingBytes < sinkHighWaterBytes) for (const callback of this.#drains ?? []) callback();
  }

  #pumpSource(source: ByteSource): void {
    try {
      if (!this.#connection.sendFrom(this, source)) return;
    } catch {
      // Half of the body may have left: the receiver must see that it is not whole.
      this.#connection.reset(this, errorCode.internalError);
      return this.broken();
    }
    this.#source = undefined;
    this.#sentAll();
  }

  /** Called by the connection: the peer reset the stream, or the connection ended. */
  broken(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#source = undefined;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (!this.#finished) for (const callback of [...(this.#aborts ?? [])]) callback();
    this.#closed();
  }

  #send(bytes: Uint8Array, end: boolean): void {
    if (this.#pending.length > 0) {
      this.#pending.push(bytes);
      this.#pendingBytes += bytes.length;
      this.#endAfterPending ||= end;
      return;
    }
    const sent = bytes.length > 0 && !this.#connection.hasRoom ? 0 : this.#connection.sendData(this, bytes, end);
    if (sent === bytes.length) {
      if (end) this.#sentAll();
      return;
    }
    const rest = sent === 0 ? bytes : bytes.subarray(sent);
    this.#pending.push(rest);
    this.#pendingBytes += rest.length;
    this.#endAfterPending ||= end;
    this.#connection.block(this);
  }

  #sentAll(): void {
    this.#finished = true;
    if (this.#isEnded) this.#connection.forget(this);
    // What the client still sends is not wanted any more.
    else this.#connection.reset(this, errorCode.noError);
    this.#aborts = undefined;
    this.#closed();
  }

  #closed(): void {
    const callbacks = this.#closes;
    this.#closes = undefined;
    for (const callback of callbacks ?? []) callback();
  }
}
