import type { Socket } from 'node:net';

const blockBytes = 64 * 1024;
const copyBelow = 4 * 1024;

/**
 * Collects what is to be written to a socket and hands it over once a turn: many small answers become one write. Order is that of the
 * calls.
 */
export class Output {
  readonly #socket: Socket;
  #block: Buffer = Buffer.allocUnsafeSlow(1024);
  #start = 0;
  #used = 0;
  #chunks: Uint8Array[] = [];
  #scheduled = false;
  #waiting = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes that the socket has not sent yet. */
  get pendingBytes(): number {
    return this.#socket.writableLength + this.#waiting;
  }

  /** Room for `bytes` in a block: write there from the returned place, then `commit` how many were written. */
  reserve(bytes: number): { readonly block: Buffer; readonly at: number } {
    if (this.#block.length - this.#used < bytes) {
      this.#cut();
      this.#block = Buffer.allocUnsafeSlow(Math.max(blockBytes, bytes));
      this.#start = 0;
      this.#used = 0;
    }
    return { block: this.#block, at: this.#used };
  }

  commit(end: number): void {
    this.#waiting += end - this.#used;
    this.#used = end;
    this.#schedule();
  }

  /** Takes bytes that will not change. Small ones are copied, large ones handed on as they are. */
  append(bytes: Uint8Array): void {
    if (bytes.length <= copyBelow) {
      const { block, at } = this.reserve(bytes.length);
      block.set(bytes, at);
      this.commit(at + bytes.length);
      return;
    }
    this.#cut();
    this.#chunks.push(bytes);
    this.#waiting += bytes.length;
    this.#schedule();
  }

  flush(): void {
    this.#scheduled = false;
    this.#cut();
    const chunks = this.#chunks;
    if (chunks.length === 0) return;
    this.#chunks = [];
    this.#waiting = 0;
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    if (chunks.length === 1) {
      socket.write(chunks[0] as Uint8Array);
      return;
    }
    socket.cork();
    for (const chunk of chunks) socket.write(chunk);
    socket.uncork();
  }

  #cut(): void {
    if (this.#used > this.#start) this.#chunks.push(this.#block.subarray(this.#start, this.#used));
    this.#start = this.#used;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }
}
