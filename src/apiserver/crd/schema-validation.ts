import type { CustomResourceDefinition, JSONSchemaProps } from '#api';
import {
  deepEqual,
  type FieldError,
  fieldErrorText,
  forbiddenError,
  invalidError,
  notSupportedError,
  requiredError,
} from '#machinery';
import { parseJsonPath } from './json-path.ts';
import { fieldPathOf } from './rule-field-path.ts';
import { hasRules, itemsOf, someSchema, valuesOf } from './schema-walk.ts';
import { defaultErrors } from './default-validation.ts';
import type { PatternMatcher } from './validation.ts';

export interface SchemaCheckOptions {
  /** For patterns and defaults; throws for a pattern that is none. */
  readonly matcher: PatternMatcher;
  readonly compiles: (pattern: string) => string | undefined;
  /** Only there when some schema has rules. */
  readonly rules?: typeof import('./rules.ts') | undefined;
}

type Level = 'root' | 'items' | 'field';

/** What a schema is checked with beside itself. */
interface Context {
  readonly level: Level;
  readonly isRoot: boolean;
  /** Inside apiVersion, kind or metadata of a resource. */
  readonly insideMeta: boolean;
  readonly forbiddenDefaults: string | undefined;
  readonly uncorrelatable: string | undefined;
  readonly cardinality: number | undefined;
}

/** What a definition's schemas have against them, in upstream's words: structure, extensions, rules and their costs. */
export function validateDefinitionSchemas(crd: CustomResourceDefinition, options: SchemaCheckOptions): FieldError[] {
  const found: FieldError[] = [];
  const versions = crd.spec.versions ?? [];
  // What all versions have alike is judged once, as if it stood above them.
  const shared = deepEqualParts(versions.map(({ schema }) => schema));
  for (const [index, version] of versions.entries()) {
    if (shared && index > 0) break;
    const schema = version.schema?.openAPIV3Schema;
    if (schema === undefined) continue;
    const field = shared ? 'spec.validation.openAPIV3Schema' : `spec.versions[${index}].schema.openAPIV3Schema`;
    const status = (shared ? versions : [version]).some(({ subresources }) => subresources?.status !== undefined);
    found.push(...rootErrors(schema, field, status), ...new SchemaCheck(options).whole(schema, field));
  }
  const alike = deepEqualParts(versions.map(({ selectableFields }) => selectableFields));
  for (const [index, version] of versions.entries()) {
    if (alike && index > 0) break;
    found.push(
      ...selectableFieldErrors(version, alike ? 'spec.selectableFields' : `spec.versions[${index}].selectableFields`),
    );
  }
  return found;
}

function deepEqualParts(parts: readonly unknown[]): boolean {
  return parts.every((one) => deepEqual(one, parts[0]));
}

/** With a status sub-resource only these may stand at the root: the status is judged by its own property alone. */
const allowedAtRoot = {
  description: 'Description',
  type: 'Type',
  format: 'Format',
  title: 'Title',
  maximum: 'Maximum',
  exclusiveMaximum: 'ExclusiveMaximum',
  minimum: 'Minimum',
  exclusiveMinimum: 'ExclusiveMinimum',
  maxLength: 'MaxLength',
  minLength: 'MinLength',
  pattern: 'Pattern',
  maxItems: 'MaxItems',
  minItems: 'MinItems',
  uniqueItems: 'UniqueItems',
  multipleOf: 'MultipleOf',
  required: 'Required',
  items: 'Items',
  properties: 'Properties',
  externalDocs: 'ExternalDocs',
  example: 'Example',
  'x-kubernetes-preserve-unknown-fields': 'XPreserveUnknownFields',
  'x-kubernetes-validations': 'XValidations',
};

