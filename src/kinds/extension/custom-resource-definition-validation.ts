import type { CustomResourceDefinition, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion } from '#api';
import { deepEqual, type FieldError, validateDns1035Label, validateDns1123Subdomain } from '#machinery';
import { validateClientConfig } from '../admission/client-config-validation.ts';
import { validateReviewVersions } from '../admission/webhook-validation.ts';
import { Findings } from '../findings.ts';

const columnTypes: readonly string[] = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats: readonly string[] = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

/** All but the OpenAPI schemas themselves, that the API server's machinery for custom resources checks. */
export function validateCustomResourceDefinition(
  definition: CustomResourceDefinition,
  old?: CustomResourceDefinition,
): FieldError[] {
  const found = new Findings();
  const spec = definition.spec ?? ({} as CustomResourceDefinitionSpec);
  const { plural = '' } = spec.names ?? {};
  const expected = `${plural}.${spec.group ?? ''}`;
  if (old === undefined && definition.metadata.name !== expected)
    found.invalid('metadata.name', definition.metadata.name, 'must be spec.names.plural+"."+spec.group');
  validateGroup(spec.group ?? '', found);
  found.oneOf('spec.scope', spec.scope, ['Cluster', 'Namespaced']);
  validateVersions(spec, found);
  validateNames(spec, found);
  validateConversion(spec, found);
  if (spec.preserveUnknownFields === true)
    found.invalid(
      'spec.preserveUnknownFields',
      true,
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
    );
  const stored = definition.status?.storedVersions ?? [];
  if (stored.length > 0) validateStored(stored, spec, found);
  else found.invalid('status.storedVersions', stored, 'must have at least one stored version');
  return found.list;
}

function validateGroup(group: string, found: Findings): void {
  if (group === '') return found.required('spec.group');
  const messages = validateDns1123Subdomain(group);
  if (messages.length > 0) found.invalid('spec.group', group, messages.join(','));
  else if (!group.includes('.')) found.invalid('spec.group', group, 'should be a domain with at least one dot');
}

function validateVersions(spec: CustomResourceDefinitionSpec, found: Findings): void {
  const versions = spec.versions ?? [];
  const names = new Set<string>();
  let stored = 0;
  let unique = true;
  const shared = sharedParts(versions);
  for (const [index, version] of versions.entries()) {
    const field = `spec.versions[${index}]`;
    if (version.storage) stored++;
    if (names.has(version.name)) unique = false;
    names.add(version.name);
    const messages = validateDns1035Label(version.name ?? '');
    if (messages.length > 0) found.invalid(`${field}.name`, version.name ?? '', messages.join(','));
    if (version.schema?.openAPIV3Schema == null)
      found.required(`${field}.schema.openAPIV3Schema`, 'schemas are required');
    validateDeprecation(version, field, found);
    if (!shared.has('subresources')) validateScale(version, `${field}.subresources`, found);
    if (!shared.has('additionalPrinterColumns')) validateColumns(version, field, found);
  }
  if (!unique) found.invalid('spec.versions', versions, 'must contain unique version names');
  if (stored !== 1) found.invalid('spec.versions', versions, 'must have exactly one version marked as storage version');
  const [first] = versions;
  if (first === undefined) return;
  const messages = validateDns1035Label(first.name ?? '');
  if (messages.length > 0) found.invalid('spec.version', first.name ?? '', messages.join(','));
  if (shared.has('subresources')) validateScale(first, 'spec.subresources', found);
  if (shared.has('additionalPrinterColumns')) validateColumns(first, 'spec', found);
}

type SharedPart = 'schema' | 'subresources' | 'additionalPrinterColumns' | 'selectableFields';

/**
 * What all versions of a definition have alike. Upstream judges such parts once, as if they stood above the versions: errors are shown
 * there (`spec.validation` for schemas).
 */
export function sharedParts(versions: readonly CustomResourceDefinitionVersion[]): ReadonlySet<SharedPart> {
  const parts = ['schema', 'subresources', 'additionalPrinterColumns', 'selectableFields'] as const;
  return new Set(parts.filter((part) => versions.every((one) => deepEqual(one[part], versions[0]?.[part]))));
}

const longestWarning = 256;

function validateDeprecation(version: CustomResourceDefinitionVersion, field: string, found: Findings): void {
  const { deprecated, deprecationWarning: warning } = version;
  if (warning == null) return;
  const at = `${field}.deprecationWarning`;
  if (!deprecated) return found.invalid(at, warning, 'can only be set for deprecated versions');
  if (Buffer.byteLength(warning) > longestWarning) found.invalid(at, warning, 'must be <= 256 characters long');
  if (warning === '') found.invalid(at, warning, 'must not be an empty string');
  const hidden = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.exec(warning);
  if (hidden !== null)
    found.invalid(
      at,
      warning,
      `must only contain printable UTF-8 characters; non-printable character found at index ${Buffer.byteLength(warning.slice(0, hidden.index))}`,
    );
}

