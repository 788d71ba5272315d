import { ipv4Range, ipv4Text } from '#machinery';
import type { RemotePods, RoutePlan } from '../routes/plan-routes.ts';

/**
 * The ways to other nodes' pods, as the kernel has them or shall have them. A tunnel end has no lease: its hardware address follows
 * from its node's address, its own address is the first of its node's range (which no pod gets), so whoever knows the Node object
 * knows how to reach its pods.
 */
export interface NodeWays {
  readonly device?: TunnelDevice;
  /** Range of pods → address of the next hop, with the device when it is the tunnel. */
  readonly routes: ReadonlyMap<string, { readonly via: string; readonly tunnel: boolean }>;
  /** Far tunnel end → its hardware address. */
  readonly neighbours: ReadonlyMap<string, string>;
  /** Hardware address of a far tunnel end → its node's address. */
  readonly forwards: ReadonlyMap<string, string>;
}

export interface TunnelDevice {
  /** The node's own address, from which packets leave. */
  readonly local: string;
  readonly hardware: string;
  readonly mtu: number;
  /** This end's address. */
  readonly address: string;
}

export const tunnelName = 'k8ts.vxlan';
export const tunnelTable = 'k8ts_tunnel';
export const tunnelPort = 4789;
const networkNumber = 118;
/** What VXLAN over IPv4 adds to a packet: outer IPv4, UDP and VXLAN headers and the inner Ethernet header. */
export const tunnelOverheadBytes = 50;

export const noWays: NodeWays = { routes: new Map(), neighbours: new Map(), forwards: new Map() };

/** The hardware address of a node's tunnel end: locally administered, with the node's IPv4 address in it. */
export function tunnelHardware(nodeAddress: string): string {
  const parts = nodeAddress.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', '6b', ...parts].join(':');
}

/** The first address of a node's range. */
export function tunnelAddress(podCidr: string): string {
  return ipv4Text(ipv4Range(podCidr)?.first ?? 0);
}

/** The ways that a plan asks for. Without a range of its own a node has no tunnel yet. Pure. */
export function planWays(
  plan: RoutePlan,
  own: { readonly address: string; readonly podCidr: string | undefined; readonly uplinkMtu: number },
): NodeWays {
  const tunnelled: readonly RemotePods[] = own.podCidr === undefined ? [] : plan.tunnelled;
  const device: TunnelDevice | undefined =
    tunnelled.length === 0 || own.podCidr === undefined
      ? undefined
      : {
          local: own.address,
          hardware: tunnelHardware(own.address),
          mtu: own.uplinkMtu - tunnelOverheadBytes,
          address: tunnelAddress(own.podCidr),
        };
  const routes = new Map<string, { via: string; tunnel: boolean }>();
  for (const { destination, address } of plan.direct) routes.set(destination, { via: address, tunnel: false });
  for (const { destination } of tunnelled) routes.set(destination, { via: tunnelAddress(destination), tunnel: true });
  return {
    ...(device === undefined ? {} : { device }),
    routes,
    neighbours: new Map(
      tunnelled.map(({ destination, address }) => [tunnelAddress(destination), tunnelHardware(address)]),
    ),
    forwards: new Map(tunnelled.map(({ address }) => [tunnelHardware(address), address])),
  };
}

/** Lines for `ip -batch` before and after those for `bridge -batch`; all empty when nothing differs. */
export interface WayCommands {
  readonly device: readonly string[];
  readonly bridge: readonly string[];
  readonly ip: readonly string[];
}

/** What turns `from` into `to`, and nothing else. Pure. */
export function wayCommands(from: NodeWays, to: NodeWays): WayCommands {
  const device: string[] = [];
  const bridge: string[] = [];
  const ip: string[] = [];
  const same = JSON.stringify(from.device) === JSON.stringify(to.device);
  // With the device go its neighbours, its forwarding entries and its routes.
  const kept = same ? from : { ...noWays, routes: new Map([...from.routes].filter(([, { tunnel }]) => !tunnel)) };
  if (!same && from.device !== undefined) device.push(`link delete ${tunnelName}`);
  if (!same && to.device !== undefined) {
    const { local, hardware, mtu, address } = to.device;
    device.push(
      `link add ${tunnelName} address ${hardware} mtu ${mtu} type vxlan id ${networkNumber} local ${local} dstport ${tunnelPort} nolearning`,
      `address replace ${address}/32 dev ${tunnelName}`,
      `link set ${tunnelName} up`,
    );
  }
  for (const [hardware, address] of to.forwards)
    if (kept.forwards.get(hardware) !== address)
      bridge.push(`fdb replace ${hardware} dev ${tunnelName} dst ${address} self permanent`);
  for (const [hardware, address] of kept.forwards)
    if (!to.forwards.has(hardware)) bridge.push(`fdb delete ${hardware} dev ${tunnelName} dst ${address} self`);
  for (const [address, hardware] of to.neighbours)
    if (kept.neighbours.get(address) !== hardware)
      ip.push(`neighbour replace ${address} lladdr ${hardware} dev ${tunnelName} nud permanent`);
  for (const [destination, { via, tunnel }] of to.routes) {
    const before = kept.routes.get(destination);
    if (before?.via === via && before.tunnel === tunnel) continue;
    ip.push(`route replace ${destination} via ${via}${tunnel ? ` dev ${tunnelName} onlink` : ''} proto 118`);
  }
  for (const destination of kept.routes.keys())
    if (!to.routes.has(destination)) ip.push(`route delete ${destination} proto 118`);
  for (const address of kept.neighbours.keys())
    if (!to.neighbours.has(address)) ip.push(`neighbour delete ${address} dev ${tunnelName}`);
  return { device, bridge, ip };
}

/** Lets in wrapped packets of our network from the cluster's nodes alone. Written whole at each change; '' takes it away. */
export function tunnelRules(nodeAddresses: readonly string[]): string {
  const without = `table ip ${tunnelTable} {}\ndelete table ip ${tunnelTable}\n`;
  if (nodeAddresses.length === 0) return without;
  return `${without}table ip ${tunnelTable} {
  set nodes { type ipv4_addr; elements = { ${[...nodeAddresses].sort().join(', ')} } }
  chain input { type filter hook input priority filter - 5; policy accept; udp dport ${tunnelPort} @th,96,24 ${networkNumber} ip saddr != @nodes drop; }
}
`;
}
