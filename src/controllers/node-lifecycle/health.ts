import type { Lease, Node, NodeCondition } from '#api';
import { nodeCondition } from '#kinds';
import { deepEqual } from '#machinery';

/** When a node last gave a sign of life, on this process's monotonic clock. */
export interface HealthRecord {
  readonly heardMs: number;
  /** What was seen then: the lease's renewal and the Ready condition's heartbeat. */
  readonly renewTime: string | undefined;
  readonly heartbeat: string | undefined;
}

const watched = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'] as const;

/** The record after a look at the node and its lease: heard now when either has moved. */
export function observeHealth(
  record: HealthRecord | undefined,
  node: Node,
  lease: Lease | undefined,
  nowMs: number,
): HealthRecord {
  const renewTime = lease?.spec.renewTime;
  const heartbeat = nodeCondition(node, 'Ready')?.lastHeartbeatTime;
  if (record !== undefined && record.renewTime === renewTime && record.heartbeat === heartbeat) return record;
  const onlyLost = record !== undefined && renewTime === undefined && record.heartbeat === heartbeat;
  return { heardMs: onlyLost ? record.heardMs : nowMs, renewTime, heartbeat };
}

/** How long a node may be silent: longer when it has never reported a Ready condition. */
export function graceOf(node: Node, grace: { readonly graceMs: number; readonly startupMs: number }): number {
  return nodeCondition(node, 'Ready') === undefined ? grace.startupMs : grace.graceMs;
}

/** The conditions of a node that has been silent too long: all unknown. Undefined when they say so already. */
export function planUnknown(node: Node, now: string): NodeCondition[] | undefined {
  const conditions = [...(node.status?.conditions ?? [])];
  for (const type of watched) {
    const at = conditions.findIndex((one) => one.type === type);
    const present = conditions[at];
    if (present === undefined) {
      conditions.push({
        type,
        status: 'Unknown',
        reason: 'NodeStatusNeverUpdated',
        message: 'Kubelet never posted node status.',
        lastHeartbeatTime: node.metadata.creationTimestamp,
        lastTransitionTime: now,
      });
    } else if (present.status !== 'Unknown') {
      conditions[at] = {
        ...present,
        status: 'Unknown',
        reason: 'NodeStatusUnknown',
        message: 'Kubelet stopped posting node status.',
        lastTransitionTime: now,
      };
    }
  }
  return deepEqual(conditions, node.status?.conditions) ? undefined : conditions;
}
