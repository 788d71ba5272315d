import { asBuffer, defaultMaxDepth } from './json.ts';

interface Frame {
  /** Keys met so far; undefined for a list. */
  readonly keys: Set<string> | undefined;
  readonly path: string;
  index: number;
}

/** Upstream reports no more strict findings than this. */
const mostReported = 100;

/**
 * Paths of the keys that an object of a JSON text has twice (`spec.containers[0].name`), each once, for the strict field
 * validation that answers `duplicate field "…"`. Of a text that `decodeJson` refuses it says nothing that matters.
 */
export function duplicateKeys(bytes: Uint8Array): string[] {
  return mayHaveDuplicates(bytes) ? findDuplicates(bytes) : [];
}

/** More keys than this in one object are looked up in a set instead of one by one. */
const fewKeys = 32;

/**
 * False when no two keys of an object have the same hash: nearly every text. Escapes that have a plain spelling too make it
 * give up.
 */
function mayHaveDuplicates(bytes: Uint8Array): boolean {
  const hashes: number[] = [];
  /** Where each open object's hashes begin; -1 for a list. */
  const open: number[] = [];
  const sets: (Set<number> | undefined)[] = [];
  let start = -1;
  let expectKey = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === 0x22) {
      let hash = 0;
      for (at++; at < bytes.length; at++) {
        const inside = bytes[at] as number;
        if (inside === 0x22) break;
        if (inside === 0x5c) {
          const escaped = bytes[++at] as number;
          if (expectKey && (escaped === 0x75 || escaped === 0x2f)) return true;
          hash = (Math.imul(hash, 31) + 0x5c00 + escaped) | 0;
        } else if (expectKey) hash = (Math.imul(hash, 31) + inside) | 0;
      }
      if (!expectKey) continue;
      expectKey = false;
      if (hashes.length - start < fewKeys) {
        for (let i = start; i < hashes.length; i++) if (hashes[i] === hash) return true;
      } else {
        const depth = open.length;
        const set = sets[depth] ?? new Set(hashes.slice(start));
        if (set.has(hash)) return true;
        set.add(hash);
        sets[depth] = set;
      }
      hashes.push(hash);
    } else if (byte === 0x2c) expectKey = start >= 0;
    else if (byte === 0x7b || byte === 0x5b) {
      open.push(start);
      expectKey = byte === 0x7b;
      start = expectKey ? hashes.length : -1;
    } else if (byte === 0x7d || byte === 0x5d) {
      if (start >= 0) {
        hashes.length = start;
        sets[open.length] = undefined;
      }
      start = open.pop() ?? -1;
      expectKey = false;
    }
  }
  return false;
}

function findDuplicates(bytes: Uint8Array): string[] {
  const buffer = asBuffer(bytes);
  const found = new Set<string>();
  const open: Frame[] = [];
  let path = '';
  for (let at = 0; at < buffer.length && found.size < mostReported; at++) {
    const byte = buffer[at] as number;
    const frame = open.at(-1);
    if (byte === 0x22) {
      const end = endOfString(buffer, at);
      if (frame?.keys !== undefined && isKey(buffer, end)) {
        const key = keyOf(buffer.toString('utf8', at, end + 1));
        path = frame.path === '' ? key : `${frame.path}.${key}`;
        if (frame.keys.has(key)) found.add(path);
        frame.keys.add(key);
      }
      at = end;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (open.length >= defaultMaxDepth) return [];
      if (frame !== undefined && frame.keys === undefined) path = `${frame.path}[${frame.index}]`;
      open.push({ keys: byte === 0x7b ? new Set() : undefined, path, index: 0 });
    } else if (byte === 0x7d || byte === 0x5d) open.pop();
    else if (byte === 0x2c && frame !== undefined) frame.index++;
  }
  return [...found];
}

function keyOf(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted;
  }
}

function endOfString(buffer: Buffer, start: number): number {
  let at = start + 1;
  while (at < buffer.length && buffer[at] !== 0x22) at += buffer[at] === 0x5c ? 2 : 1;
  return at;
}

function isKey(buffer: Buffer, end: number): boolean {
  let at = end + 1;
  while (at < buffer.length && (buffer[at] as number) <= 0x20) at++;
  return buffer[at] === 0x3a;
}
