import type {
  DownwardAPIVolumeFile,
  PersistentVolumeClaimSpec,
  PersistentVolumeSource,
  Volume,
  VolumeProjection,
} from '#api';
import { defaultPullPolicy } from './image-name.ts';

const fileMode = 0o644;
const tokenLifeSeconds = 3600;

/** Defaults of a pod's volume: modes of files, an emptyDir where no source is named. */
export function applyVolumeDefaults(volume: Volume): void {
  if (Object.keys(volume).every((field) => field === 'name' || volume[field as keyof Volume] == null))
    volume.emptyDir = {};
  for (const source of [volume.secret, volume.configMap, volume.downwardAPI, volume.projected])
    if (source != null) source.defaultMode ??= fileMode;
  for (const file of volume.downwardAPI?.items ?? []) applyFileDefaults(file);
  for (const projection of volume.projected?.sources ?? []) applyProjectionDefaults(projection);
  if (volume.hostPath != null) volume.hostPath.type ??= '';
  if (volume.image != null && !volume.image.pullPolicy)
    volume.image.pullPolicy = defaultPullPolicy(volume.image.reference);
  if (volume.ephemeral?.volumeClaimTemplate?.spec != null)
    applyClaimSpecDefaults(volume.ephemeral.volumeClaimTemplate.spec);
  applyLegacyDefaults(volume);
}

function applyProjectionDefaults(projection: VolumeProjection): void {
  for (const file of projection.downwardAPI?.items ?? []) applyFileDefaults(file);
  if (projection.serviceAccountToken != null) projection.serviceAccountToken.expirationSeconds ??= tokenLifeSeconds;
}

function applyFileDefaults({ fieldRef, resourceFieldRef }: DownwardAPIVolumeFile): void {
  if (fieldRef != null && !fieldRef.apiVersion) fieldRef.apiVersion = 'v1';
  if (resourceFieldRef != null) resourceFieldRef.divisor ??= '0';
}

/** Defaults of a claim, as itself or as a template. */
export function applyClaimSpecDefaults(spec: PersistentVolumeClaimSpec): void {
  spec.volumeMode ??= 'Filesystem';
  spec.resources ??= {};
}

/** Defaults of the older volume sources, in pods as in persistent volumes. */
export function applyLegacyDefaults(source: Volume | PersistentVolumeSource): void {
  if (source.iscsi != null && !source.iscsi.iscsiInterface) source.iscsi.iscsiInterface = 'default';
  if (source.rbd != null) {
    if (!source.rbd.pool) source.rbd.pool = 'rbd';
    if (!source.rbd.user) source.rbd.user = 'admin';
    if (!source.rbd.keyring) source.rbd.keyring = '/etc/ceph/keyring';
  }
  if (source.azureDisk != null) {
    source.azureDisk.cachingMode ??= 'ReadWrite';
    source.azureDisk.kind ??= 'Shared';
    source.azureDisk.fsType ??= 'ext4';
    source.azureDisk.readOnly ??= false;
  }
  if (source.scaleIO != null) {
    if (!source.scaleIO.storageMode) source.scaleIO.storageMode = 'ThinProvisioned';
    if (!source.scaleIO.fsType) source.scaleIO.fsType = 'xfs';
  }
}
