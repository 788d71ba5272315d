import { rfc3339 } from '#base';
import type { NodeCondition } from '#api';
import type { NodePressure } from '../eviction/plan-eviction.ts';
import type { RuntimeCondition } from '../cri/contract.ts';

export interface NodeHealth extends NodePressure {
  /** The runtime's conditions; undefined while it does not answer. */
  readonly runtime: readonly RuntimeCondition[] | undefined;
  readonly runtimeError: string | undefined;
}

/** The node's conditions, in upstream's order and words. A transition time moves only when the status does. */
export function nodeConditions(health: NodeHealth, old: readonly NodeCondition[], nowMs: number): NodeCondition[] {
  const notReady = readinessProblems(health);
  const found: Omit<NodeCondition, 'lastHeartbeatTime' | 'lastTransitionTime'>[] = [
    health.memoryPressure
      ? {
          type: 'MemoryPressure',
          status: 'True',
          reason: 'KubeletHasInsufficientMemory',
          message: 'kubelet has insufficient memory available',
        }
      : {
          type: 'MemoryPressure',
          status: 'False',
          reason: 'KubeletHasSufficientMemory',
          message: 'kubelet has sufficient memory available',
        },
    health.diskPressure
      ? { type: 'DiskPressure', status: 'True', reason: 'KubeletHasDiskPressure', message: 'kubelet has disk pressure' }
      : {
          type: 'DiskPressure',
          status: 'False',
          reason: 'KubeletHasNoDiskPressure',
          message: 'kubelet has no disk pressure',
        },
    health.pidPressure
      ? {
          type: 'PIDPressure',
          status: 'True',
          reason: 'KubeletHasInsufficientPID',
          message: 'kubelet has insufficient PID available',
        }
      : {
          type: 'PIDPressure',
          status: 'False',
          reason: 'KubeletHasSufficientPID',
          message: 'kubelet has sufficient PID available',
        },
    notReady.length === 0
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: notReady.join(', ') },
  ];
  const stamp = rfc3339(nowMs);
  return found.map((condition) => {
    const before = old.find(({ type }) => type === condition.type);
    const lastTransitionTime = before?.status === condition.status ? (before.lastTransitionTime ?? stamp) : stamp;
    return { ...condition, lastHeartbeatTime: stamp, lastTransitionTime };
  });
}

function readinessProblems({ runtime, runtimeError }: NodeHealth): string[] {
  if (runtime === undefined)
    return [`container runtime is down${runtimeError === undefined ? '' : `: ${runtimeError}`}`];
  const problems: string[] = [];
  for (const { type, status, reason, message } of runtime) {
    if (status) continue;
    if (type === 'RuntimeReady')
      problems.push(`container runtime not ready: RuntimeReady=false reason:${reason} message:${message}`);
    if (type === 'NetworkReady')
      problems.push(`container runtime network not ready: NetworkReady=false reason:${reason} message:${message}`);
  }
  return problems;
}
