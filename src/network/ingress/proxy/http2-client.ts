import type { Socket } from 'node:net';
import type { ByteSink, ResponseHeaders, ServerStream } from '#wire';
import type { Inbound, InboundConsumer } from './exchange.ts';
import { isPassedOn, type ResponseHead, validAuthority } from './heads.ts';

const legalTarget = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/;
const legalMethod = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}$/;
const legalValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Where a request came from. */
export interface Http2From {
  readonly socket: Socket;
  readonly secure: boolean;
  readonly onWritten: (bytes: number) => void;
}

interface Parsed {
  readonly authority: string;
  readonly headers: readonly string[];
}

/** The fields to pass on; undefined: a request that must not be. */
function parse(stream: ServerStream): Parsed | undefined {
  const headers: string[] = [];
  const { fields } = stream;
  let authority: string | undefined;
  let host: string | undefined;
  let cookie: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (name.charCodeAt(0) === 0x3a) {
      if (name === ':authority') authority = value;
      continue;
    }
    if (!legalValue.test(value)) return undefined;
    if (name === 'host') {
      if (host !== undefined) return undefined;
      host = value;
    } else if (name === 'te') headers.push('te', 'trailers');
    // One line towards HTTP/1.1 (RFC 9113, section 8.2.3).
    else if (name === 'cookie') cookie = cookie === undefined ? value : `${cookie}; ${value}`;
    else if (name !== 'content-length' && name !== 'expect' && isPassedOn(name)) headers.push(name, value.trim());
  }
  if (cookie !== undefined) headers.push('cookie', cookie);
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) return undefined;
  authority ??= host;
  if (authority === undefined || !validAuthority.test(authority)) return undefined;
  if (!legalTarget.test(stream.target) || !legalMethod.test(stream.method)) return undefined;
  return { authority, headers };
}

/** One request of an HTTP/2 client. */
export class Http2Inbound implements Inbound {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly headers: readonly string[];
  readonly contentLength: number | undefined;
  readonly upgrade = undefined;
  readonly secure: boolean;
  readonly remoteAddress: string;
  readonly localPort: number;
  bodyDone: boolean;
  readonly #stream: ServerStream;
  readonly #onWritten: (bytes: number) => void;
  #consumer: InboundConsumer | undefined;
  #sink: ByteSink | undefined;
  /** The answer had no body and left in one piece. */
  #whole = false;
  #begun = false;
  #flowing = false;
  #wake: (() => void) | undefined;
  #over = false;

  /** Undefined when the request was malformed; it is answered then. */
  static of(stream: ServerStream, from: Http2From): Http2Inbound | undefined {
    const parsed = parse(stream);
    if (parsed !== undefined) return new Http2Inbound(stream, parsed, from);
    stream.respond(400, { 'content-type': 'text/plain; charset=utf-8' }, Buffer.from('400: malformed request\n'));
    return undefined;
  }

  private constructor(stream: ServerStream, parsed: Parsed, from: Http2From) {
    this.#onWritten = from.onWritten;
    this.#stream = stream;
    this.method = stream.method;
    this.target = stream.target;
    this.authority = parsed.authority;
    this.headers = parsed.headers;
    this.bodyDone = stream.isEnded && stream.receivedBytes === 0;
    this.contentLength = this.bodyDone ? 0 : stream.contentLength;
    this.secure = from.secure;
    this.remoteAddress = (from.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    this.localPort = from.socket.localPort ?? 0;
    stream.onAbort(() => this.#gone());
  }

  get alive(): boolean {
    return !this.#over;
  }

  attach(consumer: InboundConsumer): void {
    this.#consumer = consumer;
  }

  resumeBody(): void {
    if (this.#flowing || this.bodyDone) return;
    this.#flowing = true;
    if (!this.#begun) {
      this.#begun = true;
      void this.#pull();
    }
    this.#wake?.();
  }

  pauseBody(): void {
    this.#flowing = false;
  }

  inform(): void {}

  respond(head: ResponseHead, length: number | undefined): void {
    if (this.#over || this.#whole || this.#sink !== undefined) return;
    const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
    collect(head.headers, headers);
    if (length !== undefined && length > 0 && headers['content-length'] === undefined)
      headers['content-length'] = String(length);
    if (length === 0) {
      this.#whole = true;
      this.#stream.respond(head.status, headers as ResponseHeaders);
      return;
    }
    const sink = this.#stream.respondStream(head.status, headers as ResponseHeaders);
    sink.onDrain(() => this.#consumer?.onDrain());
    this.#sink = sink;
  }

  write(bytes: Buffer): boolean {
    if (this.#over || bytes.length === 0) return true;
    this.#onWritten(bytes.length);
    return this.#sink?.write(bytes) ?? true;
  }

  end(trailers?: readonly string[]): void {
    if (this.#over || (!this.#whole && this.#sink === undefined)) return;
    this.#over = true;
    if (trailers === undefined || trailers.length === 0) this.#sink?.end();
    else if (!this.#whole) {
      const fields: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
      collect(trailers, fields);
      this.#stream.endWithTrailers(fields as ResponseHeaders);
    }
    this.#consumer = undefined;
    this.#wake?.();
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#consumer = undefined;
    this.#stream.respondStream(502, {}).destroy();
    this.#wake?.();
  }

  takeOver(): never {
    throw new TypeError('an HTTP/2 stream cannot switch protocols');
  }

  #gone(): void {
    if (this.#over) return;
    this.#over = true;
    const consumer = this.#consumer;
    this.#consumer = undefined;
    this.#wake?.();
    consumer?.onGone();
  }

  async #pull(): Promise<void> {
    try {
      for await (const chunk of this.#stream.stream()) {
        this.#consumer?.onBody(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
        while (!this.#flowing && !this.#over) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        if (this.#over) return;
      }
    } catch {
      return this.#gone();
    }
    this.bodyDone = true;
    this.#consumer?.onBodyEnd();
  }
}

function collect(list: readonly string[], into: Record<string, string | string[]>): void {
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string;
    const value = list[i + 1] as string;
    const before = into[name];
    if (before === undefined) into[name] = value;
    else if (typeof before === 'string') into[name] = [before, value];
    else before.push(value);
  }
}
