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

  constructor(schema: JSONSchemaProps, matcher: PatternMatcher) {
    this.#schema = schema;
    this.#matcher = matcher;
  }

  /**
   * `field` is the object's own path when it is not a whole one. What is as it was in `old`, the object that this one replaces, is
   * not held against it.
   */
  validate(object: unknown, field = '', old?: unknown): FieldError[] {
    const found: FieldError[] = [];
    this.#check(object, this.#schema, field, found);
    if (found.length === 0 || old === undefined) return found;
    const left: FieldError[] = [];
    this.#check(object, this.#schema, field, left, old);
    return left;
  }

  #check(value: unknown, schema: JSONSchemaProps, field: string, found: FieldError[], old?: unknown): void {
    if (found.length >= mostFindings) return;
    if (old !== undefined && deepEqual(value, old)) return;
    if (value === null) {
      if (schema.nullable !== true)
        found.push(
          typeInvalidError(field, value, `${field} in body must be of type ${schema.type ?? 'object'}: "null"`),
        );
      return;
    }
    if (!hasType(value, schema)) {
      const wanted = schema['x-kubernetes-int-or-string'] === true ? 'integer,string' : schema.type;
      found.push(
        typeInvalidError(
          field,
          value,
          `${field} in body must be of type ${wanted}: ${JSON.stringify(typeNameOf(value))}`,
        ),
      );
      return;
    }
    if (schema.enum !== undefined && !schema.enum.some((one) => deepEqual(one, value))) {
      found.push(
        notSupportedError(
          field,
          value,
          schema.enum.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))),
        ),
      );
    }
    if (typeof value === 'string') this.#string(value, schema, field, found);
    else if (typeof value === 'number' || typeof value === 'bigint') checkNumber(Number(value), schema, field, found);
    else if (Array.isArray(value)) this.#list(value, schema, field, found, old);
    else if (typeof value === 'object') this.#object(value as Record<string, unknown>, schema, field, found, old);
    this.#junctors(value, schema, field, found);
  }

  #string(value: string, schema: JSONSchemaProps, field: string, found: FieldError[]): void {
    const { maxLength, minLength, pattern, format } = schema;
    const length = maxLength === undefined && minLength === undefined ? 0 : [...value].length;
    if (maxLength !== undefined && length > maxLength) found.push(tooLongError(field, value, maxLength));
    if (minLength !== undefined && length < minLength) {
      found.push(invalidError(field, value, `${field} in body should be at least ${minLength} chars long`));
    }
    if (pattern !== undefined && !this.#matcher(pattern)(value)) {
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
    const listType = schema['x-kubernetes-list-type'];
    if (listType === 'set' || listType === 'map' || schema.uniqueItems === true) {
      const keys = listType === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : undefined;
      const seen = new Set<string>();
      value.forEach((one, index) => {
        const identity = keys === undefined ? one : keys.map((key) => (one as Record<string, unknown> | null)?.[key]);
        const name = JSON.stringify(identity, (_, part) => (typeof part === 'bigint' ? String(part) : part));
        if (seen.has(name))
          found.push(
            duplicateError(
              `${field}[${index}]`,
              keys === undefined
                ? one
                : Object.fromEntries(keys.map((key) => [key, (one as Record<string, unknown>)[key]])),
            ),
          );
        seen.add(name);
      });
    }
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
    if (schema['x-kubernetes-embedded-resource'] === true && field !== '') {
      for (const name of ['apiVersion', 'kind'])
        if (typeof value[name] !== 'string' || value[name] === '')
          found.push(requiredError(path(name), 'must not be empty'));
    }
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
        if (field === '' && name === 'metadata') continue;
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
    for (const one of schema.allOf ?? []) found.push(...errorsOf(one));
    if (
      schema.anyOf !== undefined &&
      schema.anyOf.length > 0 &&
      !schema.anyOf.some((one) => errorsOf(one).length === 0)
    ) {
      found.push(invalidError(field, summary(value), `${field} in body must validate at least one schema (anyOf)`));
    }
    if (schema.oneOf !== undefined && schema.oneOf.length > 0) {
      const valid = schema.oneOf.filter((one) => errorsOf(one).length === 0).length;
      if (valid !== 1) {
        found.push(
          invalidError(
            field,
            summary(value),
            `${field} in body must validate one and only one schema (oneOf). Found ${valid === 0 ? 'none' : valid} valid`,
          ),
        );
      }
    }
    if (schema.not !== undefined && errorsOf(schema.not).length === 0) {
      found.push(invalidError(field, summary(value), `${field} in body must not validate the schema (not)`));
    }
  }
}

function summary(value: unknown): unknown {
  return typeof value === 'object' ? '' : value;
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

const formats: ReadonlyMap<string, RegExp> = new Map([
  ['date', /^\d{4}-\d{2}-\d{2}$/],
  ['date-time', /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/],
  ['uuid', /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i],
  ['ipv4', /^(\d{1,3}\.){3}\d{1,3}$/],
  ['byte', /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/],
]);

/** Formats that upstream checks; others say nothing. */
function hasFormat(value: string, format: string): boolean {
  return formats.get(format)?.test(value) ?? true;
}
