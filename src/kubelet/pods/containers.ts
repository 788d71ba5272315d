import { createHash } from 'node:crypto';
import type { Container, EphemeralContainer, Pod } from '#api';

/** A container of a pod with the list it stands in. */
export interface PodContainer {
  readonly kind: 'init' | 'regular' | 'ephemeral';
  readonly spec: Container | EphemeralContainer;
}

/** Every container of a pod, in order of start: what must hold for "all containers" walks this one list. */
export function allContainers(pod: Pod): PodContainer[] {
  const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec ?? { containers: [] };
  return [
    ...initContainers.map((spec) => ({ kind: 'init' as const, spec })),
    ...containers.map((spec) => ({ kind: 'regular' as const, spec })),
    ...ephemeralContainers.map((spec) => ({ kind: 'ephemeral' as const, spec })),
  ];
}

export function findContainer(pod: Pod, name: string): PodContainer | undefined {
  return allContainers(pod).find((one) => one.spec.name === name);
}

/** An init container that keeps running beside the others. */
export function isSidecar(container: PodContainer): boolean {
  return container.kind === 'init' && container.spec.restartPolicy === 'Always';
}

/** Whether a container that ended with this code is to be started again: its own policy and rules before the pod's policy. */
export function restartsAfter(pod: Pod, container: PodContainer, exitCode: number): boolean {
  if (container.kind === 'ephemeral') return false;
  for (const rule of container.spec.restartPolicyRules ?? []) {
    const codes = rule.exitCodes;
    if (codes === undefined) continue;
    const listed = (codes.values ?? []).includes(exitCode);
    if (rule.action === 'Restart' && (codes.operator === 'NotIn' ? !listed : listed)) return true;
  }
  const policy = container.spec.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always';
  if (container.kind === 'init' && container.spec.restartPolicy === undefined)
    return policy !== 'Never' && exitCode !== 0;
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

/** Changes of these fields restart a container in place; all others of a running pod cannot change. */
export function containerHash(spec: Container | EphemeralContainer): string {
  return createHash('sha256')
    .update(JSON.stringify([spec.name, spec.image]))
    .digest('hex')
    .slice(0, 8);
}

/** `namespace/name`, as messages show a pod. */
export function podKey(pod: Pod): string {
  return `${pod.metadata.namespace}/${pod.metadata.name}`;
}

/** `name_namespace(uid)`, as upstream's messages name a pod. */
export function podText(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}
