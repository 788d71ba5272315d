import {
  type DiscoveryV1EndpointPort,
  type Endpoint,
  type EndpointHints,
  type EndpointSlice,
  type NewObject,
  type Node,
  type Pod,
  type Service,
  resource,
} from '#api';
import { isPodReady, isPodTerminal } from '#kinds';
import { controllerReference, deepEqual } from '#machinery';
import { portsOn } from './ports.ts';
import { divideEndpoints, dividesByZones, zoneOf } from './topology.ts';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
export const headlessLabel = 'service.kubernetes.io/headless';
export const managedBy = 'endpointslice-controller.k8s.io';
const mostEndpoints = 100;
const services = resource('v1', 'services');

export interface SlicePlanInput {
  readonly service: Service;
  readonly pods: readonly Pod[];
  readonly nodeOf: (name: string) => Node | undefined;
  /** Each zone's part of the processors, for a Service that divides its endpoints by it. */
  readonly zoneShares?: ReadonlyMap<string, number> | undefined;
  /** This controller's slices of the service. */
  readonly slices: readonly EndpointSlice[];
}

export interface SlicePlan {
  readonly create: readonly NewObject<EndpointSlice>[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

type AddressType = 'IPv4' | 'IPv6';

/** Endpoints with one list of ports. */
interface Group {
  readonly ports: readonly DiscoveryV1EndpointPort[];
  readonly endpoints: Map<string, Endpoint>;
}

/** The slices a service should have, with as few writes as possible: endpoints stay in the slice they are in. */
export function planSlices(input: SlicePlanInput): SlicePlan {
  const plan = {
    create: [] as NewObject<EndpointSlice>[],
    update: [] as EndpointSlice[],
    remove: [] as EndpointSlice[],
  };
  const types = addressTypes(input.service);
  for (const addressType of types) planFamily(input, addressType, plan);
  for (const slice of input.slices) if (!types.includes(slice.addressType as AddressType)) plan.remove.push(slice);
  return plan;
}

function addressTypes({ spec }: Service): AddressType[] {
  const families = spec.ipFamilies ?? [];
  if (families.length > 0) return families.map((one) => (one === 'IPv6' ? 'IPv6' : 'IPv4'));
  return [spec.clusterIP?.includes(':') ? 'IPv6' : 'IPv4'];
}

function planFamily(
  { service, pods, nodeOf, zoneShares, slices }: SlicePlanInput,
  addressType: AddressType,
  plan: { create: NewObject<EndpointSlice>[]; update: EndpointSlice[]; remove: EndpointSlice[] },
): void {
  const groups = groupPods(service, pods, addressType, nodeOf);
  if (dividesByZones(service)) hintByZones(groups, zoneShares);
  const mine = slices.filter((one) => one.addressType === addressType && one.metadata.deletionTimestamp === undefined);
  const before = plan.create.length;
  let kept = 0;
  for (const [key, group] of groups) {
    const present = mine.filter((slice) => portsKey(slice.ports) === key);
    kept += planGroup(service, addressType, group, present, plan);
  }
  const stale = mine.filter((slice) => !groups.has(portsKey(slice.ports)));
  if (kept === 0 && plan.create.length === before) {
    const placeholder = newSlice(service, addressType, [], []);
    const same = stale.find((slice) => isEmptySlice(slice) && sameLabels(slice, service));
    if (same === undefined) plan.create.push(placeholder);
    for (const slice of stale) if (slice !== same) plan.remove.push(slice);
  } else plan.remove.push(...stale);
}

const isEmptySlice = ({ endpoints, ports }: EndpointSlice): boolean =>
  (endpoints ?? []).length === 0 && (ports ?? []).length === 0;

/** Places one group's endpoints; returns how many slices it keeps or makes. */
function planGroup(
  service: Service,
  addressType: AddressType,
  { ports, endpoints }: Group,
  present: readonly EndpointSlice[],
  plan: { create: NewObject<EndpointSlice>[]; update: EndpointSlice[]; remove: EndpointSlice[] },
): number {
  const waiting = new Map(endpoints);
  const kept = present.map((slice) => {
    const left: Endpoint[] = [];
    let changed = !sameLabels(slice, service);
    for (const endpoint of slice.endpoints ?? []) {
      const key = endpointKey(endpoint);
      const wanted = waiting.get(key);
      waiting.delete(key);
      if (wanted === undefined) changed = true;
      else {
        if (!deepEqual(wanted, endpoint)) changed = true;
        left.push(wanted);
      }
    }
    return { slice, left, changed };
  });
  const fresh = [...waiting.values()];
  const roomy = kept.toSorted((a, b) => Number(b.changed) - Number(a.changed) || b.left.length - a.left.length);
  for (const one of roomy) {
    if (fresh.length === 0 || one.left.length >= mostEndpoints) continue;
    if (!one.changed && fresh.length > mostEndpoints - one.left.length) continue;
    one.left.push(...fresh.splice(0, mostEndpoints - one.left.length));
    one.changed = true;
  }
  let count = 0;
  for (const { slice, left, changed } of kept) {
    if (left.length === 0) plan.remove.push(slice);
    else {
      count++;
      if (changed)
        plan.update.push({ ...slice, metadata: { ...slice.metadata, labels: labelsOf(service) }, endpoints: left });
    }
  }
  while (fresh.length > 0) {
    count++;
    plan.create.push(newSlice(service, addressType, ports, fresh.splice(0, mostEndpoints)));
  }
  return count;
}

/** Hints by the zones' parts, in the place of any others. */
function hintByZones(groups: ReadonlyMap<string, Group>, shares: ReadonlyMap<string, number> | undefined): void {
  for (const { endpoints } of groups.values()) {
    const ready = [...endpoints].filter(([, one]) => one.conditions?.ready === true);
    const named = ready.map(([key, { zone }]) => ({ key, ...(zone === undefined ? {} : { zone }) }));
    const chosen = shares === undefined ? undefined : divideEndpoints(named, shares);
    for (const [key, { hints: _, ...endpoint }] of [...endpoints]) {
      const zone = chosen?.get(key);
      endpoints.set(key, zone === undefined ? endpoint : { ...endpoint, hints: { forZones: [{ name: zone }] } });
    }
  }
}

function groupPods(
  service: Service,
  pods: readonly Pod[],
  addressType: AddressType,
  nodeOf: SlicePlanInput['nodeOf'],
): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const pod of pods) {
    const address = addressOf(pod, addressType);
    if (address === undefined || isPodTerminal(pod)) continue;
    const ports = portsOn(pod, service);
    if (ports.length === 0 && (service.spec.ports ?? []).length > 0) continue;
    const key = portsKey(ports);
    const group = groups.get(key) ?? { ports, endpoints: new Map() };
    groups.set(key, group);
    const endpoint = endpointOf(pod, address, service, nodeOf);
    group.endpoints.set(endpointKey(endpoint), endpoint);
  }
  return groups;
}

