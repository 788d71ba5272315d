import type { IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#api';
import { type Ipv4Range, ipv4Range, type LabelSelector, labelSelectorOf, mergeRanges, withoutRanges } from '#machinery';

export type PolicyProtocol = 'tcp' | 'udp' | 'sctp';

/** Pods by their namespace and labels. Two selections with the same `id` choose the same pods. */
export interface Selection {
  readonly id: string;
  /** Only pods of this namespace; without it, of the namespaces that `namespaces` matches. */
  readonly namespace?: string;
  readonly namespaces: LabelSelector;
  readonly pods: LabelSelector;
}

/** Ports of one protocol: numbers (`all` when any), and names that each destination pod reads in its own way. */
export interface PortMatch {
  readonly protocol: PolicyProtocol;
  readonly all: boolean;
  readonly numbers: readonly Ipv4Range[];
  readonly names: readonly string[];
}

/** What one entry of a policy lets through: any of the peers, at any of the ports. */
export interface RulePlan {
  readonly anyPeer: boolean;
  readonly selections: readonly Selection[];
  readonly blocks: readonly Ipv4Range[];
  readonly anyPort: boolean;
  readonly ports: readonly PortMatch[];
}

/** One policy, read. A direction that is absent is none of this policy's business; an empty one lets nothing through. */
export interface PolicyPlan {
  /** `default/web`. */
  readonly id: string;
  readonly target: Selection;
  readonly ingress?: readonly RulePlan[];
  readonly egress?: readonly RulePlan[];
}

const protocols = new Map<string, PolicyProtocol>([
  ['TCP', 'tcp'],
  ['UDP', 'udp'],
  ['SCTP', 'sctp'],
]);
const everywhere: Selection = selectionOf(undefined, {}, {});

/** Every pod of the cluster. */
export const allPods: Selection = everywhere;

/** Reads a NetworkPolicy as the API defines it: absent peers or ports mean all, absent types mean Ingress and, with egress rules, Egress. Pure. */
export function planPolicy(policy: NetworkPolicy): PolicyPlan {
  const { namespace = '', name } = policy.metadata;
  const { podSelector, ingress = [], egress = [], policyTypes = [] } = policy.spec ?? {};
  const types = policyTypes.length > 0 ? policyTypes : egress.length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  const rule = (peers: readonly NetworkPolicyPeer[] | undefined, ports: readonly NetworkPolicyPort[] | undefined) =>
    planRule(namespace, peers ?? [], ports ?? []);
  return {
    id: `${namespace}/${name}`,
    target: selectionOf(namespace, undefined, podSelector ?? {}),
    ...(types.includes('Ingress') ? { ingress: ingress.map((one) => rule(one.from, one.ports)) } : {}),
    ...(types.includes('Egress') ? { egress: egress.map((one) => rule(one.to, one.ports)) } : {}),
  };
}

function planRule(
  namespace: string,
  peers: readonly NetworkPolicyPeer[],
  ports: readonly NetworkPolicyPort[],
): RulePlan {
  const selections: Selection[] = [];
  const blocks: Ipv4Range[] = [];
  for (const { ipBlock, namespaceSelector, podSelector } of peers) {
    if (ipBlock != null) blocks.push(...rangesOf(ipBlock));
    else if (namespaceSelector != null) selections.push(selectionOf(undefined, namespaceSelector, podSelector ?? {}));
    else if (podSelector != null) selections.push(selectionOf(namespace, undefined, podSelector));
  }
  return {
    anyPeer: peers.length === 0,
    selections: [...new Map(selections.map((one) => [one.id, one])).values()],
    blocks: mergeRanges(blocks),
    anyPort: ports.length === 0,
    ports: planPorts(ports),
  };
}

function selectionOf(
  namespace: string | undefined,
  namespaceSelector: Parameters<typeof labelSelectorOf>[0],
  podSelector: Parameters<typeof labelSelectorOf>[0],
): Selection {
  const namespaces = labelSelectorOf(namespaceSelector);
  const pods = labelSelectorOf(podSelector);
  const place = namespace === undefined ? `namespaces(${namespaces.toString()})` : `namespace ${namespace}`;
  return {
    id: `${place} pods(${pods.toString()})`,
    ...(namespace === undefined ? {} : { namespace }),
    namespaces,
    pods,
  };
}

/** The addresses of a block without its exceptions; none of a block of the other family, which no packet here belongs to. */
function rangesOf({ cidr, except }: IPBlock): Ipv4Range[] {
  const range = ipv4Range(cidr);
  if (range === undefined) return [];
  return withoutRanges(
    range,
    (except ?? []).flatMap((one) => ipv4Range(one) ?? []),
  );
}

function planPorts(ports: readonly NetworkPolicyPort[]): PortMatch[] {
  const found = new Map<PolicyProtocol, { all: boolean; numbers: Ipv4Range[]; names: Set<string> }>();
  for (const { protocol: upper, port, endPort } of ports) {
    const protocol = protocols.get(upper ?? 'TCP');
    if (protocol === undefined) continue;
    const entry = found.get(protocol) ?? { all: false, numbers: [], names: new Set<string>() };
    found.set(protocol, entry);
    if (port == null) entry.all = true;
    else if (typeof port === 'number') entry.numbers.push({ first: port, last: Math.max(port, endPort ?? port) });
    else entry.names.add(port);
  }
  return [...found]
    .map(([protocol, { all, numbers, names }]) => ({
      protocol,
      all,
      numbers: mergeRanges(numbers),
      names: [...names].sort(),
    }))
    .sort((a, b) => (a.protocol < b.protocol ? -1 : 1));
}
