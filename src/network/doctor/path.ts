/**
 * The path of a packet between two pods on two nodes, hop by hop, as `k8ts doctor` builds it: throw-away network namespaces `poda`,
 * `nodea`, `nodeb`, `podb` and `outside`, of which the nodes and `outside` hang on one bridge of this machine, as the nodes of `up` do.
 */
export type Place = 'poda' | 'nodea' | 'nodeb' | 'podb' | 'outside';
/** `in`: the packet is delivered here; `out`: it begins here; `enter` and `leave`: it is passed on. */
export type Point = 'out' | 'enter' | 'leave' | 'in';

export interface Hop {
  readonly place: Place;
  readonly point: Point;
  readonly back: boolean;
}

/** One connection that is tried. Its source port is its name in the counters. */
export interface Probe {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly sourcePort: number;
  readonly from: 'poda' | 'outside';
  readonly address: string;
  readonly port: number;
  readonly hops: readonly Hop[];
}

export const addresses = {
  nodea: '172.29.255.10',
  nodeb: '172.29.255.11',
  outside: '172.29.255.1',
  poda: '10.244.0.2',
  podb: '10.244.1.2',
  service: '10.96.77.77',
  dns: '10.96.0.10',
} as const;
export const podRanges = { nodea: '10.244.0.0/24', nodeb: '10.244.1.0/24' } as const;
export const ports = { pod: 8080, service: 80, node: 30_777 } as const;

const hop = (place: Place, point: Point, back = false): Hop => ({ place, point, back });
const through = (place: Place, back = false): Hop[] => [hop(place, 'enter', back), hop(place, 'leave', back)];
const toPodB = (from: 'poda' | 'outside'): Hop[] => [
  hop(from, 'out'),
  ...through('nodea'),
  ...through('nodeb'),
  hop('podb', 'in'),
  hop('podb', 'out', true),
  ...through('nodeb', true),
  ...through('nodea', true),
  hop(from, 'in', true),
];
const tcp = { protocol: 'tcp', from: 'poda', hops: toPodB('poda') } as const;

export const probes: readonly Probe[] = [
  { ...tcp, name: 'pod to pod', sourcePort: 41_001, address: addresses.podb, port: ports.pod },
  { ...tcp, name: 'Service', sourcePort: 41_002, address: addresses.service, port: ports.service },
  {
    ...tcp,
    ...{ name: 'NodePort', from: 'outside', hops: toPodB('outside') },
    ...{ sourcePort: 41_003, address: addresses.nodea, port: ports.node },
  },
  {
    name: 'DNS',
    protocol: 'udp',
    from: 'poda',
    sourcePort: 41_004,
    address: addresses.dns,
    port: 53,
    hops: [
      hop('poda', 'out'),
      hop('nodea', 'enter'),
      hop('nodea', 'in'),
      hop('nodea', 'out', true),
      hop('nodea', 'leave', true),
      hop('poda', 'in', true),
    ],
  },
];

const hooks: Readonly<Record<Point, string>> = {
  enter: 'prerouting priority -300',
  leave: 'postrouting priority 300',
  in: 'input priority 300',
  out: 'output priority -300',
};

export const counterTable = 'k8ts_doctor';

export function counterName(probe: Probe, { point, back }: Hop): string {
  return `${point}_${back ? 'back' : 'go'}_${probe.sourcePort}`;
}

/** Counters of every hop of one place: source ports are kept by translation, so they tell the probes apart everywhere. */
export function counterRules(place: Place): string {
  const counters: string[] = [];
  const chains = new Map<Point, string[]>();
  for (const probe of probes) {
    for (const one of probe.hops) {
      if (one.place !== place) continue;
      const name = counterName(probe, one);
      if (counters.includes(name)) continue;
      counters.push(name);
      const match = `meta l4proto ${probe.protocol} th ${one.back ? 'dport' : 'sport'} ${probe.sourcePort}`;
      const rules = chains.get(one.point) ?? [];
      chains.set(one.point, rules);
      rules.push(`${match} counter name ${name}`);
    }
  }
  return [
    `table ip ${counterTable} {`,
    ...counters.map((name) => `  counter ${name} { }`),
    ...[...chains].map(
      ([point, rules]) => `  chain ${point} { type filter hook ${hooks[point]}; policy accept; ${rules.join('; ')}; }`,
    ),
    '}',
    '',
  ].join('\n');
}

/** What is known of the places when a packet was lost. */
export interface PathFacts {
  /** Why a node does not pass packets on at all; absent: it does. */
  readonly forwarding: Partial<Record<Place, string>>;
  /** What the kernel says to a route lookup of the lost packet, when it has none. */
  readonly noRoute: Partial<Record<Place, string>>;
  /** What on this machine may hold back packets between two ports of a bridge. */
  readonly bridgeFilters: readonly string[];
  /** What a node's own programs (routes, rules of Services, DNS) said when they did not start. */
  readonly failed: Partial<Record<Place, string>>;
}

const names: Readonly<Record<Place, string>> = {
  poda: 'the first pod',
  nodea: 'the first node',
  nodeb: 'the second node',
  podb: 'the second pod',
  outside: 'this machine',
};

/** The first hop at which the packet was not seen; undefined when it was seen at all. */
export function lostAt(probe: Probe, seen: (hop: Hop) => boolean): number | undefined {
  const index = probe.hops.findIndex((one) => !seen(one));
  return index === -1 ? undefined : index;
}

/** Where a packet was lost and why, as a sentence with what to do. Pure. */
export function explainLoss(probe: Probe, index: number, facts: PathFacts): string {
  const before = probe.hops[index - 1];
  const now = probe.hops[index] as Hop;
  const what = now.back ? 'the answer' : 'the packet';
  if (before === undefined) {
    return `${what} never left ${names[now.place]}: ${facts.noRoute[now.place] ?? facts.failed[now.place] ?? 'its network refused it'}`;
  }
  if (before.place === now.place) {
    if (now.point === 'out') {
      const why = facts.failed[now.place] ?? 'nothing answers there: a security policy of this machine may forbid it';
      return `${what} never left ${names[now.place]}, which got the packet: ${why}`;
    }
    const why =
      facts.failed[now.place] ??
      facts.forwarding[now.place] ??
      facts.noRoute[now.place] ??
      'a rule of the kernel dropped it (nft list ruleset, iptables -S), or address translation does not work (modules nf_nat, nft_chain_nat, nf_conntrack)';
    return `${what} came to ${names[now.place]} and was not passed on: ${why}`;
  }
  const link = `${what} left ${names[before.place]} and never came to ${names[now.place]}`;
  const isWire = [before.place, now.place].every((one) => one === 'nodea' || one === 'nodeb' || one === 'outside');
  if (!isWire) return `${link}: the link between them (veth) carries nothing`;
  const failed = facts.failed[now.place] ?? facts.failed[before.place];
  if (facts.bridgeFilters.length > 0) return `${link}: on this machine, ${facts.bridgeFilters.join('; ')}`;
  return `${link}: ${failed ?? 'the bridge between them carries nothing; look for a program that manages bridges or filters (firewalld, NetworkManager, ebtables)'}`;
}
