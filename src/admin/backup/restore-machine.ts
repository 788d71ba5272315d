import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '#base';
import { type Client, kubeconfigTarget, openKubeconfigTransport, parseKubeconfig } from '#client';
import { resource } from '#api';
import { isApiReady } from '../local/bring-up.ts';
import { planComponents } from '../machine/components.ts';
import { initMachine, openAdmin } from '../machine/init.ts';
import type { MachineOptions } from '../machine/machine-options.ts';
import { type MachineLayout, machineLayout } from '../machine/layout.ts';
import { configFile, type MachineRecord, readRecord, requireRecord } from '../machine/record.ts';
import { planSupervision, startComponents, stopComponents } from '../machine/run-components.ts';
import { type ClusterSettings, hostOf, type NodeSettings, type TaintSetting } from '../machine/settings.ts';
import { waitFor } from '../machine/wait.ts';
import type { VerifiedBackup } from './backup-file.ts';
import { BackupDamaged } from './errors.ts';
import { textOf, writeFiles } from './files.ts';
import { machineFiles, machineSnapshotDir, planMachineBackup, planRestoredKeeping } from './machine-keeping.ts';
import { exchangeData, finishExchange, hasPkiOf, prepareData, type PreparedData } from './place-data.ts';
import { archiveOfDirectory, archiveOverApi, type BackupPlaces } from './take-backup.ts';

/** What of a machine of `init` goes into a backup beside its store. Throws CodedError `NoControlPlane`. */
export function machineBackupPlaces(root: string, version: string): BackupPlaces {
  const layout = machineLayout(root);
  requireControlPlane(requireRecord(layout));
  const { clusterName } = JSON.parse(readFileSync(configFile(layout, 'server'), 'utf8')) as { clusterName: string };
  return planMachineBackup(layout, clusterName, version);
}

/** Where this machine's snapshots by schedule lie. */
export function machineSnapshots(root: string): string {
  const file = configFile(machineLayout(root), 'server');
  const told = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as { snapshots?: { dir: string } }) : {};
  return told.snapshots?.dir ?? machineSnapshotDir(root);
}

/** The archive of this machine's control plane: over the API while it answers, else from its files. */
export async function* archiveSourceOfMachine(root: string): AsyncGenerator<Uint8Array> {
  const layout = machineLayout(root);
  const transport = await openKubeconfigTransport({ file: layout.superAdminConf });
  try {
    const answers = await isApiReady(transport).catch(() => false);
    if (answers) yield* archiveOverApi(transport);
    else yield* archiveOfDirectory(lmdbDirOf(layout));
  } finally {
    await transport.close();
  }
}

export interface RestoreMachineOptions extends MachineOptions {
  readonly file: string;
  readonly backup: VerifiedBackup;
  /** Of this machine, when it is not the one of the backup. */
  readonly address?: string;
}

export interface RestoredMachine {
  readonly revision: number;
  readonly firstRevision: number;
  readonly aside?: string;
  readonly nodeName: string;
}

/**
 * Restores a control plane's machine: one that is in no cluster becomes that of the backup, with its names and keys, so that the other
 * nodes find it again; one that is, in the same cluster, gets the backup's objects. Containers go on.
 */
export async function restoreMachine(options: RestoreMachineOptions): Promise<RestoredMachine> {
  const layout = machineLayout(options.root);
  const record = readRecord(layout);
  const settings = settingsOf(options.file, options.backup);
  return record === undefined ? restoreEmpty(layout, settings, options) : restoreOver(layout, record, options);
}

async function restoreEmpty(
  layout: MachineLayout,
  settings: BackupSettings,
  options: RestoreMachineOptions,
): Promise<RestoredMachine> {
  const { backup, clock, telling } = options;
  const node = options.address === undefined ? settings.node : { ...settings.node, address: options.address };
  let data: PreparedData | undefined;
  await initMachine({
    ...options,
    cluster: settings.cluster,
    node,
    port: settings.port,
    tokens: [],
    bringData: (place) =>
      telling.phase('objects and keys of the backup', async () => {
        data = await prepareData({ backup, places: place, clock });
        exchangeData(data);
        finishExchange(data);
        const policy = backup.configuration[machineFiles.auditPolicy];
        if (policy !== undefined) writeFiles(place.etcDir, { [machineFiles.auditPolicy]: policy });
        return planRestoredKeeping(place, JSON.parse(textOf(backup.configuration, machineFiles.server) ?? '{}'));
      }),
  });
  const { revision, firstRevision } = data as unknown as PreparedData;
  return { revision, firstRevision, nodeName: node.nodeName };
}

