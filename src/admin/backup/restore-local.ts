import { join } from 'node:path';
import { type Clock, CodedError } from '#base';
import { serverPidFile } from '../local/cluster.ts';
import { type ClusterLayout, nodeLayout } from '../local/layout.ts';
import { stopProcess } from '../local/processes.ts';
import { leaveUnsupervised } from '../local/supervisor-process.ts';
import { type ClusterState, readState, writeState } from '../local/state.ts';
import type { VerifiedBackup } from './backup-file.ts';
import { BackupDamaged } from './errors.ts';
import { textOf, writeFiles } from './files.ts';
import { exchangeData, finishExchange, prepareData } from './place-data.ts';

/** The file of `up`'s cluster description in a backup. */
export const stateFileName = 'cluster.json';

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
  const data = await prepareData({
    backup,
    places: layout,
    clock,
    ...(liveRevision === undefined ? {} : { liveRevision }),
  });
  await stopControlPlane({ layout, existing, samePki: data.samePki, clock });
  const aside = exchangeData(data, [layout.stateFile]);
  for (const [path, one] of Object.entries(backup.configuration))
    if (path !== stateFileName) writeFiles(layout.dataDir, { [path]: one });
  writeState(layout, state);
  finishExchange(data);
  const { revision, firstRevision } = data;
  const keys = backup.selection.count;
  return { state, keys, revision, firstRevision, ...(aside === undefined ? {} : { aside }) };
}

async function stopControlPlane(options: {
  layout: ClusterLayout;
  existing: ClusterState | undefined;
  samePki: boolean;
  clock: Clock;
}): Promise<void> {
  const { layout, existing, samePki, clock } = options;
  if (existing === undefined) return;
  leaveUnsupervised(layout);
  await stopProcess(clock, serverPidFile(layout, existing));
  if (samePki) return;
  for (const node of existing.nodes) await stopProcess(clock, join(nodeLayout(layout, node.name).runDir, 'agent.pid'));
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
