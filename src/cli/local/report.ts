import { join } from 'node:path';
import {
  apiUrl,
  type ClusterLayout,
  type ClusterState,
  nodeAddress,
  nodeLayout,
  readProcess,
  residentBytes,
  serverPidFile,
  supervisorPidFile,
} from '#admin';

export interface ProcessReport {
  readonly name: string;
  readonly node: string;
  readonly pid: number;
  readonly residentBytes: number;
}

export interface ClusterReport {
  readonly name: string;
  readonly status: 'running' | 'partly' | 'stopped';
  readonly api: string;
  readonly createdAt: string;
  readonly dataDir: string;
  readonly isolated: boolean;
  readonly simulated: number;
  readonly nodes: readonly {
    readonly name: string;
    readonly address: string;
    readonly status: 'running' | 'stopped' | 'dead';
  }[];
  readonly processes: readonly ProcessReport[];
}

/** What of a cluster runs on this machine, from its files and processes alone. */
export function reportOf(layout: ClusterLayout, state: ClusterState): ClusterReport {
  const processes: ProcessReport[] = [];
  const note = (name: string, node: string, pidFile: string): boolean => {
    const record = readProcess(pidFile);
    if (record !== undefined) processes.push({ name, node, pid: record.pid, residentBytes: residentBytes(record.pid) });
    return record !== undefined;
  };
  const master = state.nodes.find((one) => one.controlPlane)?.name ?? '';
  const serverRuns = note('server', master, serverPidFile(layout, state));
  const nodes = state.nodes.map((node) => {
    const own = nodeLayout(layout, node.name);
    const agentRuns = note('agent', node.name, join(own.runDir, 'agent.pid'));
    const runtimeRuns = note('containerd', node.name, join(own.runDir, 'containerd', 'containerd.pid'));
    note('ingress', node.name, join(own.runDir, 'ingress.pid')); // only while there are Ingresses
    const status =
      agentRuns && runtimeRuns ? 'running' : node.stopped || (!agentRuns && !runtimeRuns) ? 'stopped' : 'dead';
    return { name: node.name, address: nodeAddress(state, node), status } as const;
  });
  note('supervisor', master, supervisorPidFile(layout));
  const wholly = serverRuns && nodes.every((one) => one.status === 'running');
  return {
    name: state.name,
    status: wholly ? 'running' : processes.length > 0 ? 'partly' : 'stopped',
    api: apiUrl(state),
    createdAt: state.createdAt,
    dataDir: layout.dataDir,
    isolated: state.isolated,
    simulated: state.simulate,
    nodes,
    processes,
  };
}
