/** A line of a CRI log: `2026-11-22T23:28:14.000000001Z stdout F text`. `P` lines are pieces of a longer one. */
export interface LogLine {
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  readonly partial: boolean;
  readonly text: Buffer;
}

const space = 0x20;

/** Undefined for what is not such a line (one that was cut by a crash). `bytes` without the newline. */
export function parseLogLine(bytes: Buffer): LogLine | undefined {
  const first = bytes.indexOf(space);
  const second = bytes.indexOf(space, first + 1);
  if (first < 1 || second === -1) return undefined;
  const third = bytes.indexOf(space, second + 1);
  const stream = bytes.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tags = bytes.toString('latin1', second + 1, third === -1 ? bytes.length : third);
  return {
    time: bytes.toString('latin1', 0, first),
    stream,
    partial: tags.split(':')[0] === 'P',
    text: third === -1 ? Buffer.alloc(0) : bytes.subarray(third + 1),
  };
}
