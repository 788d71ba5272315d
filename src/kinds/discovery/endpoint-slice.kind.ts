import { type EndpointSlice, resource } from '#api';
import { ageColumn, listWithMore, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateEndpointSlice, validateEndpointSliceUpdate } from './endpoint-slice-validation.ts';

function portsText(slice: EndpointSlice): string {
  const ports = (slice.ports ?? []).map((one) => (one.port != null ? String(one.port) : (one.name ?? '*')));
  return ports.length === 0 ? '<unset>' : listWithMore(ports, 3);
}

function addressesText(slice: EndpointSlice): string {
  const addresses = (slice.endpoints ?? []).flatMap((one) => one.addresses ?? []);
  return addresses.length === 0 ? '<unset>' : listWithMore(addresses, 3);
}

export const endpointSliceKind = defineKind<EndpointSlice>({
  resource: resource('discovery.k8s.io/v1', 'endpointslices'),
  storageSegment: 'endpointslices',
  generation: true,
  applyDefaults: (draft) => {
    for (const endpoint of draft.endpoints ?? []) endpoint.conditions ??= {};
    for (const port of draft.ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate: validateEndpointSlice,
  validateUpdate: validateEndpointSliceUpdate,
  columns: [
    nameColumn,
    textColumn('AddressType', 'Type of all its addresses.', (slice) => slice.addressType ?? ''),
    textColumn('Ports', 'Ports of each endpoint.', portsText),
    textColumn('Endpoints', 'Addresses of the endpoints.', addressesText),
    ageColumn,
  ],
});
