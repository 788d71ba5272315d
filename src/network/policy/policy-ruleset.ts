import { createHash } from 'node:crypto';
import { type Ipv4Range, ipv4Text } from '#machinery';
import {
  allPods,
  type PolicyPlan,
  type PolicyProtocol,
  type PortMatch,
  type RulePlan,
  type Selection,
} from './plan-policies.ts';
import { policyTable } from './policy-table.ts';

/**
 * What the rules of one node must be. Only policies that select a pod of this node have rules. A rule is one line of one of two chains,
 * and all that changes with pods are elements of sets:
 *
 *   ip daddr @<pods of the policy here> ip saddr @<pods of a selection> meta l4proto tcp th dport { 80, 8000-8100 } return
 *
 * A new connection of an isolated pod that no line lets return is dropped. Named ports are sets of `address . port` of destinations.
 */
export interface PolicyRuleset {
  /** Rules of the chains `ingress` and `egress`. */
  readonly rules: { readonly ingress: readonly string[]; readonly egress: readonly string[] };
  readonly sets: ReadonlyMap<string, PolicySet>;
}

export interface PolicySet {
  readonly type: 'ipv4_addr' | 'ipv4_addr . ipv4_addr' | 'ipv4_addr . inet_service';
  /** The same object as long as nothing in it changed. */
  readonly elements: ReadonlySet<string>;
}

/** A set that follows pods: which, where, and whether their addresses or one of their named ports. */
export interface PodSet {
  readonly name: string;
  readonly selection: Selection;
  /** Pods of this node alone. */
  readonly local: boolean;
  readonly port?: { readonly protocol: PolicyProtocol; readonly name: string };
}

export interface PolicyRules {
  readonly ingress: readonly string[];
  readonly egress: readonly string[];
  readonly sets: ReadonlyMap<string, PodSet>;
  /** Whose pods here are isolated. */
  readonly isolated: { readonly ingress: readonly PodSet[]; readonly egress: readonly PodSet[] };
}

export const fixedPolicySets = {
  ingress: 'isolated_ingress',
  egress: 'isolated_egress',
  own: 'own',
} as const;

const table = `ip ${policyTable}`;
const everyAddress = (ranges: readonly Ipv4Range[]): boolean =>
  ranges.length === 1 && ranges[0]?.first === 0 && ranges[0].last === 2 ** 32 - 1;

/** The set of a selection: the name says nothing to people, but is the same for the same pods. */
export function podSet(selection: Selection, local: boolean, port?: PodSet['port']): PodSet {
  const text = `${local ? 'here' : 'all'} ${selection.id}${port === undefined ? '' : ` ${port.protocol} ${port.name}`}`;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  return { name: `pods_${hash}`, selection, local, ...(port === undefined ? {} : { port }) };
}

/** The rules of these policies, and the sets that they read. Pure. */
export function buildPolicyRules(policies: readonly PolicyPlan[]): PolicyRules {
  const sets = new Map<string, PodSet>();
  const isolated = { ingress: new Map<string, PodSet>(), egress: new Map<string, PodSet>() };
  const rules = { ingress: new Set<string>(), egress: new Set<string>() };
  const use = (...which: Parameters<typeof podSet>): PodSet => {
    const one = podSet(...which);
    sets.set(one.name, one);
    return one;
  };
  for (const { target, ingress, egress } of policies) {
    const here = use(target, true);
    for (const [direction, own] of [
      ['ingress', ingress],
      ['egress', egress],
    ] as const) {
      if (own === undefined) continue;
      isolated[direction].set(here.name, here);
      for (const rule of own) {
        for (const line of linesOf({ rule, here, direction, use })) rules[direction].add(line);
      }
    }
  }
  return {
    ingress: [...rules.ingress],
    egress: [...rules.egress],
    sets,
    isolated: { ingress: [...isolated.ingress.values()], egress: [...isolated.egress.values()] },
  };
}

interface LineInput {
  readonly rule: RulePlan;
  readonly here: PodSet;
  readonly direction: 'ingress' | 'egress';
  readonly use: (...which: Parameters<typeof podSet>) => PodSet;
}

