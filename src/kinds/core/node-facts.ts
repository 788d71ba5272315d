import type { Node, NodeCondition, Taint } from '#api';

const rolePrefix = 'node-role.kubernetes.io/';
const roleLabel = 'kubernetes.io/role';

/** The condition of that type, if the node reports it. */
export function nodeCondition(node: Node, type: string): NodeCondition | undefined {
  return node.status?.conditions?.find((one) => one.type === type);
}

/** Condition Ready is True. */
export function isNodeReady(node: Node): boolean {
  return nodeCondition(node, 'Ready')?.status === 'True';
}

/** Roles from labels `node-role.kubernetes.io/<role>` and `kubernetes.io/role=<role>`, sorted. */
export function nodeRoles(node: Node): string[] {
  const roles = new Set<string>();
  for (const [label, value] of Object.entries(node.metadata.labels ?? {})) {
    if (label.startsWith(rolePrefix) && label.length > rolePrefix.length) roles.add(label.slice(rolePrefix.length));
    else if (label === roleLabel && value !== '') roles.add(value);
  }
  return [...roles].sort();
}

/** First address of a type: InternalIP, ExternalIP, Hostname, InternalDNS or ExternalDNS. */
export function nodeAddress(node: Node, type: string): string | undefined {
  return node.status?.addresses?.find((one) => one.type === type)?.address;
}

/** Taints of an effect, or all. */
export function nodeTaints(node: Node, effect?: string): readonly Taint[] {
  const taints = node.spec?.taints ?? [];
  return effect === undefined ? taints : taints.filter((one) => one.effect === effect);
}
