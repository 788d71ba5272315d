import { connect, type TLSSocket } from 'node:tls';

/**
 * As little HTTP/2 (RFC 9113) as a load generator needs, so that the generator costs less than what it measures: requests are
 * frames made once, answers are counted, nothing is decompressed. One connection, any number of streams.
 */
export interface RawConnectionOptions {
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

/** What a stream's owner is told. `piece` is only valid during the call. */
export interface RawAnswer {
  onStatus?(success: boolean): void;
  onData?(piece: Buffer): void;
  onEnd(complete: boolean): void;
}

const data = 0;
const headers = 1;
const resetStream = 3;
const settings = 4;
const ping = 6;
const goAway = 7;
const windowUpdate = 8;
const endStream = 1;
const acknowledge = 1;
const padded = 8;
const largestWindow = 2 ** 31 - 1;
const refillBytes = 16 << 20;

export class RawConnection {
  readonly #socket: TLSSocket;
  readonly #authority: string;
  readonly #streams = new Map<number, RawAnswer>();
  readonly #blocked: { readonly frames: Buffer; readonly bytes: number }[] = [];
  #rest: Buffer | undefined;
  #nextStream = 1;
  #unacknowledged = 0;
  #window = 65_535;
  /** Bytes of frames that came in. */
  receivedBytes = 0;

  static open(options: RawConnectionOptions): Promise<RawConnection> {
    const url = new URL(options.server);
    return new Promise((resolve, reject) => {
      const socket = connect({
        host: url.hostname,
        port: Number(url.port || 443),
        ALPNProtocols: ['h2'],
        rejectUnauthorized: options.ca !== undefined,
        ...(options.ca === undefined ? {} : { ca: options.ca }),
        ...(options.cert === undefined ? {} : { cert: options.cert }),
        ...(options.key === undefined ? {} : { key: options.key }),
      });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        socket.off('error', reject);
        resolve(new RawConnection(socket, url.host));
      });
    });
  }

  constructor(socket: TLSSocket, authority: string) {
    this.#socket = socket;
    this.#authority = authority;
    socket.setNoDelay(true);
    const wanted = Buffer.alloc(18);
    wanted.writeUInt16BE(1, 0);
    wanted.writeUInt32BE(0, 2);
    wanted.writeUInt16BE(2, 6);
    wanted.writeUInt32BE(0, 8);
    wanted.writeUInt16BE(4, 12);
    wanted.writeUInt32BE(largestWindow, 14);
    socket.write(
      Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        frame(settings, 0, 0, wanted),
        frame(windowUpdate, 0, 0, uint32(largestWindow - 65_535)),
      ]),
    );
    socket.on('data', (piece: Buffer) => this.#read(piece));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#fail());
  }

  /** Starts a request; several in one turn leave in one write. */
  send(request: RawRequest, answer: RawAnswer): void {
    this.#start(encodeRequest(request, this.#authority), request.body, answer);
  }

  /** The same request again and again: its header block is made once. */
  prepare(request: RawRequest): (answer: RawAnswer) => void {
    const block = encodeRequest(request, this.#authority);
    return (answer) => this.#start(block, request.body, answer);
  }

  close(): void {
    this.#socket.destroy();
  }

  #start(block: Buffer, body: Uint8Array | undefined, answer: RawAnswer): void {
    const id = this.#nextStream;
    this.#nextStream += 2;
    this.#streams.set(id, answer);
    if (body === undefined) return void this.#socket.write(frame(headers, 4 | endStream, id, block));
    const bytes = body.byteLength;
    const frames = Buffer.concat([frame(headers, 4, id, block), frame(data, endStream, id, body)]);
    this.#blocked.push({ frames, bytes });
    this.#flush();
  }

  #flush(): void {
    for (let next = this.#blocked[0]; next !== undefined && next.bytes <= this.#window; next = this.#blocked[0]) {
      this.#window -= next.bytes;
      this.#socket.write(next.frames);
      this.#blocked.shift();
    }
  }

  #read(piece: Buffer): void {
    this.receivedBytes += piece.length;
    const bytes = this.#rest === undefined ? piece : Buffer.concat([this.#rest, piece]);
    this.#rest = undefined;
    this.#socket.cork();
    let at = 0;
    while (bytes.length - at >= 9) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < 9 + length) break;
      this.#frame(
        bytes[at + 3] as number,
        bytes[at + 4] as number,
        bytes.readUInt32BE(at + 5) & largestWindow,
        bytes.subarray(at + 9, at + 9 + length),
      );
      at += 9 + length;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
    this.#socket.uncork();
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    switch (type) {
      case data: {
        this.#unacknowledged += payload.length;
        if (this.#unacknowledged > refillBytes) {
          this.#socket.write(frame(windowUpdate, 0, 0, uint32(this.#unacknowledged)));
          this.#unacknowledged = 0;
        }
        const content = flags & padded ? payload.subarray(1, payload.length - (payload[0] as number)) : payload;
        if (content.length > 0) this.#streams.get(id)?.onData?.(content);
        break;
      }
      case headers:
        if (!(flags & endStream && !this.#streams.has(id))) this.#streams.get(id)?.onStatus?.(isSuccess(payload));
        break;
      case settings:
        if (!(flags & acknowledge)) this.#socket.write(frame(settings, acknowledge, 0, Buffer.alloc(0)));
        return;
      case ping:
        if (!(flags & acknowledge)) this.#socket.write(frame(ping, acknowledge, 0, payload));
        return;
      case windowUpdate:
        if (id !== 0) return;
        this.#window += payload.readUInt32BE(0);
        return this.#flush();
      case resetStream:
        return this.#end(id, false);
      case goAway:
        return this.#socket.destroy() as never;
      default:
        return;
    }
    if (flags & endStream) this.#end(id, true);
  }

  #end(id: number, complete: boolean): void {
    const answer = this.#streams.get(id);
    this.#streams.delete(id);
    answer?.onEnd(complete);
  }

  #fail(): void {
    for (const id of [...this.#streams.keys()]) this.#end(id, false);
  }
}

function frame(type: number, flags: number, id: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.byteLength);
  bytes.writeUIntBE(payload.byteLength, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  bytes.set(payload, 9);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block of literals without indexing and without Huffman (RFC 7541, 6.2.2). */
function encodeRequest(request: RawRequest, authority: string): Buffer {
  const fields: [string, string][] = [
    [':method', request.method],
    [':scheme', 'https'],
    [':path', request.path],
    [':authority', authority],
    ...Object.entries(request.headers ?? {}),
  ];
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let left = bytes.length - 127;
  for (; left >= 128; left = Math.floor(left / 128)) length.push((left % 128) | 128);
  length.push(left);
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** Whether `:status`, the first field of a header block, is 2xx: an index of the static table, or a literal with a '2' first. */
function isSuccess(block: Buffer): boolean {
  let at = 0;
  while (((block[at] as number) & 0xe0) === 0x20) at++;
  const first = block[at] as number;
  if (first & 0x80) return first >= 0x88 && first <= 0x8a;
  const huffman = ((block[at + 1] as number) & 0x80) !== 0;
  const digit = block[at + 2] as number;
  return huffman ? digit >> 3 === 2 : digit === 0x32;
}
