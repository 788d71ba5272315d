import type { JSONSchemaProps } from '#api';
import {
  deepEqual,
  duplicateError,
  type FieldError,
  invalidError,
  notSupportedError,
  requiredError,
  tooLongError,
  tooManyError,
  typeInvalidError,
} from '#machinery';
import { validateEmbeddedResource } from './embedded-resource.ts';
import { hasFormat } from './formats.ts';
import { oldField, oldItems } from './schema-walk.ts';

/** Matches text against a user's regular expression in linear time. */
export type PatternMatcher = (pattern: string) => (text: string) => boolean;

const mostFindings = 100;

/**
 * What an object of a custom resource has against its schema, in upstream's words. Schema and object are trees of bounded depth.
 */
export class SchemaValidator {
  readonly #matcher: PatternMatcher;
  readonly #schema: JSONSchemaProps;
  readonly #whole: boolean;

  /** `whole`: for objects, whose metadata, embedded objects, sets and maps are judged too; otherwise for values below one. */
  constructor(schema: JSONSchemaProps, matcher: PatternMatcher, whole = true) {
    this.#schema = schema;
    this.#matcher = matcher;
    this.#whole = whole;
  }

  /** What is as it was in `old`, the object that this one replaces, is not held against it. */
  validate(object: unknown, old?: unknown): FieldError[] {
    const found: FieldError[] = [];
    this.#check(object, this.#schema, '', found);
    if (found.length === 0 || old === undefined) return found;
    const left: FieldError[] = [];
    this.#check(object, this.#schema, '', left, old);
    const isDuplicate = ({ type }: FieldError): boolean => type === 'FieldValueDuplicate';
    if (!left.some(isDuplicate)) return left;
    // Where some set or map had an item twice before, none is held to that.
    const before: FieldError[] = [];
    this.#check(old, this.#schema, '', before);
    return before.some(isDuplicate) ? left.filter((one) => !isDuplicate(one)) : left;
  }

  #check(value: unknown, schema: JSONSchemaProps, field: string, found: FieldError[], old?: unknown): void {
    if (found.length >= mostFindings) return;
    if (old !== undefined && deepEqual(value, old)) return;
    if (value === null) {
      if (schema.nullable !== true && typeTextOf(schema) !== '') found.push(wrongType(field, value, schema));
      this.#enum(value, schema, field, found);
      return;
    }
    const fits = hasType(value, schema);
    if (!fits) found.push(wrongType(field, value, schema));
    this.#enum(value, schema, field, found);
    if (!fits) return;
    if (typeof value === 'string') this.#string(value, schema, field, found);
    else if (typeof value === 'number' || typeof value === 'bigint') checkNumber(Number(value), schema, field, found);
    else if (Array.isArray(value)) this.#list(value, schema, field, found, old);
    else if (typeof value === 'object') this.#object(value as Record<string, unknown>, schema, field, found, old);
    this.#junctors(value, schema, field, found);
  }

  #enum(value: unknown, schema: JSONSchemaProps, field: string, found: FieldError[]): void {
    if (schema.enum === undefined || schema.enum.length === 0) return;
    if (value !== null && schema.enum.some((one) => deepEqual(one, value))) return;
    const allowed = schema.enum.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
    found.push(notSupportedError(field, value, allowed));
  }

  #string(value: string, schema: JSONSchemaProps, field: string, found: FieldError[]): void {
    const { maxLength, minLength, pattern, format } = schema;
    const length = maxLength === undefined && minLength === undefined ? 0 : [...value].length;
    // The first of these that fails is all that is told.
    if (maxLength !== undefined && length > maxLength) found.push(tooLongError(field, value, Number(maxLength)));
    else if (minLength !== undefined && length < minLength) {
      found.push(invalidError(field, value, `${field} in body should be at least ${minLength} chars long`));
    } else if (pattern !== undefined && pattern !== '' && !this.#matcher(pattern)(value)) {
      found.push(invalidError(field, value, `${field} in body should match '${pattern}'`));
    }
    if (format !== undefined && !hasFormat(value, format)) {
      found.push(invalidError(field, value, `${field} in body must be of type ${format}: ${JSON.stringify(value)}`));
    }
  }

  #list(value: readonly unknown[], schema: JSONSchemaProps, field: string, found: FieldError[], old?: unknown): void {
    const { items, maxItems, minItems } = schema;
    if (maxItems !== undefined && value.length > maxItems) found.push(tooManyError(field, value.length, maxItems));
    if (minItems !== undefined && value.length < minItems) {
      found.push(invalidError(field, value.length, `${field} in body should have at least ${minItems} items`));
    }
    if (this.#whole) duplicates(value, schema, field, found);
    if (items !== undefined && !Array.isArray(items)) {
      const oldOf = old === undefined ? undefined : oldItems(schema, old);
      value.forEach((one, index) => this.#check(one, items, `${field}[${index}]`, found, oldOf?.(one)));
    }
  }

  #object(
    value: Record<string, unknown>,
    schema: JSONSchemaProps,
    field: string,
    found: FieldError[],
    old?: unknown,
  ): void {
    const { properties, additionalProperties, required, maxProperties, minProperties } = schema;
    const path = (name: string): string => (field === '' ? name : `${field}.${name}`);
    for (const name of required ?? []) if (!Object.hasOwn(value, name)) found.push(requiredError(path(name)));
    const embedded = schema['x-kubernetes-embedded-resource'] === true && field !== '';
    if (embedded && this.#whole) found.push(...validateEmbeddedResource(value, field));
    const names = Object.keys(value);
    if (maxProperties !== undefined && names.length > maxProperties)
      found.push(tooManyError(field, names.length, maxProperties));
    if (minProperties !== undefined && names.length < minProperties) {
      found.push(
        invalidError(field, names.length, `${field} in body should have at least ${minProperties} properties`),
      );
    }
    for (const name of names) {
      const own = properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (own !== undefined) {
        if (field === '' && name === 'metadata' && this.#whole) continue;
        this.#check(value[name], own, path(name), found, oldField(schema, old, name));
      } else if (typeof additionalProperties === 'object')
        this.#check(value[name], additionalProperties, path(name), found, oldField(schema, old, name));
    }
  }

  #junctors(value: unknown, schema: JSONSchemaProps, field: string, found: FieldError[]): void {
    const errorsOf = (one: JSONSchemaProps): FieldError[] => {
      const errors: FieldError[] = [];
      this.#check(value, one, field, errors);
      return errors;
    };
    // What several schemas together say of a value has no place of its own.
    const together = (detail: string): void => {
      found.push(invalidError('<nil>', '', `${JSON.stringify(field)} ${detail}`));
    };
    const { anyOf = [], oneOf = [], allOf = [], not } = schema;
    if (anyOf.length > 0) {
      const nearest = nearestOf(anyOf, errorsOf);
      if (nearest.length > 0) together('must validate at least one schema (anyOf)');
      found.push(...nearest);
    }
    if (oneOf.length > 0) {
      const valid = oneOf.filter((one) => errorsOf(one).length === 0).length;
      if (valid !== 1) {
        const told = valid === 0 ? 'none valid' : `${valid} valid alternatives`;
        together(`must validate one and only one schema (oneOf). Found ${told}`);
        if (valid === 0) found.push(...nearestOf(oneOf, errorsOf));
      }
    }
    if (allOf.length > 0) {
      const failed = allOf.map(errorsOf).filter((errors) => errors.length > 0);
      if (failed.length > 0)
        together(`must validate all the schemas (allOf)${failed.length === allOf.length ? '. None validated' : ''}`);
      found.push(...failed.flat());
    }
    if (not !== undefined && errorsOf(not).length === 0) together('must not validate the schema (not)');
  }
}

