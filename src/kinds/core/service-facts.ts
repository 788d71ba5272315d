import type { LoadBalancerStatus, Service } from '#api';

/** Addresses and host names of a load balancer, each once, sorted. */
export function loadBalancerAddresses(
  status: { ingress?: readonly { ip?: string; hostname?: string }[] } | LoadBalancerStatus | undefined,
): string[] {
  const found = (status?.ingress ?? []).map((one) => one.ip || one.hostname || '').filter((one) => one !== '');
  return [...new Set(found)].sort();
}

/** A Service without a cluster address: clusterIP is the word None. */
export function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === 'None';
}

/** It has a cluster address that a proxy serves. */
export function hasClusterIp(service: Service): boolean {
  const address = service.spec?.clusterIP;
  return service.spec?.type !== 'ExternalName' && address !== undefined && address !== '' && address !== 'None';
}

/** Types that need node ports. */
export function needsNodePort(service: Service): boolean {
  const { type, allocateLoadBalancerNodePorts } = service.spec ?? {};
  return type === 'NodePort' || (type === 'LoadBalancer' && allocateLoadBalancerNodePorts !== false);
}
