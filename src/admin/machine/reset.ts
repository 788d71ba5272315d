import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Node, type Pod, resource } from '#api';
import { type Clock, CodedError, messageOf, rfc3339, runCommand, sleep } from '#base';
import { openClient, openKubeconfigTransport } from '#client';
import { dropEmptyCgroup, processesIn, removeCgroup } from '../local/cgroups.ts';
import { signal, stopProcess } from '../local/processes.ts';
import { type OwnCommand, planComponents } from './components.ts';
import { leaveEtcd, readEtcd } from './etcd/local-etcd.ts';
import type { Telling } from './machine-options.ts';
import { type MachineLayout, machineLayout } from './layout.ts';
import { unmountBelow } from './mounts.ts';
import { configFile, foldersOf, type MachineRecord, readRecord } from './record.ts';
import { removeFiles } from './remove-files.ts';
import { removeUnits, stopComponents } from './run-components.ts';

export interface ResetOptions {
  readonly root: string;
  readonly ownCommand: OwnCommand;
  readonly clock: Clock;
  readonly telling: Telling;
  /** Stops and removes every pod of the container runtime; given the file of the agent's configuration. */
  readonly removePods: (agentConfigFile: string) => Promise<void>;
}

const pods = resource('v1', 'pods');
const farewellMs = 5_000;

/** Takes away what init or join made on this machine, and nothing else. False when there is nothing to take away. */
export async function resetMachine(options: ResetOptions): Promise<boolean> {
  const { clock, telling, ownCommand } = options;
  const layout = machineLayout(options.root);
  const record = readReadable(layout, telling);
  if (record === undefined) return false;
  const components = planComponents(layout, record.role, ownCommand);
  const shared = readEtcd(layout) !== undefined;
  if (shared)
    await telling
      .phase('member of etcd removed', () => leaveEtcd(layout, { address: record.nodeIp, clock }))
      .catch((error) =>
        telling.say(`the other members of etcd could not be told (${messageOf(error)}): remove this one there`),
      );
  await telling.phase('components stopped', () => stopComponents({ layout, components, clock }));
  if (record.role === 'worker' || shared)
    await telling.phase('the cluster is told', () => sayFarewell(layout, record, options));
  const agentConfig = configFile(layout, 'agent');
  if (existsSync(agentConfig)) {
    await telling
      .phase('pods removed', () => options.removePods(agentConfig))
      .catch((error) => {
        telling.say(`pods could not be removed by their runtime (${messageOf(error)}); their processes are ended`);
      });
  }
  await telling.phase('container runtime, network, mounts', async () => {
    if (record.criSocket === undefined)
      await stopProcess(clock, join(layout.runDir, 'containerd', 'containerd.pid'), 10_000);
    await endProcesses(layout, clock);
    await clearNetwork(record);
    for (const folder of foldersOf(layout)) {
      const left = await unmountBelow(folder);
      if (left.length > 0) telling.say(`still mounted, and so not removed: ${left.join(', ')}`);
    }
  });
  await telling.phase('files', async () => {
    await removeUnits(layout, components);
    for (const folder of removeFiles(layout, record.before)) telling.say(`${folder} stays: something else is in it`);
  });
  return true;
}

function readReadable(layout: MachineLayout, telling: Telling): MachineRecord | undefined {
  try {
    return readRecord(layout);
  } catch (error) {
    if (!(error instanceof CodedError) || error.code !== 'RecordUnreadable') throw error;
    telling.say(messageOf(error));
    return recordOfAgent(layout);
  }
}

/** As much of a record that cannot be read as the agent was told too. */
function recordOfAgent(layout: MachineLayout): MachineRecord {
  const unknown = { nodeName: '', nodeIp: '', clusterDns: '', serviceCidr: '' };
  try {
    const agent = JSON.parse(readFileSync(configFile(layout, 'agent'), 'utf8')) as typeof unknown;
    return { format: 1, role: 'control-plane', version: '', before: {}, ...unknown, ...agent };
  } catch {
    return { format: 1, role: 'control-plane', version: '', before: {}, ...unknown };
  }
}

/** The node says itself that it is gone, and its pods with it: they run elsewhere, and its name is free, without waiting. */
async function sayFarewell(layout: MachineLayout, record: MachineRecord, options: ResetOptions): Promise<void> {
  const { clock, telling } = options;
  try {
    const servers = otherServers(layout);
    const transport = await openKubeconfigTransport({ file: layout.kubeletConf, servers });
    const client = openClient({ transport, userAgent: 'k8ts' });
    const now = rfc3339(clock.nowMs());
    const condition = {
      ...{ type: 'Ready', status: 'False', reason: 'NodeReset', message: 'the machine has left the cluster' },
      ...{ lastHeartbeatTime: now, lastTransitionTime: now },
    };
    const signal = AbortSignal.timeout(farewellMs);
    try {
      await client.patch<Node>(
        resource('v1', 'nodes'),
        record.nodeName,
        { type: 'strategic', body: { status: { conditions: [condition] } } },
        { subresource: 'status', signal },
      );
      const fieldSelector = `spec.nodeName=${record.nodeName}`;
      for (const { metadata } of (await client.list<Pod>(pods, { fieldSelector, signal })).items)
        await client.delete(pods, metadata.name, { namespace: metadata.namespace as string, gracePeriodSeconds: 0 });
    } finally {
      await transport.close();
    }
  } catch (error) {
    telling.say(
      `the cluster could not be told (${messageOf(error)}): kubectl delete node ${record.nodeName} forgets this node there`,
    );
  }
}

/** The API servers that the agent knew: of a control plane, its own is gone by now. */
function otherServers(layout: MachineLayout): string[] {
  try {
    return JSON.parse(readFileSync(join(layout.kubeletDir, 'api-servers.json'), 'utf8')) as string[];
  } catch {
    return [];
  }
}

async function endProcesses(layout: MachineLayout, clock: Clock): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const pids = processesIn(layout.cgroup);
    if (pids.length === 0) break;
    for (const pid of pids) signal(pid, 'SIGKILL');
    await sleep(clock, 10);
  }
  for (let round = 0; round < 200 && !removeCgroup(layout.cgroup); round++) await sleep(clock, 10);
  dropEmptyCgroup('/k8ts');
}

/** The rules, routes and address that the agent gave this machine. */
async function clearNetwork(record: MachineRecord): Promise<void> {
  const quietly = (program: string, ...args: string[]) => runCommand(program, args, { okCodes: [0, 1, 2, 255] });
  for (const table of ['k8ts', 'k8ts_policy', 'k8ts_tunnel']) await quietly('nft', 'delete', 'table', 'ip', table);
  await quietly('ip', 'link', 'delete', 'k8ts.vxlan');
  await quietly('ip', 'route', 'flush', 'proto', '118');
  if (record.clusterDns !== '') await quietly('ip', 'address', 'delete', `${record.clusterDns}/32`, 'dev', 'lo');
}
