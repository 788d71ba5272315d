import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { CodedError, messageOf } from '#base';
import { BackupCutShort, BackupDamaged, NotABackup } from './errors.ts';

/*
 * A backup file: a line that says what it is, sections, the end. Numbers are big-endian.
 *
 *   section   bytes of the name (2), name, chunks, a zero (4), SHA-256 of all of that
 *   chunk     bytes that follow (4), deflated content
 *   end       a section named "end" that holds the SHA-256, in hexadecimal, of everything before it
 */
const magic = Buffer.from('k8ts backup 1\n');
const endName = 'end';
const chunkBytes = 1 << 20;
const longestNameBytes = 100;
const digestBytes = 32;
const readBytes = 1 << 20;

const deflate = promisify(deflateRaw) as (bytes: Uint8Array, options: { level: number }) => Promise<Buffer>;
const inflate = promisify(inflateRaw) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

export interface SectionToWrite {
  readonly name: string;
  readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** Writes sections and the end to a file that was just opened. */
export async function writeSections(file: FileHandle, sections: readonly SectionToWrite[]): Promise<void> {
  const whole = createHash('sha256');
  const put = async (bytes: Uint8Array, section?: Hash): Promise<void> => {
    whole.update(bytes);
    section?.update(bytes);
    await file.writeFile(bytes);
  };
  const writeSection = async ({ name, content }: SectionToWrite): Promise<void> => {
    const section = createHash('sha256');
    const head = Buffer.alloc(2 + Buffer.byteLength(name));
    head.writeUInt16BE(head.length - 2, 0);
    head.write(name, 2);
    await put(head, section);
    for await (const piece of content) {
      for (let at = 0; at < piece.length; at += chunkBytes) {
        const packed = await deflate(piece.subarray(at, at + chunkBytes), { level: 1 });
        await put(Buffer.concat([uint32(packed.length), packed]), section);
      }
    }
    await put(uint32(0), section);
    await put(section.digest());
  };
  await put(magic);
  for (const one of sections) await writeSection(one);
  await writeSection({ name: endName, content: [Buffer.from(whole.copy().digest('hex'))] });
}

export interface Section {
  readonly name: string;
  /** Must be read to its end before the next section is asked for. */
  readonly content: AsyncIterable<Buffer>;
}

/**
 * Reads a backup file's sections in order. A section's content ends normally only when its checksum matched; the sections end
 * normally only when the end matched everything before it. Throws NotABackup, BackupCutShort, BackupDamaged.
 */
export async function* readSections(path: string): AsyncGenerator<Section> {
  const handle = await openForReading(path);
  const whole = createHash('sha256');
  const reader = new FileReader(handle, path, (bytes) => void whole.update(bytes));
  try {
    await reader.expectMagic();
    for (;;) {
      const before = whole.copy().digest('hex');
      const section = createHash('sha256');
      const size = await reader.take(2, 'between two sections', section);
      const nameBytes = size.readUInt16BE(0);
      if (nameBytes === 0 || nameBytes > longestNameBytes)
        throw new BackupDamaged(path, `a section has a name of ${nameBytes} bytes`);
      const name = (await reader.take(nameBytes, 'in the name of a section', section)).toString();
      if (name === endName) {
        const said: Buffer[] = [];
        for await (const piece of chunksOf(reader, { path, name, section })) said.push(piece);
        if (Buffer.concat(said).toString() !== before)
          throw new BackupDamaged(path, 'its last checksum does not match');
        if (!(await reader.atEnd())) throw new BackupDamaged(path, 'it goes on after its end');
        return;
      }
      yield { name, content: chunksOf(reader, { path, name, section }) };
    }
  } finally {
    await handle.close();
  }
}

async function* chunksOf(
  reader: FileReader,
  at: { readonly path: string; readonly name: string; readonly section: Hash },
): AsyncGenerator<Buffer> {
  const { path, name, section } = at;
  const where = `in the section "${name}"`;
  for (;;) {
    const length = (await reader.take(4, where, section)).readUInt32BE(0);
    if (length === 0) break;
    if (length > 2 * chunkBytes) throw new BackupDamaged(path, `a part of ${length} bytes ${where}`);
    const packed = await reader.take(length, where, section);
    let piece: Buffer;
    try {
      piece = await inflate(packed, { maxOutputLength: chunkBytes });
    } catch (error) {
      throw new BackupDamaged(path, `the section "${name}" cannot be unpacked (${messageOf(error)})`);
    }
    yield piece;
  }
  const digest = section.digest();
  if (!digest.equals(await reader.take(digestBytes, where)))
    throw new BackupDamaged(path, `the section "${name}" does not match its checksum`);
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    const handle = await open(path, 'r');
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'there is no such file' : messageOf(error);
    throw new CodedError('BackupUnreadable', `${path} cannot be read: ${why}; k8ts backup list shows snapshots`, {
      cause: error,
    });
  }
  throw new NotABackup(path, 'it is no regular file');
}

/** Reads a file from front to end in exact pieces. */
class FileReader {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #seen: (bytes: Buffer) => void;
  #held: Buffer = Buffer.alloc(0);

  constructor(handle: FileHandle, path: string, seen: (bytes: Buffer) => void) {
    this.#handle = handle;
    this.#path = path;
    this.#seen = seen;
  }

  async expectMagic(): Promise<void> {
    await this.#fill(magic.length);
    const found = this.#held.subarray(0, magic.length);
    if (found.length === 0) throw new NotABackup(this.#path, 'it is empty');
    if (!magic.subarray(0, found.length).equals(found))
      throw new NotABackup(this.#path, `it does not begin with "${magic.toString().trim()}"`);
    await this.take(magic.length, 'in its first line');
  }

  async take(length: number, where: string, section?: Hash): Promise<Buffer> {
    await this.#fill(length);
    if (this.#held.length < length) throw new BackupCutShort(this.#path, where);
    const bytes = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    this.#seen(bytes);
    section?.update(bytes);
    return bytes;
  }

  async atEnd(): Promise<boolean> {
    await this.#fill(1);
    return this.#held.length === 0;
  }

  async #fill(length: number): Promise<void> {
    while (this.#held.length < length) {
      const buffer = Buffer.allocUnsafe(readBytes);
      const { bytesRead } = await this.#handle.read(buffer, 0, readBytes);
      if (bytesRead === 0) return;
      const fresh = buffer.subarray(0, bytesRead);
      this.#held = this.#held.length === 0 ? fresh : Buffer.concat([this.#held, fresh]);
    }
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value, 0);
  return bytes;
}
