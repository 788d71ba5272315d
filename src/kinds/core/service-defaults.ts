import type { Service } from '#api';

const affinitySeconds = 10800;
const clusterTypes: readonly string[] = ['ClusterIP', 'NodePort', 'LoadBalancer'];

export function applyServiceDefaults(service: Service): void {
  const spec = (service.spec ??= {});
  if (!spec.sessionAffinity) spec.sessionAffinity = 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP' && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds == null)
    spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: affinitySeconds } };
  if (!spec.type) spec.type = 'ClusterIP';
  for (const port of spec.ports ?? []) {
    if (!port.protocol) port.protocol = 'TCP';
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port;
  }
  if (isReachedFromOutside(service) && !spec.externalTrafficPolicy) spec.externalTrafficPolicy = 'Cluster';
  if (clusterTypes.includes(spec.type)) spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') {
    spec.allocateLoadBalancerNodePorts ??= true;
    for (const ingress of service.status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ??= 'VIP';
  }
}

/** NodePort, LoadBalancer, or ClusterIP with external addresses: the types that have an external traffic policy. */
export function isReachedFromOutside({ spec }: Service): boolean {
  return (
    spec?.type === 'NodePort' ||
    spec?.type === 'LoadBalancer' ||
    (spec?.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0)
  );
}
