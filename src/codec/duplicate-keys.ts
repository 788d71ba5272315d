import { asBuffer } from './json.ts';

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
 * validation that answers `duplicate field "…"`. The text must be one that `decodeJson` took.
 */
export function duplicateKeys(bytes: Uint8Array): string[] {
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
        const key = JSON.parse(buffer.toString('utf8', at, end + 1)) as string;
        path = frame.path === '' ? key : `${frame.path}.${key}`;
        if (frame.keys.has(key)) found.add(path);
        frame.keys.add(key);
      }
      at = end;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (frame !== undefined && frame.keys === undefined) path = `${frame.path}[${frame.index}]`;
      open.push({ keys: byte === 0x7b ? new Set() : undefined, path, index: 0 });
    } else if (byte === 0x7d || byte === 0x5d) open.pop();
    else if (byte === 0x2c && frame !== undefined) frame.index++;
  }
  return [...found];
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
