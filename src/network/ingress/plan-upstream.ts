import type { EndpointSlice, Service } from '#api';
import type { BackendReference } from './read-ingress.ts';
import type { BackendProtocol } from './proxy/endpoint.ts';
import type { Target, UpstreamState } from './proxy/upstream.ts';

/** What an appProtocol means for a proxy; others are HTTP/1.1. */
const appProtocols: Readonly<Record<string, BackendProtocol>> = {
  https: 'https',
  'kubernetes.io/wss': 'https',
  'kubernetes.io/h2c': 'h2c',
  h2c: 'h2c',
  grpc: 'h2c',
  http2: 'h2c',
  grpcs: 'h2',
};

export type UpstreamPlan =
  | { readonly state: UpstreamState }
  | { readonly reason: 'ServiceNotFound' | 'PortNotFound' | 'Unsupported'; readonly message: string };

/** Where requests for one backend of an Ingress go: the endpoints themselves, of a Service of any type. Pure. */
export function planUpstream(
  backend: BackendReference,
  service: Service | undefined,
  slices: readonly EndpointSlice[],
): UpstreamPlan {
  if (service === undefined)
    return { reason: 'ServiceNotFound', message: `Service ${backend.service} is not there; its rules answer 503` };
  const { spec } = service;
  const ports = spec.ports ?? [];
  const port = ports.find(
    (one) =>
      (typeof backend.port === 'number' ? one.port === backend.port : one.name === backend.port) &&
      (one.protocol ?? 'TCP') === 'TCP',
  );
  const protocolOf = (appProtocol: string | undefined): BackendProtocol => {
    const known = appProtocol?.toLowerCase();
    const said = known !== undefined && Object.hasOwn(appProtocols, known) ? appProtocols[known] : undefined;
    return backend.protocol ?? said ?? 'http';
  };
  const sticky = spec.sessionAffinity === 'ClientIP';
  if (spec.type === 'ExternalName') {
    const number = port?.port ?? backend.port;
    if (typeof number !== 'number' || !spec.externalName)
      return { reason: 'PortNotFound', message: `Service ${backend.service} has no port ${backend.port}` };
    return {
      state: {
        targets: [],
        protocol: protocolOf(port?.appProtocol),
        sticky,
        external: { name: spec.externalName, port: number },
      },
    };
  }
  // A headless Service may name no ports at all: its pods are asked on the number that the rule names.
  const bare = spec.clusterIP === 'None' && ports.length === 0 && typeof backend.port === 'number';
  if (port === undefined && !bare)
    return {
      reason: 'PortNotFound',
      message: `Service ${backend.service} has no TCP port ${backend.port}; its rules answer 503`,
    };
  const targets = targetsOf(slices, port?.name ?? '', bare ? (backend.port as number) : undefined);
  return { state: { targets, protocol: protocolOf(port?.appProtocol), sticky } };
}

interface Candidate extends Target {
  readonly ready: boolean;
  readonly serving: boolean;
}

/** The ready ones; when there is none, those that end but still serve. */
function targetsOf(slices: readonly EndpointSlice[], portName: string, number: number | undefined): Target[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType === 'FQDN') continue;
    const ports =
      number === undefined
        ? (slice.ports ?? []).filter((one) => (one.name ?? '') === portName && (one.protocol ?? 'TCP') === 'TCP')
        : [{ port: number }];
    for (const { port } of ports) {
      if (!port) continue;
      for (const { addresses, conditions } of slice.endpoints ?? []) {
        const address = addresses[0];
        if (address === undefined) continue;
        const ready = conditions?.ready ?? true;
        found.set(`${address}|${port}`, { address, port, ready, serving: conditions?.serving ?? ready });
      }
    }
  }
  const all = [...found.values()].sort((a, b) =>
    a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port,
  );
  const ready = all.filter((one) => one.ready);
  const chosen = ready.length > 0 ? ready : all.filter((one) => one.serving);
  return chosen.map(({ address, port }) => ({ address, port }));
}
