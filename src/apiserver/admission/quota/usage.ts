import type { AnyObject, PersistentVolumeClaim, Pod, Service } from '#api';
import { podLimits, podQosClass, podRequests } from '#kinds';
import { addQuantities } from '#machinery';

/** What one object counts for, by quota resource name. */
export type Usage = Record<string, string>;

const counted: ReadonlySet<string> = new Set([
  'configmaps',
  'persistentvolumeclaims',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'services',
  'pods',
]);
const plainRequests = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;
const limitNames: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage']);

/** Usage of an object of any kind; objects that run no more (pods that have ended) count only as objects. */
export function usageOf(resource: { readonly group: string; readonly plural: string }, object: AnyObject): Usage {
  const { group, plural } = resource;
  const usage: Usage = { [`count/${group === '' ? plural : `${plural}.${group}`}`]: '1' };
  if (group !== '') return usage;
  if (plural === 'pods') return Object.assign(usage, podUsage(object as unknown as Pod));
  if (counted.has(plural)) usage[plural] = '1';
  if (plural === 'services') Object.assign(usage, serviceUsage(object as unknown as Service));
  if (plural === 'persistentvolumeclaims') Object.assign(usage, claimUsage(object as unknown as PersistentVolumeClaim));
  return usage;
}

function podUsage(pod: Pod): Usage {
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return {};
  const usage: Usage = { pods: '1' };
  for (const [name, amount] of Object.entries(podRequests(pod))) {
    if (plainRequests.test(name)) usage[name] = amount;
    usage[`requests.${name}`] = amount;
  }
  for (const [name, amount] of Object.entries(podLimits(pod)))
    if (limitNames.has(name)) usage[`limits.${name}`] = amount;
  return usage;
}

function serviceUsage(service: Service): Usage {
  const ports = service.spec?.ports ?? [];
  const type = service.spec?.type;
  if (type === 'NodePort') return { 'services.nodeports': String(ports.length) };
  if (type !== 'LoadBalancer') return {};
  const nodePorts =
    service.spec?.allocateLoadBalancerNodePorts === false
      ? ports.filter((one) => (one.nodePort ?? 0) !== 0).length
      : ports.length;
  return { 'services.loadbalancers': '1', 'services.nodeports': String(nodePorts) };
}

function claimUsage(claim: PersistentVolumeClaim): Usage {
  const storage = claim.spec?.resources?.requests?.storage;
  const className =
    claim.metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? claim.spec?.storageClassName ?? '';
  const usage: Usage = storage === undefined ? {} : { 'requests.storage': storage };
  if (className === '') return usage;
  usage[`${className}.storageclass.storage.k8s.io/persistentvolumeclaims`] = '1';
  if (storage !== undefined) usage[`${className}.storageclass.storage.k8s.io/requests.storage`] = storage;
  return usage;
}

export interface QuotaScope {
  readonly scopeName: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

/** Whether an object is in a quota's scope. Only pods have scopes, and claims one by their attributes class. */
export function inScope(plural: string, object: AnyObject, scope: QuotaScope): boolean {
  if (scope.scopeName === 'VolumeAttributesClass') {
    const name = (object.spec as { volumeAttributesClassName?: string } | undefined)?.volumeAttributesClassName;
    return plural === 'persistentvolumeclaims' && matchesValue(name, scope);
  }
  if (plural !== 'pods') return false;
  const pod = object as unknown as Pod;
  switch (scope.scopeName) {
    case 'Terminating':
      return pod.spec?.activeDeadlineSeconds !== undefined;
    case 'NotTerminating':
      return pod.spec?.activeDeadlineSeconds === undefined;
    case 'BestEffort':
      return podQosClass(pod) === 'BestEffort';
    case 'NotBestEffort':
      return podQosClass(pod) !== 'BestEffort';
    case 'PriorityClass':
      return matchesValue(pod.spec?.priorityClassName || undefined, scope);
    case 'CrossNamespacePodAffinity':
      return crossesNamespaces(pod);
    default:
      return false;
  }
}

function matchesValue(value: string | undefined, { operator, values = [] }: QuotaScope): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'DoesNotExist':
      return value === undefined;
    default:
      return value !== undefined;
  }
}

function crossesNamespaces(pod: Pod): boolean {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap((one) => [
    ...(one?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(one?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((weighted) => weighted.podAffinityTerm),
  ]);
  return terms.some((term) => (term.namespaces ?? []).length > 0 || term.namespaceSelector !== undefined);
}

const mustBeNamed: ReadonlySet<string> = new Set([
  'cpu',
  'memory',
  'requests.cpu',
  'requests.memory',
  'limits.cpu',
  'limits.memory',
]);

/** `limits.cpu for: web; requests.cpu for: web,log`: what a pod must say because a quota counts it; '' when nothing is missing. */
export function missingAmounts(pod: Pod, hard: Iterable<string>): string {
  const missing = new Map<string, string[]>();
  for (const name of hard) {
    if (!mustBeNamed.has(name)) continue;
    const [side, resource] = name.startsWith('limits.')
      ? (['limits', name.slice(7)] as const)
      : (['requests', name.replace('requests.', '')] as const);
    if (pod.spec?.resources?.[side]?.[resource] !== undefined) continue;
    for (const container of [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]) {
      if (container.resources?.[side]?.[resource] === undefined)
        missing.set(name, [...(missing.get(name) ?? []), container.name]);
    }
  }
  return [...missing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, containers]) => `${name} for: ${containers.sort().join(',')}`)
    .join('; ');
}

/** a + b for each name of b. */
export function addUsage(a: Readonly<Usage>, b: Readonly<Usage>): Usage {
  const sum: Usage = { ...a };
  for (const [name, amount] of Object.entries(b))
    sum[name] = Object.hasOwn(sum, name) ? addQuantities(sum[name] as string, amount) : amount;
  return sum;
}
