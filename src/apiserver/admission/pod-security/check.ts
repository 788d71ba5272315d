import type { ObjectMeta, PodSpec } from '#api';

/** A pod or the template of one. */
export interface PodLike {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec: PodSpec;
}

export interface Finding {
  readonly reason: string;
  readonly detail: string;
}

export interface PodCheck {
  readonly id: string;
  /** The minor version of Kubernetes whose standards have it first; from the beginning when absent. */
  readonly since?: number;
  /** Restricted checks that take the place of baseline ones. */
  readonly overrides?: readonly string[];
  /** `minor`: of the version of the standards that the pod is judged by. */
  check(pod: PodLike, minor: number): Finding | undefined;
}
