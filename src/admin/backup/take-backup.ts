import { CodedError, messageOf, type Random, rfc3339, systemClock } from '#base';
import { openLmdbStore, writeArchive } from '#store';
import type { Transport } from '#wire';
import { type BackupManifest, writeBackup } from './backup-file.ts';
import { readFiles, readNamedFiles } from './files.ts';

/** Where a server serves its store's archive. */
export const archivePath = '/k8ts/store/archive';

/** What belongs to a backup beside the store. */
export interface BackupPlaces {
  readonly kind: BackupManifest['kind'];
  readonly cluster: string;
  readonly pkiDir: string;
  /** Files below `configurationDir`, those that are there. */
  readonly configurationDir: string;
  readonly configurationFiles: readonly string[];
  /** Version of this package. */
  readonly version: string;
}

export interface TakeBackupOptions {
  readonly file: string;
  readonly places: BackupPlaces;
  readonly archive: () => AsyncIterable<Uint8Array>;
  readonly nowMs: number;
  readonly random: Random;
}

const attempts = 3;

/**
 * Writes one file with the store's content and history, the PKI and the configuration. Tried again when history was compacted
 * meanwhile. Returns its size in bytes.
 */
export async function takeBackup(options: TakeBackupOptions): Promise<number> {
  const { file, places, archive, nowMs, random } = options;
  const { kind, cluster, version, pkiDir, configurationDir, configurationFiles } = places;
  const content = {
    manifest: { format: 1, kind, cluster, version, createdAt: rfc3339(nowMs) },
    configuration: readNamedFiles(configurationDir, configurationFiles),
    pki: readFiles(pkiDir),
  } as const;
  for (let attempt = 1; ; attempt++) {
    try {
      return await writeBackup({ file, content, archive: archive(), random });
    } catch (error) {
      if (attempt === attempts || (error as CodedError).code !== 'Compacted') throw error;
    }
  }
}

/** The archive of a server that runs. */
export async function* archiveOverApi(transport: Transport): AsyncGenerator<Uint8Array> {
  const response = await transport.request({ method: 'GET', target: archivePath });
  if (response.status !== 200) {
    const body = Buffer.from(await response.bytes()).toString();
    throw new CodedError(
      'ArchiveRefused',
      `the server did not give its store: ${messageOfStatus(body, response.status)}`,
    );
  }
  try {
    yield* response.chunks();
  } catch (error) {
    throw new CodedError(
      'ArchiveBroken',
      `the server broke the backup off (${messageOf(error)}): see its log, then take it again`,
      { cause: error },
    );
  }
}

/** The archive of a store that no process has open. */
export async function* archiveOfDirectory(storeDir: string): AsyncGenerator<Uint8Array> {
  const store = await openLmdbStore({ dir: storeDir, clock: systemClock });
  try {
    yield* writeArchive({ store, takenAtMs: systemClock.nowMs() });
  } finally {
    await store.close();
  }
}

function messageOfStatus(body: string, code: number): string {
  try {
    return String((JSON.parse(body) as { message?: string }).message ?? code);
  } catch {
    return `it answered ${code}`;
  }
}
