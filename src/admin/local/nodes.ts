import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, sleep, makeDirectorySync } from '#base';
import { enterCgroup, makeCgroup, processesIn, removeCgroup } from './cgroups.ts';
import type { NodeLayout } from './layout.ts';
import { enterArguments, hasNamespaces, makeNamespaces, removeNamespaces, showKubeletFolder } from './namespaces.ts';
import { makeNodeLink, removeNodeLink } from './network.ts';
import { type ProcessRecord, readProcess, type SpawnOptions, signal, spawnBackground } from './processes.ts';
import type { ClusterState, NodeState } from './state.ts';

/** Gives a node what a machine has: folders, cgroups, a link, namespaces. What is there already is kept. */
export async function makeNode(state: ClusterState, node: NodeState, layout: NodeLayout): Promise<void> {
  makeDirectorySync(layout.dataDir, 0o711);
  makeDirectorySync(layout.runDir, 0o711);
  makeCgroup(layout.cgroup);
  if (hasNamespaces(layout)) return showKubeletFolder(layout);
  await removeNamespaces(layout);
  await removeNodeLink(layout);
  await makeNodeLink(state, node, layout);
  await makeNamespaces(layout, { foreignNetwork: state.cni === 'none' });
}

/** How a program runs on a node, in its namespaces. */
export function programOnNode(layout: NodeLayout, name: string, command: readonly string[]): SpawnOptions {
  return {
    program: 'nsenter',
    args: [...enterArguments(layout), ...command],
    logFile: name === 'agent' ? layout.logFile : layout.logFile.replace(/[^/]+$/, `${name}.log`),
    pidFile: join(layout.runDir, `${name}.pid`),
  };
}

/** Starts a program on a node, in its namespaces and cgroup, unless its pid file names one that runs. */
export function startOnNode(layout: NodeLayout, name: string, command: readonly string[]): ProcessRecord {
  const program = programOnNode(layout, name, command);
  const running = readProcess(program.pidFile);
  if (running !== undefined) return running;
  const record = spawnBackground(program);
  enterCgroup(layout.cgroup, record.pid);
  return record;
}

/** The power goes: every process of the node is killed at once, its memory file systems and mounts are gone. Disks stay. */
export async function cutPower(clock: Clock, layout: NodeLayout): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const pids = processesIn(layout.cgroup);
    if (pids.length === 0) break;
    for (const pid of pids) signal(pid, 'SIGKILL');
    await sleep(clock, 10);
  }
  await removeNamespaces(layout);
  await removeNodeLink(layout);
  rmSync(layout.runDir, { recursive: true, force: true });
  for (let round = 0; round < 200 && !removeCgroup(layout.cgroup); round++) await sleep(clock, 10);
}
