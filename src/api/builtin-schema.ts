import { readFileSync } from 'node:fs';
import type { FieldSchema, ScalarType, Schema, SchemaNode } from './schema.ts';

type Row = readonly [
  name: string,
  type: string,
  numbers: number | number[],
  flags: number,
  more?: Partial<FieldSchema>,
];
interface Catalogue {
  readonly enums: Readonly<Record<string, readonly string[]>>;
  readonly types: Readonly<Record<string, readonly Row[]>>;
}

const scalars: ReadonlySet<string> = new Set<ScalarType>([
  'string',
  'boolean',
  'int32',
  'int64',
  'float64',
  'bytes',
  'Time',
  'MicroTime',
  'Duration',
  'Quantity',
  'IntOrString',
]);

/** One message; its fields are read from the catalogue when something first asks for them. */
class StructNode implements SchemaNode {
  readonly form = 'struct';
  readonly typeName: string;
  readonly #schema: BuiltinSchema;
  #fields: ReadonlyMap<string, FieldSchema> | undefined;

  constructor(schema: BuiltinSchema, typeName: string) {
    this.#schema = schema;
    this.typeName = typeName;
  }

  get fields(): ReadonlyMap<string, FieldSchema> {
    this.#fields ??= this.#schema.fieldsOf(this.typeName);
    return this.#fields;
  }
}

/** The generated catalogue as a graph of nodes, each spelling of a type one node. Nothing is read before the first question. */
class BuiltinSchema implements Schema {
  #read: Catalogue | undefined;
  readonly #nodes = new Map<string, SchemaNode>();

  get #catalogue(): Catalogue {
    this.#read ??= JSON.parse(readFileSync(new URL('./generated/schema.json', import.meta.url), 'utf8')) as Catalogue;
    return this.#read;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#catalogue.types, name);
  }

  type(name: string): SchemaNode {
    if (!this.has(name)) throw new TypeError(`no message ${name} in the built-in schema`);
    return this.#node(`@${name}`);
  }

  typeNames(): string[] {
    return Object.keys(this.#catalogue.types);
  }

  fieldsOf(typeName: string): ReadonlyMap<string, FieldSchema> {
    const rows = this.#catalogue.types[typeName] ?? [];
    return new Map(rows.map((row) => [row[0], this.#field(row)]));
  }

  #field([name, type, numbers, flags, more]: Row): FieldSchema {
    return {
      name,
      node: this.#node(type),
      numbers: typeof numbers === 'number' ? [numbers] : numbers,
      required: (flags & 1) !== 0,
      pointer: (flags & 2) !== 0,
      ...more,
    };
  }

  #node(spelling: string): SchemaNode {
    let node = this.#nodes.get(spelling);
    if (node === undefined) {
      node = this.#build(spelling);
      this.#nodes.set(spelling, node);
    }
    return node;
  }

  #build(spelling: string): SchemaNode {
    if (scalars.has(spelling)) return { form: 'scalar', scalar: spelling as ScalarType };
    if (spelling.startsWith('@')) return new StructNode(this, spelling.slice(1));
    if (spelling.startsWith('[]')) return { form: 'list', element: this.#node(spelling.slice(2)) };
    if (spelling.startsWith('{}')) return { form: 'map', element: this.#node(spelling.slice(2)) };
    if (spelling.startsWith('items:[]')) {
      return { form: 'list', element: this.#node(spelling.slice('items:[]'.length)), itemsMessage: true };
    }
    const [form = '', name = ''] = spelling.split(':');
    if (form === 'string') {
      const values = this.#catalogue.enums[name];
      return values === undefined
        ? { form: 'scalar', scalar: 'string' }
        : { form: 'scalar', scalar: 'string', enum: values };
    }
    if (name.startsWith('JSONSchemaPropsOr')) {
      const element = this.#node('@apiextensions/v1.JSONSchemaProps');
      return { form: 'any', opaque: name as NonNullable<SchemaNode['opaque']>, element };
    }
    return name === '' ? { form: 'any' } : { form: 'any', opaque: name as NonNullable<SchemaNode['opaque']> };
  }
}

/**
 * The schema of every message of the built-in API, from the facts. Reading it costs about a millisecond, once, at the
 * first question; a message's fields are built when first looked at. Equal spellings share one node, so nodes may be
 * keys of a WeakMap (compiled codecs).
 */
export const builtinSchema: Schema & { typeNames(): string[] } = new BuiltinSchema();
