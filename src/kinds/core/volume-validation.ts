import type { DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection, VolumeSource } from '#api';
import { validateDns1123Label, validateDns1123Subdomain } from '#machinery';
import type { Findings } from '../findings.ts';
import { validateClaimSpec } from './claim-validation.ts';
import { validateFieldRef, validateResourceRef } from './env-validation.ts';
import { validateDescendingPath } from './security-validation.ts';
import { excessField, podSourceOrder, sourceField, validateSource } from './volume-source-validation.ts';

const modeMessage = 'must be a number between 0 and 0777 (octal), both inclusive';
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
    validateVolumeSource(volume, podName, at, found);
    if (found.list.length === before) byName.set(volume.name, volume);
  }
  return byName;
}

function validateVolumeSource(volume: Volume, podName: string | undefined, field: string, found: Findings): void {
  const sources = volume as unknown as Readonly<Record<string, Record<string, unknown> | undefined>>;
  const names = podSourceOrder.filter((name) => Object.hasOwn(sources, name) && sources[name] != null);
  if (names.length === 0) return found.required(field, 'must specify a volume type');
  for (const [index, name] of names.entries()) {
    if (index > 0) {
      found.forbidden(excessField(field, name), tooManySources);
      continue;
    }
    validateSource(name, sources[name] ?? {}, sourceField(field, name), found);
    validateContents(volume, name as keyof VolumeSource, podName, field, found);
  }
}

function validateContents(
  volume: Volume,
  name: keyof VolumeSource,
  podName: string | undefined,
  field: string,
  found: Findings,
): void {
  const at = `${field}.${name}`;
  switch (name) {
    case 'emptyDir':
      if (String(volume.emptyDir?.sizeLimit ?? '').startsWith('-'))
        found.forbidden(`${at}.sizeLimit`, 'SizeLimit field must be a valid resource quantity');
      break;
    case 'iscsi':
      if (volume.iscsi?.initiatorName != null && `${volume.name}:${volume.iscsi.targetPortal}`.length > 64)
        found.invalid(
          `${field}.name`,
          volume.name,
          'Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.',
        );
      break;
    case 'secret':
    case 'configMap':
      validateFileList(volume[name], at, found);
      break;
    case 'downwardAPI':
      validateMode(volume.downwardAPI?.defaultMode, `${at}.defaultMode`, found);
      for (const file of volume.downwardAPI?.items ?? []) validateDownwardFile(file, at, found);
      break;
    case 'projected':
      validateMode(volume.projected?.defaultMode, `${at}.defaultMode`, found);
      validateProjections(volume.projected?.sources, at, found);
      break;
    case 'ephemeral':
      if (volume.ephemeral?.volumeClaimTemplate == null) found.required(`${at}.volumeClaimTemplate`);
      else {
        validateClaimSpec(volume.ephemeral.volumeClaimTemplate.spec, `${at}.volumeClaimTemplate.spec`, found);
        if (podName && volume.name) {
          const claim = `${podName}-${volume.name}`;
          for (const message of validateDns1123Subdomain(claim))
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
  found.present(`${field}.key`, item.key);
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

/** What a projected volume is made of. Several paths name the volume, not the source: so upstream does. */
function validateProjections(sources: readonly VolumeProjection[] | undefined, field: string, found: Findings): void {
  const paths = new Set<string>();
  const takePath = (path: string, value: string): void => {
    if (path !== '' && paths.has(path)) found.invalid(field, value, 'conflicting duplicate paths');
    paths.add(path);
  };
  for (const [index, source] of (sources ?? []).entries()) {
    const at = `${field}.sources[${index}]`;
    for (const name of ['secret', 'configMap'] as const) {
      const list = source[name];
      if (list == null) continue;
      found.present(`${at}.${name}.name`, list.name);
      for (const [position, item] of (list.items ?? []).entries()) {
        validateItem(item, `${at}.${name}.items[${position}]`, found);
        takePath(item.path, list.name ?? '');
      }
    }
    for (const file of source.downwardAPI?.items ?? []) {
      validateDownwardFile(file, `${at}.downwardAPI`, found);
      takePath(file.path, file.path);
    }
    if (source.serviceAccountToken != null) {
      const { expirationSeconds = 3600, path } = source.serviceAccountToken;
      const life = `${at}.serviceAccountToken.expirationSeconds`;
      if (expirationSeconds < 600)
        found.invalid(life, expirationSeconds, 'may not specify a duration less than 10 minutes');
      if (expirationSeconds > 2 ** 32)
        found.invalid(life, expirationSeconds, 'may not specify a duration larger than 2^32 seconds');
      if (!path) found.required(`${field}.path`);
      else validateNonReservedPath(path, `${field}.path`, found);
    }
    if (source.clusterTrustBundle != null) {
      validateTrustBundle(source.clusterTrustBundle, `${at}.clusterTrustBundle`, found);
      takePath(source.clusterTrustBundle.path ?? '', source.clusterTrustBundle.path ?? '');
    }
    const names = (Object.keys(source) as (keyof VolumeProjection)[]).filter((name) => source[name] != null);
    if (names.length > 1) found.forbidden(at, 'may not specify more than 1 volume type per source');
  }
}

function validateTrustBundle(
  bundle: NonNullable<VolumeProjection['clusterTrustBundle']>,
  field: string,
  found: Findings,
): void {
  const { name, signerName, path } = bundle;
  if (name != null && signerName != null) found.invalid(field, bundle, 'only one of name and signerName may be used');
  else if (name != null) {
    if (name === '') found.required(`${field}.name`, 'must be a valid object name');
    if (bundle.labelSelector != null)
      found.invalid(`${field}.labelSelector`, bundle.labelSelector, 'labelSelector must be unset if name is specified');
  } else if (signerName != null) {
    if (signerName === '') found.required(`${field}.signerName`, 'must be a valid signer name');
    found.selector(`${field}.labelSelector`, bundle.labelSelector);
  } else found.required(field, 'either name or signerName must be specified');
  if (found.present(`${field}.path`, path)) validateNonReservedPath(path, `${field}.path`, found);
}
