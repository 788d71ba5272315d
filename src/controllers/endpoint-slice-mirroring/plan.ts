import {
  type Endpoint,
  type EndpointAddress,
  type EndpointSlice,
  type Endpoints,
  type NewObject,
  resource,
} from '#api';
import { controllerReference, deepEqual } from '#machinery';
import { managedByLabel, serviceNameLabel } from '../endpoint-slice/plan.ts';

export const mirrorManager = 'endpointslicemirroring-controller.k8s.io';
const endpointsResource = resource('v1', 'endpoints');
const mostEndpoints = 1000;

export interface MirrorPlan {
  readonly create: readonly NewObject<EndpointSlice>[];
  readonly update: readonly EndpointSlice[];
  readonly remove: readonly EndpointSlice[];
}

/** Slices that say what an Endpoints object of a selectorless Service says. */
export function planMirror(endpoints: Endpoints | undefined, slices: readonly EndpointSlice[]): MirrorPlan {
  const wanted = endpoints === undefined ? [] : wantedSlices(endpoints);
  const create: NewObject<EndpointSlice>[] = [];
  const update: EndpointSlice[] = [];
  const left = [...slices];
  for (const one of wanted) {
    const key = shapeOf(one);
    const at = left.findIndex((slice) => shapeOf(slice) === key);
    if (at === -1) {
      create.push(one);
      continue;
    }
    const [slice] = left.splice(at, 1) as [EndpointSlice];
    const same =
      deepEqual(slice.endpoints ?? [], one.endpoints) && deepEqual(slice.metadata.labels, one.metadata.labels);
    if (!same)
      update.push({
        ...slice,
        metadata: { ...slice.metadata, labels: one.metadata.labels ?? {} },
        endpoints: one.endpoints ?? [],
      });
  }
  return { create, update, remove: left };
}

const shapeOf = ({ addressType, ports }: Pick<EndpointSlice, 'addressType' | 'ports'>): string =>
  JSON.stringify([addressType, (ports ?? []).map(({ name = '', port, protocol = 'TCP' }) => [name, port, protocol])]);

function wantedSlices(endpoints: Endpoints): NewObject<EndpointSlice>[] {
  const { name, namespace, labels = {} } = endpoints.metadata;
  const found: NewObject<EndpointSlice>[] = [];
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of endpoints.subsets ?? []) {
    const all = [
      ...addresses.map((one) => endpointOf(one, true)),
      ...notReadyAddresses.map((one) => endpointOf(one, false)),
    ].slice(0, mostEndpoints);
    for (const addressType of ['IPv4', 'IPv6']) {
      const family = all.filter((one) => (one.addresses[0] as string).includes(':') === (addressType === 'IPv6'));
      if (family.length === 0) continue;
      found.push({
        metadata: {
          namespace,
          generateName: `${name}-`,
          labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: mirrorManager },
          ownerReferences: [controllerReference(endpoints, endpointsResource)],
        },
        addressType,
        endpoints: family,
        ports: ports.map((one) => ({ name: '', ...one })),
      });
    }
  }
  return found;
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname === undefined ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}