function rootErrors(schema: JSONSchemaProps, field: string, status: boolean): FieldError[] {
  const found: FieldError[] = [];
  if (status) {
    const isEmpty = (value: unknown): boolean =>
      value === undefined || value === null || value === false || value === '' || deepEqual(value, []);
    const stranger = Object.entries(schema).find(
      ([name, value]) => !isEmpty(value) && !Object.hasOwn(allowedAtRoot, name),
    );
    if ((schema.type ?? '') !== '' && schema.type !== 'object')
      found.push(
        invalidError(
          `${field}.type`,
          schema.type,
          'only "object" is allowed as the type at the root of the schema if the status subresource is enabled',
        ),
      );
    else if (stranger !== undefined)
      found.push(
        invalidError(
          field,
          schema,
          `only [${Object.values(allowedAtRoot).join(' ')}] fields are allowed at the root of the schema if the status subresource is enabled`,
        ),
      );
  }
  if (schema.nullable === true) found.push(forbiddenError(`${field}.nullable`, 'nullable cannot be true at the root'));
  return found;
}

const mostSelectableFields = 8;

/** Selectable fields are scalars outside metadata, and not lists. */
function selectableFieldErrors(
  version: CustomResourceDefinition['spec']['versions'][number],
  field: string,
): FieldError[] {
  const fields = version.selectableFields ?? [];
  const found: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, { jsonPath }] of fields.entries()) {
    const at = `${field}[${index}].jsonPath`;
    if (jsonPath === undefined || jsonPath === '') {
      found.push(requiredError(at, ''));
      continue;
    }
    if (seen.has(jsonPath))
      found.push({ type: 'FieldValueDuplicate', field: at, detail: `Duplicate value: ${JSON.stringify(jsonPath)}` });
    seen.add(jsonPath);
    const type = typeAt(version.schema?.openAPIV3Schema, jsonPath);
    if (/\[/.test(jsonPath) || parseJsonPath(jsonPath) === undefined)
      found.push(invalidError(at, jsonPath, 'is an invalid path: array notation is not allowed'));
    else if (type === undefined)
      found.push(invalidError(at, jsonPath, 'is an invalid path: does not refer to a valid field'));
    else if (jsonPath.startsWith('.metadata.') || jsonPath === '.metadata')
      found.push(invalidError(at, jsonPath, 'must not point to fields in metadata'));
    else if (!['string', 'integer', 'boolean'].includes(type))
      found.push(
        invalidError(
          at,
          jsonPath,
          `must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.`,
        ),
      );
  }
  if (seen.size > mostSelectableFields)
    found.push({
      type: 'FieldValueTooMany',
      field,
      detail: `Too many: ${seen.size}: must have at most ${mostSelectableFields} items`,
    });
  return found;
}

function typeAt(schema: JSONSchemaProps | undefined, path: string): string | undefined {
  let current = schema;
  for (const name of path.split('.').slice(1)) {
    const properties: JSONSchemaProps['properties'] = current?.properties;
    if (properties === undefined || !Object.hasOwn(properties, name)) return undefined;
    current = properties[name];
  }
  return current?.type ?? '';
}

const types: readonly string[] = ['array', 'boolean', 'integer', 'number', 'object', 'string'];
const reasons: readonly string[] = [
  'FieldValueDuplicate',
  'FieldValueForbidden',
  'FieldValueInvalid',
  'FieldValueRequired',
];
const metaFields: readonly string[] = ['apiVersion', 'kind', 'metadata'];

/** Parts that upstream's structural schemas have no place for. */
const unsupported = [
  'id',
  '$schema',
  '$ref',
  'additionalItems',
  'patternProperties',
  'definitions',
  'dependencies',
] as const;

class SchemaCheck {
  readonly #options: SchemaCheckOptions;
  #found: FieldError[] = [];
  readonly #ruleErrors: FieldError[] = [];
  readonly #cost = { total: 0, rules: [] as { field: string; cost: number }[] };

  constructor(options: SchemaCheckOptions) {
    this.#options = options;
  }

