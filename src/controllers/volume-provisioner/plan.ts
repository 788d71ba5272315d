import type { CSINode, Node, PersistentVolume, PersistentVolumeClaim, SecretReference, StorageClass } from '#api';
import { quantityValue } from '#machinery';
import { provisionedBy } from '../storage-drivers/drivers.ts';

export const provisionerFinalizer = 'external-provisioner.volume.kubernetes.io/finalizer';
const ownParameters = 'csi.storage.k8s.io/';
const deletionSecret = 'volume.kubernetes.io/provisioner-deletion-secret-';

export interface Topology {
  readonly segments: Readonly<Record<string, string>>;
}

/** A claim's volume as a driver made it. */
export interface MadeVolume {
  readonly volume_id: string;
  readonly capacity_bytes: number;
  readonly volume_context?: Readonly<Record<string, string>>;
  readonly accessible_topology?: readonly Topology[];
}

/** Why no volume can be made for a claim, whatever is tried; undefined when one can. */
export function whyNot(claim: PersistentVolumeClaim, options: { readonly local: boolean }): string | undefined {
  const { accessModes = [], volumeMode = 'Filesystem', selector, dataSource, dataSourceRef } = claim.spec;
  if (dataSource !== undefined || dataSourceRef !== undefined)
    return 'volumes made from a snapshot or another claim (dataSource) are not supported yet';
  if (selector !== undefined) return 'claim Selector is not supported';
  if (!options.local) return undefined;
  if (volumeMode === 'Block')
    return 'volumeMode Block is not possible: volumes of this class are directories; use a local PersistentVolume on a device, or a CSI driver';
  const many = accessModes.find((mode) => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany');
  return many === undefined
    ? undefined
    : `access mode ${many} is not possible: a volume of this class is on one node; ReadWriteOnce and ReadWriteOncePod are`;
}

export function volumeNameOf(claim: PersistentVolumeClaim): string {
  return `pvc-${claim.metadata.uid}`;
}

export function requestedBytes(claim: PersistentVolumeClaim): number {
  return Math.ceil(quantityValue(claim.spec.resources?.requests?.storage ?? '0'));
}

/** What both kinds of volumes share: size, owner, what becomes of it. */
function skeleton(claim: PersistentVolumeClaim, storageClass: StorageClass, made: MadeVolume) {
  const { namespace, name, uid, resourceVersion } = claim.metadata;
  const { provisioner, reclaimPolicy = 'Delete', mountOptions } = storageClass;
  const asked = claim.spec.resources?.requests?.storage ?? '0';
  const storage = made.capacity_bytes > requestedBytes(claim) ? binaryQuantity(made.capacity_bytes) : asked;
  return {
    metadata: {
      name: volumeNameOf(claim),
      annotations: { [provisionedBy]: provisioner },
      finalizers: ['kubernetes.io/pv-protection', provisionerFinalizer],
    },
    spec: {
      accessModes: claim.spec.accessModes ?? [],
      capacity: { storage },
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name, uid, resourceVersion },
      persistentVolumeReclaimPolicy: reclaimPolicy,
      storageClassName: storageClass.metadata.name,
      volumeMode: claim.spec.volumeMode ?? 'Filesystem',
      ...(mountOptions === undefined || mountOptions.length === 0 ? {} : { mountOptions }),
    },
  };
}

export type PlannedVolume = Pick<PersistentVolume, 'spec'> & { readonly metadata: { readonly name: string } };

/** The PersistentVolume of a directory on one node. */
export function planLocalVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  place: { readonly made: MadeVolume; readonly node: Node },
): PlannedVolume {
  const { metadata, spec } = skeleton(claim, storageClass, place.made);
  const hostname = place.node.metadata.labels?.['kubernetes.io/hostname'] ?? place.node.metadata.name;
  return {
    metadata,
    spec: {
      ...spec,
      local: { path: place.made.volume_context?.path ?? '' },
      nodeAffinity: affinityOf([{ segments: { 'kubernetes.io/hostname': hostname } }]),
    },
  };
}

/** The PersistentVolume of a volume that a CSI driver made. */
export function planCsiVolume(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  made: MadeVolume,
): PlannedVolume {
  const { metadata, spec } = skeleton(claim, storageClass, made);
  const parameters = storageClass.parameters ?? {};
  const fsType = parameters[`${ownParameters}fstype`];
  const secret = (role: string): SecretReference | undefined => secretReference(parameters, role, claim);
  const references = {
    controllerPublishSecretRef: secret('controller-publish'),
    nodeStageSecretRef: secret('node-stage'),
    nodePublishSecretRef: secret('node-publish'),
    controllerExpandSecretRef: secret('controller-expand'),
    nodeExpandSecretRef: secret('node-expand'),
  };
  const deletion = secret('provisioner');
  const topology = made.accessible_topology ?? [];
  return {
    metadata: {
      ...metadata,
      annotations: {
        ...metadata.annotations,
        ...(deletion === undefined
          ? {}
          : { [`${deletionSecret}name`]: deletion.name, [`${deletionSecret}namespace`]: deletion.namespace }),
      },
    } as PlannedVolume['metadata'],
    spec: {
      ...spec,
      csi: {
        driver: storageClass.provisioner,
        volumeHandle: made.volume_id,
        ...(fsType === undefined ? {} : { fsType }),
        volumeAttributes: { ...made.volume_context },
        ...Object.fromEntries(Object.entries(references).filter(([, value]) => value !== undefined)),
      },
      ...(topology.length === 0 ? {} : { nodeAffinity: affinityOf(topology) }),
    },
  };
}

