import type { Pod } from '#api';

/** A port of this machine that leads into one pod of it. */
export interface HostPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly hostPort: number;
  /** '' for every address of the node. */
  readonly hostAddress: string;
  readonly address: string;
  readonly port: number;
}

const everyAddress = new Set(['', '0.0.0.0', '::']);

/** The host ports of a pod that runs and has an address of its own. */
export function planHostPorts(pod: Pod): HostPort[] {
  const address = pod.status?.podIP;
  const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
  if (pod.spec.hostNetwork === true || ended || address === undefined || !/^\d+(\.\d+){3}$/.test(address)) return [];
  const found: HostPort[] = [];
  for (const container of [...(pod.spec.initContainers ?? []), ...pod.spec.containers]) {
    for (const port of container.ports ?? []) {
      if (!port.hostPort) continue;
      found.push({
        protocol: (port.protocol ?? 'TCP').toLowerCase() as HostPort['protocol'],
        hostPort: port.hostPort,
        hostAddress: everyAddress.has(port.hostIP ?? '') ? '' : (port.hostIP as string),
        address,
        port: port.containerPort,
      });
    }
  }
  return found;
}
