export { cniConfiguration, cniFileName, type CniOptions } from './cni/configuration.ts';
export { type DnsServerOptions, startDnsServer } from './dns/dns-server.ts';
export { type NetworkPolicies, type NetworkPoliciesOptions, startNetworkPolicies } from './policy/network-policies.ts';
export { type ReservationsOptions, startReservationCare } from './cni/reservations.ts';
export type { PathFinding } from './doctor/examine-path.ts';
export { type ServiceProxyOptions, startServiceProxy } from './proxy/service-proxy.ts';
export type { NetworkMode } from './routes/plan-routes.ts';
export { startPodRoutes } from './routes/pod-routes.ts';
export { startServiceRoute } from './routes/service-route.ts';

/** Serves Ingresses: loaded by the process that does. */
export const loadIngress = () => import('./ingress/ingress-controller.ts');
/** Keeps that process running: loaded by the agent. */
export const loadIngressSupervisor = () => import('./ingress/supervisor.ts');
/** Tries the path of packets in throw-away namespaces: loaded by its command. */
export const loadDoctor = () => import('./doctor/examine-path.ts');
