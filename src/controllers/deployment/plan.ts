import { type Deployment, type DeploymentStatus, type NewObject, type Pod, type ReplicaSet, resource } from '#api';
import { isPodTerminal } from '#kinds';
import { controllerReference, deepEqual } from '#machinery';
import {
  byCreation,
  desiredReplicasAnnotation,
  findNewSet,
  hashLabel,
  maxReplicasAnnotation,
  newSetAnnotations,
  nextRevision,
  replicasOf,
  revisionOf,
  templateHash,
  wantedReplicas,
  withScaleAnnotations,
} from './replica-sets.ts';
import { isActiveSet, isScalingEvent, newSetReplicas, planResize, planRollingStep, type Scaling } from './scaling.ts';
import {
  conditionOf,
  countStatus,
  deadlineDelayMs,
  hasDeadline,
  isComplete,
  type Now,
  rolloutStatus,
  sameStatus,
  setCondition,
} from './status.ts';

export interface DeploymentView {
  readonly deployment: Deployment;
  /** The sets it controls. */
  readonly sets: readonly ReplicaSet[];
  /** Pods of a set; asked only where the strategy needs them. */
  readonly podsOf: (set: ReplicaSet) => readonly Pod[];
  readonly now: Now;
}

/** What to do, in this order: create, update sets, delete sets, annotate the deployment, write its status. */
export interface DeploymentPlan {
  readonly create?: NewObject<ReplicaSet>;
  /** Changed sets, whole; `from` says the size before when that changes. */
  readonly updates: readonly { readonly set: ReplicaSet; readonly from?: number }[];
  readonly removals: readonly ReplicaSet[];
  /** The revision annotation to give the deployment. */
  readonly revision?: string;
  /** Absent: nothing to write. */
  readonly status?: DeploymentStatus;
  readonly requeueAfterMs?: number;
}

const deployments = resource('apps/v1', 'deployments');
const idle: DeploymentPlan = { updates: [], removals: [] };

/** One step of a deployment towards what it says. Pure: the next step follows when the sets have answered. */
export function planDeployment(view: DeploymentView): DeploymentPlan {
  const { deployment, sets, now } = view;
  if (deployment.metadata.deletionTimestamp !== undefined) {
    return withStatus(idle, deployment, countStatus(deployment, findNewSet(deployment, sets), sets, now), now);
  }
  const pausing = planPause(deployment, now);
  if (pausing !== undefined) return { ...idle, status: pausing };
  const present = findNewSet(deployment, sets);
  const oldSets = sets.filter((set) => set !== present);
  if (deployment.spec.paused || isScalingEvent(deployment, sets)) return planSizeOnly(view, present, oldSets);
  return deployment.spec.strategy?.type === 'Recreate'
    ? planRecreate(view, present, oldSets)
    : planRolling(view, present, oldSets);
}

