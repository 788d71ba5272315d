import { builtinSchema, type FieldSchema, type SchemaNode } from '#api';
import { descriptionsOf } from './descriptions.ts';
import { definitionName } from './names.ts';
import type { Json, Style } from './style.ts';

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';
const scalarDefinitions = {
  Time: `${meta}.Time`,
  MicroTime: `${meta}.MicroTime`,
  Duration: `${meta}.Duration`,
  Quantity: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
  IntOrString: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
} as const;

const opaqueDefinitions = {
  RawExtension: 'io.k8s.apimachinery.pkg.runtime.RawExtension',
  FieldsV1: `${meta}.FieldsV1`,
  JSON: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON',
  JSONSchemaPropsOrArray: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray',
  JSONSchemaPropsOrBool: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool',
  JSONSchemaPropsOrStringArray: 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray',
} as const;

/** Definitions of types whose form on the wire is their own. */
function specialDefinition(name: string, style: Style): Json | undefined {
  switch (name) {
    case scalarDefinitions.Time:
    case scalarDefinitions.MicroTime:
      return { type: 'string', format: 'date-time', description: 'A time as RFC 3339 text.' };
    case scalarDefinitions.Duration:
      return { type: 'string', description: 'A length of time as text, such as 1h30m.' };
    case scalarDefinitions.Quantity:
      return style.version === 2
        ? { type: 'string', description: quantityText }
        : { oneOf: [{ type: 'string' }, { type: 'number' }], description: quantityText };
    case scalarDefinitions.IntOrString:
      return style.version === 2
        ? { type: 'string', format: 'int-or-string', description: intOrStringText }
        : { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string', description: intOrStringText };
    case opaqueDefinitions.RawExtension:
    case opaqueDefinitions.FieldsV1:
      return { type: 'object', description: 'Any object; its fields are its own.' };
    case opaqueDefinitions.JSON:
    case opaqueDefinitions.JSONSchemaPropsOrArray:
    case opaqueDefinitions.JSONSchemaPropsOrBool:
    case opaqueDefinitions.JSONSchemaPropsOrStringArray:
      return { description: 'Any JSON value.' };
    case `${meta}.Patch`:
      return { type: 'object', description: 'A patch in the form that the content type names.' };
    case 'io.k8s.apimachinery.pkg.version.Info':
      return versionInfo;
    default:
      return undefined;
  }
}

const quantityText = 'A number with a unit, as a decimal with an optional suffix: 500m, 1.5, 2Gi, 1e3.';
const intOrStringText = 'A whole number or a text, such as 80 or "25%".';
const versionFields = [
  'buildDate',
  'compiler',
  'gitCommit',
  'gitTreeState',
  'gitVersion',
  'goVersion',
  'major',
  'minor',
  'platform',
];
const versionInfo: Json = {
  type: 'object',
  description: 'The version of the server.',
  required: versionFields,
  properties: Object.fromEntries(versionFields.map((name) => [name, { type: 'string' }])),
};

const scalars: Readonly<Record<string, Json>> = {
  string: { type: 'string' },
  boolean: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  float64: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
};

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Collects definitions in one style: asked for by name, with all that they refer to. */
export class Definitions {
  readonly #style: Style;
  readonly #kinds: ReadonlyMap<string, readonly GroupVersionKind[]>;
  readonly #made = new Map<string, Json>();
  readonly #wanted: { readonly name: string; readonly typeName?: string }[] = [];

  /** `kinds`: what apiVersions and kinds a definition is served as. */
  constructor(style: Style, kinds: ReadonlyMap<string, readonly GroupVersionKind[]>) {
    this.#style = style;
    this.#kinds = kinds;
  }

  /** A reference to a message of the facts. */
  type(typeName: string, beside?: Json): Json {
    const name = definitionName(typeName);
    this.#want(name, typeName);
    return this.#style.ref(name, beside);
  }

  /** A reference to one of the few definitions that are no messages. */
  special(name: string, beside?: Json): Json {
    this.#want(name);
    return this.#style.ref(name, beside);
  }

  /** Adds a definition made elsewhere (custom resources). */
  add(name: string, schema: Json): void {
    this.#made.set(name, schema);
  }

  /** Everything asked for so far and what it refers to, sorted by name. */
  all(): Json {
    for (let one = this.#wanted.pop(); one !== undefined; one = this.#wanted.pop()) {
      this.#made.set(one.name, this.#definition(one.name, one.typeName));
    }
    return Object.fromEntries([...this.#made].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #want(name: string, typeName?: string): void {
    if (this.#made.has(name)) return;
    this.#made.set(name, {});
    this.#wanted.push(typeName === undefined ? { name } : { name, typeName });
  }

  #definition(name: string, typeName: string | undefined): Json {
    const special = specialDefinition(name, this.#style);
    if (special !== undefined) return special;
    const node = builtinSchema.type(typeName as string);
    const [description, fieldTexts] = descriptionsOf(typeName as string);
    const fields = [...(node.fields?.values() ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1));
    const required = fields.filter((one) => one.required).map((one) => one.name);
    const kinds = this.#kinds.get(name);
    return {
      ...(description === '' ? {} : { description }),
      type: 'object',
      ...(required.length === 0 ? {} : { required }),
      ...(fields.length === 0
        ? {}
        : { properties: Object.fromEntries(fields.map((one) => [one.name, this.#field(one, fieldTexts[one.name])])) }),
      ...(kinds === undefined ? {} : { 'x-kubernetes-group-version-kind': kinds }),
    };
  }

  #field(field: FieldSchema, text: string | undefined): Json {
    const { patchStrategy, patchMergeKey, listType, listMapKeys, mapType, structType } = field;
    const beside: Json = {
      // A field that has no text of its own is described by its type, which readers look up by themselves.
      ...(text ? { description: text } : {}),
      ...(field.default === undefined || this.#style.version === 2 ? {} : { default: field.default }),
      ...(listMapKeys === undefined ? {} : { 'x-kubernetes-list-map-keys': listMapKeys }),
      ...(listType === undefined ? {} : { 'x-kubernetes-list-type': listType }),
      ...((mapType ?? structType) === undefined ? {} : { 'x-kubernetes-map-type': mapType ?? structType }),
      ...(patchMergeKey === undefined ? {} : { 'x-kubernetes-patch-merge-key': patchMergeKey }),
      ...(patchStrategy === undefined ? {} : { 'x-kubernetes-patch-strategy': patchStrategy.join(',') }),
    };
    return this.#schema(field.node, beside);
  }

  #schema(node: SchemaNode, beside: Json = {}): Json {
    switch (node.form) {
      case 'struct':
        return this.type(node.typeName as string, beside);
      case 'list':
        return { ...beside, type: 'array', items: node.element === undefined ? {} : this.#schema(node.element) };
      case 'map':
        return {
          ...beside,
          type: 'object',
          additionalProperties: node.element === undefined ? {} : this.#schema(node.element),
        };
      case 'any':
        return this.special(opaqueDefinitions[node.opaque ?? 'JSON'], beside);
      default: {
        const scalar = node.scalar ?? 'string';
        if (Object.hasOwn(scalarDefinitions, scalar))
          return this.special(scalarDefinitions[scalar as keyof typeof scalarDefinitions], beside);
        return { ...beside, ...scalars[scalar], ...(node.enum === undefined ? {} : { enum: node.enum }) };
      }
    }
  }
}
