import { validateDns1123Label, validateDns1123Subdomain } from '#machinery';
import { type Findings, rangeMessage } from '../findings.ts';
import { validateDescendingPath, validateNoBacksteps } from './security-validation.ts';

/** Fields that must not be empty, by volume source, for pods' volumes and persistent volumes alike. */
export const requiredSourceFields: Readonly<Record<string, readonly string[] | undefined>> = {
  awsElasticBlockStore: ['volumeID'],
  azureDisk: ['diskName', 'diskURI'],
  azureFile: ['secretName', 'shareName'],
  cephfs: ['monitors'],
  cinder: ['volumeID'],
  configMap: ['name'],
  flexVolume: ['driver'],
  gcePersistentDisk: ['pdName'],
  gitRepo: ['repository'],
  glusterfs: ['endpoints', 'path'],
  hostPath: ['path'],
  iscsi: ['targetPortal', 'iqn'],
  local: ['path'],
  nfs: ['server', 'path'],
  persistentVolumeClaim: ['claimName'],
  photonPersistentDisk: ['pdID'],
  portworxVolume: ['volumeID'],
  quobyte: ['registry', 'volume'],
  rbd: ['monitors', 'image'],
  scaleIO: ['gateway', 'system', 'volumeName'],
  secret: ['secretName'],
  storageos: ['volumeName'],
  vsphereVolume: ['volumePath'],
};

/** The order in which the sources of a pod's volume are looked at: the first counts, the others are one too many. */
export const podSourceOrder: readonly string[] = [
  'emptyDir',
  'hostPath',
  'gitRepo',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'secret',
  'nfs',
  'iscsi',
  'glusterfs',
  'flocker',
  'persistentVolumeClaim',
  'rbd',
  'cinder',
  'cephfs',
  'quobyte',
  'downwardAPI',
  'fc',
  'flexVolume',
  'configMap',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'storageos',
  'projected',
  'scaleIO',
  'csi',
  'ephemeral',
  'image',
];

/** The same for persistent volumes. */
export const persistentSourceOrder: readonly string[] = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'glusterfs',
  'flocker',
  'nfs',
  'rbd',
  'quobyte',
  'cephfs',
  'iscsi',
  'cinder',
  'fc',
  'flexVolume',
  'azureFile',
  'vsphereVolume',
  'photonPersistentDisk',
  'portworxVolume',
  'azureDisk',
  'scaleIO',
  'local',
  'storageos',
  'csi',
];

/** Names in field paths that are not the field's own: of errors inside a source, and of one source too many. */
const pathNames: Readonly<Record<string, string | undefined>> = { gcePersistentDisk: 'persistentDisk' };
const excessNames: Readonly<Record<string, string | undefined>> = { cephfs: 'cephFS', downwardAPI: 'downwarAPI' };

export const sourceField = (parent: string, name: string): string => `${parent}.${pathNames[name] ?? name}`;
export const excessField = (parent: string, name: string): string => `${parent}.${excessNames[name] ?? name}`;

export const hostPathTypes: readonly string[] = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

type Source = Readonly<Record<string, unknown>>;
type SourceRule = (source: Source, field: string, found: Findings, isPersistent: boolean) => void;

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const secretRef = (source: Source, name = 'secretRef'): Source | undefined =>
  (source[name] ?? undefined) as Source | undefined;

const partition: SourceRule = (source, field, found) => {
  const value = Number(source['partition'] ?? 0);
  if (value < 0 || value > 255) found.invalid(`${field}.partition`, value, rangeMessage(1, 255));
};

const nonReservedOptions: SourceRule = (source, field, found) => {
  for (const key of Object.keys((source['options'] ?? {}) as object)) {
    const parts = key.split('/');
    const domain = `.${(parts.length > 1 ? (parts[0] ?? '') : key).toLowerCase()}`;
    if (domain.endsWith('.kubernetes.io') || domain.endsWith('.k8s.io'))
      found.invalid(`${field}.options[${key}]`, key, 'kubernetes.io and k8s.io namespaces are reserved');
  }
};

const secretName =
  (withNamespace: boolean): SourceRule =>
  (source, field, found, isPersistent) => {
    const ref = secretRef(source);
    if (ref === undefined) return;
    found.present(`${field}.secretRef.name`, ref['name']);
    if (withNamespace && isPersistent) found.present(`${field}.secretRef.namespace`, ref['namespace']);
  };

