import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ConfigMap, Node } from '#api';
import { resource } from '#api';
import { type Clock, CodedError, messageOf } from '#base';
import { type Client, openClient, openKubeconfigTransport } from '#client';
import type { Transport } from '#wire';
import { isApiReady } from '../local/bring-up.ts';
import { configMaps, readClusterConfig } from './cluster-objects.ts';
import { type OwnCommand, planComponents } from './components.ts';
import { writeAtomically, writeJson } from './files.ts';
import { openAdmin } from './init.ts';
import type { Telling } from './machine-options.ts';
import { isReady } from './node-ready.ts';
import { type MachineLayout, machineLayout } from './layout.ts';
import { configFile, type MachineRecord, requireRecord, writeRecord } from './record.ts';
import { planSupervision, readSupervision, startComponents, stopComponents } from './run-components.ts';
import { waitFor } from './wait.ts';

/** What runs, and what this package would run instead. */
export interface UpgradePlan {
  /** Version of this package that serves the API now. */
  readonly serving: string;
  /** Noted in the cluster by the last init or upgrade. */
  readonly recorded: string;
  /** On this machine. */
  readonly machine: string;
  readonly target: string;
  readonly direction: 'newer' | 'same' | 'older';
  readonly nodes: readonly { readonly name: string; readonly kubeletVersion: string }[];
}