/** The errors of the schema that a value misses by the least; none when it fits one. */
function nearestOf(
  schemas: readonly JSONSchemaProps[],
  errorsOf: (schema: JSONSchemaProps) => FieldError[],
): FieldError[] {
  let nearest: FieldError[] | undefined;
  for (const schema of schemas) {
    const errors = errorsOf(schema);
    if (nearest === undefined || errors.length < nearest.length) nearest = errors;
    if (errors.length === 0) break;
  }
  return nearest ?? [];
}

/** Items that stand twice in a list that is a set, or a map by its keys. */
function duplicates(value: readonly unknown[], schema: JSONSchemaProps, field: string, found: FieldError[]): void {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return;
  const keys = listType === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : undefined;
  const seen = new Set<string>();
  for (const [index, one] of value.entries()) {
    if (keys !== undefined && (typeof one !== 'object' || one === null)) continue;
    const identity =
      keys === undefined
        ? one
        : Object.fromEntries(
            keys.filter((key) => Object.hasOwn(one as object, key)).map((key) => [key, (one as Json)[key]]),
          );
    const name = JSON.stringify(identity, (_, part) => (typeof part === 'bigint' ? String(part) : part));
    if (seen.has(name)) found.push(duplicateError(`${field}[${index}]`, identity));
    seen.add(name);
  }
}

type Json = Record<string, unknown>;

function wrongType(field: string, value: unknown, schema: JSONSchemaProps): FieldError {
  const name = typeNameOf(value);
  return typeInvalidError(
    field,
    name,
    `${field} in body must be of type ${typeTextOf(schema)}: ${JSON.stringify(name)}`,
  );
}

function typeTextOf(schema: JSONSchemaProps): string {
  return schema['x-kubernetes-int-or-string'] === true ? 'integer,string' : (schema.type ?? '');
}

function typeNameOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number' || typeof value === 'bigint')
    return Number.isInteger(Number(value)) ? 'integer' : 'number';
  return value === null ? 'null' : typeof value;
}

function hasType(value: unknown, schema: JSONSchemaProps): boolean {
  if (schema['x-kubernetes-int-or-string'] === true)
    return typeof value === 'string' || typeNameOf(value) === 'integer';
  const name = typeNameOf(value);
  switch (schema.type) {
    case undefined:
    case '':
      return true;
    case 'number':
      return name === 'number' || name === 'integer';
    default:
      return name === schema.type;
  }
}

function checkNumber(value: number, schema: JSONSchemaProps, field: string, found: FieldError[]): void {
  const { minimum, maximum, multipleOf, exclusiveMinimum, exclusiveMaximum } = schema;
  if (minimum !== undefined && (exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    found.push(
      invalidError(
        field,
        value,
        `${field} in body should be greater than ${exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`,
      ),
    );
  }
  if (maximum !== undefined && (exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    found.push(
      invalidError(
        field,
        value,
        `${field} in body should be less than ${exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`,
      ),
    );
  }
  if (multipleOf !== undefined && multipleOf !== 0 && !Number.isInteger(value / multipleOf)) {
    found.push(invalidError(field, value, `${field} in body should be a multiple of ${multipleOf}`));
  }
}
