import type { Backend, ServicePortPlan } from './plan-services.ts';

/**
 * What the rules of one node must be, as data: elements of named maps and sets. No chain belongs to a Service: the kernel checks
 * all chains at each change, which takes seconds for ten thousand Services, while an element of a hash map costs microseconds.
 *
 * A Service with three backends is three elements of the map `random_3`, whose last key part is a number that the rule draws:
 *
 *   10.96.0.7 . tcp . 80 . 0 : 10.244.1.4 . 8080
 *   10.96.0.7 . tcp . 80 . 1 : 10.244.1.5 . 8080
 *   10.96.0.7 . tcp . 80 . 2 : 10.244.2.3 . 8080
 *
 * With client affinity a backend has a number of its own. A client's first connection draws one (`draw_3`), and the map `affinity`
 * keeps it for that client until the Service's time without a connection has passed (`seconds_10800`), or the backend is gone:
 *
 *   draw_3   10.96.0.7 . tcp . 80 . 0 : 2871        sticky  10.96.0.7 . tcp . 80 . 2871 : 10.244.1.4 . 8080
 */
export interface Ruleset {
  /** Name of a map or set → key → value ('' in a set). */
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

export interface NodeNetwork {
  /** Addresses at which NodePorts answer. */
  readonly nodeAddresses: readonly string[];
  /** Addresses of all pods. */
  readonly clusterCidr: string;
  /** The link towards other machines; pods that leave through it get the node's address. */
  readonly uplink: string;
}

/** A port of this machine that leads into one pod of it. */
export interface HostPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostPort: number;
  /** '' for every address of the node. */
  readonly hostAddress: string;
  readonly address: string;
  readonly port: number;
}

export const tableName = 'k8ts';

const table = `ip ${tableName}`;
/** Of connections whose client is hidden behind the node's address. */
const masqueradeMark = '0x4000';
/** More backends than this share the slots of the largest map. */
const mostSlots = 128;
const fixedSets = {
  refused: 'ipv4_addr . inet_proto . inet_service',
  discarded: 'ipv4_addr . inet_proto . inet_service',
  masqueraded: 'ipv4_addr . inet_proto . inet_service',
  hairpins: 'ipv4_addr . ipv4_addr',
  sticky_services: 'ipv4_addr . inet_proto . inet_service',
  sticky_backends: 'ipv4_addr . inet_proto . inet_service . mark',
} as const;
const stickyMap = 'sticky';

export const emptyRuleset: Ruleset = { elements: new Map() };

/** The elements of all service ports and host ports. The first to name an address keeps it. */
export function buildRuleset(
  plans: Iterable<ServicePortPlan>,
  hostPorts: Iterable<HostPort>,
  network: NodeNetwork,
): Ruleset {
  const elements = new Map<string, Map<string, string>>();
  const owned = new Set<string>();
  const put = (name: string, key: string, value = ''): void => {
    let entries = elements.get(name);
    if (entries === undefined) {
      entries = new Map();
      elements.set(name, entries);
    }
    entries.set(key, value);
  };
  const claim = (key: string): boolean => !owned.has(key) && owned.add(key) !== undefined;
  const balance = (key: string, all: readonly Backend[], stickySeconds: number | undefined): void => {
    const backends = all.slice(0, mostSlots);
    if (stickySeconds === undefined) {
      backends.forEach(({ address, port }, slot) => {
        put(`random_${backends.length}`, `${key} . ${slot}`, `${address} . ${port}`);
      });
      return;
    }
    put('sticky_services', key);
    put(`seconds_${stickySeconds}`, key);
    const numbers = backendNumbers(backends);
    backends.forEach(({ address, port }, slot) => {
      put(`draw_${backends.length}`, `${key} . ${slot}`, String(numbers[slot]));
      put('sticky_backends', `${key} . ${numbers[slot]}`);
      put(stickyMap, `${key} . ${numbers[slot]}`, `${address} . ${port}`);
    });
  };
  for (const plan of plans) {
    if (plan.clusterAddress !== undefined) {
      const key = `${plan.clusterAddress} . ${plan.protocol} . ${plan.port}`;
      if (claim(key)) {
        if (plan.internal.length === 0) put('refused', key);
        else balance(key, plan.internal, plan.affinitySeconds);
      }
    }
    const outside = plan.externalAddresses.map((one) => `${one} . ${plan.protocol} . ${plan.port}`);
    if (plan.nodePort !== undefined) {
      for (const one of network.nodeAddresses) outside.push(`${one} . ${plan.protocol} . ${plan.nodePort}`);
    }
    for (const key of outside) {
      if (!claim(key)) continue;
      if (plan.external.length === 0)
        put(plan.externalLocal && plan.internal.length > 0 ? 'discarded' : 'refused', key);
      else {
        balance(key, plan.external, plan.affinitySeconds);
        if (!plan.externalLocal) put('masqueraded', key);
      }
    }
    for (const { address, local } of [...plan.internal, ...plan.external])
      if (local) put('hairpins', `${address} . ${address}`);
  }
  for (const one of hostPorts) {
    for (const address of one.hostAddress === '' ? network.nodeAddresses : [one.hostAddress]) {
      const key = `${address} . ${one.protocol} . ${one.hostPort}`;
      if (!claim(key)) continue;
      put('random_1', `${key} . 0`, `${one.address} . ${one.port}`);
      put('hairpins', `${one.address} . ${one.address}`);
    }
  }
  return { elements };
}

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

const serviceKey = 'ip daddr . meta l4proto . th dport';

