import type { NodeNetwork } from './rule-entries.ts';
import type { ElementChange, Elements } from './rule-table.ts';

/**
 * The rules of one node: a table whose chains hardly change, and elements of named maps and sets. No chain belongs to a Service: the
 * kernel checks all chains at each change, which takes seconds for ten thousand Services, while an element of a hash map costs
 * microseconds.
 *
 * A Service with three backends is three elements of the map `random_3`, whose last key part is a number that the rule draws:
 *
 *   10.96.0.7 . tcp . 80 . 0 : 10.244.1.4 . 8080
 *   10.96.0.7 . tcp . 80 . 1 : 10.244.1.5 . 8080
 *   10.96.0.7 . tcp . 80 . 2 : 10.244.2.3 . 8080
 *
 * `inside_3` is the same for pods and this node itself where outside traffic stays on its node (externalTrafficPolicy Local).
 *
 * With client affinity a backend has a number of its own. A client's first connection draws one (`draw_3`), and the map `affinity`
 * keeps it for that client until the Service's time without a connection has passed (`seconds_10800`), or the backend is gone:
 *
 *   draw_3   10.96.0.7 . tcp . 80 . 0 : 2871        sticky  10.96.0.7 . tcp . 80 . 2871 : 10.244.1.4 . 8080
 *
 * A UDP flow that was led to an endpoint which is no endpoint any more (`udp_flows` has all that are) is moved: `moved` gives the
 * client's side of it another connection-tracking zone, in which its next packet is the first of a new connection (ADR 5).
 */
export const tableName = 'k8ts';

const table = `ip ${tableName}`;
/** Of connections whose client is hidden behind the node's address. */
const masqueradeMark = '0x4000';
/** Of UDP flows that a Service's rule led somewhere. */
const ledMark = '0x8000';
const servicePort = 'ipv4_addr . inet_proto . inet_service';
const fixedSets: Readonly<Record<string, string>> = {
  refused: servicePort,
  discarded: servicePort,
  masqueraded: servicePort,
  shortcuts: servicePort,
  restricted: servicePort,
  sticky_services: servicePort,
  udp_services: servicePort,
  hairpins: 'ipv4_addr . ipv4_addr',
  balanced: 'ipv4_addr',
  sticky_backends: `${servicePort} . mark`,
  udp_flows: `${servicePort} . ipv4_addr . inet_service`,
  admitted: `${servicePort} . ipv4_addr; flags interval`,
};
const stickyMap = 'sticky';

export interface TableOptions {
  /** Leave out what moves UDP flows: the kernel has no connection-tracking zones. */
  readonly withoutZones?: boolean;
}

const serviceKey = 'ip daddr . meta l4proto . th dport';

/**
 * `stray`: a pod's late packet of a connection that nobody knows any more would reach the client from an address it never spoke to, and
 * end that connection; it is dropped. Addresses of Services and load balancers that were not translated are refused.
 *
 * Chains and sets that never change. To the chains `balance`, `inside`, `draw` and `remember` a rule is added with each map that comes
 * into use, in the same transaction: nft cannot add a rule for a map with a drawn number once the kernel has that map. A rule stays
 * when its map is empty.
 *
 * `inside`: only pods and this node itself, whose own address must not be the client's.
 * `stick`: what the client had, if that backend is still there; else a new draw; remembered; then the translation.
 */
