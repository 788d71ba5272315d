import { resolve } from 'node:path';
import {
  type ClusterState,
  clusterLayout,
  describeCluster,
  loadBackup,
  openPki,
  reach,
  readProcess,
  readState,
  serverPidFile,
  withClusterLock,
  type ClusterLayout,
  type VerifiedBackup,
} from '#admin';
import { CodedError, rfc3339, systemClock, systemRandom } from '#base';
import { defineCommand } from '../command.ts';
import { withExamples } from '../help.ts';
import { isRoot, ownCommand } from '../local/programs.ts';
import { collectNames, withRoot } from '../machine/options.ts';
import { parseDurationMs, parseMoment, parseName } from '../options.ts';
import { openProgress, type Progress } from '../progress.ts';
import { version } from '../version.ts';
import { up } from './up.command.ts';

interface RestoreOptions {
  readonly at?: { revision: number } | { timeMs: number };
  readonly name?: string;
  readonly dataDir?: string;
  readonly kubeconfig?: string;
  readonly image: string[];
  readonly wait: number;
  readonly install: boolean;
  readonly start: boolean;
  readonly root: string;
  readonly apiserverAdvertiseAddress?: string;
  readonly ignorePreflightErrors: readonly string[];
}

const collect = (value: string, list: string[]): string[] => [...list, value];

export const restoreCommand = defineCommand('restore', (command) => {
  withExamples(command, [
    ['k8ts restore monday.k8ts', 'all of it'],
    ['k8ts restore monday.k8ts --at 2026-11-23T02:40:00Z', 'as it was then'],
  ]);
  withRoot(command)
    .argument('<file>', 'a backup')
    .option('--at <moment>', 'a revision or a time inside its history instead of when it was taken', parseMoment)
    .option('--name <name>', 'name of the cluster (default: that of the backup)', parseName)
    .option('--data-dir <dir>', 'where the cluster keeps its data')
    .option('--kubeconfig <file>', 'write this kubeconfig alone instead of merging into the default one')
    .option('--image <file>', 'image archive to load into every node (repeatable)', collect, [])
    .option('--wait <duration>', 'how long to wait for the cluster', parseDurationMs, 120_000)
    .option('--no-install', 'fail instead of installing missing system packages')
    .option('--no-start', 'put the data in place and start nothing')
    .option('--apiserver-advertise-address <address>', "of this machine, when it has not that of the backup's (init)")
    .option('--ignore-preflight-errors <names>', 'checks of the machine that may fail (init)', collectNames, [])
    .action(async (file: string, options: RestoreOptions) => restore(resolve(file), options));
});

async function restore(file: string, options: RestoreOptions): Promise<void> {
  const progress = openProgress();
  const { verifyBackup, restoreLocalCluster } = await loadBackup();
  const backup = await progress.phase('check the backup', () => verifyBackup(file, options.at));
  if (backup.manifest.kind === 'machine') return restoreAsMachine(file, backup, options);
  const name = options.name ?? backup.manifest.cluster;
  const { dataDir } = options;
  const layout = clusterLayout(name, { isRoot: isRoot(), ...(dataDir === undefined ? {} : { dataDir }) });
  await withClusterLock(`${layout.runDir}.lock`, async () => {
    const liveRevision = await revisionOfRunning(layout);
    const restored = await progress.phase(`put cluster ${name} in place`, () =>
      restoreLocalCluster({
        file,
        backup,
        layout,
        clock: systemClock,
        ...(liveRevision === undefined ? {} : { liveRevision }),
        place,
      }),
    );
    say(progress, { ...restored, taken: backup.selection.revision, at: rfc3339(backup.selection.header.takenAtMs) });
    if (options.start) await up(layout, { ...options, name }, progress);
    else process.stderr.write(`\nCluster ${name} is restored. k8ts up --name ${name} starts it.\n`);
  });
}

/** A backup of a machine set up by `init`. */
async function restoreAsMachine(file: string, backup: VerifiedBackup, options: RestoreOptions): Promise<void> {
  const { root, apiserverAdvertiseAddress: address, ignorePreflightErrors, wait } = options;
  if (options.name !== undefined || options.dataDir !== undefined || !options.start) {
    throw new CodedError(
      'WrongUsage',
      `${file} is of a machine set up by k8ts init: --name, --data-dir and --no-start are for clusters of k8ts up`,
    );
  }
  const { restoreMachine } = await loadBackup();
  const progress = openProgress();
  const restored = await restoreMachine({
    ...{ file, backup, root, ignorePreflightErrors, ownCommand, version, telling: progress },
    ...{ clock: systemClock, random: systemRandom, timeoutMs: wait },
    ...(address === undefined ? {} : { address }),
  });
  const { selection } = backup;
  say(progress, {
    ...restored,
    keys: selection.count,
    taken: selection.revision,
    at: rfc3339(selection.header.takenAtMs),
  });
  process.stderr.write(`\nCluster ${backup.manifest.cluster} is restored on node ${restored.nodeName}.\n`);
}

function say(
  progress: Progress,
  restored: { keys: number; taken: number; firstRevision: number; aside?: string; at: string },
): void {
  const { keys, taken, firstRevision, aside, at } = restored;
  progress.say(`${keys} objects as of revision ${taken} (backup of ${at}); revisions go on from ${firstRevision}`);
  if (aside !== undefined) progress.say(`what was there before lies in ${aside} until the next restore`);
}

/** A place on this machine for a cluster that was elsewhere: nodes get a free link, without nodes the API a free port. */
async function place(state: ClusterState): Promise<ClusterState> {
  const root = isRoot();
  if (state.nodes.length > 0 && !root) {
    throw new CodedError('NeedsRoot', 'this backup has nodes with real containers, which need root: run it with sudo');
  }
  const layout = clusterLayout(state.name, { isRoot: root });
  const fresh = await describeCluster(
    layout,
    { nodes: state.nodes.length, simulate: state.simulate, isolated: state.isolated },
    { clock: systemClock, isRoot: root },
  );
  const { apiHost, link } = fresh;
  const apiPort = state.nodes.length > 0 ? state.apiPort : fresh.apiPort;
  return { ...state, apiHost, apiPort, ...(link === undefined ? {} : { link }) };
}

/** The newest revision of a control plane that runs: the restored one begins above it. */
async function revisionOfRunning(layout: ClusterLayout): Promise<number | undefined> {
  const state = readState(layout);
  if (state === undefined || readProcess(serverPidFile(layout, state)) === undefined) return undefined;
  const { client, close } = reach(state, openPki(layout, state));
  try {
    return await (await loadBackup()).newestRevision(client);
  } catch {
    return undefined;
  } finally {
    await close();
  }
}
