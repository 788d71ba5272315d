import { rfc3339 } from '#base';
import type { Pod } from '#api';
import type { SandboxConfig } from '../cri/contract.ts';
import {
  configSeenAnnotation,
  configSourceAnnotation,
  podNameLabel,
  podNamespaceLabel,
  podUidLabel,
} from '../cri/names.ts';
import { allContainers } from './containers.ts';
import { type DnsFacts, podResolver } from './dns.ts';
import { kernelHostname } from './hosts-file.ts';
import { containerResources } from './resources.ts';
import { namespacesOf, seccompOf } from './security.ts';

export interface SandboxInput {
  readonly pod: Pod;
  readonly attempt: number;
  readonly dns: DnsFacts;
  readonly podLogsDir: string;
  /** Parent of the containers' cgroups, from the root of the hierarchy. */
  readonly cgroupParent: string;
  readonly seccompDir: string;
  readonly memoryBytes: number;
  readonly nowMs: number;
}

/** Directory of a pod's logs: `<namespace>_<name>_<uid>`. */
export function podLogDirectory(podLogsDir: string, pod: Pod): string {
  return `${podLogsDir}/${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`;
}

/** The sandbox of a pod in the runtime's terms. */
export function sandboxConfig(input: SandboxInput): SandboxConfig {
  const { pod, attempt, dns } = input;
  const { name, namespace, uid, labels = {}, annotations = {} } = pod.metadata;
  const shared = pod.spec?.securityContext;
  const privileged = allContainers(pod).some(({ spec }) => spec.securityContext?.privileged === true);
  const hostNetwork = pod.spec?.hostNetwork === true;
  const ports = allContainers(pod).flatMap(({ spec }) => spec.ports ?? []);
  const first = pod.spec?.containers[0];
  return {
    metadata: { name, namespace, uid, attempt },
    ...(hostNetwork ? {} : { hostname: kernelHostname(pod, dns.clusterDomain) }),
    log_directory: podLogDirectory(input.podLogsDir, pod),
    dns_config: podResolver(pod, dns),
    port_mappings: hostNetwork
      ? []
      : ports
          .filter(({ hostPort }) => hostPort !== undefined && hostPort > 0)
          .map(({ protocol = 'TCP', containerPort, hostPort = 0, hostIP }) => ({
            protocol: protocol as 'TCP' | 'UDP' | 'SCTP',
            container_port: containerPort,
            host_port: hostPort,
            ...(hostIP ? { host_ip: hostIP } : {}),
          })),
    labels: { ...labels, [podNameLabel]: name, [podNamespaceLabel]: namespace, [podUidLabel]: uid },
    annotations: { ...annotations, [configSeenAnnotation]: rfc3339(input.nowMs), [configSourceAnnotation]: 'api' },
    linux: {
      cgroup_parent: input.cgroupParent,
      sysctls: Object.fromEntries((shared?.sysctls ?? []).map((one) => [one.name, one.value])),
      security_context: {
        privileged,
        namespace_options: namespacesOf(pod),
        seccomp: seccompOf(undefined, { privileged, directory: input.seccompDir }),
        ...(shared?.seLinuxOptions === undefined ? {} : { selinux_options: shared.seLinuxOptions }),
        supplemental_groups: [
          ...(shared?.supplementalGroups ?? []),
          ...(shared?.fsGroup === undefined ? [] : [shared.fsGroup]),
        ],
      },
      ...(first === undefined ? {} : { resources: containerResources(pod, first, input.memoryBytes) }),
    },
  };
}
