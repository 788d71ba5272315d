import { resolve } from 'node:path';
import type { Command } from 'commander';
import {
  backupPlaces,
  loadBackup,
  loadMachine,
  openPki,
  reach,
  readProcess,
  readState,
  requireState,
  serverPidFile,
  snapshotDir,
} from '#admin';
import { environmentVariable, messageOf, rfc3339, systemClock, systemRandom } from '#base';
import { defineCommand } from '../command.ts';
import { withExamples } from '../help.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';
import { withRoot } from '../machine/options.ts';
import { parseOutput } from '../options.ts';
import { mebibytes, printJson, printTable } from '../print.ts';
import { openProgress } from '../progress.ts';
import { version } from '../version.ts';

export const backupCommand = defineCommand('backup', (command) => {
  command.helpCommand(false);
  withExamples(command, [
    ['k8ts backup monday.k8ts', 'the cluster of k8ts up'],
    ['k8ts backup check monday.k8ts', 'is it whole, and what is in it?'],
  ]);
  withRoot(withCluster(command))
    .argument('<file>', 'where to write it; holds keys and secrets (mode 0600)')
    .action(async (file: string, options: ClusterOptions & { root: string }, self: Command) =>
      (await isMachine(options, self)) ? backupMachine(resolve(file), options.root) : backup(resolve(file), options),
    );
  command
    .command('list')
    .description('list the snapshots that were taken by schedule, or the backups in a folder')
    .option('--dir <dir>', 'look in this folder instead')
    .option('-o, --output <format>', 'json', parseOutput)
    .action(async (_options: object, self: Command) => {
      const options = self.optsWithGlobals() as ListOptions;
      const machine = options.dir === undefined && (await isMachine(options, command));
      await list(options, machine);
    });
  command
    .command('check')
    .description('read a backup to its end and say what it holds')
    .argument('<file>', 'a backup')
    .action(async (file: string) => check(resolve(file)));
});

async function backup(file: string, options: ClusterOptions): Promise<void> {
  const layout = layoutOf(options);
  const state = requireState(layout);
  const { archiveOfDirectory, archiveOverApi, takeBackup } = await loadBackup();
  const places = backupPlaces(layout, state, version);
  const progress = openProgress();
  const write = (archive: () => AsyncIterable<Uint8Array>): Promise<number> =>
    takeBackup({ file, places, archive, nowMs: systemClock.nowMs(), random: systemRandom });
  const runs = readProcess(serverPidFile(layout, state)) !== undefined;
  const bytes = await progress.phase(`backup of cluster ${state.name}${runs ? '' : ' (stopped)'}`, async () => {
    if (!runs) return write(() => archiveOfDirectory(layout.storeDir));
    const { transport, close } = reach(state, openPki(layout, state));
    try {
      return await write(() => archiveOverApi(transport));
    } finally {
      await close();
    }
  });
  sayWritten(file, bytes);
}

/** Whether a machine of `init` is meant, and not a cluster of `up`: asked for by --root, or there is nothing else. */
async function isMachine(options: ClusterOptions & { root: string }, self: Command): Promise<boolean> {
  const asked = (name: string): boolean => self.getOptionValueSource(name) === 'cli';
  if (asked('name') || asked('dataDir')) return false;
  if (asked('root') || environmentVariable('K8TS_ROOT') !== undefined) return true;
  if (readState(layoutOf(options)) !== undefined) return false;
  const { machineLayout, readRecord } = await loadMachine();
  return readRecord(machineLayout(options.root)) !== undefined;
}

async function backupMachine(file: string, root: string): Promise<void> {
  const { archiveSourceOfMachine, machineBackupPlaces, takeBackup } = await loadBackup();
  const places = machineBackupPlaces(root, version);
  const bytes = await openProgress().phase(`backup of cluster ${places.cluster}`, () =>
    takeBackup({
      file,
      places,
      archive: () => archiveSourceOfMachine(root),
      nowMs: systemClock.nowMs(),
      random: systemRandom,
    }),
  );
  sayWritten(file, bytes);
}

function sayWritten(file: string, bytes: number): void {
  process.stderr.write(
    `\n${file} (${bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} KiB` : mebibytes(bytes)}) holds the cluster's objects, keys and configuration: keep it secret.\n`,
  );
}

interface ListOptions extends ClusterOptions {
  readonly root: string;
  readonly dir?: string;
  readonly output?: 'json';
}

async function list(options: ListOptions, machine: boolean): Promise<void> {
  const layout = layoutOf(options);
  const { listSnapshots, machineSnapshots, readBackupSummary } = await loadBackup();
  const usual = (): string => (machine ? machineSnapshots(options.root) : snapshotDir(layout, readState(layout)));
  const dir = options.dir === undefined ? usual() : resolve(options.dir);
  const found = await Promise.all(
    listSnapshots(dir).map(async ({ path, takenAtMs, bytes }) => {
      const takenAt = rfc3339(takenAtMs);
      try {
        const { archive } = await readBackupSummary(path);
        const oldest = archive.times[0]?.atMs;
        return {
          file: path,
          takenAt,
          bytes,
          revision: archive.revision,
          ...(oldest === undefined ? {} : { historyFrom: rfc3339(oldest) }),
        };
      } catch (error) {
        return { file: path, takenAt, bytes, error: messageOf(error) };
      }
    }),
  );
  if (options.output === 'json') return printJson(found);
  if (found.length === 0) {
    process.stderr.write(`No snapshots in ${dir}. k8ts up (or init) --snapshot-every 1h takes them by schedule.\n`);
    return;
  }
  const rows = found.map((one) => [
    one.takenAt,
    mebibytes(one.bytes),
    'error' in one ? 'damaged' : String(one.revision),
    ('historyFrom' in one && one.historyFrom) || '-',
    one.file,
  ]);
  printTable([['TAKEN', 'SIZE', 'REVISION', 'HISTORY FROM', 'FILE'], ...rows]);
}

async function check(file: string): Promise<void> {
  const { verifyBackup } = await loadBackup();
  const { manifest, selection, pki } = await verifyBackup(file);
  const { header, count } = selection;
  const oldest = header.times[0]?.atMs;
  const window = oldest === undefined ? '' : `, ${rfc3339(oldest)} to ${rfc3339(header.takenAtMs)}`;
  printTable([
    ['CLUSTER', manifest.cluster],
    ['TAKEN', manifest.createdAt],
    ['OBJECTS', String(count)],
    ['HISTORY', `revisions ${header.baseRevision} to ${header.revision}${window}`],
    ['KEYS', `${Object.keys(pki).length} files`],
    ['WHOLE', 'yes: every checksum matches'],
  ]);
}
