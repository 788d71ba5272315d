import { type EndpointSlice, nodeLocalAnnotation, type Service } from '#api';

export type ServiceProtocol = 'tcp' | 'udp' | 'sctp';

export interface Backend {
  readonly address: string;
  readonly port: number;
  readonly local: boolean;
}

/** One port of one Service, with everything that leads to it and everything it leads to. */
export interface ServicePortPlan {
  /** `default/web:http/tcp`. */
  readonly id: string;
  readonly protocol: ServiceProtocol;
  readonly port: number;
  readonly clusterAddress?: string;
  /** External and load-balancer addresses. */
  readonly externalAddresses: readonly string[];
  readonly nodePort?: number;
  /** Clients keep their backend for so long. */
  readonly affinitySeconds?: number;
  /** Where traffic from inside the cluster goes. */
  readonly internal: readonly Backend[];
  /** Where traffic from outside goes. */
  readonly external: readonly Backend[];
  /** Outside traffic keeps its source address (externalTrafficPolicy Local); there is no answer from other nodes. */
  readonly externalLocal: boolean;
}

interface Candidate extends Backend {
  readonly ready: boolean;
  readonly serving: boolean;
}

const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/** What this node's rules must do for one Service. Pure; worked examples in the tests. */
export function planService(service: Service, slices: readonly EndpointSlice[], nodeName: string): ServicePortPlan[] {
  const { spec } = service;
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  const clusterAddress = addresses.find((one) => ipv4.test(one));
  const answeredHere = service.metadata.annotations?.[nodeLocalAnnotation] === 'true';
  if (spec.type === 'ExternalName' || clusterAddress === undefined || answeredHere) return [];
  const ingress = (service.status?.loadBalancer?.ingress ?? [])
    .filter((one) => one.ipMode !== 'Proxy')
    .map((one) => one.ip ?? '');
  const externalAddresses = [...new Set([...(spec.externalIPs ?? []), ...ingress])].filter((one) => ipv4.test(one));
  const externalLocal = spec.externalTrafficPolicy === 'Local' && spec.type !== 'ClusterIP';
  const affinitySeconds =
    spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined;
  return (spec.ports ?? []).map((port) => {
    const protocol = (port.protocol ?? 'TCP').toLowerCase() as ServiceProtocol;
    const candidates = candidatesOf(slices, port.name ?? '', protocol, nodeName);
    return {
      id: `${service.metadata.namespace}/${service.metadata.name}:${port.name ?? ''}/${protocol}`,
      protocol,
      port: port.port,
      clusterAddress,
      externalAddresses,
      ...(port.nodePort ? { nodePort: port.nodePort } : {}),
      ...(affinitySeconds === undefined ? {} : { affinitySeconds }),
      internal: usable(spec.internalTrafficPolicy === 'Local' ? candidates.filter((one) => one.local) : candidates),
      external: usable(externalLocal ? candidates.filter((one) => one.local) : candidates),
      externalLocal,
    };
  });
}

function candidatesOf(
  slices: readonly EndpointSlice[],
  portName: string,
  protocol: string,
  nodeName: string,
): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    for (const port of slice.ports ?? []) {
      if ((port.name ?? '') !== portName || (port.protocol ?? 'TCP').toLowerCase() !== protocol || !port.port) continue;
      for (const endpoint of slice.endpoints ?? []) {
        const address = endpoint.addresses[0];
        if (address === undefined || !ipv4.test(address)) continue;
        const ready = endpoint.conditions?.ready ?? true;
        found.set(`${address}:${port.port}`, {
          address,
          port: port.port,
          local: endpoint.nodeName === nodeName,
          ready,
          serving: endpoint.conditions?.serving ?? ready,
        });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port));
}

/** The ready ones; when there is none, those that end but still serve. */
function usable(candidates: readonly Candidate[]): Backend[] {
  const ready = candidates.filter((one) => one.ready);
  const chosen = ready.length > 0 ? ready : candidates.filter((one) => one.serving);
  return chosen.map(({ address, port, local }) => ({ address, port, local }));
}
