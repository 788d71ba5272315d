import type { HostPort } from './plan-host-ports.ts';
import type { Backend, ServicePortPlan } from './plan-services.ts';

/** One element of a map or set: the name of that map, key and value ('' in a set). */
export type RuleElement = readonly [name: string, key: string, value: string];

/** All elements for one address, protocol and port. Only one entry may have a key: that of the lowest rank. */
export interface Entry {
  /** `10.96.0.7 . tcp . 80`. */
  readonly key: string;
  /** Cluster addresses go before outside addresses, older Services before younger, host ports last. */
  readonly rank: string;
  readonly elements: readonly RuleElement[];
}

export interface NodeNetwork {
  /** Addresses at which NodePorts answer. */
  readonly nodeAddresses: readonly string[];
  /** Addresses of all pods. */
  readonly clusterCidr: string;
  /** Addresses of all Services: those that no Service has are refused at once. Absent: left alone. */
  readonly serviceCidr?: string;
  /** The link towards other machines; pods that leave through it get the node's address. */
  readonly uplink: string;
}

/** More backends than this share the slots of the largest map. */
const mostSlots = 128;

/** What one Service port needs in the maps. `since`: when the Service was made; the oldest keeps an address that two want. */
export function serviceEntries(plan: ServicePortPlan, since: string, network: NodeNetwork): Entry[] {
  const { protocol, affinitySeconds } = plan;
  const entries: Entry[] = [];
  if (plan.clusterAddress !== undefined) {
    const key = `${plan.clusterAddress} . ${protocol} . ${plan.port}`;
    const elements: RuleElement[] = [];
    if (plan.internal.length === 0) elements.push(['refused', key, '']);
    else balance(elements, key, plan.internal, affinitySeconds);
    followFlows(elements, key, plan);
    entries.push({ key, rank: `0 ${since}`, elements });
  }
  const outside = (address: string, port: number): Entry => {
    const key = `${address} . ${protocol} . ${port}`;
    const elements: RuleElement[] = [];
    if (plan.external.length > 0) {
      balance(elements, key, plan.external, affinitySeconds);
      if (!plan.externalLocal) elements.push(['masqueraded', key, '']);
    } else elements.push([plan.inside.length > 0 ? 'discarded' : 'refused', key, '']);
    if (plan.inside.length > 0 && !sameBackends(plan.inside, plan.external)) {
      elements.push(['shortcuts', key, '']);
      spread(elements, 'inside', key, plan.inside);
    }
    followFlows(elements, key, plan);
    return { key, rank: `1 ${since}`, elements };
  };
  for (const address of plan.externalAddresses) entries.push(outside(address, plan.port));
  for (const address of plan.balancerAddresses) {
    const entry = outside(address, plan.port);
    const elements: RuleElement[] = [...entry.elements];
    if (plan.balancerOwned) elements.push(['balanced', address, '']);
    if (plan.sourceRanges !== undefined) {
      elements.push(['restricted', entry.key, '']);
      for (const range of withoutNested(plan.sourceRanges)) elements.push(['admitted', `${entry.key} . ${range}`, '']);
    }
    entries.push({ ...entry, elements });
  }
  if (plan.nodePort !== undefined)
    for (const address of network.nodeAddresses) entries.push(outside(address, plan.nodePort));
  return entries;
}

/** What a pod's host port needs. */
export function hostPortEntries(one: HostPort, network: NodeNetwork): Entry[] {
  return (one.hostAddress === '' ? network.nodeAddresses : [one.hostAddress]).map((address) => {
    const key = `${address} . ${one.protocol} . ${one.hostPort}`;
    const elements: RuleElement[] = [];
    spread(elements, 'random', key, [{ address: one.address, port: one.port, local: true }]);
    if (one.protocol === 'udp') {
      elements.push(['udp_services', key, '']);
      elements.push(['udp_flows', `${key} . ${one.address} . ${one.port}`, '']);
    }
    return { key, rank: '2', elements };
  });
}

function balance(elements: RuleElement[], key: string, all: readonly Backend[], stickySeconds?: number): void {
  if (stickySeconds === undefined) return spread(elements, 'random', key, all);
  const backends = all.slice(0, mostSlots);
  elements.push(['sticky_services', key, ''], [`seconds_${stickySeconds}`, key, '']);
  const numbers = backendNumbers(backends);
  for (const [slot, backend] of backends.entries()) {
    elements.push([`draw_${backends.length}`, `${key} . ${slot}`, String(numbers[slot])]);
    elements.push(['sticky_backends', `${key} . ${numbers[slot]}`, '']);
    elements.push(['sticky', `${key} . ${numbers[slot]}`, `${backend.address} . ${backend.port}`]);
    allowHairpin(elements, backend);
  }
}

function spread(elements: RuleElement[], kind: 'random' | 'inside', key: string, all: readonly Backend[]): void {
  const backends = all.slice(0, mostSlots);
  for (const [slot, backend] of backends.entries()) {
    elements.push([`${kind}_${backends.length}`, `${key} . ${slot}`, `${backend.address} . ${backend.port}`]);
    allowHairpin(elements, backend);
  }
}

/** A pod that reaches itself through a Service must not see its own address as the client's. */
function allowHairpin(elements: RuleElement[], { address, local }: Backend): void {
  if (local) elements.push(['hairpins', `${address} . ${address}`, '']);
}

function followFlows(elements: RuleElement[], key: string, { protocol, living }: ServicePortPlan): void {
  if (protocol !== 'udp') return;
  elements.push(['udp_services', key, '']);
  for (const { address, port } of living) elements.push(['udp_flows', `${key} . ${address} . ${port}`, '']);
}

const sameBackends = (a: readonly Backend[], b: readonly Backend[]): boolean =>
  a.length === b.length && a.every((one, i) => one.address === b[i]?.address && one.port === b[i]?.port);

/** A number for each backend that stays the same while others come and go (FNV-1a of its address; the next free one on a clash). */
function backendNumbers(backends: readonly Backend[]): number[] {
  const used = new Set<number>([0]);
  return backends.map(({ address, port }) => {
    let hash = 0x811c9dc5;
    for (const character of `${address}:${port}`) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
    while (used.has(hash)) hash = (hash + 1) >>> 0;
    used.add(hash);
    return hash;
  });
}

/** CIDRs with host bits cleared, each once, without those that lie inside another: an interval set takes no overlaps. */
export function withoutNested(ranges: readonly string[]): string[] {
  const parsed = ranges
    .map((text) => {
      const [address = '', bits = ''] = text.split('/');
      const octets = address.split('.').map(Number);
      const size = 2 ** (32 - Number(bits));
      const value = octets.reduce((sum, one) => sum * 256 + one, 0);
      return { first: Math.floor(value / size) * size, size, bits: Number(bits) };
    })
    .filter(({ bits, first }) => bits >= 0 && bits <= 32 && first >= 0 && first < 2 ** 32)
    .sort((a, b) => b.size - a.size || a.first - b.first);
  const kept: typeof parsed = [];
  for (const one of parsed)
    if (!kept.some(({ first, size }) => one.first >= first && one.first < first + size)) kept.push(one);
  return kept.map(
    ({ first, bits }) => `${[24, 16, 8, 0].map((by) => Math.floor(first / 2 ** by) % 256).join('.')}/${bits}`,
  );
}
