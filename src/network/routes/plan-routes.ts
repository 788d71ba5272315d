import type { Node } from '#api';
import { type HostRoute, ipv4Range, rangesMeet } from '#machinery';

/**
 * How packets reach pods of other nodes: `routes` through the other node's address, which must be on one link with this one; `vxlan`
 * wrapped in UDP, across any network; `auto` chooses for each node, routes where they work.
 */
export type NetworkMode = 'auto' | 'routes' | 'vxlan';

/** One other node with its pods. */
export interface RemotePods {
  readonly node: string;
  readonly destination: string;
  /** The node's own address. */
  readonly address: string;
}

export interface RoutePlan {
  /** Through the node's address, one hop. */
  readonly direct: readonly RemotePods[];
  /** Through the tunnel. */
  readonly tunnelled: readonly RemotePods[];
  /** Behind a router, but the mode forbids tunnels: the routers between must know the way to its pods. */
  readonly left: readonly RemotePods[];
}

const ipv4 = /^\d{1,3}(\.\d{1,3}){3}$/;

/** Which way the pods of each other node are reached. Nodes without a range or an address have none yet. Pure. */
export function planRoutes(options: {
  readonly ownName: string;
  readonly nodes: readonly Node[];
  readonly mode: NetworkMode;
  /** The main table of this machine. */
  readonly hostRoutes: readonly HostRoute[];
}): RoutePlan {
  const { ownName, nodes, mode, hostRoutes } = options;
  const plan = { direct: [] as RemotePods[], tunnelled: [] as RemotePods[], left: [] as RemotePods[] };
  for (const node of nodes) {
    const address = node.status?.addresses?.find((one) => one.type === 'InternalIP' && ipv4.test(one.address))?.address;
    const destination = [node.spec.podCIDR ?? '', ...(node.spec.podCIDRs ?? [])].find(
      (one) => one.includes('/') && ipv4Range(one) !== undefined,
    );
    if (node.metadata.name === ownName || address === undefined || destination === undefined) continue;
    const remote = { node: node.metadata.name, destination, address };
    if (mode === 'vxlan') plan.tunnelled.push(remote);
    else if (isOnLink(address, hostRoutes)) plan.direct.push(remote);
    else if (mode === 'auto') plan.tunnelled.push(remote);
    else plan.left.push(remote);
  }
  const byRange = (a: RemotePods, b: RemotePods): number => (a.destination < b.destination ? -1 : 1);
  return { direct: plan.direct.sort(byRange), tunnelled: plan.tunnelled.sort(byRange), left: plan.left.sort(byRange) };
}

/** True when the most specific route to the address leads straight onto a link, without a router. */
export function isOnLink(address: string, routes: readonly HostRoute[]): boolean {
  const target = ipv4Range(address);
  if (target === undefined) return false;
  let best: { size: number; gateway: boolean } | undefined;
  for (const { dst, gateway, protocol, type } of routes) {
    const range = dst === 'default' ? ipv4Range('0.0.0.0/0') : ipv4Range(dst ?? '');
    if (range === undefined || protocol === '118' || !rangesMeet(range, target)) continue;
    if (type !== undefined && type !== 'unicast') continue;
    const size = range.last - range.first;
    if (best === undefined || size < best.size) best = { size, gateway: gateway !== undefined };
  }
  return best?.gateway === false;
}
