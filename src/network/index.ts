export { cniConfiguration, cniFileName, type CniOptions } from './cni/configuration.ts';
export { type DnsServerOptions, startDnsServer } from './dns/dns-server.ts';
export { type NetworkPolicies, type NetworkPoliciesOptions, startNetworkPolicies } from './policy/network-policies.ts';
export { type ServiceProxyOptions, startServiceProxy } from './proxy/service-proxy.ts';
export type { NetworkMode } from './routes/plan-routes.ts';
export { startPodRoutes } from './routes/pod-routes.ts';
export { removeNodeNetwork } from './routes/remove-network.ts';

/** Ingresses: loaded when a node is to serve them. */
export const loadIngress = () => import('./ingress/index.ts');
