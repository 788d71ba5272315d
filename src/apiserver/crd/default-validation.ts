import type { JSONSchemaProps } from '#api';
import { type FieldError, invalidError } from '#machinery';
import type { SchemaCheckOptions } from './schema-validation.ts';
import { validateEmbeddedResource } from './embedded-resource.ts';
import { hasRules, itemsOf, someSchema, valuesOf } from './schema-walk.ts';
import { SchemaValidator } from './validation.ts';

const metaFields: readonly string[] = ['apiVersion', 'kind', 'metadata'];

/** What the defaults of a structural schema have against them: they are whole, known to the schema, valid, and keep its rules. */
export function defaultErrors(schema: JSONSchemaProps, field: string, options: SchemaCheckOptions): FieldError[] {
  const broken = (one: JSONSchemaProps): boolean =>
    one.pattern !== undefined && options.compiles(one.pattern) !== undefined;
  if (someSchema(schema, broken)) return [];
  const found: FieldError[] = [];
  visit({ ...schema, 'x-kubernetes-embedded-resource': true }, field, false, options, found);
  return found;
}

/** Defaults below additionalProperties and junctors are none of upstream's business here. */
function visit(
  schema: JSONSchemaProps,
  field: string,
  insideMeta: boolean,
  options: SchemaCheckOptions,
  found: FieldError[],
): void {
  const embedded = schema['x-kubernetes-embedded-resource'] === true;
  if (schema.default !== undefined && schema.default !== null)
    found.push(...errorsOf(schema, `${field}.default`, insideMeta && !embedded, options));
  const items = itemsOf(schema);
  if (items !== undefined) visit(items, `${field}.items`, insideMeta && !embedded, options, found);
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const meta = embedded ? metaFields.includes(name) : insideMeta;
    visit(property, `${field}.properties[${name}]`, meta, options, found);
  }
}

function errorsOf(
  schema: JSONSchemaProps,
  field: string,
  insideMeta: boolean,
  options: SchemaCheckOptions,
): FieldError[] {
  const value: unknown = schema.default;
  const found: FieldError[] = [];
  if (!insideMeta && hasUnknown(value, schema)) found.push(invalidError(field, value, 'must not have unknown fields'));
  const resources: FieldError[] = [];
  if (!insideMeta) resourceErrors(value, schema, field, resources);
  if (resources.length > 0) return [...found, ...resources];
  const placed = ({ field: below, ...rest }: FieldError): FieldError => ({
    ...rest,
    field: below === '' || below === '<nil>' ? field : `${field}.${below}`,
  });
  const invalid = new SchemaValidator(schema, options.matcher, false).validate(value);
  if (invalid.length > 0) return [...found, ...invalid.map(placed)];
  if (options.rules === undefined || !hasRules(schema)) return found;
  const rules = options.rules.compileRules(schema, false);
  // As a change of itself, and as something new.
  const kept = rules?.validate(value, value) ?? [];
  return [...found, ...(kept.length > 0 ? kept : (rules?.validate(value) ?? [])).map(placed)];
}

function resourceErrors(value: unknown, schema: JSONSchemaProps, field: string, found: FieldError[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    if (items !== undefined)
      for (const [index, one] of value.entries()) resourceErrors(one, items, `${field}[${index}]`, found);
    return;
  }
  if (schema['x-kubernetes-embedded-resource'] === true)
    found.push(...validateEmbeddedResource(value as Record<string, unknown>, field));
  for (const [name, one] of Object.entries(value)) {
    const property = Object.hasOwn(schema.properties ?? {}, name) ? schema.properties?.[name] : undefined;
    if (property !== undefined) resourceErrors(one, property, `${field}.${name}`, found);
    else {
      const values = valuesOf(schema);
      if (values !== undefined) resourceErrors(one, values, `${field}[${name}]`, found);
    }
  }
}

/** Whether pruning would take something away. */
function hasUnknown(value: unknown, schema: JSONSchemaProps): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) {
    const items = itemsOf(schema);
    return items !== undefined && value.some((one) => hasUnknown(one, items));
  }
  const keeps = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
  const values = valuesOf(schema);
  return Object.entries(value).some(([name, one]) => {
    if (schema['x-kubernetes-embedded-resource'] === true && metaFields.includes(name)) return false;
    const property = Object.hasOwn(schema.properties ?? {}, name) ? schema.properties?.[name] : undefined;
    if (property !== undefined) return hasUnknown(one, property);
    return values === undefined ? !keeps : hasUnknown(one, values);
  });
}
