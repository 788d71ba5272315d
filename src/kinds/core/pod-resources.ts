import type { Pod, PodSpec, ResourceRequirements } from '#api';
import { addQuantities, compareQuantities } from '#machinery';

type ResourceList = Record<string, string>;
type Side = 'requests' | 'limits';

/**
 * What a pod asks for, by resource name, as quantities: the larger of its running containers together and of any moment of its
 * initialisation (an init container beside the sidecars that started before it), pod-level resources first, overhead on top.
 */
export function podRequests(pod: Pod): ResourceList {
  return podTotal(pod, 'requests');
}

/** The same for limits. A resource that any container leaves unlimited is absent only if no container limits it. */
export function podLimits(pod: Pod): ResourceList {
  return podTotal(pod, 'limits');
}

function podTotal(pod: Pod, side: Side): ResourceList {
  const spec = pod.spec;
  const total = containersTotal(spec, side);
  for (const [name, amount] of Object.entries(spec?.resources?.[side] ?? {})) total[name] = amount;
  for (const [name, amount] of Object.entries(spec?.overhead ?? {}))
    if (side === 'requests' || Object.hasOwn(total, name)) addTo(total, name, amount);
  return total;
}

/** The same without pod-level resources and overhead. */
export function containersRequests(pod: Pod): ResourceList {
  return containersTotal(pod.spec, 'requests');
}

function containersTotal(spec: PodSpec | undefined, side: Side): ResourceList {
  const total: ResourceList = {};
  for (const container of spec?.containers ?? []) addList(total, container.resources, side);
  const sidecars: ResourceList = {};
  const peak: ResourceList = {};
  for (const container of spec?.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      addList(total, container.resources, side);
      addList(sidecars, container.resources, side);
      raiseTo(peak, sidecars);
    } else {
      const moment = { ...sidecars };
      addList(moment, container.resources, side);
      raiseTo(peak, moment);
    }
  }
  raiseTo(total, peak);
  return total;
}

function addList(total: ResourceList, resources: ResourceRequirements | undefined, side: Side): void {
  for (const [name, amount] of Object.entries(resources?.[side] ?? {})) addTo(total, name, amount);
}

function addTo(total: ResourceList, name: string, amount: string): void {
  const before = Object.hasOwn(total, name) ? total[name] : undefined;
  total[name] = before === undefined ? amount : addQuantities(before, amount);
}

function raiseTo(total: ResourceList, floor: ResourceList): void {
  for (const [name, amount] of Object.entries(floor)) {
    const before = Object.hasOwn(total, name) ? total[name] : undefined;
    if (before === undefined || compareQuantities(before, amount) < 0) total[name] = amount;
  }
}

const qosResources = ['cpu', 'memory'];

/** Guaranteed: every container limits CPU and memory and requests just that; BestEffort: none asks for either; else Burstable. */
export function podQosClass(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const whole = pod.spec?.resources;
  const lists: readonly (ResourceRequirements | undefined)[] =
    whole?.requests != null || whole?.limits != null
      ? [whole]
      : [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].map((one) => one.resources);
  let some = false;
  let guaranteed = true;
  for (const resources of lists) {
    for (const name of qosResources) {
      const request = positive(resources?.requests, name);
      const limit = positive(resources?.limits, name);
      if (request !== undefined || limit !== undefined) some = true;
      if (limit === undefined || (request !== undefined && compareQuantities(request, limit) !== 0)) guaranteed = false;
    }
  }
  if (!some) return 'BestEffort';
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function positive(list: ResourceList | undefined, name: string): string | undefined {
  const amount = list !== undefined && Object.hasOwn(list, name) ? list[name] : undefined;
  return amount !== undefined && compareQuantities(amount, '0') > 0 ? amount : undefined;
}
