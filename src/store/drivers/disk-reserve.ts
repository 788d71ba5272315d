import { existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const wantedBytes = 1 << 20;
const leastBytes = 128 << 10;
const leftBytes = 64 << 10;

/**
 * A file that holds room on the disk for the day it is full: LMDB needs a few pages to delete anything, and the reserve is
 * given up for them. Puts wait until it could be made again.
 */
export class DiskReserve {
  readonly #dir: string;
  readonly #path: string;
  #there: boolean;

  constructor(dir: string) {
    this.#dir = dir;
    this.#path = join(dir, 'reserve');
    this.#there = existsSync(this.#path);
  }

  /** Frees the room; false when there was none to free. */
  release(): boolean {
    if (!this.#there) return false;
    rmSync(this.#path, { force: true });
    this.#there = false;
    return true;
  }

  /** Whether puts may use the disk: the reserve is there, or could be made from what is left. */
  ready(): boolean {
    if (this.#there) return true;
    const size = Math.min(wantedBytes, this.freeBytes() - leftBytes);
    if (size < leastBytes) return false;
    try {
      writeFileSync(this.#path, Buffer.alloc(size), { mode: 0o600 });
      this.#there = true;
    } catch {
      rmSync(this.#path, { force: true });
    }
    return this.#there;
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#dir);
    return bavail * bsize;
  }
}
