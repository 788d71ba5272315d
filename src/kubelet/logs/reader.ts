import { watch } from 'node:fs';
import { type FileHandle, stat } from 'node:fs/promises';
import { type Clock, sleep } from '#base';
import { parseLogLine } from './line.ts';
import { openLogFile, tailOffset } from './tail.ts';

export interface LogOptions {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  /** Lines of this time and later, RFC 3339 with nanoseconds. */
  readonly sinceTime?: string;
  readonly limitBytes?: number;
  readonly stream?: 'stdout' | 'stderr';
}

export interface LogSource {
  readonly path: string;
  readonly clock: Clock;
  /** Whether the container may still write. */
  readonly running: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

const blockBytes = 64 << 10;
const longestLine = 1 << 20;
const newline = 0x0a;
const pollMs = 1000;

/**
 * The text of a container's log, piece by piece. Following goes on over rotation until the container ends or the signal aborts.
 * Throws when there is no such log.
 */
export async function* readLog(source: LogSource, options: LogOptions): AsyncGenerator<Buffer> {
  const { path, clock, running, signal } = source;
  const format = new LineFormatter(options);
  let handle = await openLogFile(path);
  try {
    let offset = options.tailLines === undefined ? 0 : await tailOffset(handle, options.tailLines);
    let kept: Buffer = Buffer.alloc(0);
    while (!signal.aborted && !format.full) {
      const block = await readBlock(handle, offset);
      if (block.length > 0) {
        offset += block.length;
        const { text, rest } = format.feed(kept.length === 0 ? block : Buffer.concat([kept, block]));
        kept = rest;
        if (text.length > 0) yield text;
        continue;
      }
      if (!options.follow) return;
      const next = await replacement(handle, path, offset);
      if (next !== undefined) {
        await handle.close();
        handle = next;
        offset = 0;
        kept = Buffer.alloc(0);
        continue;
      }
      const alive = await running();
      if (!alive && (await readBlock(handle, offset)).length === 0 && (await replaced(handle, path)) === false) return;
      if (alive) await changed(path, clock, signal);
    }
  } finally {
    await handle.close();
  }
}

async function readBlock(handle: FileHandle, offset: number): Promise<Buffer> {
  const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(blockBytes), 0, blockBytes, offset);
  return buffer.subarray(0, bytesRead);
}

async function replaced(handle: FileHandle, path: string): Promise<boolean> {
  const [open, now] = await Promise.all([handle.stat(), stat(path).catch(() => undefined)]);
  return now !== undefined && now.ino !== open.ino;
}

/** The new file behind the path after a rotation, once the old one is read to its end. */
async function replacement(handle: FileHandle, path: string, offset: number): Promise<FileHandle | undefined> {
  if (!(await replaced(handle, path))) return undefined;
  if ((await handle.stat()).size > offset) return undefined;
  return openLogFile(path).catch(() => undefined);
}

/** Waits for a hint that the file grew; hints may be lost, so never longer than a second. */
async function changed(path: string, clock: Clock, signal: AbortSignal): Promise<void> {
  const hint = new AbortController();
  const abort = (): void => hint.abort();
  signal.addEventListener('abort', abort, { once: true });
  try {
    const watcher = watch(path, { signal: hint.signal }, abort);
    watcher.on('error', () => {});
  } catch {
    // Without a watch the poll below is all there is.
  }
  await sleep(clock, pollMs, hint.signal).catch(() => {});
  hint.abort();
  signal.removeEventListener('abort', abort);
}

/** Turns lines of the CRI format into what users read. */
class LineFormatter {
  readonly #options: LogOptions;
  #left: number;
  #atLineStart = true;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  get full(): boolean {
    return this.#left <= 0;
  }

  feed(bytes: Buffer): { readonly text: Buffer; readonly rest: Buffer } {
    const parts: Buffer[] = [];
    let from = 0;
    for (let end = bytes.indexOf(newline); end !== -1 && !this.full; end = bytes.indexOf(newline, from)) {
      this.#format(bytes.subarray(from, end), parts);
      from = end + 1;
    }
    const rest = bytes.subarray(from);
    return { text: Buffer.concat(parts), rest: rest.length > longestLine ? Buffer.alloc(0) : rest };
  }

  #format(bytes: Buffer, parts: Buffer[]): void {
    const line = parseLogLine(bytes);
    if (line === undefined) return;
    const { sinceTime, stream, timestamps } = this.#options;
    if (stream !== undefined && line.stream !== stream) return;
    if (sinceTime !== undefined && earlier(line.time, sinceTime)) return;
    if (timestamps && this.#atLineStart) this.#add(Buffer.from(`${line.time} `), parts);
    this.#add(line.text, parts);
    if (!line.partial) this.#add(Buffer.of(newline), parts);
    this.#atLineStart = !line.partial;
  }

  #add(bytes: Buffer, parts: Buffer[]): void {
    const cut = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes;
    this.#left -= cut.length;
    if (cut.length > 0) parts.push(cut);
  }
}

/** Compares RFC 3339 times to the nanosecond. */
function earlier(a: string, b: string): boolean {
  const [left, right] = [nanoseconds(a), nanoseconds(b)];
  return left < right;
}

function nanoseconds(time: string): bigint {
  const fraction = /\.(\d+)/.exec(time)?.[1] ?? '';
  const whole = Date.parse(time.replace(/\.\d+/, ''));
  return Number.isNaN(whole) ? 0n : BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
}
