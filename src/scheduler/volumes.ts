import type { CSIDriver, CSIStorageCapacity, PersistentVolume, PersistentVolumeClaim, StorageClass } from '#api';
import { compareQuantities, labelSelectorOf, quantityValue } from '#machinery';
import type { NodeInfo } from './state/node-info.ts';
import { compileNodeTerms } from './state/node-match.ts';
import type { PodInfo } from './state/pod-info.ts';

/** The objects that volume decisions read. */
export interface VolumeCatalogue {
  claim(namespace: string, name: string): PersistentVolumeClaim | undefined;
  volume(name: string): PersistentVolume | undefined;
  volumes(): readonly PersistentVolume[];
  storageClass(name: string): StorageClass | undefined;
  /** What is known of a CSI driver by name; undefined as long as nothing is. */
  driver(name: string): CSIDriver | undefined;
  /** What drivers say about room, for one class. */
  capacities(storageClass: string): readonly CSIStorageCapacity[];
  /** The most volumes of a driver that a node may have attached; undefined when it does not say. */
  volumeLimit(nodeName: string, driver: string): number | undefined;
  /** Bytes of a class that are promised on a node to pods whose volumes are being made. */
  promised(storageClass: string, nodeName: string): number;
}

export const selectedNodeAnnotation = 'volume.kubernetes.io/selected-node';
const bindCompleted = 'pv.kubernetes.io/bind-completed';
const noProvisioner = 'kubernetes.io/no-provisioner';
const localProvisioner = 'k8ts.io/local';

/** What is to be done before the pod may start on the node it was given. */
export interface VolumePlan {
  readonly bind: readonly { readonly claim: PersistentVolumeClaim; readonly volume: PersistentVolume }[];
  readonly provision: readonly PersistentVolumeClaim[];
}

export interface PodClaims {
  readonly bound: readonly PersistentVolume[];
  /** Claims that wait for their first consumer. */
  readonly delayed: readonly { readonly claim: PersistentVolumeClaim; readonly storageClass: StorageClass }[];
  readonly lost: boolean;
}

export function claimName(pod: PodInfo, claim: string): string {
  return claim.startsWith('@') ? `${pod.name}-${claim.slice(1)}` : claim;
}

export function isBound(claim: PersistentVolumeClaim): boolean {
  return (claim.spec?.volumeName ?? '') !== '' && claim.metadata.annotations?.[bindCompleted] !== undefined;
}

/** The pod's claims sorted by what they wait for, or why it cannot be scheduled at all. */
export function claimsOf(pod: PodInfo, catalogue: VolumeCatalogue): PodClaims | string {
  const bound: PersistentVolume[] = [];
  const delayed: { claim: PersistentVolumeClaim; storageClass: StorageClass }[] = [];
  let lost = false;
  for (const one of pod.shape.claims) {
    const name = claimName(pod, one);
    const claim = catalogue.claim(pod.namespace, name);
    if (claim === undefined) {
      return one.startsWith('@')
        ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
        : `persistentvolumeclaim "${name}" not found`;
    }
    if (claim.metadata.deletionTimestamp !== undefined) return `persistentvolumeclaim "${name}" is being deleted`;
    if (claim.status?.phase === 'Lost') {
      return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec?.volumeName ?? ''}"`;
    }
    if (isBound(claim)) {
      const volume = catalogue.volume(claim.spec?.volumeName as string);
      if (volume === undefined) lost = true;
      else bound.push(volume);
      continue;
    }
    const storageClass = catalogue.storageClass(claim.spec?.storageClassName ?? '');
    if (storageClass?.volumeBindingMode !== 'WaitForFirstConsumer' || (claim.spec?.volumeName ?? '') !== '') {
      return 'pod has unbound immediate PersistentVolumeClaims';
    }
    delayed.push({ claim, storageClass });
  }
  return { bound, delayed, lost };
}

const terms = new WeakMap<PersistentVolume, (node: NodeInfo) => boolean>();

/** Whether a volume can be reached from the node. */
export function reaches(volume: PersistentVolume, node: NodeInfo): boolean {
  const required = volume.spec?.nodeAffinity?.required;
  if (required === undefined) return true;
  let test = terms.get(volume);
  if (test === undefined) {
    test = compileNodeTerms(required.nodeSelectorTerms ?? []);
    terms.set(volume, test);
  }
  return test(node);
}

/** Why a node cannot meet the claims. */
export type VolumeObstacle = 'no-volume' | 'no-room';