function linesOf({ rule, here, direction, use }: LineInput): string[] {
  const lines: string[] = [];
  const [self, peer] = direction === 'ingress' ? ['daddr', 'saddr'] : ['saddr', 'daddr'];
  const emit = (...parts: string[]): void => {
    lines.push([`ip ${self} @${here.name}`, ...parts, 'return'].filter((part) => part !== '').join(' '));
  };
  const blocks =
    rule.blocks.length === 0 || everyAddress(rule.blocks) ? '' : `ip ${peer} ${anonymous(rule.blocks, ipv4Text)}`;
  const anywhere = rule.anyPeer || everyAddress(rule.blocks);
  const sources = anywhere ? [''] : rule.selections.map((one) => `ip ${peer} @${use(one, false).name}`);
  if (!anywhere && blocks !== '') sources.push(blocks);
  for (const source of sources) {
    if (rule.anyPort) emit(source);
    for (const match of rule.ports) {
      const ports = numberedPorts(match);
      if (ports !== undefined) emit(source, ports);
    }
  }
  for (const { protocol, names, all } of rule.ports) {
    if (all) continue;
    for (const name of names) {
      const port = { protocol, name };
      const to = (set: PodSet): string => `meta l4proto ${protocol} ip daddr . th dport @${set.name}`;
      if (direction === 'ingress') {
        const set = use(here.selection, true, port);
        for (const source of sources) emit(source, to(set));
        continue;
      }
      if (anywhere) emit(to(use(allPods, false, port)));
      else {
        for (const one of rule.selections) emit(to(use(one, false, port)));
        if (blocks !== '') emit(blocks, to(use(allPods, false, port)));
      }
    }
  }
  return lines;
}

function numberedPorts({ protocol, all, numbers }: PortMatch): string | undefined {
  if (all) return `meta l4proto ${protocol}`;
  return numbers.length === 0 ? undefined : `meta l4proto ${protocol} th dport ${anonymous(numbers, String)}`;
}

function anonymous(ranges: readonly Ipv4Range[], text: (value: number) => string): string {
  const parts = ranges.map(({ first, last }) => (first === last ? text(first) : `${text(first)}-${text(last)}`));
  return `{ ${parts.join(', ')} }`;
}

/** Chains that never change. Replies pass first; a pod may always reach itself, also through a Service. */
function skeleton(): string {
  return `table ${table} {
  set ${fixedPolicySets.ingress} { type ipv4_addr; }
  set ${fixedPolicySets.egress} { type ipv4_addr; }
  set ${fixedPolicySets.own} { type ipv4_addr . ipv4_addr; }
  chain ingress { drop; }
  chain egress { drop; }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    ip saddr . ip daddr @${fixedPolicySets.own} accept
    ip saddr @${fixedPolicySets.egress} jump egress
    ip daddr @${fixedPolicySets.ingress} jump ingress
  }
}
`;
}

const isFixed = (name: string): boolean => (Object.values(fixedPolicySets) as string[]).includes(name);

export const emptyPolicyRuleset: PolicyRuleset = { rules: { ingress: [], egress: [] }, sets: new Map() };

/** The script that turns `from` into `to` in one transaction; '' when they are equal. Sets that nobody reads go. Neither is empty. */
export function policyDifference(from: PolicyRuleset, to: PolicyRuleset): string {
  const lines: string[] = [];
  for (const [name, { type }] of to.sets)
    if (!isFixed(name) && !from.sets.has(name)) lines.push(`add set ${table} ${name} { type ${type}; }`);
  for (const chain of ['ingress', 'egress'] as const) {
    if (from.rules[chain].join('\n') === to.rules[chain].join('\n')) continue;
    lines.push(`flush chain ${table} ${chain}`);
    for (const rule of [...to.rules[chain], 'drop']) lines.push(`add rule ${table} ${chain} ${rule}`);
  }
  for (const [name, { elements }] of to.sets) {
    const before = from.sets.get(name)?.elements ?? new Set<string>();
    if (before === elements) continue;
    const gone = [...before].filter((one) => !elements.has(one));
    const added = [...elements].filter((one) => !before.has(one));
    if (gone.length > 0) lines.push(`delete element ${table} ${name} { ${gone.join(', ')} }`);
    if (added.length > 0) lines.push(`add element ${table} ${name} { ${added.join(', ')} }`);
  }
  for (const name of from.sets.keys())
    if (!isFixed(name) && !to.sets.has(name)) lines.push(`delete set ${table} ${name}`);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** The script that makes everything anew, whatever was there, or takes all away when nobody is isolated. */
export function policyScript(to: PolicyRuleset): string {
  const without = `table ${table} {}\ndelete table ${table}\n`;
  if (to.sets.size === 0) return without;
  const bare: PolicyRuleset = {
    rules: { ingress: [], egress: [] },
    sets: new Map(Object.values(fixedPolicySets).map((name) => [name, { type: 'ipv4_addr', elements: new Set() }])),
  };
  return `${without}${skeleton()}${policyDifference(bare, to)}`;
}
