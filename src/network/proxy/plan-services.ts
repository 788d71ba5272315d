import { announcedByAnnotation, type EndpointSlice, nodeLocalAnnotation, type Service } from '#api';

export type ServiceProtocol = 'tcp' | 'udp' | 'sctp';

export interface Backend {
  readonly address: string;
  readonly port: number;
  readonly local: boolean;
}

/** Where these rules are: endpoints may be meant for nodes or zones. */
export interface Place {
  readonly nodeName: string;
  /** Label `topology.kubernetes.io/zone` of the node. */
  readonly zone?: string;
  /** Addresses of all nodes: never taken for a load balancer's own. */
  readonly nodeAddresses?: ReadonlySet<string>;
}

/** One port of one Service, with everything that leads to it and everything it leads to. */
export interface ServicePortPlan {
  /** `default/web:http/tcp`. */
  readonly id: string;
  readonly protocol: ServiceProtocol;
  readonly port: number;
  readonly clusterAddress?: string;
  /** spec.externalIPs. */
  readonly externalAddresses: readonly string[];
  /** Addresses of its load balancer. */
  readonly balancerAddresses: readonly string[];
  /** Those addresses are nobody's but load balancers': other ports of them are refused. */
  readonly balancerOwned: boolean;
  /** Who may reach the load balancer's addresses, as CIDRs; absent: everybody. */
  readonly sourceRanges?: readonly string[];
  readonly nodePort?: number;
  /** Clients keep their backend for so long. */
  readonly affinitySeconds?: number;
  /** Where traffic from inside the cluster goes. */
  readonly internal: readonly Backend[];
  /** Where traffic from outside goes. */
  readonly external: readonly Backend[];
  /** Outside traffic keeps its source address (externalTrafficPolicy Local); there is no answer from other nodes. */
  readonly externalLocal: boolean;
  /** With externalLocal: where pods and this node are led when they use an outside address. */
  readonly inside: readonly Backend[];
  /** UDP: every endpoint that still serves; flows to others move. */
  readonly living: readonly Backend[];
}

interface Candidate extends Backend {
  readonly ready: boolean;
  readonly serving: boolean;
  readonly forNodes: readonly string[];
  readonly forZones: readonly string[];
}

/** Services with one of these labels are for another proxy, or for none. */
const othersLabels = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless'];
const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/;
const ipv4Range = /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/;

/** What a node's rules must do for one Service. Pure; worked examples in the tests. */
export function planService(service: Service, slices: readonly EndpointSlice[], place: Place): ServicePortPlan[] {
  const { spec, metadata } = service;
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  const clusterAddress = addresses.find((one) => ipv4.test(one));
  const answeredHere = metadata.annotations?.[nodeLocalAnnotation] === 'true';
  if (othersLabels.some((one) => Object.hasOwn(metadata.labels ?? {}, one))) return [];
  if (spec.type === 'ExternalName' || clusterAddress === undefined || answeredHere) return [];
  const isBalanced = spec.type === 'LoadBalancer';
  const ingress = isBalanced ? (service.status?.loadBalancer?.ingress ?? []) : [];
  const balancerAddresses = [
    ...new Set(ingress.flatMap((one) => (one.ipMode !== 'Proxy' && ipv4.test(one.ip ?? '') ? [one.ip as string] : []))),
  ];
  const ranges = (isBalanced ? (spec.loadBalancerSourceRanges ?? []) : []).map((one) => one.trim());
  const externalLocal = spec.externalTrafficPolicy === 'Local';
  const affinitySeconds =
    spec.sessionAffinity === 'ClientIP' ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) : undefined;
  return (spec.ports ?? []).map((port) => {
    const protocol = (port.protocol ?? 'TCP').toLowerCase() as ServiceProtocol;
    const candidates = candidatesOf(slices, port.name ?? '', protocol, place);
    const everywhere = usable(meantFor(candidates, place));
    const here = usable(candidates.filter((one) => one.local));
    return {
      id: `${metadata.namespace}/${metadata.name}:${port.name ?? ''}/${protocol}`,
      protocol,
      port: port.port,
      clusterAddress,
      externalAddresses: [...new Set(spec.externalIPs ?? [])].filter((one) => ipv4.test(one)),
      balancerAddresses,
      balancerOwned: announcerOf(service, place.nodeAddresses) !== undefined,
      ...(ranges.length === 0 ? {} : { sourceRanges: ranges.filter((one) => ipv4Range.test(one)) }),
      ...(port.nodePort ? { nodePort: port.nodePort } : {}),
      ...(affinitySeconds === undefined ? {} : { affinitySeconds }),
      internal: spec.internalTrafficPolicy === 'Local' ? here : everywhere,
      external: externalLocal ? here : everywhere,
      externalLocal,
      inside: externalLocal ? everywhere : [],
      living: protocol === 'udp' ? plain(candidates.filter((one) => one.ready || one.serving)) : [],
    };
  });
}

/**
 * The node that answers for a load balancer's own address ('' while none does); undefined where there is no such address: nodes'
 * addresses, or those of another controller.
 */
export function announcerOf({ spec, status, metadata }: Service, nodes?: ReadonlySet<string>): string | undefined {
  if (spec.type !== 'LoadBalancer') return undefined;
  const addresses = (status?.loadBalancer?.ingress ?? []).map((one) => one.ip ?? '');
  if (addresses.length !== 1 || addresses.some((one) => nodes?.has(one))) return undefined;
  return metadata.annotations?.[announcedByAnnotation];
}

/** How many endpoints of a Service on this node can take new connections: what its healthCheckNodePort tells. */
export function readyHere(slices: readonly EndpointSlice[], nodeName: string): number {
  const found = new Set<string>();
  for (const { addressType, endpoints } of slices) {
    if (addressType !== 'IPv4') continue;
    for (const { addresses, conditions, nodeName: node } of endpoints ?? [])
      if (node === nodeName && (conditions?.ready ?? true) && addresses[0] !== undefined) found.add(addresses[0]);
  }
  return found.size;
}

function candidatesOf(
  slices: readonly EndpointSlice[],
  portName: string,
  protocol: string,
  { nodeName }: Place,
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
          forNodes: (endpoint.hints?.forNodes ?? []).map((one) => one.name),
          forZones: (endpoint.hints?.forZones ?? []).map((one) => one.name),
        });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port));
}

/**
 * The endpoints meant for this node, else those meant for its zone, else all. Hints count only when every ready endpoint has one
 * (the writer may be half-way) and at least one is for us.
 */
function meantFor(candidates: readonly Candidate[], { nodeName, zone }: Place): readonly Candidate[] {
  const ready = candidates.filter((one) => one.ready);
  if (ready.length === 0) return candidates;
  const chosen = (of: (one: Candidate) => readonly string[], name: string): readonly Candidate[] => {
    if (ready.some((one) => of(one).length === 0)) return [];
    return ready.filter((one) => of(one).includes(name));
  };
  const near = chosen((one) => one.forNodes, nodeName);
  if (near.length > 0) return near;
  const inZone = zone === undefined ? [] : chosen((one) => one.forZones, zone);
  return inZone.length > 0 ? inZone : candidates;
}

/** The ready ones; when there is none, those that end but still serve. */
function usable(candidates: readonly Candidate[]): Backend[] {
  const ready = candidates.filter((one) => one.ready);
  return plain(ready.length > 0 ? ready : candidates.filter((one) => one.serving));
}

const plain = (candidates: readonly Candidate[]): Backend[] =>
  candidates.map(({ address, port, local }) => ({ address, port, local }));
