import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection, VolumeSource } from '#api';
import { validateConfigKey, validateDns1123Label } from '#machinery';
import type { Findings } from '../findings.ts';
import { validateClaimSpec } from './claim-validation.ts';
import { validateFieldRef, validateResourceRef } from './env-validation.ts';
import { validateDescendingPath, validateNoBacksteps } from './security-validation.ts';
import { requiredSourceFields, validateCsiDriverName } from './volume-source-validation.ts';

const modeMessage = 'must be a number between 0 and 0777 (octal), both inclusive';
const hostPathTypes: readonly string[] = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];
const pullPolicies: readonly string[] = ['Always', 'IfNotPresent', 'Never'];
const tooManySources = 'may not specify more than 1 volume type';

/** Volumes of a pod or template; returns those without fault by name, for the mounts. `podName` is known for pods only. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  podName: string | undefined,
  field: string,
  found: Findings,
): ReadonlyMap<string, Volume> {
  const byName = new Map<string, Volume>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = `${field}[${index}]`;
    const before = found.list.length;
    if (!volume.name) found.required(`${at}.name`);
    else {
      const messages = validateDns1123Label(volume.name);
      found.each(`${at}.name`, volume.name, messages);
      if (messages.length === 0 && byName.has(volume.name)) found.duplicate(`${at}.name`, volume.name);
    }
    validateSource(volume, podName, at, found);
    if (found.list.length === before) byName.set(volume.name, volume);
  }
  return byName;
}

type SourceName = keyof VolumeSource;

function validateSource(volume: Volume, podName: string | undefined, field: string, found: Findings): void {
  const names = (Object.keys(volume) as (SourceName | 'name')[]).filter(
    (name): name is SourceName => name !== 'name' && volume[name] != null,
  );
  if (names.length === 0) return found.required(field, 'must specify a volume type');
  for (const [index, name] of names.entries()) {
    if (index > 0) found.forbidden(`${field}.${name}`, tooManySources);
    else validateOneSource(volume, name, podName, field, found);
  }
}

function validateOneSource(
  volume: Volume,
  name: SourceName,
  podName: string | undefined,
  field: string,
  found: Findings,
): void {
  const at = `${field}.${name}`;
  for (const required of requiredSourceFields[name] ?? [])
    found.present(`${at}.${required}`, (volume[name] as Record<string, unknown> | undefined)?.[required]);
  switch (name) {
    case 'emptyDir':
      if (String(volume.emptyDir?.sizeLimit ?? '').startsWith('-'))
        found.forbidden(`${at}.sizeLimit`, 'SizeLimit field must be a valid resource quantity');
      break;
    case 'hostPath':
      validateNoBacksteps(volume.hostPath?.path ?? '', `${at}.path`, found);
      found.optionalOneOf(`${at}.type`, volume.hostPath?.type, hostPathTypes);
      break;
    case 'secret':
    case 'configMap':
      validateFileList(volume[name], at, found);
      break;
    case 'downwardAPI':
      validateMode(volume.downwardAPI?.defaultMode, `${at}.defaultMode`, found);
      for (const [index, file] of (volume.downwardAPI?.items ?? []).entries())
        validateDownwardFile(file, `${at}.items[${index}]`, found);
      break;
    case 'projected':
      validateMode(volume.projected?.defaultMode, `${at}.defaultMode`, found);
      validateProjections(volume.projected?.sources, `${at}.sources`, found);
      break;
    case 'nfs':
      if (volume.nfs?.path && !volume.nfs.path.startsWith('/'))
        found.invalid(`${at}.path`, volume.nfs.path, 'must be an absolute path');
      break;
    case 'csi':
      validateCsiDriverName(volume.csi?.driver ?? '', `${at}.driver`, found);
      break;
    case 'ephemeral':
      if (volume.ephemeral?.volumeClaimTemplate == null) found.required(`${at}.volumeClaimTemplate`);
      else {
        validateClaimSpec(volume.ephemeral.volumeClaimTemplate.spec, `${at}.volumeClaimTemplate.spec`, found);
        if (podName !== undefined) {
          const claim = `${podName}-${volume.name}`;
          for (const message of claimNameErrors(claim))
            found.invalid(`${field}.name`, volume.name, `PVC name "${claim}": ${message}`);
        }
      }
      break;
    case 'image':
      found.present(`${at}.reference`, volume.image?.reference);
      found.optionalOneOf(`${at}.pullPolicy`, volume.image?.pullPolicy, pullPolicies);
      break;
    default:
  }
}

const claimNameErrors = (name: string): string[] => (name.length > 253 ? ['must be no more than 253 characters'] : []);

function validateMode(mode: number | undefined, field: string, found: Findings): void {
  if (mode != null && (mode < 0 || mode > 0o777)) found.invalid(field, mode, modeMessage);
}

function validateFileList(
  source: { defaultMode?: number; items?: KeyToPath[] } | undefined,
  field: string,
  found: Findings,
): void {
  validateMode(source?.defaultMode, `${field}.defaultMode`, found);
  for (const [index, item] of (source?.items ?? []).entries()) validateItem(item, `${field}.items[${index}]`, found);
}

function validateItem(item: KeyToPath, field: string, found: Findings): void {
  if (found.present(`${field}.key`, item.key)) found.each(`${field}.key`, item.key, validateConfigKey(item.key));
  if (found.present(`${field}.path`, item.path)) validateNonReservedPath(item.path, `${field}.path`, found);
  validateMode(item.mode, `${field}.mode`, found);
}

/** A relative path that the kubelet's own `..data` cannot collide with. */
function validateNonReservedPath(path: string, field: string, found: Findings): void {
  validateDescendingPath(path, field, found);
  if (path.startsWith('..') && !path.startsWith('../') && path !== '..')
    found.invalid(field, path, "must not start with '..'");
}

