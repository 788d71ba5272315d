import { createHash } from 'node:crypto';
import type { Entry, RevisionTime, Store, StoreEvent } from '../contract.ts';
import { encodeDelete, encodeJsonFrame, encodeWrite, frameTypes } from './frames.ts';

/** What an archive says of itself at its beginning. */
export interface ArchiveHeader {
  readonly format: typeof archiveFormat;
  /** The oldest revision whose state the archive holds, and the newest. */
  readonly baseRevision: number;
  readonly revision: number;
  readonly takenAtMs: number;
  readonly times: readonly RevisionTime[];
}

export interface ArchiveEnd {
  readonly entries: number;
  readonly events: number;
  readonly sha256: string;
}

export const archiveFormat = 'k8ts archive 1';
const pieceBytes = 256 << 10;
const pageBytes = 4 << 20;
const firstLimit = 100;
const largestLimit = 2000;

/**
 * The store's content and kept history at the revision of the call, in pieces, while writes go on. Only the contract is used: any
 * driver will do. Throws Compacted when history was forgotten meanwhile (hold the compactor), Corrupt for a damaged value.
 */
export async function* writeArchive(options: {
  readonly store: Store;
  readonly takenAtMs: number;
  /** For a store that keeps no times. */
  readonly times?: readonly RevisionTime[];
}): AsyncGenerator<Uint8Array> {
  const { store, takenAtMs } = options;
  const revision = store.revision();
  const baseRevision = store.compactedRevision();
  const times = (store.revisionTimes?.() ?? options.times ?? []).filter((one) => one.revision <= revision);
  const hash = createHash('sha256');
  const header: ArchiveHeader = { format: archiveFormat, baseRevision, revision, takenAtMs, times };
  const out = new Pieces((bytes) => void hash.update(bytes));
  out.add(encodeJsonFrame(frameTypes.header, header));
  let entries = 0;
  let events = 0;
  for await (const entry of entriesAt(store, baseRevision)) {
    entries++;
    if (out.add(encodeWrite(frameTypes.entry, archived(entry)))) yield out.take();
  }
  for await (const event of eventsBetween(store, baseRevision, revision)) {
    events++;
    const { key, entry, type } = event;
    const frame = type === 'put' ? encodeWrite(frameTypes.put, archived(entry)) : encodeDelete(key, entry.modRevision);
    if (out.add(frame)) yield out.take();
  }
  yield out.take();
  const end: ArchiveEnd = { entries, events, sha256: hash.digest('hex') };
  yield encodeJsonFrame(frameTypes.end, end);
}

function archived(entry: Entry) {
  const { key, value, modRevision, createRevision, version, lease } = entry;
  return { key, value, modRevision, createRevision, version, leased: lease !== undefined };
}

async function* entriesAt(store: Store, revision: number): AsyncGenerator<Entry> {
  let start = '';
  let limit = firstLimit;
  for (;;) {
    const { entries, more } = await store.range({ start, end: '', revision, limit });
    yield* entries;
    const last = entries.at(-1);
    if (!more || last === undefined) return;
    start = `${last.key}\0`;
    const bytes = entries.reduce((sum, one) => sum + one.value.length, 0);
    limit = Math.max(1, Math.min(largestLimit, Math.floor((pageBytes * entries.length) / Math.max(1, bytes))));
  }
}

/** Every change after `from` up to `to`. */
async function* eventsBetween(store: Store, from: number, to: number): AsyncGenerator<StoreEvent> {
  if (from >= to) return;
  const watch = store.watch({ start: '', end: '', fromRevision: from + 1, progress: true });
  try {
    for await (const batch of watch) {
      for (const event of batch.events) {
        if (event.entry.modRevision > to) return;
        yield event;
      }
      if (batch.revision >= to) return;
    }
  } finally {
    watch.close();
  }
}

/** Gathers small frames into pieces worth sending. */
class Pieces {
  readonly #seen: (bytes: Buffer) => void;
  #frames: Buffer[] = [];
  #bytes = 0;

  constructor(seen: (bytes: Buffer) => void) {
    this.#seen = seen;
  }

  /** Whether it is time to take. */
  add(frame: Buffer): boolean {
    this.#seen(frame);
    this.#frames.push(frame);
    this.#bytes += frame.length;
    return this.#bytes >= pieceBytes;
  }

  take(): Buffer {
    const bytes = Buffer.concat(this.#frames);
    this.#frames = [];
    this.#bytes = 0;
    return bytes;
  }
}