/** Pausing and resuming are written down once, so that the deadline does not run while paused. */
function planPause(deployment: Deployment, now: Now): DeploymentStatus | undefined {
  if (!hasDeadline(deployment)) return undefined;
  const reason = conditionOf(deployment.status, 'Progressing')?.reason;
  if (reason === 'ProgressDeadlineExceeded') return undefined;
  const status: DeploymentStatus = { ...deployment.status };
  if (deployment.spec.paused && reason !== 'DeploymentPaused') {
    setCondition(
      status,
      { type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' },
      now,
    );
    return status;
  }
  if (!deployment.spec.paused && reason === 'DeploymentPaused') {
    setCondition(
      status,
      { type: 'Progressing', status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' },
      now,
    );
    return status;
  }
  return undefined;
}

/** Paused, or its size was changed in the middle of a rollout: sizes move, the rollout does not. */
function planSizeOnly(
  view: DeploymentView,
  newSet: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
): DeploymentPlan {
  const { deployment, sets, now } = view;
  const revised = newSet === undefined ? undefined : reviseSet(deployment, newSet, oldSets);
  const scalings = planResize(deployment, newSet, oldSets);
  const updates = updatesOf(deployment, scalings, revised);
  const removals = deployment.spec.paused && oldSets.length > 0 ? planCleanup(deployment, oldSets) : [];
  const status = countStatus(deployment, newSet, sets, now);
  return withStatus({ updates, removals, ...revisionChange(deployment, updates, newSet) }, deployment, status, now);
}

function planRolling(
  view: DeploymentView,
  present: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
): DeploymentPlan {
  const { deployment, sets, now } = view;
  if (present === undefined) return planNewSet(view, oldSets);
  const revised = reviseSet(deployment, present, oldSets);
  const updates = updatesOf(deployment, planRollingStep(deployment, present, oldSets), revised);
  return finishStep(view, {
    present,
    oldSets,
    updates,
    status: rolloutStatus(foundSet(deployment, present, now), present, sets, now),
  });
}

function planRecreate(
  view: DeploymentView,
  present: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
): DeploymentPlan {
  const { deployment, sets, podsOf, now } = view;
  const active = oldSets.filter(isActiveSet);
  const status = rolloutStatus(deployment, present, sets, now);
  if (active.length > 0) {
    const updates = updatesOf(
      deployment,
      active.map((set) => ({ set, replicas: 0 })),
    );
    return withStatus({ updates, removals: [] }, deployment, status, now);
  }
  const oldPodsRun = oldSets.some((set) => podsOf(set).some((pod) => !isPodTerminal(pod)));
  if (oldPodsRun) return withStatus(idle, deployment, status, now);
  if (present === undefined) return planNewSet(view, oldSets);
  const wanted = wantedReplicas(deployment);
  const scalings = replicasOf(present) === wanted ? [] : [{ set: present, replicas: wanted }];
  const updates = updatesOf(deployment, scalings, reviseSet(deployment, present, oldSets));
  return finishStep(view, { present, oldSets, updates, status });
}

interface Step {
  readonly present: ReplicaSet;
  readonly oldSets: readonly ReplicaSet[];
  readonly updates: DeploymentPlan['updates'];
  readonly status: DeploymentStatus;
}

function finishStep({ deployment, now }: DeploymentView, { present, oldSets, updates, status }: Step): DeploymentPlan {
  const removals = updates.length === 0 && isComplete(deployment, status) ? planCleanup(deployment, oldSets) : [];
  return withStatus({ updates, removals, ...revisionChange(deployment, updates, present) }, deployment, status, now);
}

/** A set made earlier by the same template counts as progress once. */
function foundSet(deployment: Deployment, set: ReplicaSet, now: Now): Deployment {
  if (!hasDeadline(deployment) || conditionOf(deployment.status, 'Progressing') !== undefined) return deployment;
  const status: DeploymentStatus = { ...deployment.status };
  const message = `Found new replica set "${set.metadata.name}"`;
  setCondition(status, { type: 'Progressing', status: 'True', reason: 'FoundNewReplicaSet', message }, now);
  return { ...deployment, status };
}

function planNewSet({ deployment, sets, now }: DeploymentView, oldSets: readonly ReplicaSet[]): DeploymentPlan {
  const revision = nextRevision(oldSets);
  const { template, selector, minReadySeconds } = deployment.spec;
  const hash = templateHash(template, deployment.status?.collisionCount);
  const name = `${deployment.metadata.name}-${hash}`;
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const create: NewObject<ReplicaSet> = {
    metadata: {
      namespace: deployment.metadata.namespace,
      name,
      labels,
      annotations: withScaleAnnotations(newSetAnnotations(deployment, undefined, revision), deployment),
      ownerReferences: [controllerReference(deployment, deployments)],
    },
    spec: {
      replicas: newSetReplicas(deployment, oldSets, 0),
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    },
  };
  const status = countStatus(deployment, undefined, sets, now);
  if (hasDeadline(deployment)) {
    const message = `Created new replica set "${name}"`;
    setCondition(status, { type: 'Progressing', status: 'True', reason: 'NewReplicaSetCreated', message }, now);
  }
  return withStatus({ create, updates: [], removals: [], revision: String(revision) }, deployment, status, now);
}

/** The newest set as it is, and as it should be: the same object when nothing changes. */
interface Newest {
  readonly present: ReplicaSet;
  readonly revised: ReplicaSet;
}

/** The newest set as it should be annotated: it takes the highest revision again when an old template comes back. */
function reviseSet(deployment: Deployment, set: ReplicaSet, oldSets: readonly ReplicaSet[]): Newest {
  const revision = nextRevision(oldSets);
  const annotations = newSetAnnotations(deployment, set, revision);
  const minReadySeconds = deployment.spec.minReadySeconds ?? 0;
  if (deepEqual(annotations, set.metadata.annotations ?? {}) && minReadySeconds === (set.spec.minReadySeconds ?? 0)) {
    return { present: set, revised: set };
  }
  const revised = { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec, minReadySeconds } };
  return { present: set, revised };
}

/** Sets to write: those that change size (they remember what they were scaled for), and the newest one when it was revised. */
function updatesOf(deployment: Deployment, scalings: readonly Scaling[], newest?: Newest): DeploymentPlan['updates'] {
  const updates: { set: ReplicaSet; from?: number }[] = [];
  for (const { set, replicas } of scalings) {
    const base = newest?.present === set ? newest.revised : set;
    const from = replicasOf(set);
    const annotations = withScaleAnnotations(base.metadata.annotations, deployment);
    if (from === replicas && base === set && sameScale(annotations, set.metadata.annotations)) continue;
    const changed = { ...base, metadata: { ...base.metadata, annotations }, spec: { ...base.spec, replicas } };
    updates.push(from === replicas ? { set: changed } : { set: changed, from });
  }
  if (newest === undefined || newest.revised === newest.present) return updates;
  if (scalings.some(({ set }) => set === newest.present)) return updates;
  return [...updates, { set: newest.revised }];
}

function sameScale(a: Record<string, string>, b: Record<string, string> | undefined): boolean {
  return (
    a[desiredReplicasAnnotation] === b?.[desiredReplicasAnnotation] &&
    a[maxReplicasAnnotation] === b?.[maxReplicasAnnotation]
  );
}

function revisionChange(
  deployment: Deployment,
  updates: DeploymentPlan['updates'],
  newSet: ReplicaSet | undefined,
): { revision?: string } {
  if (newSet === undefined) return {};
  const written = updates.find(({ set }) => set.metadata.uid === newSet.metadata.uid)?.set ?? newSet;
  const revision = revisionOf(written);
  return revision === 0n || revision === revisionOf(deployment) ? {} : { revision: String(revision) };
}

/** Old sets beyond the history limit that have no pods, the oldest revisions. */
function planCleanup(deployment: Deployment, oldSets: readonly ReplicaSet[]): ReplicaSet[] {
  const limit = deployment.spec.revisionHistoryLimit;
  if (limit === undefined || limit === 2 ** 31 - 1) return [];
  const cleanable = oldSets.filter((set) => set.metadata.deletionTimestamp === undefined);
  const surplus = cleanable.length - limit;
  if (surplus <= 0) return [];
  const oldest = cleanable
    .toSorted((a, b) => Number(revisionOf(a) - revisionOf(b)) || byCreation(a, b))
    .slice(0, surplus);
  return oldest.filter(
    (set) =>
      (set.status?.replicas ?? 0) === 0 &&
      replicasOf(set) === 0 &&
      (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
  );
}

function withStatus(plan: DeploymentPlan, deployment: Deployment, status: DeploymentStatus, now: Now): DeploymentPlan {
  const requeueAfterMs = deployment.spec.paused ? undefined : deadlineDelayMs(deployment, status, now);
  return {
    ...plan,
    ...(sameStatus(deployment.status, status) ? {} : { status }),
    ...(requeueAfterMs === undefined ? {} : { requeueAfterMs }),
  };
}