/** What holds beyond fields that must not be empty. */
const sourceRules: Readonly<Record<string, SourceRule | undefined>> = {
  gcePersistentDisk: partition,
  awsElasticBlockStore: partition,
  hostPath(source, field, found) {
    if (!source['path']) return;
    validateNoBacksteps(text(source['path']), `${field}.path`, found);
    const type = source['type'];
    if (type != null && !hostPathTypes.includes(text(type))) found.notSupported(`${field}.type`, type, hostPathTypes);
  },
  local(source, field, found) {
    validateNoBacksteps(text(source['path']), `${field}.path`, found);
  },
  gitRepo(source, field, found) {
    validateDescendingPath(text(source['directory']), `${field}.directory`, found);
  },
  nfs(source, field, found) {
    const path = text(source['path']);
    if (!path.startsWith('/')) found.invalid(`${field}.path`, path, 'must be an absolute path');
  },
  iscsi(source, field, found, isPersistent) {
    const starting = ' starting with iqn, eui, or naa';
    const iqn = text(source['iqn']);
    if (iqn !== '') validateIscsiName(iqn, `${field}.iqn`, isPersistent ? '' : starting, found);
    const lun = Number(source['lun'] ?? 0);
    if (lun < 0 || lun > 255) found.invalid(`${field}.lun`, lun, rangeMessage(0, 255));
    if ((source['chapAuthDiscovery'] || source['chapAuthSession']) && source['secretRef'] == null)
      found.required(`${field}.secretRef`);
    if (isPersistent) secretName(false)(source, field, found, true);
    if (source['initiatorName'] != null)
      validateIscsiName(text(source['initiatorName']), `${field}.initiatorname`, starting, found);
  },
  fc(source, field, found) {
    const names = (source['targetWWNs'] ?? []) as unknown[];
    const ids = (source['wwids'] ?? []) as unknown[];
    if (names.length < 1 && ids.length < 1)
      found.required(`${field}.targetWWNs`, 'must specify either targetWWNs or wwids, but not both');
    if (names.length > 0 && ids.length > 0)
      found.invalid(`${field}.targetWWNs`, names, 'targetWWNs and wwids can not be specified simultaneously');
    if (names.length === 0) return;
    const lun = source['lun'];
    if (lun == null) found.required(`${field}.lun`, 'lun is required if targetWWNs is specified');
    else if (Number(lun) < 0 || Number(lun) > 255) found.invalid(`${field}.lun`, lun, rangeMessage(0, 255));
  },
  flocker(source, field, found) {
    const name = text(source['datasetName']);
    const both = name !== '' && source['datasetUUID'];
    if (name === '' && !source['datasetUUID']) found.required(field, 'one of datasetName and datasetUUID is required');
    if (both) found.invalid(field, 'resource', 'datasetName and datasetUUID can not be specified simultaneously');
    if (name.includes('/')) found.invalid(`${field}.datasetName`, name, "must not contain '/'");
  },
  flexVolume: nonReservedOptions,
  cinder: secretName(true),
  storageos(source, field, found, isPersistent) {
    for (const name of ['volumeName', 'volumeNamespace'])
      if (source[name]) found.each(`${field}.${name}`, source[name], validateDns1123Label(text(source[name])));
    secretName(true)(source, field, found, isPersistent);
  },
  csi(source, field, found, isPersistent) {
    validateCsiDriverName(text(source['driver']), `${field}.driver`, found);
    if (!isPersistent) {
      const ref = secretRef(source, 'nodePublishSecretRef');
      if (ref === undefined) return;
      const name = text(ref['name']);
      if (name === '') found.required(`${field}.nodePublishSecretRef.name`);
      else found.each(`${field}.name`, name, validateDns1123Subdomain(name));
      return;
    }
    found.present(`${field}.volumeHandle`, source['volumeHandle']);
    for (const name of csiSecrets) {
      const ref = secretRef(source, name);
      if (ref === undefined) continue;
      if (found.present(`${field}.${name}.name`, ref['name']))
        found.subdomain(`${field}.${name}.name`, text(ref['name']));
      if (found.present(`${field}.${name}.namespace`, ref['namespace']))
        found.label(`${field}.${name}.namespace`, text(ref['namespace']));
    }
  },
};

const csiSecrets = [
  'controllerPublishSecretRef',
  'controllerExpandSecretRef',
  'nodePublishSecretRef',
  'nodeExpandSecretRef',
] as const;

const iscsiPatterns: readonly (readonly [prefix: string, pattern: RegExp])[] = [
  ['iqn', /iqn\.\d{4}-\d{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)$/],
  ['eui', /^eui.[A-Za-z0-9]{16}$/],
  ['naa', /^naa.[A-Za-z0-9]{32}$/],
];

function validateIscsiName(name: string, field: string, unknownPrefix: string, found: Findings): void {
  const known = iscsiPatterns.find(([prefix]) => name.startsWith(prefix));
  if (known === undefined) found.invalid(field, name, `must be valid format${unknownPrefix}`);
  else if (name.length > 1024 || !known[1].test(name)) found.invalid(field, name, 'must be valid format');
}

/** Required fields and the rules of one source. */
export function validateSource(
  name: string,
  source: Source,
  field: string,
  found: Findings,
  isPersistent = false,
): void {
  for (const required of requiredSourceFields[name] ?? []) {
    const value = source[required];
    found.present(`${field}.${required}`, Array.isArray(value) && value.length === 0 ? '' : value);
  }
  sourceRules[name]?.(source, field, found, isPersistent);
}

/** A DNS subdomain of at most 63 characters, in any case. */
export function validateCsiDriverName(name: string, field: string, found: Findings): void {
  if (name === '') found.required(field);
  if (name.length > 63) found.tooLong(field, name, 63);
  found.each(field, name, validateDns1123Subdomain(name.toLowerCase()));
}
