import type { Node } from '#api';

export interface Route {
  readonly destination: string;
  readonly via: string;
}

/** One route to each other node's pods, through that node's address. Nodes without a range or an address have none yet. */
export function planRoutes(ownName: string, nodes: readonly Node[]): Route[] {
  const routes: Route[] = [];
  for (const node of nodes) {
    const via = node.status?.addresses?.find((one) => one.type === 'InternalIP')?.address;
    const destination = node.spec.podCIDR;
    if (node.metadata.name === ownName || via === undefined || destination === undefined) continue;
    if (/^[0-9.]+\/[0-9]+$/.test(destination) && /^[0-9.]+$/.test(via)) routes.push({ destination, via });
  }
  return routes.sort((a, b) => (a.destination < b.destination ? -1 : 1));
}
