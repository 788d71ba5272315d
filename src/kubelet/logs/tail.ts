import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { parseLogLine } from './line.ts';

const blockBytes = 64 << 10;
const newline = 0x0a;

/** Opens a log without following a symbolic link in its place: the directory belongs to the node, but what it names may not. */
export function openLogFile(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}

/** Offset at which the last `lines` lines of a file begin; 0 when it has fewer. */
export async function tailOffset(handle: FileHandle, lines: number): Promise<number> {
  const { size } = await handle.stat();
  if (lines <= 0) return size;
  const block = Buffer.alloc(blockBytes);
  let found = 0;
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - blockBytes);
    const { bytesRead } = await handle.read(block, 0, end - start, start);
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (block[at] !== newline) continue;
      if (start + at === size - 1) continue;
      if (++found === lines) return start + at + 1;
    }
    end = start;
  }
  return 0;
}

/** The text of a container's last log lines, at most so many lines and bytes. */
export async function lastLines(
  path: string,
  limits: { readonly lines: number; readonly bytes: number },
): Promise<string> {
  const handle = await openLogFile(path).catch(() => undefined);
  if (handle === undefined) return '';
  try {
    const offset = await tailOffset(handle, limits.lines);
    const { size } = await handle.stat();
    const start = Math.max(offset, size - (1 << 20));
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    let text = '';
    let from = 0;
    while (from < bytesRead) {
      const next = buffer.indexOf(newline, from);
      const end = next === -1 || next > bytesRead ? bytesRead : next;
      const line = parseLogLine(buffer.subarray(from, end));
      if (line !== undefined) text += line.text.toString('utf8') + (line.partial ? '' : '\n');
      from = end + 1;
    }
    return text.slice(-limits.bytes);
  } finally {
    await handle.close();
  }
}
