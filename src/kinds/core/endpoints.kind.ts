import { type Endpoints, resource } from '#api';
import { ageColumn, listWithMore, nameColumn, textColumn } from '../columns.ts';
import { defineKind } from '../definition.ts';
import { validateEndpoints } from './endpoints-validation.ts';

function addressList(endpoints: Endpoints): string {
  if (!endpoints.subsets?.length) return '<none>';
  const list = endpoints.subsets.flatMap((subset) => {
    const addresses = subset.addresses ?? [];
    if (!subset.ports?.length) return addresses.map((one) => one.ip);
    return subset.ports.flatMap((port) => addresses.map((one) => hostPort(one.ip, port.port)));
  });
  return listWithMore(list, 3);
}

const hostPort = (host = '', port = 0): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

export const endpointsKind = defineKind<Endpoints>({
  resource: resource('v1', 'endpoints'),
  storageSegment: 'services/endpoints',
  deprecated: { warning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice' },
  allowCreateOnUpdate: true,
  applyDefaults: (draft) => {
    for (const subset of draft.subsets ?? [])
      for (const port of subset.ports ?? []) if (!port.protocol) port.protocol = 'TCP';
  },
  validate: validateEndpoints,
  columns: [nameColumn, textColumn('Endpoints', 'Addresses and ports that receive traffic.', addressList), ageColumn],
});