function validateDownwardFile(file: DownwardAPIVolumeFile, field: string, found: Findings): void {
  if (found.present(`${field}.path`, file.path)) validateNonReservedPath(file.path, `${field}.path`, found);
  if (file.fieldRef != null) {
    validateFieldRef(file.fieldRef, 'volume', `${field}.fieldRef`, found);
    if (file.resourceFieldRef != null)
      found.invalid(field, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously');
  } else if (file.resourceFieldRef != null)
    validateResourceRef(file.resourceFieldRef, 'volume', `${field}.resourceFieldRef`, found);
  else found.required(field, 'one of fieldRef and resourceFieldRef is required');
  validateMode(file.mode, `${field}.mode`, found);
}

function validateProjections(sources: readonly VolumeProjection[] | undefined, field: string, found: Findings): void {
  const paths = new Set<string>();
  const takePath = (path: string, value: string): void => {
    if (path !== '' && paths.has(path)) found.invalid(field, value, 'conflicting duplicate paths');
    paths.add(path);
  };
  for (const [index, source] of (sources ?? []).entries()) {
    const at = `${field}[${index}]`;
    const names = (Object.keys(source) as (keyof VolumeProjection)[]).filter((name) => source[name] != null);
    if (names.length > 1) found.forbidden(at, tooManySources);
    if (names.length === 0) found.required(at, 'must specify a volume source');
    for (const name of ['secret', 'configMap'] as const) {
      const list = source[name];
      if (list == null) continue;
      found.present(`${at}.${name}.name`, list.name);
      for (const [position, item] of (list.items ?? []).entries()) {
        validateItem(item, `${at}.${name}.items[${position}]`, found);
        takePath(item.path, list.name ?? '');
      }
    }
    for (const [position, file] of (source.downwardAPI?.items ?? []).entries()) {
      validateDownwardFile(file, `${at}.downwardAPI.items[${position}]`, found);
      takePath(file.path, file.path);
    }
    if (source.serviceAccountToken != null) {
      const { expirationSeconds = 3600, path } = source.serviceAccountToken;
      const life = `${at}.serviceAccountToken.expirationSeconds`;
      if (expirationSeconds < 600)
        found.invalid(life, expirationSeconds, 'may not specify a duration less than 10 minutes');
      if (expirationSeconds > 2 ** 32)
        found.invalid(life, expirationSeconds, 'may not specify a duration larger than 2^32 seconds');
      if (!path) found.required(`${at}.serviceAccountToken.path`);
      else validateNonReservedPath(path, `${at}.serviceAccountToken.path`, found);
      takePath(path ?? '', path ?? '');
    }
    if (source.clusterTrustBundle != null) {
      const { name, signerName, path } = source.clusterTrustBundle;
      if ((name == null) === (signerName == null))
        found.invalid(at, source.clusterTrustBundle, 'only one of name and signerName may be used');
      if (found.present(`${at}.clusterTrustBundle.path`, path))
        validateNonReservedPath(path, `${at}.clusterTrustBundle.path`, found);
      takePath(path ?? '', path ?? '');
    }
  }
}