function validateScale({ subresources }: CustomResourceDefinitionVersion, field: string, found: Findings): void {
  const scale = subresources?.scale;
  if (scale == null) return;
  for (const [name, places] of [
    ['specReplicasPath', ['.spec.']],
    ['statusReplicasPath', ['.status.']],
    ['labelSelectorPath', ['.spec.', '.status.']],
  ] as const) {
    const at = `${field}.scale.${name}`;
    const path = scale[name];
    if (!path) {
      if (name !== 'labelSelectorPath') found.required(at);
    } else if (!path.startsWith('.')) found.invalid(at, path, notSimple);
    else if (!places.some((place) => path.startsWith(place)))
      found.invalid(
        at,
        path,
        `should be a json path under ${places.length > 1 ? 'either .spec or .status' : places[0].slice(0, -1)}`,
      );
  }
}

const notSimple = 'must be a simple json path starting with .';

function validateColumns(version: CustomResourceDefinitionVersion, field: string, found: Findings): void {
  for (const [index, column] of (version.additionalPrinterColumns ?? []).entries()) {
    const at = `${field}.additionalPrinterColumns[${index}]`;
    if (!column.name) found.required(`${at}.name`);
    const types = `must be one of ${columnTypes.join(',')}`;
    if (!column.type) found.required(`${at}.type`, types);
    else if (!columnTypes.includes(column.type)) found.invalid(`${at}.type`, column.type, types);
    if (column.format && !columnFormats.includes(column.format))
      found.invalid(`${at}.format`, column.format, `must be one of ${columnFormats.join(',')}`);
    if (!column.jsonPath) found.required(`${at}.JSONPath`);
    else if (!column.jsonPath.startsWith('.')) found.invalid(`${at}.JSONPath`, column.jsonPath, notSimple);
  }
}

function validateNames(spec: CustomResourceDefinitionSpec, found: Findings): void {
  const names = spec.names ?? { plural: '', kind: '' };
  for (const name of ['plural', 'singular', 'kind', 'listKind'] as const) {
    const value = names[name];
    const field = `spec.names.${name}`;
    if (!value) {
      found.required(field);
      continue;
    }
    const mixed = name === 'kind' || name === 'listKind';
    const messages = validateDns1035Label(mixed ? value.toLowerCase() : value);
    if (messages.length > 0)
      found.invalid(
        field,
        value,
        `${mixed ? 'may have mixed case, but should otherwise match: ' : ''}${messages.join(',')}`,
      );
  }
  for (const list of ['shortNames', 'categories'] as const)
    for (const [index, value] of (names[list] ?? []).entries()) {
      const messages = validateDns1035Label(value);
      if (messages.length > 0) found.invalid(`spec.names.${list}[${index}]`, value, messages.join(','));
    }
  if (names.kind && names.kind === names.listKind)
    found.invalid('spec.names.listKind', names.listKind, 'kind and listKind may not be the same');
}

function validateConversion({ conversion }: CustomResourceDefinitionSpec, found: Findings): void {
  if (conversion == null) return;
  found.oneOf('spec.conversion.strategy', conversion.strategy, ['None', 'Webhook']);
  // Paths are those of upstream's own form of a definition.
  const [client, reviews] = ['spec.conversion.webhookClientConfig', 'spec.conversion.conversionReviewVersions'];
  const { webhook } = conversion;
  const versions = webhook?.conversionReviewVersions ?? [];
  if (conversion.strategy !== 'Webhook') {
    const detail = 'should not be set when strategy is not set to Webhook';
    if (webhook?.clientConfig != null) found.forbidden(client, detail);
    if (versions.length > 0) found.forbidden(reviews, detail);
    return;
  }
  if (webhook?.clientConfig == null) found.required(client, 'required when strategy is set to Webhook');
  else validateClientConfig(webhook.clientConfig, client, found);
  if (versions.length === 0) found.required(reviews);
  else validateReviewVersions(versions, reviews, found);
}

function validateStored(stored: readonly string[], spec: CustomResourceDefinitionSpec, found: Findings): void {
  const names = (spec.versions ?? []).map((one) => one.name);
  for (const { name, storage } of spec.versions ?? [])
    if (storage && !stored.includes(name))
      found.invalid('status.storedVersions', stored, `must have the storage version ${name}`);
  for (const [index, version] of stored.entries())
    if (!names.includes(version))
      found.invalid(
        `status.storedVersions[${index}]`,
        version,
        'missing from spec.versions; v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and removes v1 from status.storedVersions'.replaceAll(
          /\bv1\b/g,
          version,
        ),
      );
}

/** Names and scope are fixed once they are in use. */
export function validateCustomResourceDefinitionUpdate(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition,
): FieldError[] {
  const found = new Findings();
  const established = (old.status?.conditions ?? []).some((one) => one.type === 'Established' && one.status === 'True');
  if (established) {
    found.immutable('spec.scope', definition.spec?.scope, old.spec?.scope);
    found.immutable('spec.names.kind', definition.spec?.names?.kind, old.spec?.names?.kind);
  }
  found.immutable('spec.group', definition.spec?.group, old.spec?.group);
  found.immutable('spec.names.plural', definition.spec?.names?.plural, old.spec?.names?.plural);
  return found.list;
}
