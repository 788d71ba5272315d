import type { Container, EphemeralContainer, Pod } from '#api';
import { quantityMilli, quantityValue } from '#machinery';
import type { LinuxResources } from '../cri/contract.ts';
import { allContainers, isSidecar } from './containers.ts';
import { podQos } from './qos.ts';

const periodMicros = 100_000;
const fewestShares = 2;
const mostShares = 262_144;
const smallestQuota = 1000;

/** cpu.shares of cgroup v1 for a request in thousandths of a core. */
export function cpuShares(milli: number): number {
  return milli <= 0 ? fewestShares : Math.min(mostShares, Math.max(fewestShares, Math.floor((milli * 1024) / 1000)));
}

/** CFS quota in microseconds of a 100 ms period for a limit in thousandths of a core. */
export function cpuQuota(milli: number): number {
  return Math.max(smallestQuota, Math.floor((milli * periodMicros) / 1000));
}

/**
 * How eagerly the kernel kills a container of this pod when memory runs out: Guaranteed -997, BestEffort 1000, Burstable between,
 * the lower the larger its share of the node's memory that it asked for.
 */
export function oomScoreAdj(pod: Pod, container: Container | EphemeralContainer, memoryBytes: number): number {
  if (pod.spec?.priorityClassName === 'system-node-critical') return -997;
  const qos = podQos(pod);
  if (qos === 'Guaranteed') return -997;
  if (qos === 'BestEffort') return 1000;
  const request = quantityValue(container.resources?.requests?.memory ?? '0');
  const score = 1000 - Math.floor((1000 * request) / Math.max(1, memoryBytes));
  return Math.min(999, Math.max(3, score));
}

export function containerResources(
  pod: Pod,
  container: Container | EphemeralContainer,
  memoryBytes: number,
): LinuxResources {
  const { requests = {}, limits = {} } = container.resources ?? {};
  const cpuLimit = quantityMilli(limits.cpu ?? '0');
  const memoryLimit = quantityValue(limits.memory ?? '0');
  return {
    cpu_shares: cpuShares(quantityMilli(requests.cpu ?? limits.cpu ?? '0')),
    cpu_period: periodMicros,
    ...(cpuLimit > 0 ? { cpu_quota: cpuQuota(cpuLimit) } : {}),
    ...(memoryLimit > 0 ? { memory_limit_in_bytes: memoryLimit } : {}),
    oom_score_adj: oomScoreAdj(pod, container, memoryBytes),
  };
}

/** Limits of the pod's own cgroup; an undefined limit is none. */
export interface PodLimits {
  readonly cpuShares: number;
  readonly cpuQuota?: number;
  readonly cpuPeriod: number;
  readonly memoryBytes?: number;
}

/** A pod is limited as a whole only when each of its containers is (or it names limits of its own). */
export function podLimits(pod: Pod): PodLimits {
  const request = podAmount(pod, 'cpu', 'requests', quantityMilli);
  const cpu = podAmount(pod, 'cpu', 'limits', quantityMilli);
  const memory = podAmount(pod, 'memory', 'limits', quantityValue);
  return {
    cpuShares: cpuShares(request.total),
    cpuPeriod: periodMicros,
    ...(cpu.complete && cpu.total > 0 ? { cpuQuota: cpuQuota(cpu.total) } : {}),
    ...(memory.complete && memory.total > 0 ? { memoryBytes: memory.total } : {}),
  };
}

/** Sum over what runs side by side, or the largest init container with the sidecars before it, whichever is more. */
export function podAmount(
  pod: Pod,
  resource: string,
  list: 'requests' | 'limits',
  measure: (quantity: string) => number,
): { readonly total: number; readonly complete: boolean } {
  const own = pod.spec?.resources?.[list]?.[resource];
  const overhead = measure(pod.spec?.overhead?.[resource] ?? '0');
  if (own !== undefined) return { total: measure(own) + overhead, complete: true };
  let complete = true;
  let regular = 0;
  let sidecars = 0;
  let highestInit = 0;
  for (const container of allContainers(pod)) {
    if (container.kind === 'ephemeral') continue;
    const resources = container.spec.resources;
    const quantity = resources?.[list]?.[resource] ?? (list === 'requests' ? resources?.limits?.[resource] : undefined);
    if (quantity === undefined) complete = false;
    const amount = measure(quantity ?? '0');
    if (container.kind === 'regular') regular += amount;
    else if (isSidecar(container)) sidecars += amount;
    else highestInit = Math.max(highestInit, sidecars + amount);
  }
  return { total: Math.max(regular + sidecars, highestInit) + overhead, complete };
}
