import type { CustomResourceDefinition, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion } from '#api';
import { type FieldError, validateDns1035Label, validateDns1123Subdomain } from '#machinery';
import { validateClientConfig } from '../admission/client-config-validation.ts';
import { validateReviewVersions } from '../admission/webhook-validation.ts';
import { Findings } from '../findings.ts';

const columnTypes: readonly string[] = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats: readonly string[] = [
  'binary',
  'byte',
  'date',
  'date-time',
  'double',
  'float',
  'int32',
  'int64',
  'password',
];

/** All but the OpenAPI schemas themselves, that the API server's machinery for custom resources checks. */
export function validateCustomResourceDefinition(definition: CustomResourceDefinition): FieldError[] {
  const found = new Findings();
  const spec = definition.spec ?? ({} as CustomResourceDefinitionSpec);
  const { plural = '' } = spec.names ?? {};
  const expected = `${plural}.${spec.group ?? ''}`;
  if (definition.metadata.name !== expected)
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
  for (const [index, version] of versions.entries()) {
    const field = `spec.versions[${index}]`;
    if (version.storage) stored++;
    if (names.has(version.name)) unique = false;
    names.add(version.name);
    const messages = validateDns1035Label(version.name ?? '');
    if (messages.length > 0) found.invalid(`${field}.name`, version.name ?? '', messages.join(','));
    validateVersion(version, field, found);
  }
  if (!unique) found.invalid('spec.versions', versions, 'must contain unique version names');
  if (stored !== 1) found.invalid('spec.versions', versions, 'must have exactly one version marked as storage version');
}

function validateVersion(version: CustomResourceDefinitionVersion, field: string, found: Findings): void {
  const schema = version.schema?.openAPIV3Schema;
  if (schema == null) found.required(`${field}.schema.openAPIV3Schema`, 'schemas are required');
  else {
    const at = `${field}.schema.openAPIV3Schema`;
    if (!schema.type) found.required(`${at}.type`, 'must not be empty at the root');
    else if (schema.type !== 'object') found.invalid(`${at}.type`, schema.type, 'must be object at the root');
    if (schema.nullable) found.forbidden(`${at}.nullable`, 'nullable cannot be true at the root');
  }
  if (!version.deprecated && version.deprecationWarning != null)
    found.invalid(`${field}.deprecationWarning`, version.deprecationWarning, 'can only be set for deprecated versions');
  const scale = version.subresources?.scale;
  if (scale != null)
    for (const [name, prefix] of [
      ['specReplicasPath', '.spec.'],
      ['statusReplicasPath', '.status.'],
    ] as const) {
      const at = `${field}.subresources.scale.${name}`;
      if (!scale[name]) found.required(at);
      else if (!scale[name].startsWith(prefix))
        found.invalid(at, scale[name], `should be a json path under ${prefix.slice(0, -1)}`);
    }
  for (const [index, column] of (version.additionalPrinterColumns ?? []).entries()) {
    const at = `${field}.additionalPrinterColumns[${index}]`;
    if (!column.name) found.required(`${at}.name`);
    const types = `must be one of ${columnTypes.join(',')}`;
    if (!column.type) found.required(`${at}.type`, types);
    else if (!columnTypes.includes(column.type)) found.invalid(`${at}.type`, column.type, types);
    if (column.format && !columnFormats.includes(column.format))
      found.invalid(`${at}.format`, column.format, `must be one of ${columnFormats.join(',')}`);
    if (!column.jsonPath) found.required(`${at}.jsonPath`);
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
  const field = 'spec.conversion.webhook';
  if (conversion.strategy !== 'Webhook') {
    if (conversion.webhook != null) found.forbidden(field, 'should not be set when strategy is not set to Webhook');
    return;
  }
  if (conversion.webhook?.clientConfig == null)
    found.required(`${field}.clientConfig`, 'required when strategy is set to Webhook');
  else validateClientConfig(conversion.webhook.clientConfig, `${field}.clientConfig`, found);
  validateReviewVersions(conversion.webhook?.conversionReviewVersions, `${field}.conversionReviewVersions`, found);
}

function validateStored(stored: readonly string[], spec: CustomResourceDefinitionSpec, found: Findings): void {
  const names = (spec.versions ?? []).map((one) => one.name);
  const storage = (spec.versions ?? []).find((one) => one.storage)?.name;
  if (storage !== undefined && !stored.includes(storage))
    found.invalid('status.storedVersions', stored, `must have the storage version ${storage}`);
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
