import { createHash } from 'node:crypto';
import { CodedError, rfc3339 } from '#base';
import type { RevisionTime } from '../contract.ts';
import {
  ArchiveDamaged,
  type ArchivedWrite,
  decodeDelete,
  decodeWrite,
  encodeFrame,
  type Frame,
  frameTypes,
  splitFrames,
} from './frames.ts';
import { type ArchiveEnd, archiveFormat, type ArchiveHeader } from './write-archive.ts';

/** Opens the same archive again and again, from its first byte. */
export type ArchiveSource = () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A moment of an archive: a revision, wall time (ms), or, when absent, the newest. */
export type ArchiveMoment = { readonly revision: number } | { readonly timeMs: number } | undefined;

/** What of an archive makes up the state at one revision. */
export interface ArchiveSelection {
  readonly header: ArchiveHeader;
  readonly revision: number;
  /** How many keys there are. */
  readonly count: number;
  /** Places of the frames to take, by key. */
  readonly frames: ReadonlyMap<string, number>;
}

/** Reads the first frame. Throws ArchiveDamaged. */
export async function readArchiveHeader(source: ArchiveSource): Promise<ArchiveHeader> {
  for await (const frame of splitFrames(source())) return parseHeader(frame);
  throw new ArchiveDamaged('it is empty');
}

/**
 * Reads an archive to its end, checks every byte, and says what the state at `moment` is made of. Throws ArchiveDamaged, and
 * OutsideHistory for a moment that the archive does not hold.
 */
export async function selectFromArchive(
  source: ArchiveSource,
  moment?: ArchiveMoment,
): Promise<ArchiveSelection & { readonly end: ArchiveEnd }> {
  const frames = new Map<string, number>();
  const hash = createHash('sha256');
  let header: ArchiveHeader | undefined;
  let revision = 0;
  let end: ArchiveEnd | undefined;
  let place = 0;
  let entries = 0;
  let events = 0;
  for await (const frame of splitFrames(source())) {
    if (end !== undefined) throw new ArchiveDamaged('it goes on after its end');
    if (header === undefined) {
      header = parseHeader(frame);
      revision = revisionAt(header, moment);
    } else if (frame.type === frameTypes.end) {
      end = parseEnd(frame, { entries, events, sha256: hash.digest('hex') });
      continue;
    } else if (frame.type === frameTypes.delete) {
      events++;
      const { key, modRevision } = decodeDelete(frame.payload);
      if (modRevision <= revision) frames.delete(key);
    } else {
      if (frame.type === frameTypes.entry) entries++;
      else if (frame.type === frameTypes.put) events++;
      else throw new ArchiveDamaged(`a frame of type ${String(frame.type)}`);
      const { key, modRevision } = decodeWrite(frame.payload);
      if (modRevision <= revision) frames.set(key, place);
    }
    hash.update(encodeFrame(frame.type, frame.payload));
    place++;
  }
  if (header === undefined || end === undefined) throw new ArchiveDamaged('it has no end: it was cut short');
  return { header, revision, count: frames.size, frames, end };
}

/** The writes that make up a selection, in the order of the archive. */
export async function* readSelection(
  source: ArchiveSource,
  selection: ArchiveSelection,
): AsyncGenerator<ArchivedWrite> {
  let place = 0;
  for await (const frame of splitFrames(source())) {
    if (frame.type === frameTypes.entry || frame.type === frameTypes.put) {
      const write = decodeWrite(frame.payload);
      if (selection.frames.get(write.key) === place) yield write;
    }
    place++;
  }
}

/** The revision that was the newest at `moment`. Throws OutsideHistory, with what is kept. */
export function revisionAt(header: ArchiveHeader, moment: ArchiveMoment): number {
  const { baseRevision, revision, takenAtMs, times } = header;
  const outside = (asked: string): CodedError =>
    new CodedError('OutsideHistory', `${asked} is outside the history that was kept: ${describeWindow(header)}`);
  if (moment === undefined) return revision;
  if ('revision' in moment) {
    if (moment.revision < baseRevision || moment.revision > revision) throw outside(`revision ${moment.revision}`);
    return moment.revision;
  }
  const { timeMs } = moment;
  const asked = rfc3339(timeMs);
  if (timeMs > takenAtMs) throw outside(asked);
  const found = newestAtOrBefore(times, timeMs);
  if (found === undefined) throw outside(asked);
  const next = times[found + 1];
  return Math.max(baseRevision, next === undefined ? revision : next.revision - 1);
}

/** `revisions 12 to 345, 2026-11-22T10:00:00Z to 2026-11-22T11:00:00Z`. */
export function describeWindow(header: ArchiveHeader): string {
  const { baseRevision, revision, takenAtMs } = header;
  const oldestMs = header.times[0]?.atMs;
  const span = oldestMs === undefined ? 'times unknown' : `${rfc3339(oldestMs)} to ${rfc3339(takenAtMs)}`;
  return `revisions ${baseRevision} to ${revision}, ${span}`;
}

/** Looked for from the newest back: what was noted while the clock was ahead is passed over. */
function newestAtOrBefore(times: readonly RevisionTime[], timeMs: number): number | undefined {
  for (let index = times.length - 1; index >= 0; index--) {
    if ((times[index] as RevisionTime).atMs <= timeMs) return index;
  }
  return undefined;
}

function parseHeader({ type, payload }: Frame): ArchiveHeader {
  const header = type === frameTypes.header ? (parseJson(payload) as Partial<ArchiveHeader>) : {};
  if (header.format !== archiveFormat) throw new ArchiveDamaged(`it does not begin as "${archiveFormat}" does`);
  const { baseRevision, revision, takenAtMs, times } = header;
  const fine =
    Number.isSafeInteger(baseRevision) &&
    Number.isSafeInteger(revision) &&
    Number.isFinite(takenAtMs) &&
    Array.isArray(times);
  if (!fine) throw new ArchiveDamaged('its header lacks revisions or times');
  return header as ArchiveHeader;
}

function parseEnd({ payload }: Frame, counted: ArchiveEnd): ArchiveEnd {
  const end = parseJson(payload) as Partial<ArchiveEnd>;
  if (end.sha256 !== counted.sha256) throw new ArchiveDamaged('its checksum does not match');
  if (end.entries !== counted.entries || end.events !== counted.events)
    throw new ArchiveDamaged('entries or events are missing');
  return counted;
}

function parseJson(bytes: Buffer): object {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    if (typeof value === 'object' && value !== null) return value;
  } catch {}
  throw new ArchiveDamaged('a part of it is not JSON');
}