async function restoreOver(
  layout: MachineLayout,
  record: MachineRecord,
  options: RestoreMachineOptions,
): Promise<RestoredMachine> {
  const { file, backup, clock, telling, ownCommand, timeoutMs } = options;
  requireControlPlane(record);
  lmdbDirOf(layout);
  if (!hasPkiOf(backup, layout.pkiDir)) {
    throw new CodedError(
      'OtherCluster',
      `${file} is a backup of another cluster than the one this machine is in; nothing was changed: k8ts reset first, then restore`,
    );
  }
  const liveRevision = await revisionOfRunning(options.root);
  const data = await telling.phase('objects of the backup', () =>
    prepareData({ backup, places: layout, clock, ...(liveRevision === undefined ? {} : { liveRevision }) }),
  );
  const components = planComponents(layout, record.role, ownCommand);
  const aside = await telling.phase('control plane', async () => {
    await stopComponents({ layout, components, clock });
    const kept = exchangeData(data);
    finishExchange(data);
    await startComponents(layout, planSupervision(layout, components, ownCommand));
    const transport = await openKubeconfigTransport({ file: layout.superAdminConf });
    try {
      await waitFor({
        ...{ what: 'the API server is ready', clock, timeoutMs, logFile: join(layout.logDir, 'server.log') },
        advice: kept === undefined ? '' : `What was there before lies in ${kept}.`,
        ask: () => isApiReady(transport),
      });
    } finally {
      await transport.close();
    }
    return kept;
  });
  const { revision, firstRevision } = data;
  return { revision, firstRevision, nodeName: record.nodeName, ...(aside === undefined ? {} : { aside }) };
}

interface BackupSettings {
  readonly cluster: ClusterSettings;
  readonly node: NodeSettings;
  readonly port: number;
}

/** What init was told, read back from what the components were told. */
function settingsOf(file: string, backup: VerifiedBackup): BackupSettings {
  const { manifest, configuration } = backup;
  const [server, agent, admin] = [machineFiles.server, machineFiles.agent, machineFiles.admin].map((path) =>
    textOf(configuration, path),
  );
  if (manifest.kind !== 'machine' || server === undefined || agent === undefined || admin === undefined) {
    throw new CodedError(
      'OtherKindOfBackup',
      `${file} is a backup of a cluster of k8ts up, not of a machine set up by k8ts init: restore it without --root`,
    );
  }
  try {
    const control = JSON.parse(server) as ServerSettings;
    const kubelet = JSON.parse(agent) as AgentSettings;
    const { nodeName, nodeIp: address, labels, taints, criSocket, podNetwork, networkMode } = kubelet;
    const endpoint = kubeconfigTarget(parseKubeconfig(admin)).cluster.server.replace(/^https:\/\//, '');
    return {
      cluster: {
        clusterName: control.clusterName,
        podCidr: control.podCidr,
        serviceCidr: control.serviceCidr,
        dnsDomain: control.clusterDomain,
        certSans: [...(control.certificateNames ?? []), ...(control.certificateAddresses ?? [])],
        ...(hostOf(endpoint) === address ? {} : { controlPlaneEndpoint: endpoint }),
        ...(podNetwork === undefined ? {} : { cni: podNetwork }),
        ...(networkMode === undefined ? {} : { networkMode }),
      },
      node: { nodeName, address, labels, taints, ...(criSocket === undefined ? {} : { criSocket }) },
      port: control.port,
    };
  } catch (error) {
    throw new BackupDamaged(file, 'its settings of the machine cannot be understood', { cause: error });
  }
}

interface ServerSettings {
  readonly clusterName: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  readonly port: number;
  readonly certificateNames?: readonly string[];
  readonly certificateAddresses?: readonly string[];
}

interface AgentSettings {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly TaintSetting[];
  readonly criSocket?: string;
  readonly podNetwork?: 'none';
  readonly networkMode?: 'routes' | 'vxlan';
}

function requireControlPlane({ role, nodeName }: MachineRecord): void {
  if (role === 'control-plane') return;
  throw new CodedError(
    'NoControlPlane',
    `this machine (node ${nodeName}) is no control plane: back up and restore on one of those`,
  );
}

/** Throws CodedError `OtherStore` when the control plane keeps its objects elsewhere. */
function lmdbDirOf(layout: MachineLayout): string {
  const file = configFile(layout, 'server');
  const { store } = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as { store: string })
    : { store: 'lmdb:' };
  if (store.startsWith('lmdb:')) return layout.storeDir;
  throw new CodedError(
    'OtherStore',
    `this control plane keeps its objects in ${store.split(':')[0]}, which several machines share: it must answer for a backup, and is restored by k8ts reset on every control plane and k8ts restore on one`,
  );
}

async function revisionOfRunning(root: string): Promise<number | undefined> {
  const { client, close } = await openAdmin({ root });
  try {
    return await newestRevision(client);
  } catch {
    return undefined;
  } finally {
    await close();
  }
}

/** The newest revision that a server tells. */
export async function newestRevision(client: Client): Promise<number | undefined> {
  const { metadata } = await client.list(resource('v1', 'namespaces'), { limit: 1 });
  const revision = Number(metadata?.resourceVersion);
  return revision > 0 ? revision : undefined;
}
