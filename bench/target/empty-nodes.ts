import { type NewObject, type Node, type Pod, resource } from '#api';
import type { Client } from '#client';
import { until } from './api-target.ts';

const nodes = resource('v1', 'nodes');
const conditions = [
  ['MemoryPressure', 'False'],
  ['DiskPressure', 'False'],
  ['PIDPressure', 'False'],
  ['Ready', 'True'],
] as const;

/**
 * Nodes that nobody plays: registered, ready, empty. Room for 110 pods each, spread over three zones. A node is born tainted as not
 * ready; with `untaintedWithinMs` this resolves when the control plane has taken all those taints away.
 */
export async function createEmptyNodes(client: Client, count: number, untaintedWithinMs = 0): Promise<void> {
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) {
      const made = await client.create<Node>(nodes, emptyNode(i, now));
      if ((made.status?.conditions?.length ?? 0) < conditions.length)
        await client.patch<Node>(
          nodes,
          made.metadata.name,
          { type: 'merge', body: { status: emptyNode(i, now).status } },
          { subresource: 'status' },
        );
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  if (untaintedWithinMs === 0) return;
  const untainted = async (): Promise<boolean> => {
    const { items } = await client.list<Node>(nodes);
    return items.length >= count && items.every((node) => (node.spec.taints ?? []).length === 0);
  };
  await until(untainted, { limitMs: untaintedWithinMs, everyMs: 100, what: 'nodes without taints' });
}

function emptyNode(index: number, now: string): NewObject<Node> {
  const name = `node-${index}`;
  const capacity = { cpu: '32', memory: '256Gi', 'ephemeral-storage': '1Ti', pods: '110' };
  return {
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'topology.kubernetes.io/zone': `zone-${index % 3}`,
      },
    },
    spec: {},
    status: {
      capacity,
      allocatable: capacity,
      addresses: [{ type: 'InternalIP', address: `10.${100 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}` }],
      conditions: conditions.map(([type, status]) => ({
        type,
        status,
        lastHeartbeatTime: now,
        lastTransitionTime: now,
        reason: 'Bench',
        message: '',
      })),
    },
  };
}

/** A small pod without a volume of its own, as a Deployment would make it. */
export function smallPod(namespace: string): NewObject<Pod> {
  return {
    metadata: { generateName: 'pod-', namespace, labels: { app: 'bench' } },
    spec: {
      containers: [
        {
          name: 'main',
          image: 'registry.invalid/pause:1',
          resources: { requests: { cpu: '100m', memory: '64Mi' } },
        },
      ],
    },
  };
}
