import { closeSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CodedError, messageOf, type Random } from '#base';
import {
  ArchiveDamaged,
  type ArchiveHeader,
  type ArchiveMoment,
  type ArchiveSelection,
  type ArchiveSource,
  readArchiveHeader,
  selectFromArchive,
} from '#store';
import { readSections, type Section, writeSections } from './container.ts';
import { BackupCutShort, BackupDamaged } from './errors.ts';
import { type FileSet, parseFiles } from './files.ts';

/** What a backup says of itself. */
export interface BackupManifest {
  readonly format: 1;
  /** `local`: a cluster of `up`; `machine`: one of `init`. */
  readonly kind: 'local' | 'machine';
  readonly cluster: string;
  readonly createdAt: string;
  /** Of the program that wrote it. */
  readonly version: string;
}

export interface BackupContent {
  readonly manifest: BackupManifest;
  readonly configuration: FileSet;
  readonly pki: FileSet;
}

export interface BackupSummary extends BackupContent {
  readonly archive: ArchiveHeader;
}

export interface VerifiedBackup extends BackupContent {
  readonly selection: ArchiveSelection;
  /** The store's archive, to be read again. */
  readonly archive: ArchiveSource;
}

const names = { manifest: 'manifest', configuration: 'configuration', pki: 'pki', store: 'store' } as const;
const longestSmallBytes = 64 << 20;

/**
 * Writes a backup beside `file` (mode 0600), reads it back, and only then gives it its name: what `file` held before is replaced
 * by a whole backup or not at all. Returns how many bytes it has.
 */
export async function writeBackup(options: {
  readonly file: string;
  readonly content: BackupContent;
  readonly archive: AsyncIterable<Uint8Array>;
  readonly random: Random;
}): Promise<number> {
  const { file, content, archive, random } = options;
  requirePlace(file);
  const part = `${file}.${random.suffix(8)}${partEnding}`;
  const json = (value: object): Iterable<Uint8Array> => [Buffer.from(JSON.stringify(value))];
  try {
    const handle = await open(part, 'wx', 0o600);
    try {
      await writeSections(handle, [
        { name: names.manifest, content: json(content.manifest) },
        { name: names.configuration, content: json(content.configuration) },
        { name: names.pki, content: json(content.pki) },
        { name: names.store, content: archive },
      ]);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await verifyBackup(part);
    const bytes = statSync(part).size;
    await rename(part, file);
    syncDirectory(dirname(file));
    return bytes;
  } catch (error) {
    rmSync(part, { force: true });
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT')
      throw new CodedError(
        'BackupNotWritten',
        `${file} was not written: its disk is full; make room or name another place`,
      );
    throw error;
  }
}

/** How files end that were not finished. */
export const partEnding = '.part';

/** Reads all but the store's content, and not the last checksum: what a list needs. Throws as `verifyBackup` does. */
export async function readBackupSummary(file: string): Promise<BackupSummary> {
  const sections = readSections(file);
  const content = await readSmallSections(file, sections);
  try {
    const { value } = await sections.next();
    const store = requireSection(file, value as Section | undefined, names.store);
    const archive = await told(file, () => readArchiveHeader(() => store.content));
    return { ...content, archive };
  } finally {
    await sections.return(undefined);
  }
}

/**
 * Reads a backup to its end and checks every byte. Throws NotABackup, BackupCutShort, BackupDamaged, and OutsideHistory for a moment
 * that it does not hold.
 */
export async function verifyBackup(file: string, moment?: ArchiveMoment): Promise<VerifiedBackup> {
  const sections = readSections(file);
  try {
    const content = await readSmallSections(file, sections);
    const { value } = await sections.next();
    const store = requireSection(file, value as Section | undefined, names.store);
    const selection = await told(file, () => selectFromArchive(() => store.content, moment));
    const after = await sections.next();
    if (after.done !== true) throw new BackupDamaged(file, `it has an unknown section "${after.value.name}"`);
    return { ...content, selection, archive: () => archiveOf(file) };
  } finally {
    await sections.return(undefined);
  }
}

async function* archiveOf(file: string): AsyncGenerator<Uint8Array> {
  const sections = readSections(file);
  await readSmallSections(file, sections);
  for await (const { name, content } of sections) if (name === names.store) yield* content;
}

async function readSmallSections(file: string, sections: AsyncGenerator<Section>): Promise<BackupContent> {
  const read = async <T>(name: string, parse: (text: string) => T): Promise<T> => {
    const { value } = await sections.next();
    const section = requireSection(file, value as Section | undefined, name);
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of section.content) {
      bytes += piece.length;
      if (bytes > longestSmallBytes) throw new BackupDamaged(file, `the section "${name}" is too large`);
      pieces.push(piece);
    }
    try {
      return parse(Buffer.concat(pieces).toString());
    } catch (error) {
      throw new BackupDamaged(file, `the section "${name}" cannot be understood (${messageOf(error)})`);
    }
  };
  const manifest = await read(names.manifest, parseManifest);
  const configuration = await read(names.configuration, parseFiles);
  const pki = await read(names.pki, parseFiles);
  return { manifest, configuration, pki };
}

function parseManifest(text: string): BackupManifest {
  const manifest = JSON.parse(text) as Partial<BackupManifest>;
  const { format, kind, cluster } = manifest;
  if (format !== 1) throw new Error(`format ${String(format)}, this program reads format 1`);
  if ((kind !== 'local' && kind !== 'machine') || typeof cluster !== 'string') throw new Error('no kind or cluster');
  return manifest as BackupManifest;
}

function requireSection(file: string, section: Section | undefined, name: string): Section {
  if (section?.name === name) return section;
  throw new BackupDamaged(file, `the section "${name}" is missing`);
}

/** What is wrong with the archive inside, told of the file. */
async function told<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ArchiveDamaged && !(error instanceof BackupCutShort))
      throw new BackupDamaged(file, error.message, { cause: error });
    throw error;
  }
}

function requirePlace(file: string): void {
  const there = statSync(file, { throwIfNoEntry: false });
  if (there !== undefined && !there.isFile())
    throw new CodedError('BackupNotWritten', `${file} is no regular file: name a file for the backup`);
  if (statSync(dirname(file), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new CodedError('BackupNotWritten', `${dirname(file)} is no directory: make it or name another place`);
}

function syncDirectory(dir: string): void {
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