/** How the delayed claims would be met on the node, or why one could not. `taken`: volumes promised to others. */
export function planVolumes(
  claims: PodClaims,
  node: NodeInfo,
  catalogue: VolumeCatalogue,
  taken: ReadonlySet<string>,
): VolumePlan | VolumeObstacle {
  const bind: { claim: PersistentVolumeClaim; volume: PersistentVolume }[] = [];
  const provision: PersistentVolumeClaim[] = [];
  const chosen = new Set<string>();
  const asked = new Map<string, number>();
  for (const { claim, storageClass } of claims.delayed) {
    const selected = claim.metadata.annotations?.[selectedNodeAnnotation];
    if (selected !== undefined && selected !== '') {
      if (selected !== node.name) return 'no-volume';
      provision.push(claim);
      continue;
    }
    const volume = smallestFitting(claim, node, catalogue, (name) => taken.has(name) || chosen.has(name));
    if (volume !== undefined) {
      chosen.add(volume.metadata.name);
      bind.push({ claim, volume });
    } else if (canProvision(storageClass, node)) {
      const { name } = storageClass.metadata;
      const bytes = (asked.get(name) ?? 0) + requestedBytes(claim);
      asked.set(name, bytes);
      if (!hasRoom(storageClass, node, catalogue, bytes)) return 'no-room';
      provision.push(claim);
    } else return 'no-volume';
  }
  return { bind, provision };
}

export function requestedBytes(claim: PersistentVolumeClaim): number {
  return quantityValue(claim.spec?.resources?.requests?.['storage'] ?? '0');
}

/**
 * Whether a driver that says how much room it has, has enough for `bytes` more where the node is. Of a node's own directories nothing may
 * have been said yet; then the node is asked, and refuses by itself.
 */
function hasRoom(storageClass: StorageClass, node: NodeInfo, catalogue: VolumeCatalogue, bytes: number): boolean {
  const { provisioner, metadata } = storageClass;
  const local = provisioner === localProvisioner;
  if (!local && catalogue.driver(provisioner)?.spec.storageCapacity !== true) return true;
  const wanted = bytes + catalogue.promised(metadata.name, node.name);
  const here = catalogue
    .capacities(metadata.name)
    .filter(
      ({ nodeTopology }) =>
        nodeTopology !== undefined && labelSelectorOf(nodeTopology).matches(node.node?.metadata.labels),
    );
  if (local && here.length === 0) return true;
  return here.some(
    ({ capacity = '0', maximumVolumeSize }) =>
      quantityValue(capacity) >= wanted &&
      (maximumVolumeSize === undefined || quantityValue(maximumVolumeSize) >= bytes),
  );
}

function canProvision({ provisioner, allowedTopologies = [] }: StorageClass, node: NodeInfo): boolean {
  if (provisioner === noProvisioner || provisioner === '') return false;
  if (allowedTopologies.length === 0) return true;
  return allowedTopologies.some(({ matchLabelExpressions = [] }) =>
    matchLabelExpressions.every(({ key, values }) => {
      const value = node.label(key);
      return value !== undefined && values.includes(value);
    }),
  );
}

function smallestFitting(
  claim: PersistentVolumeClaim,
  node: NodeInfo,
  catalogue: VolumeCatalogue,
  isTaken: (name: string) => boolean,
): PersistentVolume | undefined {
  const { storageClassName = '', accessModes = [], volumeMode = 'Filesystem', selector, resources } = claim.spec ?? {};
  const asked = resources?.requests?.['storage'] ?? '0';
  const wanted = selector === undefined ? undefined : labelSelectorOf(selector);
  let best: PersistentVolume | undefined;
  for (const volume of catalogue.volumes()) {
    const { spec, status, metadata } = volume;
    if (spec === undefined || (spec.storageClassName ?? '') !== storageClassName || isTaken(metadata.name)) continue;
    if (metadata.deletionTimestamp !== undefined || (spec.volumeMode ?? 'Filesystem') !== volumeMode) continue;
    const { claimRef } = spec;
    if (claimRef !== undefined) {
      const ours = claimRef.name === claim.metadata.name && claimRef.namespace === claim.metadata.namespace;
      if (!ours || (claimRef.uid !== undefined && claimRef.uid !== '' && claimRef.uid !== claim.metadata.uid)) continue;
    } else if (status?.phase !== 'Available') continue;
    if (!accessModes.every((mode) => spec.accessModes?.includes(mode))) continue;
    if (wanted !== undefined && !wanted.matches(metadata.labels)) continue;
    const size = spec.capacity?.['storage'] ?? '0';
    if (compareQuantities(size, asked) < 0 || !reaches(volume, node)) continue;
    if (best === undefined || compareQuantities(size, best.spec?.capacity?.['storage'] ?? '0') < 0) best = volume;
  }
  return best;
}
