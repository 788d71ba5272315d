import { existsSync, linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { makeDirectorySync } from '#base';
import type { Clock } from '#base';
import { type ArchivedWrite, openLmdbStore, readSelection, restoreLmdbStore } from '#store';
import type { VerifiedBackup } from './backup-file.ts';
import { type FileSet, readFiles, writeFiles } from './files.ts';
import { markIn } from './restore-mark.ts';

const serversOwn = '/k8ts/';
const revisionStep = 1_000_000_000;
const revisionsPerSecond = 10_000;
/** Events live for an hour, as they would have without the restore. */
const eventTtlSeconds = 3600;

/**
 * The revision at which a restored store begins: above all that the old one can have given since the backup, even when the same backup
 * is restored twice. `knownRevision`: what is known of a store that is there.
 */
export function planFirstRevision(options: {
  readonly backupRevision: number;
  readonly backupTakenAtMs: number;
  readonly nowMs: number;
  readonly knownRevision?: number;
}): number {
  const { backupRevision, backupTakenAtMs, nowMs, knownRevision = 0 } = options;
  const secondsSince = Math.max(0, Math.ceil((nowMs - backupTakenAtMs) / 1000));
  return Math.max(backupRevision + secondsSince * revisionsPerSecond, knownRevision) + revisionStep;
}

/** Where a control plane keeps its data. */
export interface DataPlaces {
  /** The mark of a restore that goes on, and what was there before, lie in it. */
  readonly dataDir: string;
  readonly storeDir: string;
  readonly pkiDir: string;
}

export interface PrepareOptions {
  readonly backup: VerifiedBackup;
  readonly places: DataPlaces;
  readonly clock: Clock;
  /** Newest revision that a server which still runs tells; absent: the store that is there is asked. */
  readonly liveRevision?: number;
}

/** Data that lie beside their places, complete. */
export interface PreparedData {
  readonly places: DataPlaces;
  readonly samePki: boolean;
  readonly newStore: string;
  readonly newPki: string;
  readonly revision: number;
  readonly firstRevision: number;
}

/** Writes store and PKI of a backup beside their places; what is there goes on to be used. Nothing is left of it when it fails. */
export async function prepareData(options: PrepareOptions): Promise<PreparedData> {
  const { backup, places, clock, liveRevision } = options;
  const { dataDir, storeDir, pkiDir } = places;
  const newStore = `${storeDir}.restoring`;
  const newPki = `${pkiDir}.restoring`;
  makeDirectorySync(dataDir, 0o711);
  const knownRevision = liveRevision ?? (await revisionOf(storeDir, clock));
  const firstRevision = planFirstRevision({
    backupRevision: backup.selection.header.revision,
    backupTakenAtMs: backup.selection.header.takenAtMs,
    nowMs: clock.nowMs(),
    ...(knownRevision === undefined ? {} : { knownRevision }),
  });
  try {
    const revision = await restoreLmdbStore({
      dir: newStore,
      clock,
      entries: objectsOf(backup),
      firstRevision,
      leaseTtlSeconds: eventTtlSeconds,
    });
    rmSync(newPki, { recursive: true, force: true });
    writeFiles(newPki, backup.pki);
    return { places, samePki: hasPkiOf(backup, pkiDir), newStore, newPki, revision, firstRevision };
  } catch (error) {
    for (const one of [newStore, newPki]) rmSync(one, { recursive: true, force: true });
    throw error;
  }
}

/** Without what servers that share a store note there for themselves: claims, who lives. */
async function* objectsOf({ archive, selection }: VerifiedBackup): AsyncGenerator<ArchivedWrite> {
  for await (const one of readSelection(archive, selection)) if (!one.key.startsWith(serversOwn)) yield one;
}

/** Whether the folder holds the keys of the backup. */
export function hasPkiOf(backup: VerifiedBackup, pkiDir: string): boolean {
  return existsSync(pkiDir) && sameFiles(lastingKeys(readFiles(pkiDir)), lastingKeys(backup.pki));
}

/**
 * Renames only: what was there goes aside, what is new takes its place. The mark stays until `finishExchange`. Returns where what was
 * there before lies now; undefined: nothing was there. `keep`: files of which a copy goes aside too.
 */
export function exchangeData(data: PreparedData, keep: readonly string[] = []): string | undefined {
  const { places, newStore, newPki, samePki } = data;
  const { dataDir, storeDir, pkiDir } = places;
  const aside = join(dataDir, 'before-restore');
  if (!existsSync(markIn(dataDir))) rmSync(aside, { recursive: true, force: true });
  makeDirectorySync(aside, 0o700);
  writeFileSync(markIn(dataDir), '', { mode: 0o600, flush: true });
  const move = (from: string, to: string, name: string): void => {
    const kept = join(aside, name);
    if (existsSync(to)) {
      if (existsSync(kept)) rmSync(to, { recursive: true, force: true });
      else renameSync(to, kept);
    }
    renameSync(from, to);
  };
  move(newStore, storeDir, 'store');
  if (samePki) rmSync(newPki, { recursive: true, force: true });
  else move(newPki, pkiDir, 'pki');
  for (const file of keep) {
    const kept = join(aside, basename(file));
    if (existsSync(file) && !existsSync(kept)) linkSync(file, kept);
  }
  if (existsSync(join(aside, 'store')) || existsSync(join(aside, 'pki'))) return aside;
  rmSync(aside, { recursive: true, force: true });
  return undefined;
}

export function finishExchange({ places }: PreparedData): void {
  rmSync(markIn(places.dataDir), { force: true });
}

/** The newest revision of the store that is there; undefined: there is none, or it cannot be read, or a server has it. */
async function revisionOf(storeDir: string, clock: Clock): Promise<number | undefined> {
  if (!existsSync(join(storeDir, 'store.lmdb'))) return undefined;
  try {
    const store = await openLmdbStore({ dir: storeDir, clock });
    const revision = store.revision();
    await store.close();
    return revision;
  } catch {
    return undefined;
  }
}

/** The parts of a PKI that others trust or that decipher: leaves are issued again and may differ. */
function lastingKeys(files: FileSet): FileSet {
  const lasting = /^(ca|front-proxy-ca|etcd\/ca)\.(crt|key)$|^sa\.(key|pub)$|^encryption\.key$/;
  return Object.fromEntries(Object.entries(files).filter(([path]) => lasting.test(path)));
}

function sameFiles(a: FileSet, b: FileSet): boolean {
  const paths = Object.keys(a);
  return (
    paths.length === Object.keys(b).length &&
    paths.every((path) => Object.hasOwn(b, path) && a[path]?.data === b[path]?.data)
  );
}
