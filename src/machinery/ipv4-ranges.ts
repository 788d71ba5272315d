/** Consecutive IPv4 addresses as numbers, both ends included. */
export interface Ipv4Range {
  readonly first: number;
  readonly last: number;
}

/** The range of `10.1.2.0/24`, or of one address alone; host bits are ignored as routers do. undefined when it is neither. */
export function ipv4Range(text: string): Ipv4Range | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1, 5).map(Number);
  const bits = match[5] === undefined ? 32 : Number(match[5]);
  if (bits > 32 || parts.some((part) => part > 255)) return undefined;
  const address = parts.reduce((value, part) => value * 256 + part, 0);
  const size = 2 ** (32 - bits);
  const first = Math.floor(address / size) * size;
  return { first, last: first + size - 1 };
}

export function ipv4Text(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** Sorted, none overlapping or touching another. */
export function mergeRanges(ranges: readonly Ipv4Range[]): Ipv4Range[] {
  const merged: Ipv4Range[] = [];
  for (const one of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (before === undefined || one.first > before.last + 1) merged.push(one);
    else if (one.last > before.last) merged[merged.length - 1] = { first: before.first, last: one.last };
  }
  return merged;
}

/** What is left of `range` without the others. */
export function withoutRanges(range: Ipv4Range, others: readonly Ipv4Range[]): Ipv4Range[] {
  const left: Ipv4Range[] = [];
  let { first } = range;
  for (const one of mergeRanges(others)) {
    if (one.last < first || one.first > range.last) continue;
    if (one.first > first) left.push({ first, last: one.first - 1 });
    first = one.last + 1;
  }
  if (first <= range.last) left.push({ first, last: range.last });
  return left;
}

export function rangesMeet(a: Ipv4Range, b: Ipv4Range): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** A range that a cluster wants for itself, and how users call it. */
export interface ClusterRange {
  /** `pods (--pod-network-cidr)`. */
  readonly name: string;
  readonly cidr: string;
}

/** A route of this machine, as `ip -j -4 route show table all` prints it. */
export interface HostRoute {
  readonly dst?: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly protocol?: string;
  readonly type?: string;
}

/**
 * Says where a cluster's ranges meet each other, a node's addresses or a route that the machine has already: then packets for pods or
 * Services would go elsewhere, or others' packets would end in the cluster. The default route meets nothing; routes that k8ts made
 * (protocol 118) do not count. One sentence a clash, with what to do; none when the network can be used. Pure.
 */
export function findRangeClashes(options: {
  readonly ranges: readonly ClusterRange[];
  readonly nodeAddresses: readonly string[];
  readonly routes: readonly HostRoute[];
}): string[] {
  const { ranges, nodeAddresses, routes } = options;
  const clashes: string[] = [];
  const known = ranges.flatMap((one) => {
    const range = ipv4Range(one.cidr);
    return range === undefined ? [] : [{ ...one, range }];
  });
  for (const [index, one] of known.entries()) {
    const advice = `choose another range for ${one.name}`;
    for (const other of known.slice(index + 1)) {
      if (rangesMeet(one.range, other.range))
        clashes.push(`${one.cidr} of ${one.name} overlaps ${other.cidr} of ${other.name}: ${advice}`);
    }
    for (const address of nodeAddresses) {
      const range = ipv4Range(address);
      if (range !== undefined && rangesMeet(one.range, range))
        clashes.push(`${one.cidr} of ${one.name} contains the node address ${address}: ${advice}`);
    }
    const told = new Set<string>();
    for (const { dst, dev, gateway, protocol, type } of routes) {
      if (dst === undefined || dst === 'default' || dst === '0.0.0.0/0' || protocol === '118') continue;
      if (type === 'local' || type === 'broadcast' || type === 'multicast') continue;
      const range = ipv4Range(dst);
      if (range === undefined || !rangesMeet(one.range, range) || told.has(dst)) continue;
      told.add(dst);
      const way = [gateway === undefined ? '' : ` via ${gateway}`, dev === undefined ? '' : ` dev ${dev}`].join('');
      clashes.push(`${one.cidr} of ${one.name} overlaps the route ${dst}${way} of this machine: ${advice}`);
    }
  }
  return clashes;
}