/** -1, 0 or 1: 1.10.0 is above 1.9.3, and 1.0.0-beta.2 below 1.0.0. */
export function compareVersions(a: string, b: string): number {
  const parts = (text: string): { numbers: number[]; before: string } => {
    const [main = '', ...before] = text.replace(/^v/, '').split('+')[0]?.split('-') ?? [];
    return { numbers: main.split('.').map(Number), before: before.join('-') };
  };
  const one = parts(a);
  const other = parts(b);
  for (let index = 0; index < 3; index++) {
    const difference = (one.numbers[index] ?? 0) - (other.numbers[index] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  if (one.before === other.before) return 0;
  if (one.before === '' || other.before === '') return one.before === '' ? 1 : -1;
  return one.before.localeCompare(other.before, 'en', { numeric: true }) < 0 ? -1 : 1;
}

export async function planUpgrade(options: {
  root: string;
  kubeconfig?: string;
  version: string;
}): Promise<UpgradePlan> {
  const { version: target } = options;
  const record = requireRecord(machineLayout(options.root));
  const { client, close } = await openAdmin(options);
  try {
    const { gitVersion } = (await client.raw('GET', '/version')) as { gitVersion: string };
    const { items } = await client.list<Node>(resource('v1', 'nodes'));
    const recorded = (await readClusterConfig(client)).k8tsVersion ?? record.version;
    const order = compareVersions(target, recorded);
    return {
      ...{ serving: gitVersion.split('+k8ts.')[1] ?? gitVersion, recorded, machine: record.version, target },
      direction: order > 0 ? 'newer' : order < 0 ? 'older' : 'same',
      nodes: items.map((one) => ({
        name: one.metadata.name,
        kubeletVersion: one.status?.nodeInfo?.kubeletVersion ?? '',
      })),
    };
  } finally {
    await close();
  }
}

/** How long the old version has to come up again, at least. */
const leastWayBackMs = 60_000;

export interface UpgradeOptions {
  readonly root: string;
  readonly version: string;
  readonly ownCommand: OwnCommand;
  readonly clock: Clock;
  readonly telling: Telling;
  readonly force: boolean;
  readonly timeoutMs: number;
}

/**
 * Restarts this machine's components with the code of this package; data and running containers stay. When the new control plane
 * does not answer, the old one is started again. False when there was nothing to do.
 */
export async function upgradeMachine(options: UpgradeOptions): Promise<boolean> {
  const { version, clock, telling, force, timeoutMs } = options;
  const layout = machineLayout(options.root);
  const record = requireRecord(layout);
  const order = compareVersions(version, record.version);
  if (order === 0 && !force) return false;
  if (order < 0 && !force) {
    throw new CodedError(
      'OlderVersion',
      `this package is ${version}, older than ${record.version}, which runs: the older code may not read what the newer wrote (--force tries)`,
    );
  }
  const serverFile = configFile(layout, 'server');
  const serverBefore = existsSync(serverFile) ? readFileSync(serverFile, 'utf8') : undefined;
  const supervisionBefore = readSupervision(layout);
  const { ownCommand } = options;
  const next = planSupervision(layout, planComponents(layout, record.role, ownCommand), ownCommand);
  try {
    await telling.phase(`components ${record.version} → ${version}`, async () => {
      await stop(layout, record, options);
      if (record.role === 'control-plane') keepStore(layout);
      if (serverBefore !== undefined) writeJson(serverFile, { ...(JSON.parse(serverBefore) as object), version });
      await startComponents(layout, next);
      await ready(layout, record, options);
    });
  } catch (error) {
    await telling.phase(`back to ${record.version}`, async () => {
      await stop(layout, record, options);
      if (serverBefore !== undefined) writeAtomically(serverFile, serverBefore, 0o600);
      await startComponents(layout, supervisionBefore ?? next);
      await ready(layout, record, { ...options, timeoutMs: Math.max(options.timeoutMs, leastWayBackMs) });
    });
    throw new CodedError(
      'UpgradeFailed',
      `${version} did not come up, and ${record.version} runs again, with its data: ${messageOf(error)}`,
      { cause: error },
    );
  }
  if (record.role === 'control-plane') await noteVersion(options);
  writeRecord(layout, { ...record, version });
  return true;
}

/** The API answers, the agent has started anew, and the node is ready. */
async function ready(layout: MachineLayout, record: MachineRecord, options: UpgradeOptions): Promise<void> {
  const { clock, timeoutMs } = options;
  const isControlPlane = record.role === 'control-plane';
  const log = (name: string): string => join(layout.logDir, `${name}.log`);
  await withApi(isControlPlane ? layout.adminConf : layout.kubeletConf, async ({ client, transport }) => {
    if (isControlPlane) {
      await waitFor({
        ...{ what: 'the API server is ready', clock, timeoutMs, logFile: log('server'), advice: '' },
        ask: () => isApiReady(transport),
      });
    }
    await waitFor({
      ...{ what: `node ${record.nodeName} is ready`, clock, timeoutMs, logFile: log('agent'), advice: '' },
      ask: async () =>
        existsSync(readyFile(layout)) && isReady(await client.get<Node>(resource('v1', 'nodes'), record.nodeName)),
    });
  });
}

const readyFile = (layout: MachineLayout): string => join(layout.runDir, 'agent.ready');

async function withApi<T>(
  file: string,
  work: (api: { client: Client; transport: Transport }) => Promise<T>,
): Promise<T> {
  const transport = await openKubeconfigTransport({ file });
  try {
    return await work({ transport, client: openClient({ transport, userAgent: 'k8ts' }) });
  } finally {
    await transport.close();
  }
}

/** Notes in the cluster what serves it now. */
async function noteVersion({ root, version }: UpgradeOptions): Promise<void> {
  await withApi(machineLayout(root).adminConf, async ({ client }) => {
    const { gitVersion } = (await client.raw('GET', '/version')) as { gitVersion: string };
    const map = await client.get<ConfigMap>(configMaps, 'kubeadm-config', { namespace: 'kube-system' });
    const ClusterConfiguration = (map.data?.ClusterConfiguration ?? '').replace(
      /^kubernetesVersion: .*$/m,
      `kubernetesVersion: ${gitVersion.split('+')[0]}`,
    );
    const body = { data: { ClusterConfiguration, K8tsVersion: version } };
    await client.patch(configMaps, 'kubeadm-config', { type: 'merge', body }, { namespace: 'kube-system' });
  });
}

/** One copy of the store as the old version left it. */
function keepStore(layout: MachineLayout): void {
  if (!existsSync(layout.storeDir)) return;
  const copy = `${layout.storeDir}-before-upgrade`;
  rmSync(copy, { recursive: true, force: true });
  cpSync(layout.storeDir, copy, { recursive: true });
}

async function stop(layout: MachineLayout, record: MachineRecord, options: UpgradeOptions): Promise<void> {
  const components = planComponents(layout, record.role, options.ownCommand);
  await stopComponents({ layout, components, clock: options.clock });
  rmSync(readyFile(layout), { force: true });
}
