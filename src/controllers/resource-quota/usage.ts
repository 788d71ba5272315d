import type { AnyObject, Container, PersistentVolumeClaim, Pod, ResourceQuota, Service } from '#api';
import { isPodTerminal } from '#kinds';
import { addQuantities, canonicalQuantity, compareQuantities } from '#machinery';

export type Amounts = Record<string, string>;

function add(into: Amounts, name: string, amount: string): void {
  into[name] = into[name] === undefined ? canonicalQuantity(amount) : addQuantities(into[name], amount);
}

function raise(into: Amounts, from: Amounts): void {
  for (const [name, amount] of Object.entries(from)) {
    if (into[name] === undefined || compareQuantities(into[name], amount) < 0) into[name] = amount;
  }
}

type Kind = 'requests' | 'limits';

/** What a pod asks for: its containers together, or an init container that needs more at its time; overhead on top. */
export function podResources({ spec }: Pod, kind: Kind): Amounts {
  const of = (container: Container): Amounts => container.resources?.[kind] ?? {};
  const total: Amounts = {};
  for (const container of spec.containers)
    for (const [name, amount] of Object.entries(of(container))) add(total, name, amount);
  const peak: Amounts = {};
  const sidecars: Amounts = {};
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      for (const [name, amount] of Object.entries(of(container))) {
        add(total, name, amount);
        add(sidecars, name, amount);
      }
      raise(peak, sidecars);
    } else {
      const together: Amounts = { ...sidecars };
      for (const [name, amount] of Object.entries(of(container))) add(together, name, amount);
      raise(peak, together);
    }
  }
  raise(total, peak);
  for (const [name, amount] of Object.entries(spec.resources?.[kind] ?? {})) total[name] = canonicalQuantity(amount);
  for (const [name, amount] of Object.entries(spec.overhead ?? {}))
    if (kind === 'requests' || total[name] !== undefined) add(total, name, amount);
  return total;
}

const plain = new Set(['cpu', 'memory', 'ephemeral-storage']);

/** A pod in the names that a quota's `hard` uses. A finished pod uses only its count. */
export function podUsage(pod: Pod): Amounts {
  const usage: Amounts = { 'count/pods': '1' };
  if (isPodTerminal(pod)) return usage;
  usage.pods = '1';
  for (const [name, amount] of Object.entries(podResources(pod, 'requests'))) {
    usage[`requests.${name}`] = amount;
    if (plain.has(name) || name.startsWith('hugepages-')) usage[name] = amount;
  }
  for (const [name, amount] of Object.entries(podResources(pod, 'limits')))
    if (plain.has(name)) usage[`limits.${name}`] = amount;
  return usage;
}

export function claimUsage({ spec }: PersistentVolumeClaim): Amounts {
  const usage: Amounts = { persistentvolumeclaims: '1', 'count/persistentvolumeclaims': '1' };
  const storage = spec.resources?.requests?.storage;
  if (storage !== undefined) usage['requests.storage'] = canonicalQuantity(storage);
  if (!spec.storageClassName) return usage;
  const prefix = `${spec.storageClassName}.storageclass.storage.k8s.io/`;
  usage[`${prefix}persistentvolumeclaims`] = '1';
  if (storage !== undefined) usage[`${prefix}requests.storage`] = canonicalQuantity(storage);
  return usage;
}

export function serviceUsage({ spec }: Service): Amounts {
  const usage: Amounts = { services: '1', 'count/services': '1' };
  const ports = (spec.ports ?? []).length;
  if (spec.type === 'NodePort') usage['services.nodeports'] = String(ports);
  if (spec.type === 'LoadBalancer') {
    usage['services.loadbalancers'] = '1';
    usage['services.nodeports'] =
      spec.allocateLoadBalancerNodePorts === false
        ? String((spec.ports ?? []).filter((one) => one.nodePort).length)
        : String(ports);
  }
  return usage;
}

function isBestEffort({ spec }: Pod): boolean {
  return [...spec.containers, ...(spec.initContainers ?? [])].every(({ resources }) =>
    [resources?.requests, resources?.limits].every((list) =>
      ['cpu', 'memory'].every((name) => list?.[name] === undefined),
    ),
  );
}

/** Whether a quota's scopes take the pod in. */
export function inScope(quota: ResourceQuota, pod: Pod): boolean {
  const terms = [
    ...(quota.spec.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists', values: [] as string[] })),
    ...(quota.spec.scopeSelector?.matchExpressions ?? []),
  ];
  return terms.every(({ scopeName, operator, values = [] }) => {
    switch (scopeName) {
      case 'Terminating':
        return pod.spec.activeDeadlineSeconds !== undefined;
      case 'NotTerminating':
        return pod.spec.activeDeadlineSeconds === undefined;
      case 'BestEffort':
        return isBestEffort(pod);
      case 'NotBestEffort':
        return !isBestEffort(pod);
      case 'PriorityClass': {
        const name = pod.spec.priorityClassName;
        if (operator === 'Exists') return name !== undefined && name !== '';
        if (operator === 'DoesNotExist') return !name;
        return operator === 'In' ? values.includes(name ?? '') : !values.includes(name ?? '');
      }
      case 'CrossNamespacePodAffinity':
        return crossesNamespaces(pod);
      default:
        return false;
    }
  });
}

function crossesNamespaces({ spec }: Pod): boolean {
  const terms = [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity].flatMap((one) => [
    ...(one?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(one?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((weighted) => weighted.podAffinityTerm),
  ]);
  return terms.some((term) => (term?.namespaces ?? []).length > 0 || term?.namespaceSelector !== undefined);
}

/** The sum over objects of the names that a quota limits; names nobody uses are zero. */
export function usedOf(hard: Readonly<Record<string, string>>, usages: Iterable<Amounts>): Amounts {
  const used: Amounts = {};
  for (const name of Object.keys(hard)) used[name] = '0';
  for (const usage of usages) {
    for (const [name, amount] of Object.entries(usage)) if (Object.hasOwn(used, name)) add(used, name, amount);
  }
  return used;
}

/** `count/deployments.apps`, `count/secrets`: the resource that a name of a quota counts. */
export function countedResource(name: string): { plural: string; group: string } | undefined {
  const old = new Map([
    ['configmaps', 'configmaps'],
    ['secrets', 'secrets'],
    ['replicationcontrollers', 'replicationcontrollers'],
    ['resourcequotas', 'resourcequotas'],
  ]).get(name);
  if (old !== undefined) return { plural: old, group: '' };
  if (!name.startsWith('count/')) return undefined;
  const [plural = '', ...group] = name.slice('count/'.length).split('.');
  return { plural, group: group.join('.') };
}

export const countUsage = (name: string, objects: readonly AnyObject[]): Amounts => ({
  [name]: String(objects.length),
});
