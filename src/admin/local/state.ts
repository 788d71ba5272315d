import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CodedError, makeDirectorySync } from '#base';
import type { ClusterLayout } from './layout.ts';

/** What `up` decided for a cluster and every later command reads: the file cluster.json in its data folder. */
export interface ClusterState {
  readonly format: 1;
  readonly name: string;
  readonly createdAt: string;
  /** Third number of the nodes' link 172.29.N.0/24; absent when the cluster has no real nodes. */
  readonly link?: number;
  readonly apiHost: string;
  readonly apiPort: number;
  readonly isolated: boolean;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly clusterDomain: string;
  readonly simulate: number;
  readonly nodes: readonly NodeState[];
  /** `none`: pods get their network from a manifest that the user applies. */
  readonly cni?: 'none';
  /** How pods of other nodes are reached; absent: auto. */
  readonly networkMode?: 'routes' | 'vxlan';
  /** Wishes for the control plane; absent: none. */
  readonly keeping?: ClusterKeeping;
}

/** What a control plane keeps beside its objects. */
export interface ClusterKeeping {
  readonly historyMs?: number;
  readonly snapshots?: { readonly everyMs: number; readonly keep: number; readonly dir?: string };
  readonly audit?: ClusterAudit;
  /** Requests that take so long are logged; 0: each is. Default 1,000. */
  readonly slowRequestMs?: number;
}

/** How requests to the API are recorded. */
export interface ClusterAudit {
  /** Absent: audit.log among the cluster's logs. */
  readonly logPath?: string;
  /** SHA-256 of the policy, which lies in the data folder; absent: metadata of every request. */
  readonly policy?: string;
  readonly maxSizeMib?: number;
  readonly maxBackups?: number;
  readonly maxAgeDays?: number;
}

export interface NodeState {
  readonly name: string;
  /** Its place on the link: address 172.29.N.(10+index). */
  readonly index: number;
  readonly controlPlane: boolean;
  /** Power cut by `node stop`: stays so until `node start` (or `up`). */
  readonly stopped: boolean;
}

export function nodeAddress(state: Pick<ClusterState, 'link'>, node: Pick<NodeState, 'index'>): string {
  return `172.29.${state.link}.${10 + node.index}`;
}

export function readState(layout: ClusterLayout): ClusterState | undefined {
  let text: string;
  try {
    text = readFileSync(layout.stateFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const state = JSON.parse(text) as ClusterState;
    if (state.format !== 1) throw new Error(`format ${state.format}`);
    return state;
  } catch (error) {
    throw new CodedError(
      'StateUnreadable',
      `${layout.stateFile} is not a cluster description of this version: restore it, or remove the cluster with k8ts down --delete --name ${layout.name}`,
      { cause: error },
    );
  }
}

export function writeState(layout: ClusterLayout, state: ClusterState): void {
  makeDirectorySync(dirname(layout.stateFile), 0o700);
  const part = `${layout.stateFile}.part`;
  writeFileSync(part, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(part, layout.stateFile);
}
