import { createHash } from 'node:crypto';
import type { PersistentVolume, Pod, SecretReference, Volume } from '#api';
import { VolumeError } from '../errors.ts';

/** What a pod wants of a driver, whether it came from a PersistentVolume or stands in the pod itself. */
export interface CsiVolume {
  readonly driver: string;
  readonly handle: string;
  /** Name of the directory of the volume in the pod's. */
  readonly specName: string;
  readonly block: boolean;
  readonly readOnly: boolean;
  readonly fsType: string;
  readonly accessModes: readonly string[];
  readonly mountOptions: readonly string[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly stageSecret?: SecretReference | undefined;
  readonly publishSecret?: SecretReference | undefined;
  readonly expandSecret?: SecretReference | undefined;
  /** Made and removed with the pod, by the driver's publish and unpublish alone. */
  readonly inline: boolean;
  readonly capacity?: string | undefined;
}

export function persistentCsiVolume({ metadata, spec }: PersistentVolume): CsiVolume {
  const source = spec.csi;
  if (source === undefined) throw new VolumeError('InvalidSource', `volume ${metadata.name} is not a CSI volume`);
  return {
    driver: source.driver,
    handle: source.volumeHandle,
    specName: metadata.name,
    block: spec.volumeMode === 'Block',
    readOnly: source.readOnly === true,
    fsType: source.fsType ?? '',
    accessModes: spec.accessModes ?? [],
    mountOptions: spec.mountOptions ?? [],
    attributes: source.volumeAttributes ?? {},
    stageSecret: source.nodeStageSecretRef,
    publishSecret: source.nodePublishSecretRef,
    expandSecret: source.nodeExpandSecretRef,
    inline: false,
    capacity: spec.capacity?.storage,
  };
}

/** A `csi` volume written into the pod: its handle is made of the pod and the volume's name, as upstream. */
export function inlineCsiVolume(pod: Pod, volume: Volume): CsiVolume {
  const { driver = '', fsType = '', readOnly, volumeAttributes = {}, nodePublishSecretRef } = volume.csi ?? {};
  const digest = createHash('sha256').update(`${pod.metadata.uid}${volume.name}`).digest('hex');
  const secret =
    nodePublishSecretRef?.name === undefined
      ? undefined
      : { name: nodePublishSecretRef.name, namespace: pod.metadata.namespace };
  return {
    driver,
    handle: `csi-${digest}`,
    specName: volume.name,
    block: false,
    readOnly: readOnly === true,
    fsType,
    accessModes: ['ReadWriteOnce'],
    mountOptions: [],
    attributes: volumeAttributes,
    publishSecret: secret,
    inline: true,
  };
}

/** The VolumeAttachment of a volume on a node is found by this name alone. */
export function attachmentName(handle: string, driver: string, nodeName: string): string {
  return `csi-${createHash('sha256').update(`${handle}${driver}${nodeName}`).digest('hex')}`;
}
