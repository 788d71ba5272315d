import type { Pod, Service } from '#api';

export interface PortOfPod {
  readonly name?: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

/** A service's ports as they are on one pod; a named port that the pod lacks is left out. */
export function portsOn(pod: Pod, service: Service): PortOfPod[] {
  const found: PortOfPod[] = [];
  for (const { name, port, targetPort = port, protocol = 'TCP', appProtocol } of service.spec.ports ?? []) {
    const number = typeof targetPort === 'number' ? targetPort || port : containerPort(pod, targetPort, protocol);
    if (number === undefined) continue;
    found.push({
      ...(name === undefined ? {} : { name }),
      port: number,
      protocol,
      ...(appProtocol === undefined ? {} : { appProtocol }),
    });
  }
  return found;
}

function containerPort(pod: Pod, name: string, protocol: string): number | undefined {
  const sidecars = (pod.spec.initContainers ?? []).filter((one) => one.restartPolicy === 'Always');
  for (const { ports = [] } of [...pod.spec.containers, ...sidecars]) {
    const found = ports.find((one) => one.name === name && (one.protocol ?? 'TCP') === protocol);
    if (found !== undefined) return found.containerPort;
  }
  return undefined;
}