/** The pod's address of a family. */
export function addressOf(pod: Pod, addressType: AddressType): string | undefined {
  const { podIP, podIPs = podIP ? [{ ip: podIP }] : [] } = pod.status ?? {};
  return podIPs.find(({ ip }) => ip?.includes(':') === (addressType === 'IPv6'))?.ip;
}

function endpointOf(pod: Pod, address: string, service: Service, nodeOf: SlicePlanInput['nodeOf']): Endpoint {
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating);
  const { nodeName, hostname, subdomain } = pod.spec;
  const node = nodeName ? nodeOf(nodeName) : undefined;
  const zone = node && zoneOf(node);
  const { namespace, name, uid } = pod.metadata;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(zone ? { zone } : {}),
    ...(ready ? hintsFor(service.spec.trafficDistribution, nodeName, zone) : {}),
  };
}

/**
 * For whom an endpoint is meant, by spec.trafficDistribution: clients of its own node, of its own zone. Nodes whose own hint nobody has
 * fall back on the zone's, and then on all.
 */
function hintsFor(
  distribution: string | undefined,
  nodeName: string | undefined,
  zone: string | undefined,
): { hints?: EndpointHints } {
  const sameNode = distribution === 'PreferSameNode';
  const sameZone = sameNode || distribution === 'PreferSameZone' || distribution === 'PreferClose';
  const hints = {
    ...(sameNode && nodeName ? { forNodes: [{ name: nodeName }] } : {}),
    ...(sameZone && zone ? { forZones: [{ name: zone }] } : {}),
  };
  return Object.keys(hints).length === 0 ? {} : { hints };
}

const endpointKey = ({ addresses, targetRef }: Endpoint): string => `${targetRef?.uid ?? ''} ${addresses[0] ?? ''}`;

function portsKey(ports: readonly DiscoveryV1EndpointPort[] | undefined): string {
  const keys = (ports ?? []).map(({ name = '', port, protocol = 'TCP', appProtocol = '' }) =>
    JSON.stringify([name, port, protocol, appProtocol]),
  );
  return keys.toSorted().join();
}

/** The service's labels, but for those that say what a slice is. */
function labelsOf(service: Service): Record<string, string> {
  const { [headlessLabel]: _, ...labels } = service.metadata.labels ?? {};
  const { clusterIP } = service.spec;
  const headless = clusterIP === 'None' || clusterIP === undefined || clusterIP === '';
  return {
    ...labels,
    ...(headless ? { [headlessLabel]: '' } : {}),
    [serviceNameLabel]: service.metadata.name,
    [managedByLabel]: managedBy,
  };
}

const sameLabels = (slice: EndpointSlice, service: Service): boolean =>
  deepEqual(slice.metadata.labels ?? {}, labelsOf(service));

function newSlice(
  service: Service,
  addressType: AddressType,
  ports: readonly DiscoveryV1EndpointPort[],
  endpoints: readonly Endpoint[],
): NewObject<EndpointSlice> {
  return {
    metadata: {
      namespace: service.metadata.namespace,
      generateName: `${service.metadata.name}-`,
      labels: labelsOf(service),
      ownerReferences: [controllerReference(service, services)],
    },
    addressType,
    endpoints: [...endpoints],
    ports: ports.map((one) => ({ name: '', ...one })),
  };
}
