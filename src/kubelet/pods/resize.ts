import type { Pod } from '#api';
import type { LinuxResources } from '../cri/contract.ts';
import { allContainers } from './containers.ts';
import { containerResources } from './resources.ts';
import { latestOf, type ObservedContainer, type PodRuntime } from './runtime-state.ts';

/** Annotation with the resources that a container was made with. */
export const resourcesAnnotation = 'io.kubernetes.container.resources';

export interface PlannedResize {
  readonly container: ObservedContainer;
  readonly resources: LinuxResources;
  /** What to remember as applied once it is. */
  readonly text: string;
  /** A policy of the container wants a restart for what changed. */
  readonly restart: boolean;
}

/** Resources in the form in which they are remembered and compared. */
export function resourcesText(resources: LinuxResources): string {
  const { cpu_shares: shares, cpu_quota: quota = 0, memory_limit_in_bytes: memory = 0 } = resources;
  return JSON.stringify({ shares, quota, memory });
}

/**
 * Running containers whose resources are no longer those of their spec (changed through `/resize`). `applied` is what was last set
 * since this kubelet runs, by container id; before that the container's own annotation tells. Pure.
 */
export function planResizes(
  pod: Pod,
  runtime: PodRuntime,
  options: { readonly applied: ReadonlyMap<string, string>; readonly memoryBytes: number },
): PlannedResize[] {
  return allContainers(pod).flatMap(({ kind, spec }) => {
    const container = latestOf(runtime, spec.name);
    if (kind === 'ephemeral' || container?.state !== 'running') return [];
    const before = options.applied.get(container.id) ?? container.annotations[resourcesAnnotation];
    const resources = containerResources(pod, spec, options.memoryBytes);
    const text = resourcesText(resources);
    if (before === undefined || before === text) return [];
    const [old, wanted] = [JSON.parse(before), JSON.parse(text)];
    const changed = [
      ...(old.shares !== wanted.shares || old.quota !== wanted.quota ? ['cpu'] : []),
      ...(old.memory !== wanted.memory ? ['memory'] : []),
    ];
    const restart = (spec.resizePolicy ?? []).some(
      (one) => one.restartPolicy === 'RestartContainer' && changed.includes(one.resourceName),
    );
    return [{ container, resources, text, restart }];
  });
}
