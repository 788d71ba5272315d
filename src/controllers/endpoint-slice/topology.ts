import type { Node, Service } from '#api';
import { quantityMilli } from '#machinery';

export const zoneOf = (node: Node): string | undefined => node.metadata.labels?.['topology.kubernetes.io/zone'];

const modeAnnotations = ['service.kubernetes.io/topology-mode', 'service.kubernetes.io/topology-aware-hints'];
const controlPlaneLabels = ['node-role.kubernetes.io/control-plane', 'node-role.kubernetes.io/master'];
/** An endpoint may get so much more than its fair part of the traffic. */
const overload = 0.2;

/** The Service asks for endpoints to be divided among zones by their processors (topology-aware routing). */
export function dividesByZones({ metadata }: Service): boolean {
  const mode = modeAnnotations.map((one) => metadata.annotations?.[one]).find((one) => one !== undefined);
  return mode === 'Auto' || mode === 'auto';
}

/** Each zone's part of the processors of ready workers; undefined when a node has no zone, or there are fewer than two zones. */
export function zoneShares(nodes: readonly Node[]): ReadonlyMap<string, number> | undefined {
  const processors = new Map<string, number>();
  for (const node of nodes) {
    const { labels = {} } = node.metadata;
    if (controlPlaneLabels.some((one) => Object.hasOwn(labels, one))) continue;
    if (!node.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True')) continue;
    const zone = zoneOf(node);
    const count = quantityMilli(node.status.allocatable?.cpu ?? '0');
    if (!zone || !(count > 0)) return undefined;
    processors.set(zone, (processors.get(zone) ?? 0) + count);
  }
  const all = [...processors.values()].reduce((sum, one) => sum + one, 0);
  return processors.size < 2 ? undefined : new Map([...processors].map(([zone, count]) => [zone, count / all]));
}

/** What of a node changes the parts of the zones. */
export function zoneFacts(node: Node): unknown {
  return [
    zoneOf(node),
    node.status?.allocatable?.cpu,
    node.status?.conditions?.find((one) => one.type === 'Ready')?.status,
    controlPlaneLabels.map((one) => node.metadata.labels?.[one] !== undefined),
  ];
}

/**
 * Which zone each endpoint is for, so that every zone has about its part: those in the zone itself first, the rest from zones that have
 * more than their part. Undefined when there are too few endpoints, or one has no zone: then all serve all. Keys are endpoints' names.
 */
export function divideEndpoints(
  endpoints: readonly { readonly key: string; readonly zone?: string }[],
  shares: ReadonlyMap<string, number>,
): ReadonlyMap<string, string> | undefined {
  const count = endpoints.length;
  const wanted = new Map<string, number>();
  for (const [zone, share] of shares) wanted.set(zone, Math.max(1, Math.ceil((share * count) / (1 + overload))));
  const least = [...wanted.values()].reduce((sum, one) => sum + one, 0);
  if (least > count || endpoints.some((one) => one.zone === undefined)) return undefined;
  // What is left goes to the zones that are furthest below their part.
  for (let left = count - least; left > 0; left--) {
    const [zone] = [...shares].reduce((best, one) =>
      one[1] * count - (wanted.get(one[0]) ?? 0) > best[1] * count - (wanted.get(best[0]) ?? 0) ? one : best,
    );
    wanted.set(zone, (wanted.get(zone) ?? 0) + 1);
  }
  const sorted = endpoints.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const chosen = new Map<string, string>();
  const spare: string[] = [];
  for (const { key, zone = '' } of sorted) {
    const open = wanted.get(zone) ?? 0;
    if (open > 0) {
      chosen.set(key, zone);
      wanted.set(zone, open - 1);
    } else spare.push(key);
  }
  for (const [zone, open] of wanted) for (const key of spare.splice(0, open)) chosen.set(key, zone);
  return chosen;
}
