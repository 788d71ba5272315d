import type { Pod } from '#api';
import { quantityMilli } from '#machinery';
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

/**
 * Whether the node has room for a pod that was bound to it beside those it has already. The scheduler asked the same, but from an
 * older picture; and some bind pods by hand. Returns upstream's reason and message for a pod that must fail.
 */
export function admitPod(
  pod: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): { readonly reason: string; readonly message: string } | undefined {
  const forbidden = (pod.spec?.securityContext?.sysctls ?? []).find(({ name }) => !safeSysctls.has(name));
  if (forbidden !== undefined) {
    return {
      reason: 'SysctlForbidden',
      message: `Pod was rejected: forbidden sysctl: "${forbidden.name}" not allowlisted`,
    };
  }
  const living = others.filter(
    ({ metadata, status }) =>
      metadata.uid !== pod.metadata.uid && status?.phase !== 'Failed' && status?.phase !== 'Succeeded',
  );
  const mostPods = Number(allocatable.pods ?? '110');
  if (living.length + 1 > mostPods) {
    return {
      reason: 'OutOfpods',
      message: `Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: ${living.length}, capacity: ${mostPods}`,
    };
  }
  for (const resource of ['cpu', 'memory'] as const) {
    const amount = (one: Pod): number => podAmount(one, resource, 'requests', quantityMilli).total;
    const requested = amount(pod);
    if (requested === 0) continue;
    const capacity = quantityMilli(allocatable[resource] ?? '0');
    const used = living.reduce((sum, one) => sum + amount(one), 0);
    if (used + requested <= capacity) continue;
    const shown = (milli: number): number => (resource === 'cpu' ? milli : Math.ceil(milli / 1000));
    return {
      reason: `OutOf${resource}`,
      message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${shown(requested)}, used: ${shown(used)}, capacity: ${shown(capacity)}`,
    };
  }
  return undefined;
}
