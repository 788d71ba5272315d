import { existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const wantedBytes = 1 << 20;
const leastBytes = 128 << 10;
const leftBytes = 64 << 10;

/**
 * A file that holds room on the disk for the day it is full: LMDB needs a few pages to delete anything, and the reserve is
 * given up for them. Puts wait until it could be made again.
 */
export class DiskReserve {
  readonly #path: string;
  readonly #dir: string;
  #filling: Promise<void> = Promise.resolve();
  #released = false;

  constructor(dir: string) {
    this.#dir = dir;
    this.#path = join(dir, 'reserve');
    if (!existsSync(this.#path)) this.#filling = this.#fill();
  }

  /** Frees the room; false when there was none to free. */
  release(): boolean {
    if (this.#released || !existsSync(this.#path)) return false;
    rmSync(this.#path, { force: true });
    this.#released = true;
    return true;
  }

  /** Whether puts may use the disk: the reserve is there, or could be made again from what is left. */
  ready(): boolean {
    if (!this.#released) return true;
    const size = Math.min(wantedBytes, this.freeBytes() - leftBytes);
    if (size < leastBytes) return false;
    try {
      writeFileSync(this.#path, Buffer.alloc(size), { mode: 0o600 });
    } catch {
      rmSync(this.#path, { force: true });
      return false;
    }
    this.#released = false;
    return true;
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#dir);
    return bavail * bsize;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#filling;
  }

  /** A disk without room for it is no reason not to start. */
  async #fill(): Promise<void> {
    try {
      await writeFile(this.#path, Buffer.alloc(wantedBytes), { mode: 0o600 });
    } catch {
      rmSync(this.#path, { force: true });
    }
  }
}