  whole(schema: JSONSchemaProps, field: string): FieldError[] {
    const root: Context = {
      level: 'root',
      isRoot: true,
      insideMeta: false,
      forbiddenDefaults: undefined,
      uncorrelatable: undefined,
      cardinality: 1,
    };
    const hasStructure = !someSchema(schema, (one) => unsupported.some((name) => isThere(one[name])));
    if (hasStructure) {
      this.#structural(schema, field, root);
      this.#complete(schema, schema, field, field);
    }
    const structural = this.#found.sort((a, b) => (fieldErrorText(a) < fieldErrorText(b) ? -1 : 1));
    this.#found = [];
    if (hasStructure && structural.length === 0) structural.push(...defaultErrors(schema, field, this.#options));
    this.#openApi(schema, field, root);
    const found = [...structural, ...this.#found];
    if (found.length > 0) return found;
    if (!hasStructure) return [invalidError(field, '', "OpenAPIV3Schema 'schema' is not supported")];
    if (this.#options.rules !== undefined && hasRules(schema)) {
      this.#rules(schema, field, root);
      this.#ruleErrors.push(...this.#options.rules.checkTotal(this.#cost, field));
    }
    return this.#ruleErrors;
  }

  #add(error: FieldError): void {
    if (this.#found.length < 100) this.#found.push(error);
  }

  /** What makes a schema structural. */
  #structural(schema: JSONSchemaProps, field: string, context: Context): void {
    this.#structure(schema, field, context);
    this.#below(schema, field, context, (below, at, inner) => this.#structural(below, at, inner));
    this.#junctors(schema, field);
  }

  /** What holds for every schema, those below junctors too. */
  #openApi(schema: JSONSchemaProps, field: string, context: Context): void {
    this.#supported(schema, field, context);
    this.#extensions(schema, field);
    this.#mapList(schema, field);
    this.#ruleTexts(schema, field);
    this.#below(schema, field, context, (below, at, inner) => this.#openApi(below, at, inner));
    const nested: Context = { ...context, isRoot: false };
    for (const name of ['anyOf', 'oneOf', 'allOf'] as const)
      for (const [index, one] of (schema[name] ?? []).entries())
        this.#openApi(one, `${field}.${name}[${index}]`, nested);
    if (schema.not !== undefined) this.#openApi(schema.not, `${field}.not`, nested);
  }

  /** Each schema below, with the context that it has there. */
  #below(
    schema: JSONSchemaProps,
    field: string,
    context: Context,
    visit: (schema: JSONSchemaProps, field: string, context: Context) => void,
  ): void {
    const inner = { ...context, isRoot: false };
    const isResource = context.isRoot || schema['x-kubernetes-embedded-resource'] === true;
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const meta = isResource && metaFields.includes(name);
      visit(property, `${field}.properties[${name}]`, {
        ...inner,
        level: 'field',
        insideMeta: context.insideMeta || meta,
        forbiddenDefaults: context.forbiddenDefaults ?? (context.isRoot && meta ? `in top-level ${name}` : undefined),
        uncorrelatable: context.uncorrelatable ?? (schema['x-kubernetes-map-type'] === 'atomic' ? field : undefined),
      });
    }
    const items = itemsOf(schema);
    if (items !== undefined) {
      visit(items, `${field}.items`, {
        ...inner,
        level: 'items',
        uncorrelatable: context.uncorrelatable ?? (schema['x-kubernetes-list-type'] === 'map' ? undefined : field),
        cardinality: times(context.cardinality, schema.maxItems),
      });
    }
    const values = valuesOf(schema);
    if (values !== undefined) {
      visit(values, `${field}.additionalProperties`, {
        ...inner,
        level: 'field',
        forbiddenDefaults:
          context.forbiddenDefaults ??
          (context.insideMeta ? 'inside additionalProperties applying to object metadata' : undefined),
        cardinality: times(context.cardinality, schema.maxProperties),
      });
    }
  }

  /** Parts of JSON schema that definitions may not use. */
  #supported(schema: JSONSchemaProps, field: string, context: Context): void {
    const forbid = (name: string, detail: string): void => this.#add(forbiddenError(`${field}.${name}`, detail));
    if (schema.type !== undefined && schema.type !== '' && !types.includes(schema.type))
      this.#add(notSupportedError(`${field}.type`, schema.type, types));
    if (schema.type === 'null') forbid('type', 'type cannot be set to null, use nullable as an alternative');
    if (isThere(schema.default) && context.forbiddenDefaults !== undefined)
      forbid('default', `must not be set ${context.forbiddenDefaults}`);
    if (schema.id !== undefined && schema.id !== '') forbid('id', 'id is not supported');
    if (schema.additionalItems !== undefined) forbid('additionalItems', 'additionalItems is not supported');
    if (Object.keys(schema.patternProperties ?? {}).length > 0)
      forbid('patternProperties', 'patternProperties is not supported');
    if (Object.keys(schema.definitions ?? {}).length > 0) forbid('definitions', 'definitions is not supported');
    if (schema.dependencies !== undefined) forbid('dependencies', 'dependencies is not supported');
    if (schema.$ref !== undefined) forbid('$ref', '$ref is not supported');
    if (Array.isArray(schema.items)) forbid('items', 'items must be a schema object and not an array');
    if (schema.uniqueItems === true)
      forbid('uniqueItems', 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic');
    if (context.insideMeta && schema['x-kubernetes-embedded-resource'] === true)
      forbid('x-kubernetes-embedded-resource', 'must not be used inside of resource meta');
    const { additionalProperties, properties } = schema;
    if (additionalProperties !== undefined && additionalProperties !== true && Object.keys(properties ?? {}).length > 0)
      forbid('additionalProperties', 'additionalProperties and properties are mutual exclusive');
  }

  #pattern({ pattern }: JSONSchemaProps, field: string): void {
    const wrong = pattern === undefined || pattern === '' ? undefined : this.#options.compiles(pattern);
    if (wrong !== undefined)
      this.#add(invalidError(`${field}.pattern`, pattern, `must be a valid regular expression, but isn't: ${wrong}`));
  }

  #structure(schema: JSONSchemaProps, field: string, { level, isRoot }: Context): void {
    const { type = '' } = schema;
    const embedded = schema['x-kubernetes-embedded-resource'] === true;
    const keeps = schema['x-kubernetes-preserve-unknown-fields'] === true;
    this.#pattern(schema, field);
    if (schema['x-kubernetes-int-or-string'] === true) {
      for (const name of ['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource'] as const)
        if (schema[name] === true)
          this.#add(invalidError(`${field}.${name}`, true, 'must be false if x-kubernetes-int-or-string is true'));
    }
    if (isRoot && type !== '' && type !== 'object')
      this.#add(invalidError(`${field}.type`, type, 'must be object at the root'));
    if (type === 'array' && schema.items === undefined) this.#add(requiredError(`${field}.items`, 'must be specified'));
    if (schema.additionalProperties !== undefined) {
      if (isRoot) this.#add(forbiddenError(`${field}.additionalProperties`, 'must not be used at the root'));
      if (embedded)
        this.#add(
          forbiddenError(`${field}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'),
        );
    }
    if (embedded && type !== 'object') {
      const detail = 'must be object if x-kubernetes-embedded-resource is true';
      this.#add(type === '' ? requiredError(`${field}.type`, detail) : invalidError(`${field}.type`, type, detail));
    } else if (type === '' && schema['x-kubernetes-int-or-string'] !== true && !keeps) {
      this.#add(requiredError(`${field}.type`, `must not be empty ${emptyAt[level]}`));
    }
    if (embedded && !keeps && Object.keys(schema.properties ?? {}).length === 0)
      this.#add(
        requiredError(
          `${field}.properties`,
          'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
        ),
      );
    if (isRoot || embedded) this.#meta(schema, field, isRoot);
  }

  #meta({ properties }: JSONSchemaProps, field: string, isRoot: boolean): void {
    for (const name of ['kind', 'apiVersion']) {
      const property = properties?.[name];
      if (property !== undefined && property.type !== 'string')
        this.#add(invalidError(`${field}.properties[${name}].type`, property.type ?? '', 'must be string'));
    }
    const metadata = properties?.metadata;
    if (metadata === undefined) return;
    if (metadata.type !== 'object')
      this.#add(invalidError(`${field}.properties[metadata].type`, metadata.type ?? '', 'must be object'));
    if (!isRoot) return;
    // A default is refused elsewhere.
    const { type, description, default: _, properties: inner = {}, ...rest } = metadata;
    if (
      Object.keys(inner).some((name) => name !== 'name' && name !== 'generateName') ||
      Object.values(rest).some(isThere) ||
      (description ?? '') !== ''
    )
      this.#add(
        forbiddenError(
          `${field}.properties[metadata]`,
          'must not specify anything other than name and generateName, but metadata is implicitly specified',
        ),
      );
  }

  #extensions(schema: JSONSchemaProps, field: string): void {
    const keeps = schema['x-kubernetes-preserve-unknown-fields'];
    if (keeps === false)
      this.#add(invalidError(`${field}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
    const mapType = schema['x-kubernetes-map-type'];
    if (mapType !== undefined) {
      this.#wantedType(schema, field, 'object', 'x-kubernetes-map-type');
      if (mapType !== 'atomic' && mapType !== 'granular')
        this.#add(notSupportedError(`${field}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
    }
    const listType = schema['x-kubernetes-list-type'];
    if (listType === undefined) return;
    this.#wantedType(schema, field, 'array', 'x-kubernetes-list-type');
    if (!['atomic', 'set', 'map'].includes(listType))
      this.#add(notSupportedError(`${field}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
    const items = itemsOf(schema);
    if (listType === 'set' && items !== undefined && schema.type === 'array') {
      const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set';
      const inner = items['x-kubernetes-list-type'];
      if (items.type === 'array' && inner !== undefined && inner !== 'atomic')
        this.#add(invalidError(`${field}.items.x-kubernetes-list-type`, inner, detail));
      if (items.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic')
        this.#add(invalidError(`${field}.items.x-kubernetes-map-type`, items['x-kubernetes-map-type'] ?? null, detail));
    }
    if ((listType === 'set' || listType === 'map') && items?.nullable === true)
      this.#add(
        forbiddenError(`${field}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`),
      );
  }

  #wantedType(schema: JSONSchemaProps, field: string, type: string, extension: string): void {
    if (schema.type === type) return;
    const detail = `must be ${type} if ${extension} is specified`;
    this.#add(
      (schema.type ?? '') === ''
        ? requiredError(`${field}.type`, detail)
        : invalidError(`${field}.type`, schema.type, detail),
    );
  }

  #mapList(schema: JSONSchemaProps, field: string): void {
    const listType = schema['x-kubernetes-list-type'];
    const keys = schema['x-kubernetes-list-map-keys'] ?? [];
    if (keys.length > 0 && listType !== 'map') {
      const detail = 'must be map if x-kubernetes-list-map-keys is non-empty';
      this.#add(
        listType === undefined
          ? requiredError(`${field}.x-kubernetes-list-type`, detail)
          : invalidError(`${field}.x-kubernetes-list-type`, listType, detail),
      );
    }
    if (listType !== 'map') return;
    if (keys.length === 0)
      this.#add(
        requiredError(`${field}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'),
      );
    const items = itemsOf(schema);
    if (items === undefined) {
      this.#add(requiredError(`${field}.items`, 'must have a schema if x-kubernetes-list-type is map'));
      return;
    }
    if (items.type !== 'object') {
      this.#add(
        invalidError(
          `${field}.items.type`,
          items.type ?? '',
          "must be object if parent array's x-kubernetes-list-type is map",
        ),
      );
      return;
    }
    const seen = new Set<string>();
    for (const key of keys) {
      const property = Object.hasOwn(items.properties ?? {}, key) ? items.properties?.[key] : undefined;
      const at = `${field}.items.properties[${key}]`;
      if (property === undefined)
        this.#add(
          invalidError(`${field}.x-kubernetes-list-map-keys`, keys, 'entries must all be names of item properties'),
        );
      else if (property.type === 'array' || property.type === 'object')
        this.#add(
          invalidError(
            `${at}.type`,
            items.type,
            "must be a scalar type if parent array's x-kubernetes-list-type is map",
          ),
        );
      if (seen.has(key))
        this.#add(invalidError(`${field}.x-kubernetes-list-map-keys`, keys, 'must not contain duplicate entries'));
      seen.add(key);
      if (property === undefined) continue;
      if (!(items.required ?? []).includes(key) && property.default === undefined)
        this.#add(
          requiredError(
            `${at}.default`,
            'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
          ),
        );
      if (property.nullable === true)
        this.#add(
          forbiddenError(`${at}.nullable`, 'this property is in x-kubernetes-list-map-keys, so it cannot be nullable'),
        );
    }
  }

  #junctors(schema: JSONSchemaProps, field: string): void {
    const skips = (list: readonly JSONSchemaProps[] | undefined): boolean =>
      deepEqual(list ?? [], [{ type: 'integer' }, { type: 'string' }]);
    for (const name of ['anyOf', 'oneOf', 'allOf'] as const) {
      if (name === 'anyOf' && skips(schema.anyOf)) continue;
      for (const [index, one] of (schema[name] ?? []).entries())
        this.#nested(one, `${field}.${name}[${index}]`, name === 'allOf' && index === 0 && skips(one.anyOf));
    }
    if (schema.not !== undefined) this.#nested(schema.not, `${field}.not`);
  }

  /** Below a junctor only values may be restricted. */
  #nested(schema: JSONSchemaProps, field: string, skipAnyOf = false): void {
    const forbid = (name: string, detail: string): void => this.#add(forbiddenError(`${field}.${name}`, detail));
    if ((schema.type ?? '') !== '') forbid('type', 'must be empty to be structural');
    if (schema.additionalProperties !== undefined) forbid('additionalProperties', 'must be undefined to be structural');
    if (isThere(schema.default)) forbid('default', 'must be undefined to be structural');
    if ((schema.title ?? '') !== '') forbid('title', 'must be empty to be structural');
    if ((schema.description ?? '') !== '') forbid('description', 'must be empty to be structural');
    if (schema.nullable === true) forbid('nullable', 'must be false to be structural');
    for (const name of [
      'x-kubernetes-preserve-unknown-fields',
      'x-kubernetes-embedded-resource',
      'x-kubernetes-int-or-string',
    ] as const)
      if (schema[name] === true) forbid(name, 'must be false to be structural');
    if ((schema['x-kubernetes-list-map-keys'] ?? []).length > 0)
      forbid('x-kubernetes-list-map-keys', 'must be empty to be structural');
    for (const name of ['x-kubernetes-list-type', 'x-kubernetes-map-type'] as const)
      if (schema[name] !== undefined) forbid(name, 'must be undefined to be structural');
    if ((schema['x-kubernetes-validations'] ?? []).length > 0)
      forbid('x-kubernetes-validations', 'must be empty to be structural');
    if (schema.properties?.metadata !== undefined)
      forbid('properties[metadata]', 'must not be specified in a nested context');
    this.#pattern(schema, field);
    for (const [name, property] of Object.entries(schema.properties ?? {}))
      this.#nested(property, `${field}.properties[${name}]`);
    const items = itemsOf(schema);
    if (items !== undefined) this.#nested(items, `${field}.items`);
    this.#junctors(skipAnyOf ? { ...schema, anyOf: [] } : schema, field);
  }

  /**
   * Junctors at the root name only what the schema outside of them has too; as upstream, those further in are not asked. `at` is the
   * place of the schema, `shown` that of the junctor's part.
   */
  #complete(nested: JSONSchemaProps, outside: JSONSchemaProps, at: string, shown: string): void {
    const visit = (part: JSONSchemaProps, place: string): void => {
      this.#complete(part, outside, at, place);
      const items = itemsOf(part);
      if (items !== undefined) {
        const known = itemsOf(outside);
        if (known === undefined) this.#missing(`${at}.items`, `${place}.items`);
        else this.#completePart(items, known, `${at}.items`, `${place}.items`);
      }
      for (const [name, property] of Object.entries(part.properties ?? {})) {
        const known = Object.hasOwn(outside.properties ?? {}, name) ? outside.properties?.[name] : undefined;
        const step = `.properties[${name}]`;
        if (known === undefined) this.#missing(at + step, place + step);
        else this.#completePart(property, known, at + step, place + step);
      }
    };
    if (nested.not !== undefined) visit(nested.not, `${shown}.not`);
    for (const name of ['allOf', 'anyOf', 'oneOf'] as const)
      for (const [index, one] of (nested[name] ?? []).entries()) visit(one, `${shown}.${name}[${index}]`);
  }

  #completePart(part: JSONSchemaProps, outside: JSONSchemaProps, at: string, shown: string): void {
    // The part stands below a junctor already: judged as the only one of a junctor of its own.
    const before = this.#found.length;
    this.#complete({ allOf: [part] }, outside, at, shown);
    for (let index = before; index < this.#found.length; index++) {
      const error = this.#found[index] as FieldError;
      this.#found[index] = { ...error, detail: error.detail.replace(`${shown}.allOf[0]`, shown) };
    }
  }

  #missing(at: string, shown: string): void {
    this.#add(requiredError(at, `because it is defined in ${shown}`));
  }

  #ruleTexts(schema: JSONSchemaProps, field: string): void {
    for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
      const at = `${field}.x-kubernetes-validations[${index}]`;
      const text = (rule.rule ?? '').trim();
      const message = (rule.message ?? '').trim();
      const lines = /[\n\r]/;
      if (text === '') this.#add(requiredError(`${at}.rule`, 'rule is not specified'));
      else if ((rule.message ?? '') !== '' && message === '')
        this.#add(invalidError(`${at}.message`, rule.message, 'message must be non-empty if specified'));
      else if (lines.test(message))
        this.#add(invalidError(`${at}.message`, rule.message, 'message must not contain line breaks'));
      else if (lines.test(text) && message === '')
        this.#add(requiredError(`${at}.message`, 'message must be specified if rule contains line breaks'));
      if ((rule.messageExpression ?? '') !== '' && rule.messageExpression?.trim() === '')
        this.#add(requiredError(`${at}.messageExpression`, 'messageExpression must be non-empty if specified'));
      if (rule.reason !== undefined && !reasons.includes(rule.reason))
        this.#add(notSupportedError(`${at}.reason`, rule.reason, reasons));
      const { fieldPath } = rule;
      if (fieldPath === undefined || fieldPath === '') continue;
      if (fieldPath.trim() === '')
        this.#add(invalidError(`${at}.fieldPath`, fieldPath, 'fieldPath must be non-empty if specified'));
      if (lines.test(fieldPath))
        this.#add(invalidError(`${at}.fieldPath`, fieldPath, 'fieldPath must not contain line breaks'));
      if (fieldPathOf(fieldPath, schema) === undefined)
        this.#add(invalidError(`${at}.fieldPath`, fieldPath, 'fieldPath must be a valid path'));
    }
  }

  #rules(schema: JSONSchemaProps, field: string, context: Context): void {
    if ((schema['x-kubernetes-validations'] ?? []).length > 0) {
      const { isRoot, cardinality, uncorrelatable } = context;
      const errors =
        this.#options.rules?.checkRules({ schema, isRoot, field, cardinality, uncorrelatable, cost: this.#cost }) ?? [];
      this.#ruleErrors.push(...errors);
    }
    this.#below(schema, field, context, (below, at, inner) => this.#rules(below, at, inner));
  }
}

/** Not there as upstream decodes it: null counts as absent. */
const isThere = (value: unknown): boolean => value !== undefined && value !== null && value !== '';

const emptyAt: Readonly<Record<Level, string>> = {
  root: 'at the root',
  items: 'for specified array items',
  field: 'for specified object fields',
};

function times(cardinality: number | undefined, most: number | bigint | undefined): number | undefined {
  return cardinality === undefined || most === undefined ? undefined : cardinality * Number(most);
}
