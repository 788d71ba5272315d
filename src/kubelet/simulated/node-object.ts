import { type Clock, rfc3339 } from '#base';
import type { NewObject, Node, NodeCondition } from '#api';

export interface SimulatedNodeShape {
  /** Default 32 CPUs, 256 Gi of memory, 110 pods. */
  readonly capacity?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly taints?: NonNullable<Node['spec']['taints']>;
  readonly kubeletVersion?: string;
}

const defaultCapacity = { cpu: '32', memory: '256Gi', 'ephemeral-storage': '1Ti', pods: '110' };

const healthy: readonly (readonly [type: string, status: string, reason: string, message: string])[] = [
  ['MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
  ['DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
  ['PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
  ['Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'],
];

export function healthyConditions(clock: Clock, old: readonly NodeCondition[] = []): NodeCondition[] {
  const now = rfc3339(clock.nowMs());
  return healthy.map(([type, status, reason, message]) => {
    const present = old.find((one) => one.type === type);
    const lastTransitionTime = present?.status === status ? (present.lastTransitionTime ?? now) : now;
    return { type, status, lastHeartbeatTime: now, lastTransitionTime, reason, message };
  });
}

/** The Node that a simulated kubelet registers. */
export function simulatedNode(name: string, address: string, clock: Clock, shape: SimulatedNodeShape): NewObject<Node> {
  const capacity = { ...defaultCapacity, ...shape.capacity };
  return {
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'k8ts.io/simulated': 'true',
        ...shape.labels,
      },
    },
    spec: shape.taints === undefined ? {} : { taints: [...shape.taints] },
    status: {
      capacity,
      allocatable: capacity,
      conditions: healthyConditions(clock),
      addresses: [
        { type: 'InternalIP', address },
        { type: 'Hostname', address: name },
      ],
      nodeInfo: {
        machineID: name,
        systemUUID: name,
        bootID: name,
        kernelVersion: 'simulated',
        osImage: 'simulated',
        containerRuntimeVersion: 'simulated://1.0.0',
        kubeletVersion: shape.kubeletVersion ?? 'v1.36.0',
        kubeProxyVersion: '',
        operatingSystem: 'linux',
        architecture: 'amd64',
      },
    },
  };
}