/** `csi.v1.CreateVolumeRequest`, without its secrets. */
export function planCreateRequest(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  topology: { readonly requisite: readonly Topology[]; readonly preferred: readonly Topology[] } | undefined,
): object {
  const parameters = Object.entries(storageClass.parameters ?? {}).filter(([key]) => !key.startsWith(ownParameters));
  return {
    name: volumeNameOf(claim),
    capacity_range: { required_bytes: requestedBytes(claim) },
    volume_capabilities: volumeCapabilities({
      accessModes: claim.spec.accessModes ?? [],
      block: claim.spec.volumeMode === 'Block',
      fsType: storageClass.parameters?.[`${ownParameters}fstype`] ?? '',
      mountOptions: storageClass.mountOptions ?? [],
    }),
    parameters: Object.fromEntries(parameters),
    ...(topology === undefined ? {} : { accessibility_requirements: topology }),
  };
}

export interface Capability {
  readonly accessModes: readonly string[];
  readonly block: boolean;
  readonly fsType: string;
  readonly mountOptions: readonly string[];
}

/** One `csi.v1.VolumeCapability` for each access mode. */
export function volumeCapabilities({ accessModes, block, fsType, mountOptions }: Capability): object[] {
  const modes: Readonly<Record<string, string>> = {
    ReadWriteOnce: 'SINGLE_NODE_WRITER',
    ReadOnlyMany: 'MULTI_NODE_READER_ONLY',
    ReadWriteMany: 'MULTI_NODE_MULTI_WRITER',
    ReadWriteOncePod: 'SINGLE_NODE_WRITER',
  };
  return accessModes
    .filter((mode) => Object.hasOwn(modes, mode))
    .map((mode) => ({
      ...(block ? { block: {} } : { mount: { fs_type: fsType, mount_flags: mountOptions } }),
      access_mode: { mode: modes[mode] },
    }));
}

/** The secret that a class names for a role, its `${pvc.name}`, `${pvc.namespace}` and `${pv.name}` filled in. */
export function secretReference(
  parameters: Readonly<Record<string, string>>,
  role: string,
  claim: PersistentVolumeClaim,
): SecretReference | undefined {
  const fill = (text: string | undefined): string | undefined =>
    text
      ?.replaceAll('${pvc.name}', claim.metadata.name)
      .replaceAll('${pvc.namespace}', claim.metadata.namespace)
      .replaceAll('${pv.name}', volumeNameOf(claim));
  const name = fill(parameters[`${ownParameters}${role}-secret-name`]);
  const namespace = fill(parameters[`${ownParameters}${role}-secret-namespace`]);
  return name === undefined || namespace === undefined ? undefined : { name, namespace };
}

/** The secret with which a volume was made, and is deleted. */
export function deletionSecretOf({ metadata }: PersistentVolume): SecretReference | undefined {
  const name = metadata.annotations?.[`${deletionSecret}name`];
  const namespace = metadata.annotations?.[`${deletionSecret}namespace`];
  return name === undefined || namespace === undefined ? undefined : { name, namespace };
}

/** Where a driver says its nodes are, by the labels that it named; the chosen node's place first. */
export function planTopology(
  driver: string,
  options: {
    readonly csiNodes: readonly CSINode[];
    readonly nodes: readonly Node[];
    readonly chosen?: string | undefined;
  },
): { readonly requisite: readonly Topology[]; readonly preferred: readonly Topology[] } | undefined {
  const places = new Map<string, Topology>();
  let first: string | undefined;
  for (const { metadata, spec } of options.csiNodes) {
    const keys = spec.drivers.find(({ name }) => name === driver)?.topologyKeys ?? [];
    const labels = options.nodes.find((one) => one.metadata.name === metadata.name)?.metadata.labels ?? {};
    if (keys.length === 0 || !keys.every((key) => Object.hasOwn(labels, key))) continue;
    const segments = Object.fromEntries(keys.map((key) => [key, labels[key] as string]));
    const text = JSON.stringify(segments);
    places.set(text, { segments });
    if (metadata.name === options.chosen) first = text;
  }
  if (places.size === 0) return undefined;
  const sorted = [...places].sort(([a], [b]) => (a < b ? -1 : 1));
  const preferred =
    first === undefined
      ? sorted
      : [...sorted.filter(([text]) => text === first), ...sorted.filter(([text]) => text !== first)];
  return { requisite: sorted.map(([, place]) => place), preferred: preferred.map(([, place]) => place) };
}

function affinityOf(topology: readonly Topology[]) {
  return {
    required: {
      nodeSelectorTerms: topology.map(({ segments }) => ({
        matchExpressions: Object.entries(segments).map(([key, value]) => ({ key, operator: 'In', values: [value] })),
      })),
    },
  };
}

/** Bytes as the largest binary unit that says them exactly. */
export function binaryQuantity(bytes: number): string {
  const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];
  let value = bytes;
  let unit = 0;
  while (unit < units.length - 1 && value >= 1024 && value % 1024 === 0) {
    value /= 1024;
    unit++;
  }
  return `${value}${units[unit]}`;
}
