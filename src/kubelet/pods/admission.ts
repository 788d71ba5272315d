import type { Node, NodeSelectorRequirement, Pod } from '#api';
import { type NodePressure, refusedUnderPressure } from '../eviction/plan-eviction.ts';
import { meetsNodeRequirement, quantityMilli } from '#machinery';
import { allContainers, isSidecar } from './containers.ts';
import { podAmount } from './resources.ts';

/** Settings of the kernel that are a pod's own, so that no pod can disturb another by them. */
const safeSysctls: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);

export interface AdmissionFacts {
  /** The pods of the node, this one among them or not. */
  readonly others: readonly Pod[];
  readonly allocatable: Readonly<Record<string, string>>;
  /** The node, once registered. */
  readonly node: Node | undefined;
  readonly pressure: NodePressure;
}

export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/**
 * Whether the node takes a pod that was bound to it. The scheduler asked the same, but from an older picture; and some bind pods by
 * hand. Returns upstream's reason and message for a pod that must fail.
 */
export function admitPod(pod: Pod, facts: AdmissionFacts): Refusal | undefined {
  const forbidden = (pod.spec?.securityContext?.sysctls ?? []).find(({ name }) => !safeSysctls.has(name));
  if (forbidden !== undefined) {
    return {
      reason: 'SysctlForbidden',
      message: `Pod was rejected: forbidden sysctl: "${forbidden.name}" not allowlisted`,
    };
  }
  const pressed = refusedUnderPressure(pod, facts.pressure);
  if (pressed !== undefined) return pressed;
  const living = facts.others.filter(
    ({ metadata, status }) =>
      metadata.uid !== pod.metadata.uid && status?.phase !== 'Failed' && status?.phase !== 'Succeeded',
  );
  const short = shortage(pod, living, facts.allocatable);
  if (short !== undefined) return short;
  if (living.some((other) => portsConflict(pod, other)))
    return predicate('NodePorts', "node(s) didn't have free ports for the requested pod ports");
  if (facts.node !== undefined && !matchesNode(pod, facts.node)) {
    return predicate('NodeAffinity', "node(s) didn't match Pod's node affinity/selector");
  }
  return undefined;
}

function predicate(reason: string, why: string): Refusal {
  return { reason, message: `Pod was rejected: Predicate ${reason} failed: ${why}` };
}

function shortage(
  pod: Pod,
  living: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): Refusal | undefined {
  const refuse = (resource: string, requested: number, used: number, capacity: number): Refusal => ({
    reason: `OutOf${resource}`,
    message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  });
  const mostPods = Number(allocatable.pods ?? '110');
  if (living.length + 1 > mostPods) return refuse('pods', 1, living.length, mostPods);
  for (const resource of ['cpu', 'memory'] as const) {
    const amount = (one: Pod): number => podAmount(one, resource, 'requests', quantityMilli).total;
    const requested = amount(pod);
    if (requested === 0) continue;
    const capacity = quantityMilli(allocatable[resource] ?? '0');
    const used = living.reduce((sum, one) => sum + amount(one), 0);
    if (used + requested <= capacity) continue;
    const shown = (milli: number): number => (resource === 'cpu' ? milli : Math.ceil(milli / 1000));
    return refuse(resource, shown(requested), shown(used), shown(capacity));
  }
  return undefined;
}

interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

function hostPorts(pod: Pod): HostPort[] {
  return allContainers(pod)
    .filter((one) => one.kind === 'regular' || isSidecar(one))
    .flatMap(({ spec }) => spec.ports ?? [])
    .map(({ hostIP, protocol = 'TCP', hostPort, containerPort }) => ({
      ip: hostIP || '0.0.0.0',
      protocol,
      port: hostPort ?? (pod.spec?.hostNetwork ? containerPort : 0),
    }))
    .filter(({ port }) => port > 0);
}

function portsConflict(pod: Pod, other: Pod): boolean {
  const anyIp = (ip: string): boolean => ip === '0.0.0.0' || ip === '::';
  const taken = hostPorts(other);
  return hostPorts(pod).some(({ ip, protocol, port }) =>
    taken.some(
      (one) => one.port === port && one.protocol === protocol && (one.ip === ip || anyIp(ip) || anyIp(one.ip)),
    ),
  );
}

/** nodeSelector and what of node affinity is required: all of the selector, and any term with all its expressions. */
export function matchesNode(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const selected = Object.entries(pod.spec?.nodeSelector ?? {}).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!selected || required === undefined) return selected;
  return required.nodeSelectorTerms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (matchExpressions.length === 0 && matchFields.length === 0) return false;
    const fields = { 'metadata.name': node.metadata.name };
    return matchExpressions.every((one) => holds(one, labels)) && matchFields.every((one) => holds(one, fields));
  });
}

function holds(requirement: NodeSelectorRequirement, labels: Readonly<Record<string, string>>): boolean {
  const { key } = requirement;
  return meetsNodeRequirement(requirement, Object.hasOwn(labels, key) ? labels[key] : undefined);
}
