import type { Deployment, PodTemplateSpec, ReplicaSet } from '#api';
import { deepEqual, fnv32a, parseTimeMs, resolveIntOrPercent, safeEncode } from '#machinery';

export const hashLabel = 'pod-template-hash';
export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';

/** Annotations of a Deployment that its ReplicaSets do not take over. */
const ownAnnotations: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.to',
]);

export const replicasOf = (set: ReplicaSet): number => set.spec.replicas ?? 1;
export const wantedReplicas = (deployment: Deployment): number => deployment.spec.replicas ?? 1;
export const sumOf = (sets: readonly ReplicaSet[], of: (set: ReplicaSet) => number): number =>
  sets.reduce((sum, set) => sum + of(set), 0);

/** The revision annotation, an int64 that users may set; 0 when there is none. */
export function revisionOf(object: { metadata: { annotations?: Record<string, string> } }): bigint {
  const text = object.metadata.annotations?.[revisionAnnotation];
  return text !== undefined && /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
}

/** The revision after the highest of these sets'. */
export function nextRevision(sets: readonly ReplicaSet[]): bigint {
  let highest = 0n;
  for (const set of sets) if (revisionOf(set) > highest) highest = revisionOf(set);
  return highest + 1n;
}

/** Old first; of the same second, by name. */
export function byCreation(a: ReplicaSet, b: ReplicaSet): number {
  const difference = parseTimeMs(a.metadata.creationTimestamp) - parseTimeMs(b.metadata.creationTimestamp);
  return difference || (a.metadata.name < b.metadata.name ? -1 : 1);
}

/** The pod template without the hash that the controller adds. */
function bareTemplate(template: PodTemplateSpec | undefined): PodTemplateSpec {
  const { [hashLabel]: _, ...labels } = template?.metadata?.labels ?? {};
  return { ...template, metadata: { ...template?.metadata, labels } };
}

/** The oldest set made from the deployment's present template. */
export function findNewSet(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const wanted = bareTemplate(deployment.spec.template);
  return sets.toSorted(byCreation).find((set) => deepEqual(bareTemplate(set.spec.template), wanted));
}

/** Names a template: same template and collision count, same hash. */
export function templateHash(template: PodTemplateSpec, collisionCount: number | undefined): string {
  const suffix = collisionCount === undefined ? '' : `#${collisionCount}`;
  return safeEncode(String(fnv32a(JSON.stringify(template, sortedKeys) + suffix)));
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** How many pods a rolling update may have above and below the wanted number. */
export function rollingBounds(deployment: Deployment): { surge: number; unavailable: number } {
  const replicas = wantedReplicas(deployment);
  if (deployment.spec.strategy?.type === 'Recreate') return { surge: 0, unavailable: 0 };
  const { maxSurge = '25%', maxUnavailable = '25%' } = deployment.spec.strategy?.rollingUpdate ?? {};
  const surge = resolveIntOrPercent(maxSurge, replicas, true);
  const unavailable = resolveIntOrPercent(maxUnavailable, replicas, false);
  if (surge === 0 && unavailable === 0) return { surge: 0, unavailable: 1 };
  return { surge, unavailable: Math.min(unavailable, replicas) };
}

/** How many pods all sets together may have. */
export function mostReplicas(deployment: Deployment): number {
  return wantedReplicas(deployment) + rollingBounds(deployment).surge;
}

/** `annotations` with those that say what the set was scaled for. */
export function withScaleAnnotations(
  annotations: Record<string, string> | undefined,
  deployment: Deployment,
): Record<string, string> {
  return {
    ...annotations,
    [desiredReplicasAnnotation]: String(wantedReplicas(deployment)),
    [maxReplicasAnnotation]: String(mostReplicas(deployment)),
  };
}

/** The annotations of the newest set: the deployment's, with the revision and, when it takes a new one, the history of old ones. */
export function newSetAnnotations(
  deployment: Deployment,
  set: ReplicaSet | undefined,
  revision: bigint,
): Record<string, string> {
  const annotations: Record<string, string> = { ...set?.metadata.annotations };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!ownAnnotations.has(key)) annotations[key] = value;
  }
  const old = annotations[revisionAnnotation];
  const oldRevision = set === undefined ? 0n : revisionOf(set);
  if (oldRevision < revision) {
    annotations[revisionAnnotation] = String(revision);
    if (old !== undefined && oldRevision > 0n) {
      const history = annotations[revisionHistoryAnnotation];
      annotations[revisionHistoryAnnotation] = history ? `${history},${old}` : old;
    }
  }
  return annotations;
}
