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
  /** Restricted checks that take the place of baseline ones. */
  readonly overrides?: readonly string[];
  check(pod: PodLike): Finding | undefined;
}
