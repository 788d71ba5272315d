import type { Container, EphemeralContainer, PodSpec } from '#api';

/** A container of any list with its path: policies that look at containers go through here, so that none is forgotten. */
export interface ContainerAt {
  readonly container: Container | EphemeralContainer;
  readonly path: string;
  readonly list: 'initContainers' | 'containers' | 'ephemeralContainers';
}

export const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const;

/** Init, main and ephemeral containers, in this order. */
export function allContainers(spec: PodSpec | undefined): ContainerAt[] {
  return containerLists.flatMap((list) =>
    (spec?.[list] ?? []).map((container, index) => ({ container, path: `spec.${list}[${index}]`, list })),
  );
}