/** Chains and sets that never change. The chains `balance` and `stick` are filled by `balanceRules`. */
function skeleton(network: NodeNetwork): string {
  const sets = Object.entries(fixedSets).map(([name, type]) => `  set ${name} { type ${type}; }`);
  return `table ${table} {
${sets.join('\n')}
  map ${stickyMap} { type ipv4_addr . inet_proto . inet_service . mark : ipv4_addr . inet_service; }
  map affinity { type ipv4_addr . ipv4_addr . inet_proto . inet_service : mark; flags dynamic,timeout; size 131072; }
  chain refuse { meta l4proto tcp reject with tcp reset; reject with icmp type port-unreachable; }
  chain refusals {
    ${serviceKey} @refused goto refuse
    ${serviceKey} @discarded drop
  }
  chain balance { }
  chain stick { }
  chain services {
    ${serviceKey} @masqueraded ct mark set ct mark or ${masqueradeMark}
    jump balance
    ${serviceKey} @sticky_services jump stick
  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain output { type nat hook output priority -100; policy accept; jump services; }
  chain early_prerouting { type filter hook prerouting priority dstnat - 10; policy accept; ct state new jump refusals; }
  chain early_output { type filter hook output priority -110; policy accept; ct state new jump refusals; }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ct mark and ${masqueradeMark} == ${masqueradeMark} masquerade
    ip saddr . ip daddr @hairpins masquerade
    oifname "${network.uplink}" ip saddr ${network.clusterCidr} ip daddr != ${network.clusterCidr} ct status and dnat == 0 masquerade
  }
}
`;
}

/** The maps and sets in use that come and go with Services, `random_3` and so on, in a fixed order. */
function variableNames(ruleset: Ruleset): string[] {
  const count = (name: string): number => Number(name.slice(name.indexOf('_') + 1));
  return [...ruleset.elements.keys()]
    .filter((name) => name !== stickyMap && !Object.hasOwn(fixedSets, name))
    .sort((a, b) => count(a) - count(b) || (a < b ? -1 : 1));
}

/** How a variable map or set is declared, and the rules that use it. */
function variable(name: string): {
  readonly declaration: string;
  readonly chain: 'balance' | 'stick';
  readonly rule: string;
} {
  const [kind, count] = name.split('_');
  const drawn = `${serviceKey} . numgen random mod ${count}`;
  if (kind === 'random') {
    return {
      declaration: `add map ${table} ${name} { typeof ${drawn} : ip daddr . th dport; }`,
      chain: 'balance',
      rule: `dnat ip addr . port to ${drawn} map @${name}`,
    };
  }
  if (kind === 'draw') {
    return {
      declaration: `add map ${table} ${name} { typeof ${drawn} : meta mark; }`,
      chain: 'stick',
      rule: `meta mark 0 meta mark set ${drawn} map @${name}`,
    };
  }
  return {
    declaration: `add set ${table} ${name} { type ${fixedSets.sticky_services}; }`,
    chain: 'stick',
    rule: `${serviceKey} @${name} update @affinity { ip saddr . ${serviceKey} timeout ${count}s : meta mark }`,
  };
}

/** The chain `stick`: what the client had, if that backend is still there; else a new draw; remembered; then the translation. */
function balanceRules(names: readonly string[]): string[] {
  const rules = (chain: string, kind: string): string[] =>
    names
      .filter((name) => name.startsWith(kind) && variable(name).chain === chain)
      .map((name) => `add rule ${table} ${chain} ${variable(name).rule}`);
  const stick = (rule: string): string => `add rule ${table} stick ${rule}`;
  return [
    `flush chain ${table} balance`,
    ...rules('balance', 'random'),
    `flush chain ${table} stick`,
    stick('meta mark set 0'),
    stick(`meta mark set ip saddr . ${serviceKey} map @affinity`),
    stick(`${serviceKey} . meta mark != @sticky_backends meta mark set 0`),
    ...rules('stick', 'draw'),
    ...rules('stick', 'seconds'),
    stick(`dnat ip addr . port to ${serviceKey} . meta mark map @${stickyMap}`),
  ];
}

/** The script that turns `from` into `to` in one transaction; '' when they are equal. Maps once made stay (empty, and unused). */
export function differenceScript(from: Ruleset, to: Ruleset, made: Set<string>): string {
  const lines: string[] = [];
  const names = variableNames(to);
  const fresh = names.filter((name) => !made.has(name));
  for (const name of fresh) lines.push(variable(name).declaration);
  if (names.join() !== variableNames(from).join()) lines.push(...balanceRules(names));
  for (const name of new Set([...from.elements.keys(), ...to.elements.keys()])) {
    const before = from.elements.get(name) ?? new Map<string, string>();
    const after = to.elements.get(name) ?? new Map<string, string>();
    const gone: string[] = [];
    const added: string[] = [];
    for (const [key, value] of before) if (after.get(key) !== value) gone.push(key);
    for (const [key, value] of after) {
      if (before.get(key) !== value) added.push(value === '' ? key : `${key} : ${value}`);
    }
    if (gone.length > 0) lines.push(`delete element ${table} ${name} { ${gone.join(', ')} }`);
    if (added.length > 0) lines.push(`add element ${table} ${name} { ${added.join(', ')} }`);
  }
  for (const name of fresh) made.add(name);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** The script that makes everything anew, whatever was there. */
export function completeScript(network: NodeNetwork, to: Ruleset, made: Set<string>): string {
  made.clear();
  return `table ${table} {}\ndelete table ${table}\n${skeleton(network)}${differenceScript(emptyRuleset, to, made)}`;
}
