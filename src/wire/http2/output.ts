import type { Socket } from 'node:net';
import { frameBytes, frameHeadBytes } from './frames.ts';

const blockBytes = 64 * 1024;
const copyBelow = 4 * 1024;
/** Eight full frames with their heads: what one connection has on its way of bodies that are pulled. */
const bulkBytes = 8 * (frameHeadBytes + frameBytes);
const mostSpare = 8;
/** Bulk blocks that no connection uses at the moment. */
const spare: Buffer[] = [];

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
  #bulk: Buffer | undefined;

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

  /** A block to be filled and given to `writeBulk`, or given back with `dropBulk`; undefined while one is on its way. */
  takeBulk(): Buffer | undefined {
    if (this.#bulk !== undefined) return undefined;
    this.#bulk = spare.pop() ?? Buffer.allocUnsafeSlow(bulkBytes);
    return this.#bulk;
  }

  dropBulk(): void {
    if (this.#bulk !== undefined && spare.length < mostSpare) spare.push(this.#bulk);
    this.#bulk = undefined;
  }

  /**
   * Writes the first `length` bytes of the bulk block at once, after all that was written before: whole frames, handed to the socket as
   * one piece, which TLS encrypts without another copy. `sent` runs when the block serves again.
   */
  writeBulk(length: number, sent: () => void): void {
    this.flush();
    const socket = this.#socket;
    const block = this.#bulk as Buffer;
    if (socket.destroyed || socket.writableEnded) return;
    socket.write(block.subarray(0, length), (error) => {
      // After an error nobody knows who still reads it: it is left to the collector.
      if (error) return;
      this.dropBulk();
      // Node tells of writes that were done at once in the same turn, and of those that follow too: going on here would keep all others waiting.
      setImmediate(sent);
    });
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
