import type { Container, EphemeralContainer, Pod } from '#api';
import type { ContainerConfig, ContainerSecurity, Image, MountConfig } from '../cri/contract.ts';
import {
  containerHashAnnotation,
  containerNameLabel,
  podNameLabel,
  podNamespaceLabel,
  podUidLabel,
  restartCountAnnotation,
  terminationMessagePathAnnotation,
  terminationMessagePolicyAnnotation,
} from '../cri/names.ts';
import { containerHash } from './containers.ts';
import { expandVariables } from './expansion.ts';
import { resourcesAnnotation, resourcesText } from './resize.ts';
import { containerResources } from './resources.ts';

export interface ContainerConfigInput {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly attempt: number;
  readonly image: Image;
  readonly environment: ReadonlyMap<string, Buffer>;
  readonly mounts: readonly MountConfig[];
  readonly devices: readonly {
    readonly container_path: string;
    readonly host_path: string;
    readonly permissions: string;
  }[];
  readonly security: ContainerSecurity;
  readonly memoryBytes: number;
}

/** Path of a container's log below its pod's log directory. */
export function containerLogPath(name: string, attempt: number): string {
  return `${name}/${attempt}.log`;
}

/** A container in the runtime's terms. */
export function containerConfig(input: ContainerConfigInput): ContainerConfig {
  const { pod, container, attempt, image, environment, mounts, devices, security, memoryBytes } = input;
  const { name, namespace, uid } = pod.metadata;
  const resources = containerResources(pod, container, memoryBytes);
  const expand = (text: string): string =>
    expandVariables(text, (variable) => environment.get(variable)?.toString('utf8'));
  return {
    metadata: { name: container.name, attempt },
    image: { image: image.id, user_specified_image: container.image ?? '' },
    command: (container.command ?? []).map(expand),
    args: (container.args ?? []).map(expand),
    working_dir: container.workingDir ?? '',
    envs: [...environment].map(([key, value]) => ({ key, value })),
    mounts: [...mounts],
    devices: [...devices],
    labels: {
      [podNameLabel]: name,
      [podNamespaceLabel]: namespace,
      [podUidLabel]: uid,
      [containerNameLabel]: container.name,
    },
    annotations: {
      [containerHashAnnotation]: containerHash(container),
      [restartCountAnnotation]: String(attempt),
      [resourcesAnnotation]: resourcesText(resources),
      [terminationMessagePathAnnotation]: container.terminationMessagePath ?? '/dev/termination-log',
      [terminationMessagePolicyAnnotation]: container.terminationMessagePolicy ?? 'File',
    },
    log_path: containerLogPath(container.name, attempt),
    stdin: container.stdin === true,
    stdin_once: container.stdinOnce === true,
    tty: container.tty === true,
    linux: { resources, security_context: security },
    ...(container.lifecycle?.stopSignal === undefined ? {} : { stop_signal: container.lifecycle.stopSignal }),
  };
}
