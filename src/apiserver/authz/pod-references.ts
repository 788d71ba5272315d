import type { AnyObject } from '#api';

/** Something in a namespace that a pod needs. */
export interface PodReference {
  readonly resource: 'secrets' | 'configmaps' | 'persistentvolumeclaims' | 'serviceaccounts' | 'resourceclaims';
  readonly namespace: string;
  readonly name: string;
}

interface Named {
  readonly name?: string;
}

interface ContainerFields {
  readonly env?: readonly {
    readonly valueFrom?: { readonly secretKeyRef?: Named; readonly configMapKeyRef?: Named };
  }[];
  readonly envFrom?: readonly { readonly secretRef?: Named; readonly configMapRef?: Named }[];
}

type VolumeFields = Readonly<Record<string, unknown>> & { readonly name: string };

interface PodFields {
  readonly serviceAccountName?: string;
  readonly imagePullSecrets?: readonly Named[];
  readonly containers?: readonly ContainerFields[];
  readonly initContainers?: readonly ContainerFields[];
  readonly ephemeralContainers?: readonly ContainerFields[];
  readonly volumes?: readonly VolumeFields[];
  readonly resourceClaims?: readonly { readonly name: string; readonly resourceClaimName?: string }[];
}

/**
 * Every secret, config map, claim and account that a pod names, in each of its containers (init and ephemeral too), its volumes and
 * its pull secrets. A new field that can name one of them belongs here, and the test proves the list against the schema.
 */
export function podReferences(pod: AnyObject): PodReference[] {
  const namespace = pod.metadata.namespace ?? '';
  const spec = (pod.spec ?? {}) as PodFields;
  const found = new Map<string, PodReference>();
  const add = (resource: PodReference['resource'], name: unknown): void => {
    if (typeof name === 'string' && name !== '') found.set(`${resource}/${name}`, { resource, namespace, name });
  };
  add('serviceaccounts', spec.serviceAccountName);
  for (const secret of spec.imagePullSecrets ?? []) add('secrets', secret.name);
  for (const container of [
    ...(spec.containers ?? []),
    ...(spec.initContainers ?? []),
    ...(spec.ephemeralContainers ?? []),
  ]) {
    for (const variable of container.env ?? []) {
      add('secrets', variable.valueFrom?.secretKeyRef?.name);
      add('configmaps', variable.valueFrom?.configMapKeyRef?.name);
    }
    for (const source of container.envFrom ?? []) {
      add('secrets', source.secretRef?.name);
      add('configmaps', source.configMapRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) addVolume(pod, volume, add);
  const statuses =
    (pod.status as { resourceClaimStatuses?: readonly { name: string; resourceClaimName?: string }[] } | undefined)
      ?.resourceClaimStatuses ?? [];
  for (const claim of spec.resourceClaims ?? [])
    add(
      'resourceclaims',
      claim.resourceClaimName ?? statuses.find((one) => one.name === claim.name)?.resourceClaimName,
    );
  return [...found.values()];
}

function addVolume(
  pod: AnyObject,
  volume: VolumeFields,
  add: (resource: PodReference['resource'], name: unknown) => void,
): void {
  const sourceOf = (name: string): Readonly<Record<string, unknown>> =>
    Object.hasOwn(volume, name) ? ((volume[name] ?? {}) as Record<string, unknown>) : {};
  add('secrets', sourceOf('secret').secretName);
  add('configmaps', sourceOf('configMap').name);
  add('persistentvolumeclaims', sourceOf('persistentVolumeClaim').claimName);
  if (volume.ephemeral !== undefined) add('persistentvolumeclaims', `${pod.metadata.name}-${volume.name}`);
  add('secrets', sourceOf('azureFile').secretName);
  for (const source of ['cephfs', 'flexVolume', 'rbd', 'scaleIO', 'iscsi', 'storageos', 'cinder'])
    add('secrets', (sourceOf(source).secretRef as Named | undefined)?.name);
  add('secrets', (sourceOf('csi').nodePublishSecretRef as Named | undefined)?.name);
  const projected = sourceOf('projected').sources;
  for (const source of Array.isArray(projected) ? (projected as { secret?: Named; configMap?: Named }[]) : []) {
    add('secrets', source.secret?.name);
    add('configmaps', source.configMap?.name);
  }
}
