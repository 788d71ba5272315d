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
 * With client affinity it is in `sticky_3`, where the number is a hash of the client's address.
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
const mark = '0x4000';
/** More backends than this share the slots of the largest map. */
const mostSlots = 128;
const fixedSets = {
  refused: 'ipv4_addr . inet_proto . inet_service',
  discarded: 'ipv4_addr . inet_proto . inet_service',
  masqueraded: 'ipv4_addr . inet_proto . inet_service',
  hairpins: 'ipv4_addr . ipv4_addr',
} as const;

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
  const balance = (key: string, backends: readonly Backend[], sticky: boolean): void => {
    const slots = Math.min(backends.length, mostSlots);
    for (let slot = 0; slot < slots; slot++) {
      const { address, port } = backends[slot] as Backend;
      put(`${sticky ? 'sticky' : 'random'}_${slots}`, `${key} . ${slot}`, `${address} . ${port}`);
    }
  };
  for (const plan of plans) {
    const sticky = plan.affinitySeconds !== undefined;
    if (plan.clusterAddress !== undefined) {
      const key = `${plan.clusterAddress} . ${plan.protocol} . ${plan.port}`;
      if (claim(key)) {
        if (plan.internal.length === 0) put('refused', key);
        else balance(key, plan.internal, sticky);
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
        balance(key, plan.external, sticky);
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

/** Chains and sets that never change. The chain `balance` is filled by `balanceRules`. */
function skeleton(network: NodeNetwork): string {
  const sets = Object.entries(fixedSets).map(([name, type]) => `  set ${name} { type ${type}; }`);
  return `table ${table} {
${sets.join('\n')}
  chain refuse { meta l4proto tcp reject with tcp reset; reject with icmp type port-unreachable; }
  chain refusals {
    ip daddr . meta l4proto . th dport @refused goto refuse
    ip daddr . meta l4proto . th dport @discarded drop
  }
  chain balance { }
  chain services {
    ip daddr . meta l4proto . th dport @masqueraded meta mark set meta mark | ${mark}
    jump balance
  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain output { type nat hook output priority -100; policy accept; jump services; }
  chain early_prerouting { type filter hook prerouting priority dstnat - 10; policy accept; ct state new jump refusals; }
  chain early_output { type filter hook output priority -110; policy accept; ct state new jump refusals; }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & ${mark} == ${mark} masquerade
    ip saddr . ip daddr @hairpins masquerade
    oifname "${network.uplink}" ip saddr ${network.clusterCidr} ip daddr != ${network.clusterCidr} ct status & dnat == 0 masquerade
  }
}
`;
}

/** The maps in use, `random_3` and so on, in a fixed order. */
function balanceMaps(ruleset: Ruleset): string[] {
  const slots = (name: string): number => Number(name.slice(name.indexOf('_') + 1));
  return [...ruleset.elements.keys()]
    .filter((name) => !Object.hasOwn(fixedSets, name))
    .sort((a, b) => slots(a) - slots(b) || (a < b ? -1 : 1));
}

function drawOf(name: string): string {
  const [kind, slots] = name.split('_');
  return kind === 'sticky' ? `jhash ip saddr mod ${slots}` : `numgen random mod ${slots}`;
}

function mapLines(name: string): string[] {
  return [
    `add map ${table} ${name} { typeof ip daddr . meta l4proto . th dport . ${drawOf(name)} : ip daddr . th dport; }`,
  ];
}

function balanceRules(names: readonly string[]): string[] {
  return [
    `flush chain ${table} balance`,
    ...names.map(
      (name) =>
        `add rule ${table} balance dnat ip addr . port to ip daddr . meta l4proto . th dport . ${drawOf(name)} map @${name}`,
    ),
  ];
}

/** The script that turns `from` into `to` in one transaction; '' when they are equal. Maps once made stay (empty, and unused). */
export function differenceScript(from: Ruleset, to: Ruleset, made: Set<string>): string {
  const lines: string[] = [];
  const maps = balanceMaps(to);
  const fresh = maps.filter((name) => !made.has(name));
  for (const name of fresh) lines.push(...mapLines(name));
  if (maps.join() !== balanceMaps(from).join()) lines.push(...balanceRules(maps));
  for (const name of new Set([...from.elements.keys(), ...to.elements.keys()])) {
    const before = from.elements.get(name) ?? new Map<string, string>();
    const after = to.elements.get(name) ?? new Map<string, string>();
    const gone: string[] = [];
    const added: string[] = [];
    for (const [key, value] of before) if (after.get(key) !== value) gone.push(key);
    for (const [key, value] of after)
      if (before.get(key) !== value) added.push(value === '' ? key : `${key} : ${value}`);
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
