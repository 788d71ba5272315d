import { builtinSchema, type JSONSchemaProps, type ScalarType, type SchemaNode } from '#api';
import { escapeField } from './escape.ts';
import {
  boolType,
  bytesType,
  type CelField,
  type CelType,
  doubleType,
  durationType,
  dynType,
  intType,
  listOf,
  mapOf,
  objectOf,
  stringType,
  timestampType,
} from './types.ts';

/** What a request may carry: bounds the size of everything that names no bound of its own. In bytes. */
export const maxRequestBytes = 3 * 1024 * 1024;
const dateBytes = 12;
const timeBytes = 32;
const durationBytes = 32;
const smallestTimeBytes = 20;

/** The least that a list's items or a map's entries leave room for in a request. */
function mostItems(minSize: number, perItem: number): number {
  return Math.floor((maxRequestBytes - 2) / (minSize + perItem));
}

/**
 * The type of values of a custom resource's schema. Undefined where expressions see nothing: no structure is known. Schemas are
 * trees of bounded depth. `isRoot`: also apiVersion, kind, and name and generateName of metadata.
 */
export function typeOfSchema(schema: JSONSchemaProps, isRoot: boolean, name = 'object'): CelType | undefined {
  if (schema['x-kubernetes-int-or-string'] === true)
    return { ...dynType, maxElements: maxRequestBytes - 2, minSize: 1 };
  switch (schema.type) {
    case 'array':
      return typeOfList(schema, name);
    case 'object':
      return typeOfObject(schema, isRoot || schema['x-kubernetes-embedded-resource'] === true, name);
    case 'string':
      return typeOfText(schema);
    case 'boolean':
      return { ...boolType, minSize: 4 };
    case 'number':
      return { ...doubleType, minSize: 1 };
    case 'integer':
      return { ...intType, minSize: 1 };
    default:
      return undefined;
  }
}

function typeOfList(schema: JSONSchemaProps, name: string): CelType | undefined {
  const { items, maxItems } = schema;
  if (items === undefined || Array.isArray(items)) return undefined;
  const item = items as JSONSchemaProps;
  const element = typeOfSchema(item, false, `${name}.@idx`);
  if (element === undefined) return undefined;
  const listType = schema['x-kubernetes-list-type'] as CelType['listType'] | undefined;
  const keys = schema['x-kubernetes-list-map-keys'];
  return listOf(element, {
    maxElements: maxItems === undefined ? mostItems(element.minSize ?? 0, 1) : Math.max(0, Number(maxItems)),
    minSize: 2,
    ...(listType === undefined ? {} : { listType }),
    ...(keys === undefined ? {} : { listMapKeys: keys.map((one) => escapeField(one) ?? one) }),
  });
}

function typeOfObject(schema: JSONSchemaProps, isResource: boolean, name: string): CelType | undefined {
  const { additionalProperties, maxProperties } = schema;
  if (typeof additionalProperties === 'object') {
    const value = typeOfSchema(additionalProperties as JSONSchemaProps, false, `${name}.@elem`);
    if (value === undefined) return undefined;
    // Upstream takes keys for empty: definitions in use rely on it.
    const key: CelType = { ...stringType, maxElements: 0, minSize: 2 };
    return mapOf(key, value, {
      maxElements: maxProperties === undefined ? mostItems(value.minSize ?? 0, 6) : Math.max(0, Number(maxProperties)),
      minSize: 2,
    });
  }
  const properties = isResource
    ? { ...schema.properties, ...resourceProperties(schema.properties) }
    : schema.properties;
  if (properties === undefined && schema['x-kubernetes-preserve-unknown-fields'] === true) return undefined;
  const required = new Set([...(schema.required ?? []), ...(isResource ? ['kind', 'apiVersion'] : [])]);
  const fields = new Map<string, CelField>();
  let minSize = 2;
  for (const [field, property] of Object.entries(properties ?? {})) {
    const type = typeOfSchema(property, false, `${name}.${field}`);
    const escaped = escapeField(field);
    if (type === undefined || escaped === undefined) continue;
    fields.set(escaped, {
      name: field,
      type,
      required: required.has(field),
      ...(property.default === undefined ? {} : { default: property.default }),
    });
    if (required.has(field) && property.default === undefined) minSize += field.length + (type.minSize ?? 0) + 4;
  }
  return objectOf(name, fields, { minSize });
}

const text: JSONSchemaProps = { type: 'string' };

