import {
  type NodeSelectorTerm,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  resource,
  type Volume,
} from '#api';
import type { Client } from '#client';
import { isNotFound, meetsNodeRequirement } from '#machinery';
import { VolumeError } from './errors.ts';

const claims = resource('v1', 'persistentvolumeclaims');
const volumes = resource('v1', 'persistentvolumes');

export interface BoundVolume {
  readonly volume: PersistentVolume;
  readonly claim: PersistentVolumeClaim;
  readonly readOnly: boolean;
}

/** The claim that a pod's volume stands for; generic ephemeral volumes own one of a composed name. */
export function claimName(pod: Pod, volume: Volume): string | undefined {
  if (volume.persistentVolumeClaim !== undefined) return volume.persistentVolumeClaim.claimName;
  return volume.ephemeral === undefined ? undefined : `${pod.metadata.name}-${volume.name}`;
}

/** Follows a claim to the volume it is bound to. */
export async function boundVolume(client: Client, pod: Pod, volume: Volume): Promise<BoundVolume> {
  const name = claimName(pod, volume) ?? '';
  const claim = await read<PersistentVolumeClaim>(
    client.get(claims, name, { namespace: pod.metadata.namespace }),
    `persistentvolumeclaim "${name}" not found`,
  );
  const owner = claim.metadata.ownerReferences?.find((one) => one.controller);
  if (volume.ephemeral !== undefined && owner?.uid !== pod.metadata.uid) {
    throw new VolumeError(
      'ClaimMismatch',
      `PVC "${pod.metadata.namespace}/${name}" was not created for pod "${pod.metadata.namespace}/${pod.metadata.name}" (pod is not owner)`,
    );
  }
  const bound = claim.spec?.volumeName;
  if (claim.status?.phase !== 'Bound' || !bound) {
    throw new VolumeError('ClaimUnbound', `error processing PVC ${pod.metadata.namespace}/${name}: PVC is not bound`);
  }
  const found = await read<PersistentVolume>(client.get(volumes, bound), `persistentvolume "${bound}" not found`);
  if (found.spec?.claimRef?.uid !== undefined && found.spec.claimRef.uid !== claim.metadata.uid) {
    throw new VolumeError(
      'ClaimMismatch',
      `PV ${bound} is bound to another claim than ${pod.metadata.namespace}/${name}`,
    );
  }
  return { volume: found, claim, readOnly: volume.persistentVolumeClaim?.readOnly === true };
}

/** Whether a volume can be reached from a node of these labels: any term, all its expressions. Throws VolumeError when it cannot. */
export function verifyReachable(volume: PersistentVolume, labels: Readonly<Record<string, string>>): void {
  const terms = volume.spec.nodeAffinity?.required?.nodeSelectorTerms;
  if (terms === undefined || terms.some((term) => termHolds(term, labels))) return;
  throw new VolumeError(
    'NodeAffinity',
    `MountVolume.NodeAffinity check failed for volume "${volume.metadata.name}": no matching NodeSelectorTerms`,
  );
}

function termHolds({ matchExpressions = [] }: NodeSelectorTerm, labels: Readonly<Record<string, string>>): boolean {
  return matchExpressions.every((one) =>
    meetsNodeRequirement(one, Object.hasOwn(labels, one.key) ? labels[one.key] : undefined),
  );
}

async function read<T>(answer: Promise<T>, missing: string): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isNotFound(error)) throw new VolumeError('ObjectMissing', missing);
    throw error;
  }
}
