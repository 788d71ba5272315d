import { builtinSchema, type FieldSchema, type JSONSchemaProps, type SchemaNode } from '#api';

const anything: SchemaNode = { form: 'any' };
const text: SchemaNode = { form: 'scalar', scalar: 'string' };

/** The schema graph of a custom resource's version: its own OpenAPI schema, with apiVersion, kind and metadata as every object has. */
export function rootNode(schema: JSONSchemaProps | undefined): SchemaNode {
  const own =
    schema === undefined
      ? { ...anything, form: 'struct' as const, preserveUnknown: true, fields: new Map<string, FieldSchema>() }
      : nodeOf(schema);
  const fields = new Map(own.fields ?? []);
  fields.set('apiVersion', field('apiVersion', text));
  fields.set('kind', field('kind', text));
  fields.set('metadata', field('metadata', builtinSchema.type('meta/v1.ObjectMeta')));
  const keeps = own.form === 'any' || own.preserveUnknown === true;
  return { form: 'struct', fields, ...(keeps ? { preserveUnknown: true } : {}) };
}

function field(name: string, node: SchemaNode, traits: Partial<FieldSchema> = {}): FieldSchema {
  return { name, node, numbers: [], required: false, pointer: true, ...traits };
}

/** One schema as a node. Schemas are trees; their depth was bounded when the definition was decoded. */
function nodeOf(schema: JSONSchemaProps): SchemaNode {
  if (schema['x-kubernetes-int-or-string'] === true) return { form: 'scalar', scalar: 'IntOrString' };
  const keeps = schema['x-kubernetes-preserve-unknown-fields'] === true;
  switch (schema.type) {
    case 'string':
      return text;
    case 'integer':
      return { form: 'scalar', scalar: schema.format === 'int32' ? 'int32' : 'int64' };
    case 'number':
      return { form: 'scalar', scalar: 'float64' };
    case 'boolean':
      return { form: 'scalar', scalar: 'boolean' };
    case 'array': {
      const { items } = schema;
      return { form: 'list', element: items === undefined || Array.isArray(items) ? anything : nodeOf(items) };
    }
    case 'object': {
      const { additionalProperties, properties } = schema;
      const embedded = schema['x-kubernetes-embedded-resource'] === true;
      if (additionalProperties !== undefined && additionalProperties !== false && properties === undefined) {
        return { form: 'map', element: additionalProperties === true ? anything : nodeOf(additionalProperties) };
      }
      if (keeps && properties === undefined && !embedded) return anything;
      const fields = new Map<string, FieldSchema>();
      for (const [name, one] of Object.entries(properties ?? {}))
        fields.set(name, field(name, nodeOf(one), traitsOf(one)));
      if (embedded) fields.set('metadata', field('metadata', builtinSchema.type('meta/v1.ObjectMeta')));
      return {
        form: 'struct',
        fields,
        ...(keeps ? { preserveUnknown: true } : {}),
        ...(embedded ? { embeddedResource: true } : {}),
      };
    }
    default:
      return anything;
  }
}

function traitsOf(schema: JSONSchemaProps): Partial<FieldSchema> {
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'];
  const mapType = schema['x-kubernetes-map-type'];
  const isStruct = schema.type === 'object' && schema.properties !== undefined;
  return {
    ...(schema.default === undefined ? {} : { default: schema.default }),
    ...(listType === undefined ? {} : { listType: listType as 'atomic' }),
    ...(keys === undefined ? {} : { listMapKeys: keys }),
    ...(mapType === undefined ? {} : isStruct ? { structType: mapType as 'atomic' } : { mapType: mapType as 'atomic' }),
  };
}