/** What expressions see of every object, whatever its schema says. */
function resourceProperties(properties: JSONSchemaProps['properties']): Record<string, JSONSchemaProps> {
  const metadata = properties?.metadata?.properties ?? {};
  return {
    apiVersion: text,
    kind: text,
    metadata: {
      type: 'object',
      properties: { name: metadata.name ?? text, generateName: metadata.generateName ?? text },
    },
  };
}

function typeOfText({ format, maxLength, enum: values }: JSONSchemaProps): CelType {
  switch (format) {
    case 'byte':
      return { ...bytesType, dataFormat: 'byte', maxElements: bound(maxLength, maxRequestBytes - 2), minSize: 2 };
    case 'duration':
      return { ...durationType, dataFormat: 'duration', maxElements: durationBytes, minSize: 2 };
    case 'date':
      return { ...timestampType, dataFormat: 'date', maxElements: dateBytes, minSize: smallestTimeBytes };
    case 'date-time':
      return { ...timestampType, dataFormat: 'date-time', maxElements: timeBytes, minSize: smallestTimeBytes };
  }
  if (maxLength !== undefined) return { ...stringType, maxElements: bound(maxLength, 0) * 4, minSize: 2 };
  const longest = (values ?? []).reduce<number>(
    (most, one) => Math.max(most, typeof one === 'string' ? one.length : 0),
    0,
  );
  return { ...stringType, maxElements: values === undefined ? maxRequestBytes - 2 : longest, minSize: 2 };
}

function bound(limit: number | bigint | undefined, otherwise: number): number {
  return limit === undefined ? otherwise : Math.max(0, Number(limit));
}

/** How often a value of the schema can occur below a list or map that has no bound. */
export function mostOccurrences(schema: JSONSchemaProps): number {
  const type = typeOfSchema(schema, false);
  return Math.floor(maxRequestBytes / ((type?.minSize ?? 0) + 1));
}

const scalars: Readonly<Record<ScalarType, CelType>> = {
  string: stringType,
  boolean: boolType,
  int32: intType,
  int64: intType,
  float64: doubleType,
  bytes: { ...bytesType, dataFormat: 'byte' },
  Time: { ...timestampType, dataFormat: 'date-time' },
  MicroTime: { ...timestampType, dataFormat: 'date-time' },
  Duration: stringType,
  Quantity: dynType,
  IntOrString: dynType,
};

const ofNodes = new WeakMap<SchemaNode, CelType>();

/** The type of a node of the schema catalogue. Nodes may be cyclic: fields are looked at when an expression reaches them. */
export function typeOfNode(node: SchemaNode): CelType {
  const known = ofNodes.get(node);
  if (known !== undefined) return known;
  const type = makeNodeType(node);
  ofNodes.set(node, type);
  return type;
}

function makeNodeType(node: SchemaNode): CelType {
  switch (node.form) {
    case 'scalar':
      return scalars[node.scalar ?? 'string'];
    case 'list':
      return node.element === undefined ? listOf(dynType) : lazyParameters('list', [], node.element);
    case 'map':
      return node.element === undefined
        ? mapOf(stringType, dynType)
        : lazyParameters('map', [stringType], node.element);
    case 'struct':
      return lazyObject(node);
    default:
      return dynType;
  }
}

function lazyParameters(kind: 'list' | 'map', first: readonly CelType[], element: SchemaNode): CelType {
  let parameters: readonly CelType[] | undefined;
  return {
    kind,
    get parameters() {
      parameters ??= [...first, typeOfNode(element)];
      return parameters;
    },
  };
}

let unnamed = 0;

function lazyObject(node: SchemaNode): CelType {
  let fields: Map<string, CelField> | undefined;
  const name = (node.typeName ?? `object${unnamed++}`).replace('/', '.');
  return {
    kind: 'object',
    name,
    ...(node.preserveUnknown === true ? { open: true } : {}),
    get fields() {
      if (fields !== undefined) return fields;
      fields = new Map();
      for (const [field, { node: inner, required }] of node.fields ?? []) {
        const escaped = escapeField(field);
        if (escaped !== undefined) fields.set(escaped, { name: field, type: typeOfNode(inner), required });
      }
      return fields;
    },
  };
}

/** The type of a built-in message of the facts: `meta/v1.ObjectMeta`. */
export function typeOfMessage(name: string): CelType {
  return typeOfNode(builtinSchema.type(name));
}