function skeleton(network: NodeNetwork, { withoutZones = false }: TableOptions): string {
  const sets = Object.entries(fixedSets).map(([name, type]) => `  set ${name} { type ${type}; }`);
  const stray =
    network.serviceCidr === undefined
      ? ''
      : `    ct state new ip daddr ${network.serviceCidr} fib daddr type != local goto refuse\n`;
  return `table ${table} {
${sets.join('\n')}
  map ${stickyMap} { type ${servicePort} . mark : ipv4_addr . inet_service; }
  map affinity { type ipv4_addr . ${servicePort} : mark; flags dynamic,timeout; size 131072; }
  chain refuse { meta l4proto tcp reject with tcp reset; reject with icmp type port-unreachable; }
  chain refusals {
    ${serviceKey} @restricted ${serviceKey} . ip saddr != @admitted drop
    ${serviceKey} @refused goto refuse
    ip saddr != ${network.clusterCidr} fib saddr type != local ${serviceKey} @discarded drop
  }
  chain stray {
    ip saddr ${network.clusterCidr} ct state invalid drop
    ct state new ip daddr @balanced goto refuse
${stray}  }
  chain balance { }
  chain inside { }
  chain from_inside {
    ip saddr != ${network.clusterCidr} fib saddr type != local return
    fib saddr type local ct mark set ct mark or ${masqueradeMark}
    jump inside
  }
  chain draw { }
  chain remember { }
  chain stick {
    meta mark set 0
    meta mark set ip saddr . ${serviceKey} map @affinity
    ${serviceKey} . meta mark != @sticky_backends meta mark set 0
    meta mark 0 delete @affinity { ip saddr . ${serviceKey} : 0 }
    meta mark 0 jump draw
    jump remember
    dnat ip addr . port to ${serviceKey} . meta mark map @${stickyMap}
  }
  chain services {
    ${serviceKey} @shortcuts jump from_inside
    ${serviceKey} @udp_services ct mark set ct mark or ${ledMark}
    ${serviceKey} @masqueraded ct mark set ct mark or ${masqueradeMark}
    jump balance
    ${serviceKey} @sticky_services jump stick
  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept; jump services; }
  chain output { type nat hook output priority -100; policy accept; jump services; }
  chain early_prerouting { type filter hook prerouting priority dstnat - 10; policy accept; ct state new jump refusals; }
  chain early_output { type filter hook output priority -110; policy accept; ct state new jump refusals; }
  chain stray_input { type filter hook input priority filter - 10; policy accept; jump stray; }
  chain stray_forward { type filter hook forward priority filter - 10; policy accept; jump stray; }
  chain stray_output { type filter hook output priority filter - 10; policy accept; jump stray; }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ct mark and ${masqueradeMark} == ${masqueradeMark} masquerade fully-random
    ip saddr . ip daddr @hairpins masquerade fully-random
    oifname "${network.uplink}" ip saddr ${network.clusterCidr} ip daddr != ${network.clusterCidr} ct status and dnat == 0 masquerade
  }
${withoutZones ? '' : movingFlows}}
`;
}

/**
 * Before connection tracking a moved flow gets its zone; after it, a flow of a UDP Service that does not lead to an endpoint, or whose
 * Service is gone, gets the next one. Its packet is lost (a packet of this node itself still goes where it went: dropping it would be an error to the sender).
 * An element that is there keeps its value at an update, hence delete and add.
 */
const flowKey = 'ip saddr . udp sport . ip daddr . udp dport';
const keptFor = 'timeout 4m';
/**
 * A zone that comes round again must have forgotten the flow: no flow moves so often within the two minutes that an entry lives.
 */
const zones = 128;
const nextZones = Array.from({ length: zones }, (_, zone) => {
  const next = (zone % (zones - 1)) + 1;
  return `    ct original zone ${zone} delete @moved { ${flowKey} : ${next} } add @moved { ${flowKey} ${keptFor} : ${next} }\n`;
});
const movingFlows = `  map moved { typeof ${flowKey} : ct zone; flags dynamic,timeout; size 65536; }
  chain zones { meta l4proto udp ct original zone set ${flowKey} map @moved; }
  chain zones_prerouting { type filter hook prerouting priority -310; policy accept; jump zones; }
  chain zones_output { type filter hook output priority -310; policy accept; jump zones; }
  chain move {
${nextZones.join('')}    fib saddr type != local drop
  }
  chain flows {
    meta l4proto udp ct original zone != 0 update @moved { ct original ip saddr . ct original proto-src . ct original ip daddr . ct original proto-dst ${keptFor} : ct original zone }
    meta l4proto udp ct direction original ct status confirmed ${serviceKey} @udp_services ${serviceKey} . ct reply ip saddr . ct reply proto-src != @udp_flows goto move
    ct direction original ct mark and ${ledMark} == ${ledMark} ${serviceKey} != @udp_services goto move
  }
  chain flows_prerouting { type filter hook prerouting priority dstnat - 11; policy accept; meta l4proto udp jump flows; }
  chain flows_output { type filter hook output priority -111; policy accept; meta l4proto udp jump flows; }
`;

