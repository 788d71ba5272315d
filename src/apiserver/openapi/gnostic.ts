import type { Json } from './style.ts';

/** Field numbers and kinds of gnostic's OpenAPI v2 messages, as far as our documents use them. */
type FieldKind =
  | 'string'
  | 'strings'
  | 'bool'
  | 'number'
  | 'int'
  | 'any'
  | 'anys'
  | 'type'
  | MessageName
  | `${MessageName}[]`
  | 'named'
  | 'items'
  | 'additional';
type MessageName = 'Info' | 'Operation' | 'Parameter' | 'Schema' | 'PathItem' | 'Response';
type Fields = Readonly<Record<string, readonly [number: number, kind: FieldKind]>>;

const messages: Readonly<Record<MessageName, { readonly fields: Fields; readonly extensions: number }>> = {
  Info: { extensions: 7, fields: { title: [1, 'string'], version: [2, 'string'], description: [3, 'string'] } },
  PathItem: {
    extensions: 10,
    fields: {
      get: [2, 'Operation'],
      put: [3, 'Operation'],
      post: [4, 'Operation'],
      delete: [5, 'Operation'],
      patch: [8, 'Operation'],
      parameters: [9, 'Parameter[]'],
    },
  },
  Operation: {
    extensions: 13,
    fields: {
      tags: [1, 'strings'],
      summary: [2, 'string'],
      description: [3, 'string'],
      operationId: [5, 'string'],
      produces: [6, 'strings'],
      consumes: [7, 'strings'],
      parameters: [8, 'Parameter[]'],
      schemes: [10, 'strings'],
      deprecated: [11, 'bool'],
    },
  },
  Parameter: { extensions: 0, fields: {} },
  Response: { extensions: 5, fields: { description: [1, 'string'] } },
  Schema: {
    extensions: 31,
    fields: {
      $ref: [1, 'string'],
      format: [2, 'string'],
      title: [3, 'string'],
      description: [4, 'string'],
      default: [5, 'any'],
      multipleOf: [6, 'number'],
      maximum: [7, 'number'],
      exclusiveMaximum: [8, 'bool'],
      minimum: [9, 'number'],
      exclusiveMinimum: [10, 'bool'],
      maxLength: [11, 'int'],
      minLength: [12, 'int'],
      pattern: [13, 'string'],
      maxItems: [14, 'int'],
      minItems: [15, 'int'],
      uniqueItems: [16, 'bool'],
      maxProperties: [17, 'int'],
      minProperties: [18, 'int'],
      required: [19, 'strings'],
      enum: [20, 'anys'],
      additionalProperties: [21, 'additional'],
      type: [22, 'type'],
      items: [23, 'items'],
      properties: [25, 'named'],
      example: [30, 'any'],
    },
  },
};

const unknownField: Fields[string] = [0, 'string'];

/** `/openapi/v2` as gnostic's protobuf `Document`, which kubectl asks for. */
export function encodeSwagger(document: Json): Uint8Array {
  const paths = named(2, document.paths as Json, (item) => message('PathItem', item));
  const definitions = named(1, document.definitions as Json, (schema) => message('Schema', schema));
  return concat([
    text(1, document.swagger as string),
    field(2, message('Info', document.info as Json)),
    field(8, paths),
    field(9, definitions),
  ]);
}

function message(name: MessageName, value: Json): Uint8Array {
  if (name === 'Parameter') return parameter(value);
  const { fields, extensions } = messages[name];
  const parts: Uint8Array[] = [];
  for (const [key, one] of Object.entries(value)) {
    if (one === undefined) continue;
    if (key.startsWith('x-')) parts.push(field(extensions, concat([text(1, key), field(2, any(one))])));
    else if (name === 'Operation' && key === 'responses') parts.push(field(9, responses(one as Json)));
    else if (name === 'Response' && key === 'schema') parts.push(field(2, field(1, message('Schema', one as Json))));
    else {
      const [number, kind] = Object.hasOwn(fields, key) ? (fields[key] as Fields[string]) : unknownField;
      if (number !== 0) parts.push(encode(number, kind, one));
    }
  }
  return concat(parts);
}

function encode(number: number, kind: FieldKind, value: unknown): Uint8Array {
  switch (kind) {
    case 'string':
      return text(number, String(value));
    case 'strings':
      return concat((value as readonly string[]).map((one) => text(number, one)));
    case 'bool':
      return value === true ? concat([varint(number << 3), varint(1)]) : empty;
    case 'int':
      return concat([varint(number << 3), varint(wholeNumber(value))]);
    case 'number':
      return typeof value === 'number' ? double(number, value) : empty;
    case 'any':
      return field(number, any(value));
    case 'anys':
      return concat((value as readonly unknown[]).map((one) => field(number, any(one))));
    case 'type':
      return field(number, concat((Array.isArray(value) ? value : [value]).map((one) => text(1, String(one)))));
    case 'items':
      return field(number, field(1, message('Schema', value as Json)));
    case 'additional':
      return field(
        number,
        typeof value === 'boolean'
          ? value
            ? concat([varint(2 << 3), varint(1)])
            : empty
          : field(1, message('Schema', value as Json)),
      );
    case 'named':
      return field(
        number,
        named(1, value as Json, (schema) => message('Schema', schema)),
      );
    default:
      if (kind.endsWith('[]'))
        return concat(
          (value as readonly Json[]).map((one) => field(number, message(kind.slice(0, -2) as MessageName, one))),
        );
      return field(number, message(kind as MessageName, value as Json));
  }
}

/** ParametersItem: a body, or a value of query or path. */
function parameter(value: Json): Uint8Array {
  const {
    name,
    in: place,
    description = '',
    required,
    schema,
    type = 'string',
  } = value as { name: string; in: string; description?: string; required?: boolean; schema?: Json; type?: string };
  const isRequired = required === true;
  if (place === 'body') {
    const body = concat([
      text(1, description),
      text(2, name),
      text(3, place),
      isRequired ? concat([varint(4 << 3), varint(1)]) : empty,
      field(5, message('Schema', schema ?? {})),
    ]);
    return field(1, field(1, body));
  }
  const inPath = place === 'path';
  const plain = concat([
    isRequired ? concat([varint(1 << 3), varint(1)]) : empty,
    text(2, place),
    text(3, description),
    text(4, name),
    text(inPath ? 5 : 6, type),
  ]);
  return field(1, field(2, field(inPath ? 4 : 3, plain)));
}

function responses(value: Json): Uint8Array {
  return named(1, value, (response) => field(1, message('Response', response)));
}

/** Repeated `{name, value}` entries in a field. */
function named(number: number, entries: Json, encodeOne: (value: Json) => Uint8Array): Uint8Array {
  return concat(
    Object.entries(entries).map(([name, value]) =>
      field(number, concat([text(1, name), field(2, encodeOne(value as Json))])),
    ),
  );
}

/** Any value travels as YAML, of which JSON is a part. */
const any = (value: unknown): Uint8Array => text(2, `${JSON.stringify(value)}\n`);

const empty = new Uint8Array(0);

function text(number: number, value: string): Uint8Array {
  return value === '' ? empty : field(number, Buffer.from(value, 'utf8'));
}

function field(number: number, content: Uint8Array): Uint8Array {
  return concat([varint((number << 3) | 2), varint(content.length), content]);
}

function double(number: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return concat([varint((number << 3) | 1), bytes]);
}

/** Lengths and counts are never negative, and fit. */
function wholeNumber(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Error(`${value} is no length`);
  return value as number;
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
