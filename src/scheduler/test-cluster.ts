import { seededRandom } from '#base';
import type { Node, Pod } from '#api';
import type { LabelSelector } from '#machinery';
import { Decider, type Decision } from './decide.ts';
import { fitMessage } from './fit-error.ts';
import { schedulingPlugins } from './plugins/order.ts';
import { ClusterState } from './state/cluster-state.ts';
import { type PodInfo, PodShapes } from './state/pod-info.ts';
import type { VolumeCatalogue } from './volumes.ts';

/** For this room's tests: a cluster state with the real plugins, and short ways to fill and ask it. */
export interface TestState {
  readonly cluster: ClusterState;
  readonly decider: Decider;
  node(name: string, more?: NodeOptions): void;
  pod(name: string, more?: PodOptions): PodInfo;
  /** The same, already on a node. */
  on(node: string, name: string, more?: PodOptions): PodInfo;
  decide(pod: PodInfo): Decision;
  /** Names of the nodes that would take the pod, or the message of the refusal. */
  fits(pod: PodInfo): string[] | string;
}

export interface NodeOptions {
  readonly labels?: Record<string, string>;
  readonly allocatable?: Record<string, string>;
  readonly spec?: object;
  readonly images?: readonly { names: string[]; sizeBytes: number }[];
}

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly namespace?: string;
  readonly requests?: Record<string, string>;
  readonly priority?: number;
  readonly spec?: object;
  readonly meta?: object;
  readonly status?: object;
}

const noVolumes: VolumeCatalogue = {
  claim: () => undefined,
  volume: () => undefined,
  volumes: () => [],
  storageClass: () => undefined,
  driver: () => undefined,
  capacities: () => [],
  volumeLimit: () => undefined,
  promised: () => 0,
};

export function testState(options: { volumes?: VolumeCatalogue; ownSelector?: LabelSelector } = {}): TestState {
  const cluster = new ClusterState();
  const shapes = new PodShapes();
  const plugins = schedulingPlugins({
    ownSelector: () => options.ownSelector,
    volumes: options.volumes ?? noVolumes,
    takenVolumes: new Set(),
  });
  const decider = new Decider(cluster, plugins, seededRandom(1));
  let created = 0;
  const state: TestState = {
    cluster,
    decider,
    node(name, { labels = {}, allocatable = {}, spec = {}, images } = {}) {
      const node = {
        metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
        spec,
        status: {
          allocatable: { cpu: '4', memory: '8Gi', pods: '110', ...allocatable },
          ...(images ? { images } : {}),
        },
      };
      cluster.setNode(node as unknown as Node);
    },
    pod(
      name,
      { labels = {}, namespace = 'default', requests = {}, priority = 0, spec = {}, meta = {}, status = {} } = {},
    ) {
      const pod = {
        metadata: { name, namespace, uid: `uid-${name}-${created++}`, labels, ...meta },
        spec: { priority, containers: [{ name: 'c', image: 'app:1', resources: { requests } }], ...spec },
        status,
      };
      return shapes.info(pod as unknown as Pod);
    },
    on(node, name, more) {
      const info = state.pod(name, more);
      cluster.place(info, node);
      return info;
    },
    decide: (pod) => decider.decide(pod),
    fits(pod) {
      const names = new Set<string>();
      const failure = decider.decide(pod).failure;
      if (failure !== undefined) {
        const counts = new Map();
        for (const refusal of failure.refusals.values()) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
        return fitMessage(failure.nodes, failure.whole, counts);
      }
      for (const node of cluster.order) {
        const filters = [];
        for (const plugin of plugins) {
          const opened = plugin.openFilter?.(pod, cluster);
          if (opened !== undefined && 'filter' in opened) filters.push(opened);
        }
        if (decider.trialRefusal(pod, node, filters) === undefined) names.add(node.name);
      }
      return [...names].sort();
    },
  };
  return state;
}
