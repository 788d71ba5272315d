import type { ClusterState } from './state/cluster-state.ts';
import type { NodeInfo } from './state/node-info.ts';
import type { PodInfo } from './state/pod-info.ts';

/** Why a pod cannot go to a node. The same reason is the same object wherever it can be. */
export interface Refusal {
  readonly plugin: string;
  /** As users see them in events, e.g. `Insufficient cpu`. */
  readonly reasons: readonly string[];
  /** Removing pods from the node would not help. */
  readonly unresolvable: boolean;
}

/** What happened in the cluster, for waking pods that were refused. */
export type ClusterEvent =
  | 'NodeAdd'
  | 'NodeUpdate'
  | 'AssignedPodAdd'
  | 'AssignedPodUpdate'
  | 'AssignedPodDelete'
  | 'ClaimChange'
  | 'VolumeChange'
  | 'StorageClassChange'
  | 'NamespaceChange';

/** A filter that looks beyond one node, opened for one pod's scheduling cycle. */
export interface CycleFilter {
  filter(node: NodeInfo): Refusal | undefined;
  /** As if `pod` had come to (1) or gone from (-1) the node: preemption tries what-ifs this way, and undoes them. */
  adjust(pod: PodInfo, node: NodeInfo, by: 1 | -1): void;
}

export interface CycleScore {
  /** Any number; higher is better after `normalize`. */
  score(node: NodeInfo): number;
  /** Turns the raw scores of the nodes, in place, into 0 to 100. */
  normalize?(scores: Float64Array, nodes: readonly NodeInfo[]): void;
}

/**
 * One reason for or against a node. `filter` and `score` look at the pod's shape and this node alone, so their verdicts are
 * kept until the node changes; `openFilter` and `openScore` look at the whole cluster, once a cycle.
 */
export interface SchedulingPlugin {
  readonly name: string;
  readonly filter?: (pod: PodInfo, node: NodeInfo) => Refusal | undefined;
  /** Undefined: nothing to say about this pod. A refusal: no node at all will do. */
  readonly openFilter?: (pod: PodInfo, cluster: ClusterState) => CycleFilter | Refusal | undefined;
  readonly weight?: number;
  /** 0 to 100 (or any count from 0 up when `normalize` is set). */
  readonly score?: (pod: PodInfo, node: NodeInfo, cluster: ClusterState) => number;
  /** `share`: the best raw score becomes 100; `inverse`: the best becomes 0. */
  readonly normalize?: 'share' | 'inverse';
  readonly openScore?: (pod: PodInfo, cluster: ClusterState, feasible: readonly NodeInfo[]) => CycleScore | undefined;
  /** What may make a refused pod schedulable again. */
  readonly events: readonly ClusterEvent[];
}

export function definePlugin(plugin: SchedulingPlugin): SchedulingPlugin {
  return Object.freeze(plugin);
}

export function refusal(plugin: string, reason: string, unresolvable = false): Refusal {
  return Object.freeze({ plugin, reasons: Object.freeze([reason]), unresolvable });
}

export function isRefusal(one: CycleFilter | Refusal): one is Refusal {
  return 'reasons' in one;
}

/** A pod's own events, plus all that concern its being on a node. */
export const podEvents: readonly ClusterEvent[] = ['AssignedPodAdd', 'AssignedPodUpdate', 'AssignedPodDelete'];
export const nodeEvents: readonly ClusterEvent[] = ['NodeAdd', 'NodeUpdate'];
