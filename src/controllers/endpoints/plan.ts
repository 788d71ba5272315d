import type { EndpointAddress, EndpointPort, EndpointSubset, Endpoints, NewObject, Pod, Service } from '#api';
import { isPodReady, isPodTerminal } from '#kinds';
import { deepEqual } from '#machinery';
import { addressOf, headlessLabel } from '../endpoint-slice/plan.ts';
import { portsOn } from '../endpoint-slice/ports.ts';

export const managedByLabel = 'endpoints.kubernetes.io/managed-by';
export const managedBy = 'endpoint-controller';
const overCapacity = 'endpoints.kubernetes.io/over-capacity';
const mostAddresses = 1000;

/** The Endpoints object a service should have; undefined when the present one is right. */
export function planEndpoints(
  service: Service,
  pods: readonly Pod[],
  present: Endpoints | undefined,
): NewObject<Endpoints> | undefined {
  const { subsets, truncated } = capped(subsetsOf(service, pods));
  const labels = labelsOf(service);
  const annotations = { ...present?.metadata.annotations };
  if (truncated) annotations[overCapacity] = 'truncated';
  else delete annotations[overCapacity];
  if (present !== undefined) {
    const same =
      deepEqual(present.subsets ?? [], subsets) &&
      deepEqual(present.metadata.labels ?? {}, labels) &&
      deepEqual(present.metadata.annotations ?? {}, annotations);
    return same ? undefined : { ...present, metadata: { ...present.metadata, labels, annotations }, subsets };
  }
  const { namespace, name } = service.metadata;
  return { metadata: { namespace, name, labels, ...(truncated ? { annotations } : {}) }, subsets };
}

function subsetsOf(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const family = service.spec.ipFamilies?.[0] === 'IPv6' || service.spec.clusterIP?.includes(':') ? 'IPv6' : 'IPv4';
  const groups = new Map<string, { ports: EndpointPort[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }>();
  for (const pod of pods) {
    const ip = addressOf(pod, family);
    if (ip === undefined || isPodTerminal(pod)) continue;
    if (pod.metadata.deletionTimestamp !== undefined && !service.spec.publishNotReadyAddresses) continue;
    const ports = portsOn(pod, service).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    if (ports.length === 0 && (service.spec.ports ?? []).length > 0) continue;
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, ready: [], notReady: [] };
    groups.set(key, group);
    const { namespace, name, uid } = pod.metadata;
    const { hostname, subdomain, nodeName } = pod.spec;
    const address: EndpointAddress = {
      ip,
      ...(hostname && subdomain === service.metadata.name ? { hostname } : {}),
      ...(nodeName ? { nodeName } : {}),
      targetRef: { kind: 'Pod', namespace, name, uid },
    };
    (isPodReady(pod) || service.spec.publishNotReadyAddresses ? group.ready : group.notReady).push(address);
  }
  return [...groups.entries()]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { ports, ready, notReady }]) => ({
      ...(ready.length > 0 ? { addresses: ready.toSorted(byIp) } : {}),
      ...(notReady.length > 0 ? { notReadyAddresses: notReady.toSorted(byIp) } : {}),
      ...(ports.length > 0 ? { ports } : {}),
    }));
}

const byIp = (a: EndpointAddress, b: EndpointAddress): number => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0);

/** At most 1000 addresses, ready ones first. */
function capped(subsets: EndpointSubset[]): { subsets: EndpointSubset[]; truncated: boolean } {
  let room = mostAddresses;
  let truncated = false;
  const take = (addresses: EndpointAddress[] | undefined): EndpointAddress[] => {
    const kept = (addresses ?? []).slice(0, room);
    if (kept.length < (addresses ?? []).length) truncated = true;
    room -= kept.length;
    return kept;
  };
  const ready = subsets.map((one) => take(one.addresses));
  const notReady = subsets.map((one) => take(one.notReadyAddresses));
  if (!truncated) return { subsets, truncated };
  const cut = subsets.map(({ ports }, i) => ({
    ...((ready[i] as EndpointAddress[]).length > 0 ? { addresses: ready[i] as EndpointAddress[] } : {}),
    ...((notReady[i] as EndpointAddress[]).length > 0 ? { notReadyAddresses: notReady[i] as EndpointAddress[] } : {}),
    ...(ports === undefined ? {} : { ports }),
  }));
  return { subsets: cut.filter((one) => 'addresses' in one || 'notReadyAddresses' in one), truncated };
}

function labelsOf(service: Service): Record<string, string> {
  const { [headlessLabel]: _, ...labels } = service.metadata.labels ?? {};
  const { clusterIP } = service.spec;
  const headless = clusterIP === 'None' || clusterIP === undefined || clusterIP === '';
  return { ...labels, ...(headless ? { [headlessLabel]: '' } : {}), [managedByLabel]: managedBy };
}
