import { join } from 'node:path';
import { rmSync } from 'node:fs';
import type { Command } from 'commander';
import {
  type ClusterLayout,
  type ClusterState,
  changeNode,
  cutPower,
  leaveUnsupervised,
  makeNode,
  type NodeState,
  nodeLayout,
  requireNode,
  requireState,
  withClusterLock,
  writeState,
  areNodesReady,
  reach,
  startAgentProcess,
  startServerProcess,
  superviseCluster,
  until,
  openPki,
  writeServerConfiguration,
} from '#admin';
import { type Pod, resource } from '#api';
import { CodedError, systemClock } from '#base';
import type { Client } from '#client';
import { isConflict, isNotFound } from '#machinery';
import { defineCommand } from '../command.ts';
import { withExamples } from '../help.ts';
import { type ClusterOptions, layoutOf, withCluster } from '../local/options.ts';
import { isRoot, ownCommand } from '../local/programs.ts';
import { reportOf } from '../local/report.ts';
import { parseDurationMs, parseName } from '../options.ts';
import { version } from '../version.ts';
import { openProgress } from '../progress.ts';

type Work = (layout: ClusterLayout, state: ClusterState, name: string, waitMs: number) => Promise<void>;

export const nodeCommand = defineCommand('node', (command) => {
  withExamples(command, [
    ['k8ts node add worker2', 'one node more'],
    ['k8ts node stop worker2', 'a power cut: its pods move after a while'],
  ]);
  verb(command, 'add', 'add a node', add);
  verb(command, 'stop', 'cut the power of a node', stop);
  verb(command, 'start', 'give a stopped node power again', start);
  verb(command, 'delete', 'remove a node with its data', remove);
});

function verb(parent: Command, name: string, description: string, work: Work): void {
  withCluster(parent.command(name))
    .description(description)
    .option('--wait <duration>', 'how long to wait for the node', parseDurationMs, 60_000)
    .argument('<node>', 'its name, for instance worker2', parseName)
    .action(async (nodeName: string, options: ClusterOptions & { wait: number }) => {
      if (!isRoot()) throw new CodedError('NeedsRoot', 'nodes with real containers need root: run it with sudo');
      const layout = layoutOf(options);
      await withClusterLock(`${layout.runDir}.lock`, async () => {
        const state = requireState(layout);
        if (reportOf(layout, state).status === 'stopped' && state.nodes.some((one) => !one.stopped))
          throw new CodedError(
            'ClusterStopped',
            `cluster ${state.name} is stopped: k8ts up --name ${state.name} first`,
          );
        const supervised = leaveUnsupervised(layout);
        try {
          await work(layout, state, nodeName, options.wait);
        } finally {
          // Where the only node had no power there was nothing to supervise.
          if (supervised || name === 'start') superviseCluster({ layout, state: requireState(layout), ownCommand });
        }
      });
    });
}

async function power(layout: ClusterLayout, state: ClusterState, node: NodeState, waitMs: number): Promise<void> {
  const own = nodeLayout(layout, node.name);
  const pki = openPki(layout, state);
  await makeNode(state, node, own);
  if (node.controlPlane)
    startServerProcess({ layout, state, configFile: writeServerConfiguration(layout, state, version), ownCommand });
  startAgentProcess({ layout, state, node, pki, ownCommand });
  const { client, close } = reach(state, pki);
  try {
    await until({
      what: `node ${node.name} ready`,
      deadlineMs: systemClock.monotonicMs() + waitMs,
      everyMs: 25,
      processes: [{ pidFile: join(own.runDir, 'agent.pid'), logFile: own.logFile }],
      ask: () => areNodesReady(client, [node.name]),
    });
  } finally {
    await close();
  }
}

async function add(layout: ClusterLayout, state: ClusterState, name: string, waitMs: number): Promise<void> {
  if (state.nodes.some((one) => one.name === name))
    throw new CodedError('NodeExists', `cluster ${state.name} has a node ${name} already: choose another name`);
  if (state.nodes.length === 0)
    throw new CodedError(
      'NoLink',
      `cluster ${state.name} was made without real nodes: make one with k8ts up --nodes 1 --name OTHER`,
    );
  const used = new Set(state.nodes.map((one) => one.index));
  let index = 1;
  while (used.has(index)) index++;
  const node: NodeState = { name, index, controlPlane: false, stopped: false };
  const next = { ...state, nodes: [...state.nodes, node] };
  writeState(layout, next);
  await openProgress().phase(`node ${name} ready`, () => power(layout, next, node, waitMs));
}

async function stop(layout: ClusterLayout, state: ClusterState, name: string): Promise<void> {
  requireNode(state, name);
  await openProgress().phase(`power cut of ${name}`, () => cutPower(systemClock, nodeLayout(layout, name)));
  changeNode(layout, state, name, { stopped: true });
}

async function start(layout: ClusterLayout, state: ClusterState, name: string, waitMs: number): Promise<void> {
  const next = changeNode(layout, state, requireNode(state, name).name, { stopped: false });
  await openProgress().phase(`node ${name} ready`, () => power(layout, next, requireNode(next, name), waitMs));
}

async function remove(layout: ClusterLayout, state: ClusterState, name: string): Promise<void> {
  if (requireNode(state, name).controlPlane) {
    throw new CodedError(
      'ControlPlane',
      `${name} is the control plane of cluster ${state.name}: remove the cluster with k8ts down --delete --name ${state.name}`,
    );
  }
  const own = nodeLayout(layout, name);
  await openProgress().phase(`remove ${name}`, async () => {
    await cutPower(systemClock, own);
    rmSync(own.dataDir, { recursive: true, force: true });
    changeNode(layout, state, name, 'remove');
    const { client, close } = reach(state, openPki(layout, state));
    try {
      await client.delete(resource('v1', 'nodes'), name).catch((error) => {
        if (!isNotFound(error)) throw error;
      });
      await deletePods(client, name);
    } finally {
      await close();
    }
  });
}

/** The machine is known to be gone for good, so its pods are too: what replaces them need not wait for anyone to notice. */
async function deletePods(client: Client, nodeName: string): Promise<void> {
  const pods = resource('v1', 'pods');
  const { items } = await client.list<Pod>(pods, { fieldSelector: `spec.nodeName=${nodeName}` });
  for (const { metadata } of items) {
    const preconditions = { uid: metadata.uid };
    await client
      .delete(pods, metadata.name, { namespace: metadata.namespace, gracePeriodSeconds: 0, preconditions })
      .catch((error) => {
        if (!isNotFound(error) && !isConflict(error)) throw error;
      });
  }
}
