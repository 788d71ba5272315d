import { readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { type Clock, CodedError, rfc3339, makeDirectorySync } from '#base';
import { dropEmptyCgroup, removeCgroup } from './cgroups.ts';
import { type ClusterLayout, clusterLayout, defaultDataDir, nodeLayout } from './layout.ts';
import { chooseLink, hostRoutes, makeLink, removeLink } from './network.ts';
import { cutPower, makeNode } from './nodes.ts';
import { keepNamespaceFolder, removeNamespaceFolder } from './namespaces.ts';
import { removeMountPoints } from './own-folders.ts';
import { readProcess, stopProcess } from './processes.ts';
import { type ClusterState, type NodeState, nodeAddress, readState, writeState } from './state.ts';
import { leaveUnsupervised } from './supervisor-process.ts';

export interface ClusterWishes {
  readonly nodes?: number;
  readonly simulate?: number;
  readonly isolated?: boolean;
  readonly apiPort?: number;
  readonly cni?: 'k8ts' | 'none';
  readonly networkMode?: 'auto' | 'routes' | 'vxlan';
}

export const defaultApiPort = 6443;

export function nodeName(index: number): string {
  return index === 0 ? 'master' : `worker${index}`;
}

/** The description of a new cluster: real nodes get a free link of this machine; without any, the API listens on loopback. */
export async function describeCluster(
  layout: ClusterLayout,
  wishes: ClusterWishes,
  options: { clock: Clock; isRoot: boolean },
): Promise<ClusterState> {
  const count = wishes.nodes ?? 1;
  const base = {
    format: 1,
    name: layout.name,
    createdAt: rfc3339(options.clock.nowMs()),
    isolated: wishes.isolated ?? false,
    podCidr: '10.244.0.0/16',
    serviceCidr: '10.96.0.0/12',
    clusterDomain: 'cluster.local',
    simulate: wishes.simulate ?? 0,
    ...(wishes.cni === 'none' ? { cni: wishes.cni } : {}),
    ...(wishes.networkMode === undefined || wishes.networkMode === 'auto' ? {} : { networkMode: wishes.networkMode }),
  } as const;
  if (count === 0) {
    const apiPort = await freePort('127.0.0.1', wishes.apiPort);
    return { ...base, apiHost: '127.0.0.1', apiPort, nodes: [] };
  }
  const taken = new Set(otherClusters(layout, options.isRoot).map((one) => one.link ?? -1));
  const link = chooseLink(await hostRoutes(), taken);
  if (link === undefined) {
    throw new CodedError(
      'NoLink',
      'no range 172.29.N.0/24 is free on this machine: its routes or other clusters use all of 172.29.0.0/16',
    );
  }
  const nodes = Array.from({ length: count }, (_, index) => ({
    name: nodeName(index),
    index,
    controlPlane: index === 0,
    stopped: false,
  }));
  const apiHost = nodeAddress({ link }, { index: 0 });
  return { ...base, link, apiHost, apiPort: wishes.apiPort ?? defaultApiPort, nodes };
}

function otherClusters(layout: ClusterLayout, isRoot: boolean): ClusterState[] {
  return listClusters(isRoot).filter((one) => one.name !== layout.name);
}

/** Every cluster with data in the default place. */
export function listClusters(isRoot: boolean): ClusterState[] {
  let names: string[] = [];
  try {
    names = readdirSync(dirname(defaultDataDir('x', isRoot)));
  } catch {}
  return names.flatMap((name) => {
    try {
      return readState(clusterLayout(name, { isRoot })) ?? [];
    } catch {
      return [];
    }
  });
}

/** The asked port if it can be listened on; without one the first free from 6443. */
async function freePort(host: string, asked: number | undefined): Promise<number> {
  if (asked !== undefined) {
    if (!(await canListen(host, asked))) throw portTaken(host, asked, ' or choose another with --api-port');
    return asked;
  }
  for (let port = defaultApiPort; port < defaultApiPort + 100; port++) if (await canListen(host, port)) return port;
  throw new CodedError(
    'PortTaken',
    `no free port between ${defaultApiPort} and ${defaultApiPort + 99}: choose one with --api-port`,
  );
}

function portTaken(host: string, port: number, otherwise: string): CodedError {
  return new CodedError(
    'PortTaken',
    `port ${port} on ${host} is in use: stop what listens there (ss -ltnp 'sport = :${port}' names it)${otherwise}`,
  );
}

/** Throws when the control plane of a cluster without real nodes is to start and something else has its port. */
export async function requirePort(layout: ClusterLayout, state: ClusterState): Promise<void> {
  if (state.nodes.length > 0 || readProcess(serverPidFile(layout, state)) !== undefined) return;
  if (!(await canListen(state.apiHost, state.apiPort))) throw portTaken(state.apiHost, state.apiPort, '');
}

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

/** Gives the cluster its folders, link and machines; what is there is kept. */
export async function makeMachines(layout: ClusterLayout, state: ClusterState): Promise<void> {
  makeDirectorySync(layout.runDir, 0o711);
  makeDirectorySync(layout.logDir, 0o700);
  if (state.nodes.length === 0) return;
  await makeLink(state);
  for (const node of state.nodes.slice(0, 1)) await keepNamespaceFolder(nodeLayout(layout, node.name));
  await Promise.all(
    state.nodes.filter((node) => !node.stopped).map((node) => makeNode(state, node, nodeLayout(layout, node.name))),
  );
}

/** Stops every process of the cluster and gives back links, namespaces and cgroups. Data stay. */
export async function stopCluster(clock: Clock, layout: ClusterLayout, state: ClusterState | undefined): Promise<void> {
  const nodes = state?.nodes ?? [];
  leaveUnsupervised(layout);
  await Promise.all(nodes.map((node) => stopProcess(clock, join(nodeLayout(layout, node.name).runDir, 'agent.pid'))));
  await stopProcess(clock, serverPidFile(layout, state));
  for (const node of nodes) await cutPower(clock, nodeLayout(layout, node.name));
  const [first] = nodes;
  if (first !== undefined) {
    await removeNamespaceFolder(nodeLayout(layout, first.name));
    await removeLink(layout);
    removeCgroup(`/k8ts/${layout.name}`);
    dropEmptyCgroup('/k8ts');
  }
  rmSync(layout.runDir, { recursive: true, force: true });
  removeMountPoints();
}

/** Where the control plane's process is noted: on its node, whose power cut ends it too, or beside the cluster without real nodes. */
export function serverPidFile(layout: ClusterLayout, state: ClusterState | undefined): string {
  const master = state?.nodes.find((one) => one.controlPlane);
  return join(master === undefined ? layout.runDir : nodeLayout(layout, master.name).runDir, 'server.pid');
}

export function changeNode(
  layout: ClusterLayout,
  state: ClusterState,
  name: string,
  change: Partial<NodeState> | 'remove',
): ClusterState {
  const nodes =
    change === 'remove'
      ? state.nodes.filter((one) => one.name !== name)
      : state.nodes.map((one) => (one.name === name ? { ...one, ...change } : one));
  const next = { ...state, nodes };
  writeState(layout, next);
  return next;
}

export function requireState(layout: ClusterLayout): ClusterState {
  const state = readState(layout);
  if (state === undefined) {
    throw new CodedError(
      'NoCluster',
      `there is no cluster ${layout.name}: k8ts up --name ${layout.name} makes one, k8ts list shows those that exist`,
    );
  }
  return state;
}

export function requireNode(state: ClusterState, name: string): NodeState {
  const node = state.nodes.find((one) => one.name === name);
  if (node === undefined) {
    const names = state.nodes.map((one) => one.name).join(', ') || 'no real node';
    throw new CodedError('NoNode', `cluster ${state.name} has no node ${name}; it has ${names}`);
  }
  return node;
}
