import { rfc3339 } from '#base';
import type { ContainerStatus, Pod, PodStatus } from '#api';
import { containerStatusOf, type WaitingReason } from './container-status.ts';
import { condition, podConditions } from './conditions.ts';
import { allContainers } from './containers.ts';
import { podPhase } from './phase.ts';
import type { ContainerHealth } from './plan.ts';
import { podQos } from './qos.ts';
import { currentSandbox, type ObservedContainer, type PodRuntime } from './runtime-state.ts';

export interface StatusInput {
  readonly pod: Pod;
  readonly runtime: PodRuntime;
  readonly nodeIps: readonly string[];
  readonly nowMs: number;
  readonly runtimeName: string;
  readonly health: (container: ObservedContainer) => ContainerHealth & { readonly ready: boolean };
  readonly waiting: ReadonlyMap<string, WaitingReason>;
  readonly terminationMessage: (container: ObservedContainer) => string;
  /** Nothing will be started again: the pod is deleted, evicted, past its deadline, or done. */
  readonly ending: boolean;
  /** A verdict of the kubelet itself (DeadlineExceeded, Evicted, OutOfcpu …): the phase is Failed. */
  readonly verdict?: { readonly reason: string; readonly message: string };
}

/** The status the kubelet owes the API for a pod: a pure function of what was observed. */
export function podStatus(input: StatusInput): PodStatus {
  const { pod, runtime, nodeIps, nowMs, verdict } = input;
  const statuses = new Map<string, ContainerStatus>();
  const lists: Record<'init' | 'regular' | 'ephemeral', ContainerStatus[]> = { init: [], regular: [], ephemeral: [] };
  const notStarted = verdict !== undefined && runtime.containers.length === 0 && !hasRun(pod.status);
  for (const container of allContainers(pod)) {
    const { waiting: reasons, ...common } = input;
    const status = containerStatusOf({ ...common, container, waiting: reasons.get(container.spec.name) });
    statuses.set(container.spec.name, status);
    lists[container.kind].push(status);
  }
  const old = pod.status;
  const settled = old?.phase === 'Failed' || old?.phase === 'Succeeded' ? old.phase : undefined;
  const phase = settled ?? (verdict !== undefined ? 'Failed' : podPhase(pod, statuses, input.ending));
  const sandbox = currentSandbox(runtime);
  const hostNetwork = pod.spec?.hostNetwork === true;
  const sandboxReady = sandbox?.ready === true && (hostNetwork || sandbox.ips.length > 0);
  const ips = podIps(input, sandbox?.ips ?? []);
  const conditions = podConditions({ pod, phase, statuses, sandboxReady, nowMs });
  const disrupted = verdict !== undefined && disruptionReasons.has(verdict.reason);
  return {
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    ...(verdict === undefined ? keptVerdict(old) : { reason: verdict.reason, message: verdict.message }),
    conditions: disrupted
      ? [
          ...conditions,
          condition({ pod, nowMs }, 'DisruptionTarget', {
            status: 'True',
            reason: 'TerminationByKubelet',
            message: verdict.message,
          }),
        ]
      : conditions,
    startTime: old?.startTime ?? rfc3339(nowMs),
    ...(nodeIps[0] === undefined ? {} : { hostIP: nodeIps[0], hostIPs: nodeIps.map((ip) => ({ ip })) }),
    ...(ips[0] === undefined ? {} : { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    qosClass: old?.qosClass ?? podQos(pod),
    ...(notStarted || lists.init.length === 0 ? {} : { initContainerStatuses: lists.init }),
    ...(notStarted ? {} : { containerStatuses: lists.regular }),
    ...(notStarted || lists.ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: lists.ephemeral }),
  };
}

/** Whether a container of the pod was ever seen to run. */
function hasRun(status: PodStatus | undefined): boolean {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return all.some(({ state }) => state?.running !== undefined || state?.terminated !== undefined);
}

const disruptionReasons = new Set(['Evicted', 'Preempting', 'Terminated', 'NodeShutdown']);

function keptVerdict(old: PodStatus | undefined): { reason?: string; message?: string } {
  return {
    ...(old?.reason === undefined ? {} : { reason: old.reason }),
    ...(old?.message === undefined ? {} : { message: old.message }),
  };
}

/** An ended pod keeps the addresses it had. */
function podIps(input: StatusInput, sandboxIps: readonly string[]): readonly string[] {
  const { pod, nodeIps, runtime } = input;
  if (pod.spec?.hostNetwork === true) return runtime.sandboxes.length > 0 || pod.status?.podIP ? nodeIps : [];
  if (sandboxIps.length > 0) return sandboxIps;
  return input.ending ? (pod.status?.podIPs ?? []).map(({ ip }) => ip) : [];
}
