import { existsSync, linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, CodedError } from '#base';
import { openLmdbStore, readSelection, restoreLmdbStore } from '#store';
import { serverPidFile } from '../local/cluster.ts';
import { type ClusterLayout, nodeLayout } from '../local/layout.ts';
import { stopProcess } from '../local/processes.ts';
import { type ClusterState, readState, writeState } from '../local/state.ts';
import type { VerifiedBackup } from './backup-file.ts';
import { BackupDamaged } from './errors.ts';
import { restoreMark } from './restore-mark.ts';
import { type FileSet, readFiles, textOf, writeFiles } from './files.ts';

/** The file of `up`'s cluster description in a backup. */
export const stateFileName = 'cluster.json';

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

/**
 * The description of the cluster that a restore makes: machines that are there stay as they are; without any, those of the backup.
 * What pods and Services have in them comes from the backup.
 */
export function planRestoredState(
  backup: ClusterState,
  existing: ClusterState | undefined,
  name: string,
): ClusterState {
  const { podCidr, serviceCidr, clusterDomain } = backup;
  if (existing === undefined) return { ...backup, name };
  return { ...existing, podCidr, serviceCidr, clusterDomain };
}

export interface RestoreLocalOptions {
  readonly file: string;
  readonly backup: VerifiedBackup;
  readonly layout: ClusterLayout;
  readonly clock: Clock;
  /** Newest revision that a server which still runs tells; absent: the store is asked once it is stopped. */
  readonly liveRevision?: number;
  /** Gives the description its link and port where there was no cluster. */
  readonly place: (state: ClusterState) => Promise<ClusterState>;
}

export interface Restored {
  readonly state: ClusterState;
  readonly keys: number;
  readonly revision: number;
  readonly firstRevision: number;
  /** Where what was there before lies now; absent: nothing was there. */
  readonly aside?: string;
}

/**
 * Puts a backup in the place of a cluster's data; `up` then starts it. Everything new is written first, then exchanged; an exchange
 * that is cut off is noticed by the mark that it leaves, and finished by restoring again. Agents go on, and their pods, unless the
 * backup has another PKI than the cluster that is there.
 */
export async function restoreLocalCluster(options: RestoreLocalOptions): Promise<Restored> {
  const { file, backup, layout, clock, liveRevision, place } = options;
  const text = textOf(backup.configuration, stateFileName);
  if (backup.manifest.kind !== 'local' || text === undefined) {
    throw new CodedError(
      'OtherKindOfBackup',
      `${file} is a backup of a machine set up by k8ts init, not of a cluster of k8ts up: restore it with --root`,
    );
  }
  const existing = readState(layout);
  const planned = planRestoredState(parseState(file, text), existing, layout.name);
  const state = existing === undefined ? await place(planned) : planned;
  const samePki =
    existsSync(layout.pkiDir) && sameFiles(authorities(readFiles(layout.pkiDir)), authorities(backup.pki));
  const newStore = `${layout.storeDir}.restoring`;
  const newPki = `${layout.pkiDir}.restoring`;
  mkdirSync(layout.dataDir, { recursive: true, mode: 0o711 });
  const knownRevision = liveRevision ?? (await revisionOf(layout, clock));
  const firstRevision = planFirstRevision({
    backupRevision: backup.selection.header.revision,
    backupTakenAtMs: backup.selection.header.takenAtMs,
    nowMs: clock.nowMs(),
    ...(knownRevision === undefined ? {} : { knownRevision }),
  });
  let revision: number;
  try {
    revision = await restoreLmdbStore({
      dir: newStore,
      clock,
      entries: readSelection(backup.archive, backup.selection),
      firstRevision,
      leaseTtlSeconds: eventTtlSeconds,
    });
    rmSync(newPki, { recursive: true, force: true });
    writeFiles(newPki, backup.pki);
  } catch (error) {
    for (const one of [newStore, newPki]) rmSync(one, { recursive: true, force: true });
    throw error;
  }
  await stopControlPlane({ layout, state, existing, samePki, clock });
  const aside = exchange({ layout, newStore, newPki, samePki });
  for (const [path, one] of Object.entries(backup.configuration))
    if (path !== stateFileName) writeFiles(layout.dataDir, { [path]: one });
  writeState(layout, state);
  rmSync(restoreMark(layout), { force: true });
  return {
    state,
    keys: backup.selection.count,
    revision,
    firstRevision,
    ...(aside === undefined ? {} : { aside }),
  };
}

async function stopControlPlane(options: {
  layout: ClusterLayout;
  state: ClusterState;
  existing: ClusterState | undefined;
  samePki: boolean;
  clock: Clock;
}): Promise<void> {
  const { layout, existing, samePki, clock } = options;
  if (existing === undefined) return;
  await stopProcess(clock, serverPidFile(layout, existing));
  if (samePki) return;
  for (const node of existing.nodes) await stopProcess(clock, join(nodeLayout(layout, node.name).runDir, 'agent.pid'));
}

/** Renames only: what was there goes aside, what is new takes its place. */
function exchange(options: {
  layout: ClusterLayout;
  newStore: string;
  newPki: string;
  samePki: boolean;
}): string | undefined {
  const { layout, newStore, newPki, samePki } = options;
  const aside = join(layout.dataDir, 'before-restore');
  const resumed = existsSync(restoreMark(layout));
  if (!resumed) rmSync(aside, { recursive: true, force: true });
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  writeFileSync(restoreMark(layout), '', { mode: 0o600, flush: true });
  const move = (from: string, to: string, name: string): void => {
    const kept = join(aside, name);
    if (existsSync(to)) {
      if (existsSync(kept)) rmSync(to, { recursive: true, force: true });
      else renameSync(to, kept);
    }
    renameSync(from, to);
  };
  move(newStore, layout.storeDir, 'store');
  if (samePki) rmSync(newPki, { recursive: true, force: true });
  else move(newPki, layout.pkiDir, 'pki');
  const kept = join(aside, stateFileName);
  if (existsSync(layout.stateFile) && !existsSync(kept)) linkSync(layout.stateFile, kept);
  if (existsSync(join(aside, 'store')) || existsSync(join(aside, 'pki'))) return aside;
  rmSync(aside, { recursive: true, force: true });
  return undefined;
}

/** The newest revision of the store that is there; undefined: there is none, or it cannot be read, or a server has it. */
async function revisionOf(layout: ClusterLayout, clock: Clock): Promise<number | undefined> {
  if (!existsSync(join(layout.storeDir, 'store.lmdb'))) return undefined;
  try {
    const store = await openLmdbStore({ dir: layout.storeDir, clock });
    const revision = store.revision();
    await store.close();
    return revision;
  } catch {
    return undefined;
  }
}

/** The parts of a PKI that others trust or that decipher: leaves are issued again and may differ. */
function authorities(files: FileSet): FileSet {
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

function parseState(file: string, text: string): ClusterState {
  try {
    const state = JSON.parse(text) as ClusterState;
    if (state.format !== 1 || !Array.isArray(state.nodes)) throw new Error(`format ${state.format}`);
    return state;
  } catch (error) {
    throw new BackupDamaged(file, 'its description of the cluster cannot be understood', { cause: error });
  }
}
