/** One entry of a tar archive. Times are 1970 and owners root unless said, so that the same input gives the same bytes. */
export interface TarEntry {
  readonly path: string;
  readonly type?: 'file' | 'directory' | 'symlink';
  readonly content?: Uint8Array;
  /** Permission bits; default 0644 for files, 0755 for directories. */
  readonly mode?: number;
  readonly target?: string;
  readonly uid?: number;
  readonly gid?: number;
}

const block = 512;
const typeFlags = { file: '0', symlink: '2', directory: '5' } as const;

/** A POSIX ustar archive. Throws RangeError when a path does not fit ustar's 100 + 155 characters. */
export function tarOf(entries: readonly TarEntry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    const content = entry.content ?? new Uint8Array(0);
    parts.push(headerOf(entry, content.length), content, new Uint8Array((block - (content.length % block)) % block));
  }
  parts.push(new Uint8Array(2 * block));
  return Buffer.concat(parts);
}

function headerOf(entry: TarEntry, size: number): Uint8Array {
  const { type = 'file', mode = type === 'directory' ? 0o755 : 0o644, uid = 0, gid = 0 } = entry;
  const header = Buffer.alloc(block);
  const octal = (value: number, offset: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
  };
  const { name, prefix } = splitPath(type === 'directory' && !entry.path.endsWith('/') ? `${entry.path}/` : entry.path);
  header.write(name, 0, 'utf8');
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12);
  header.fill(' ', 148, 156);
  header.write(typeFlags[type], 156, 'latin1');
  header.write(entry.target ?? '', 157, 100, 'utf8');
  header.write('ustar\u000000', 257, 'latin1');
  header.write(prefix, 345, 'utf8');
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function splitPath(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' };
  const cut = path.indexOf('/', path.length - 101);
  const [prefix, name] = [path.slice(0, cut), path.slice(cut + 1)];
  if (cut === -1 || Buffer.byteLength(prefix) > 155 || name === '')
    throw new RangeError(`path too long for a tar archive: ${path}`);
  return { name, prefix };
}
