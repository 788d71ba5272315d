import {
  type NewObject,
  type PersistentVolumeClaim,
  type Pod,
  type PodTemplateSpec,
  resource,
  type StatefulSet,
} from '#api';
import { controllerReference } from '#machinery';
import { podFromTemplate } from '../pods/from-template.ts';
import { revisionHashLabel } from '../revisions/revisions.ts';

export const statefulSets = resource('apps/v1', 'statefulsets');
const podNameLabel = 'statefulset.kubernetes.io/pod-name';
const podIndexLabel = 'apps.kubernetes.io/pod-index';

export const firstOrdinal = (set: StatefulSet): number => set.spec.ordinals?.start ?? 0;
export const replicasOf = (set: StatefulSet): number => set.spec.replicas ?? 1;
export const podName = (set: StatefulSet, ordinal: number): string => `${set.metadata.name}-${ordinal}`;

/** The ordinal in the pod's name; undefined for a pod that is not the set's by name. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const { name } = pod.metadata;
  if (!name.startsWith(prefix)) return undefined;
  const rest = name.slice(prefix.length);
  return /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : undefined;
}

/** A pod of the set: its name, host name, claims and revision follow from the ordinal. */
export function podOfSet(
  set: StatefulSet,
  ordinal: number,
  template: PodTemplateSpec,
  revision: string,
): NewObject<Pod> {
  const pod = podFromTemplate(template, set, statefulSets);
  const { generateName: _, ...metadata } = pod.metadata;
  const name = podName(set, ordinal);
  const claims = (set.spec.volumeClaimTemplates ?? []).map((one) => one.metadata.name);
  const volumes = (pod.spec.volumes ?? []).filter((one) => !claims.includes(one.name));
  const claimed = claims.map((claim) => ({
    name: claim,
    persistentVolumeClaim: { claimName: claimName(claim, set, ordinal) },
  }));
  return {
    metadata: {
      ...metadata,
      name,
      labels: {
        ...metadata.labels,
        [podNameLabel]: name,
        [podIndexLabel]: String(ordinal),
        [revisionHashLabel]: revision,
      },
    },
    spec: {
      ...pod.spec,
      hostname: name,
      ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}),
      ...(volumes.length + claimed.length === 0 ? {} : { volumes: [...claimed, ...volumes] }),
    },
  };
}

const claimName = (template: string, set: StatefulSet, ordinal: number): string =>
  `${template}-${podName(set, ordinal)}`;

/** The claims that an ordinal's pod mounts. They outlive it, unless the set's policy says they go with the set. */
export function claimsOfSet(set: StatefulSet, ordinal: number): NewObject<PersistentVolumeClaim>[] {
  const deleted = set.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete';
  return (set.spec.volumeClaimTemplates ?? []).map(({ metadata, spec }) => ({
    metadata: {
      namespace: set.metadata.namespace,
      name: claimName(metadata.name, set, ordinal),
      labels: { ...metadata.labels, ...set.spec.selector.matchLabels },
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ...(deleted ? { ownerReferences: [controllerReference(set, statefulSets)] } : {}),
    },
    spec,
  }));
}