/** Of the names, the maps and sets that come and go with Services, `random_3` and so on, in a fixed order. */
export function variableNames(names: Iterable<string>): string[] {
  const count = (name: string): number => Number(name.slice(name.indexOf('_') + 1));
  return [...names]
    .filter((name) => name !== stickyMap && !Object.hasOwn(fixedSets, name))
    .sort((a, b) => count(a) - count(b) || (a < b ? -1 : 1));
}

/** How a variable map or set is declared, and the rule that uses it. */
function variableLines(name: string): string[] {
  const [kind, count] = name.split('_');
  const drawn = `${serviceKey} . numgen random mod ${count}`;
  if (kind === 'random' || kind === 'inside') {
    return [
      `add map ${table} ${name} { typeof ${drawn} : ip daddr . th dport; }`,
      `add rule ${table} ${kind === 'random' ? 'balance' : 'inside'} dnat ip addr . port to ${drawn} map @${name}`,
    ];
  }
  if (kind === 'draw') {
    return [
      `add map ${table} ${name} { typeof ${drawn} : meta mark; }`,
      `add rule ${table} draw meta mark set ${drawn} map @${name}`,
    ];
  }
  return [
    `add set ${table} ${name} { type ${servicePort}; }`,
    `add rule ${table} remember ${serviceKey} @${name} update @affinity { ip saddr . ${serviceKey} timeout ${count}s : meta mark }`,
  ];
}

export interface Script {
  /** For `nft -f -`: one transaction; '' when there is nothing to do. */
  readonly text: string;
  /** The variable maps that the kernel has afterwards; they stay when they are empty. */
  readonly made: ReadonlySet<string>;
}

/** The script for a change of elements after which `elements` is what there is. `made`: the variable maps that the kernel has. */
export function changeScript(change: ElementChange, elements: Elements, made: ReadonlySet<string>): Script {
  const lines: string[] = [];
  const fresh = variableNames(elements.keys()).filter((name) => !made.has(name));
  for (const name of fresh) lines.push(...variableLines(name));
  for (const [name, keys] of change.gone) lines.push(`delete element ${table} ${name} { ${keys.join(', ')} }`);
  for (const [name, pairs] of change.added) {
    const printed = pairs.map(([key, value]) => (value === '' ? key : `${key} : ${value}`));
    lines.push(`add element ${table} ${name} { ${printed.join(', ')} }`);
  }
  return { text: lines.length === 0 ? '' : `${lines.join('\n')}\n`, made: new Set([...made, ...fresh]) };
}

/** The script that makes everything anew, whatever was there. */
export function completeScript(elements: Elements, network: NodeNetwork, options: TableOptions = {}): Script {
  const added = new Map([...elements].map(([name, entries]) => [name, [...entries]] as const));
  const { text, made } = changeScript({ gone: new Map(), added }, elements, new Set());
  return { text: `table ${table} {}\ndelete table ${table}\n${skeleton(network, options)}${text}`, made };
}

/** A script that fails when the table is not what was written: a rule is gone, or the element. */
export function probeScript(element: readonly [name: string, key: string] | undefined): string {
  const lines = [`list chain ${table} services`];
  if (element !== undefined) lines.push(`get element ${table} ${element[0]} { ${element[1]} }`);
  return `${lines.join('\n')}\n`;
}

/** A word of the chain that `probeScript` lists. */
export const probedRule = 'jump balance';
