import type { EnvFromSource, EnvVar, ObjectFieldSelector, ResourceFieldSelector } from '#api';
import {
  isQuantity,
  quantityMilli,
  validateConfigKey,
  validateDns1123Subdomain,
  validateEnvVarName,
  validateQualifiedName,
} from '#machinery';
import type { Findings } from '../findings.ts';
import { isHugePage } from './resource-validation.ts';
import { validateDescendingPath } from './security-validation.ts';

const envFields: readonly string[] = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];

const volumeFields: readonly string[] = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];

const knownFields: ReadonlySet<string> = new Set([
  ...envFields,
  ...volumeFields,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
]);

const resources: readonly string[] = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];

const oneSource =
  'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`';

export function validateEnv(variables: readonly EnvVar[] | undefined, field: string, found: Findings): void {
  for (const [index, variable] of (variables ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (found.present(`${at}.name`, variable.name))
      found.each(`${at}.name`, variable.name, validateEnvVarName(variable.name));
    if (variable.valueFrom != null) validateSource(variable, `${at}.valueFrom`, found);
  }
}

function validateSource({ value, valueFrom }: EnvVar, field: string, found: Findings): void {
  if (valueFrom == null) return;
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = valueFrom;
  let sources = 0;
  if (fieldRef != null) {
    sources++;
    validateFieldRef(fieldRef, 'env', `${field}.fieldRef`, found);
  }
  if (resourceFieldRef != null) {
    sources++;
    validateResourceRef(resourceFieldRef, 'env', `${field}.resourceFieldRef`, found);
  }
  if (configMapKeyRef != null) {
    sources++;
    validateKeyRef(configMapKeyRef, `${field}.configMapKeyRef`, found);
  }
  if (secretKeyRef != null) {
    sources++;
    validateKeyRef(secretKeyRef, `${field}.secretKeyRef`, found);
  }
  if (fileKeyRef != null) {
    sources++;
    const at = `${field}.fileKeyRef`;
    if (found.present(`${at}.key`, fileKeyRef.key))
      found.each(`${at}.key`, fileKeyRef.key, validateEnvVarName(fileKeyRef.key));
    if (found.present(`${at}.volumeName`, fileKeyRef.volumeName))
      found.label(`${at}.volumeName`, fileKeyRef.volumeName);
    if (found.present(`${at}.path`, fileKeyRef.path)) validateDescendingPath(fileKeyRef.path, `${at}.path`, found);
  }
  if (sources === 0) found.invalid(field, '', oneSource);
  if (value) {
    if (sources > 0) found.invalid(field, '', 'may not be specified when `value` is not empty');
  } else if (sources > 1) found.invalid(field, '', 'may not have more than one field specified at a time');
}

function validateKeyRef(ref: { name?: string; key: string }, field: string, found: Findings): void {
  found.each(`${field}.name`, ref.name ?? '', validateDns1123Subdomain(ref.name ?? ''));
  if (found.present(`${field}.key`, ref.key)) found.each(`${field}.key`, ref.key, validateConfigKey(ref.key));
}

/** A field of the pod that an environment variable or a file may show. */
export function validateFieldRef(
  ref: ObjectFieldSelector,
  use: 'env' | 'volume',
  field: string,
  found: Findings,
): void {
  if (!ref.apiVersion) return found.required(`${field}.apiVersion`);
  if (!ref.fieldPath) return found.required(`${field}.fieldPath`);
  const at = `${field}.fieldPath`;
  if (ref.apiVersion !== 'v1')
    return found.invalid(at, ref.fieldPath, `error converting fieldPath: unsupported pod version: ${ref.apiVersion}`);
  const subscripted = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/.exec(ref.fieldPath);
  if (subscripted !== null) {
    const [, path, key = ''] = subscripted;
    if (path === 'metadata.labels') found.each(field, key, validateQualifiedName(key));
    else found.each(field, key, validateQualifiedName(key.toLowerCase()));
    return;
  }
  if (/\['.*'\]$/.test(ref.fieldPath)) {
    const path = ref.fieldPath.slice(0, ref.fieldPath.indexOf('['));
    return knownFields.has(path)
      ? found.invalid(field, path, 'does not support subscript')
      : found.invalid(at, ref.fieldPath, `error converting fieldPath: field label does not support subscript: ${path}`);
  }
  if (!knownFields.has(ref.fieldPath))
    return found.invalid(at, ref.fieldPath, `error converting fieldPath: field label not supported: ${ref.fieldPath}`);
  const allowed = use === 'env' ? envFields : volumeFields;
  if (!allowed.includes(ref.fieldPath)) found.notSupported(at, ref.fieldPath, allowed);
}

/** A resource of a container that an environment variable or a file may show. */
export function validateResourceRef(
  ref: ResourceFieldSelector,
  use: 'env' | 'volume',
  field: string,
  found: Findings,
): void {
  if (use === 'volume' && !ref.containerName) return found.required(`${field}.containerName`);
  if (!ref.resource) return found.required(`${field}.resource`);
  const [, name = ''] = /^(?:limits|requests)\.(.*)$/.exec(ref.resource) ?? [];
  if (!resources.includes(ref.resource) && !isHugePage(name))
    return found.notSupported(`${field}.resource`, ref.resource, resources);
  if (ref.divisor == null || !isQuantity(String(ref.divisor))) return;
  const milli = quantityMilli(ref.divisor);
  const at = `${field}.divisor`;
  if (milli === 0) return;
  if (name === 'cpu') {
    if (milli !== 1 && milli !== 1000)
      found.invalid(at, ref.resource, "only divisor's values 1m and 1 are supported with the cpu resource");
    return;
  }
  if (!sizeDivisors.has(milli / 1000)) {
    const kind = name === 'memory' ? 'memory' : name === 'ephemeral-storage' ? 'local ephemeral storage' : 'hugepages';
    found.invalid(
      at,
      ref.resource,
      `only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the ${kind} resource`,
    );
  }
}

const sizeDivisors: ReadonlySet<number> = new Set(
  [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1000 ** power, 1024 ** power]),
);

export function validateEnvFrom(sources: readonly EnvFromSource[] | undefined, field: string, found: Findings): void {
  for (const [index, source] of (sources ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (source.prefix) found.each(`${at}.prefix`, source.prefix, validateEnvVarName(source.prefix));
    let count = 0;
    for (const name of ['configMapRef', 'secretRef'] as const) {
      const ref = source[name];
      if (ref == null) continue;
      count++;
      if (!ref.name) found.required(`${at}.${name}.name`);
      else found.subdomain(`${at}.${name}.name`, ref.name);
    }
    if (count === 0) found.invalid(field, '', 'must specify one of: `configMapRef` or `secretRef`');
    else if (count > 1) found.invalid(field, '', 'may not have more than one field specified at a time');
  }
}
