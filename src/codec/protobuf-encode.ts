import type { FieldSchema, SchemaNode } from '#api';
import { EncodeError } from './errors.ts';
import { encodeJson } from './json.ts';
import { ReverseWriter } from './reverse-writer.ts';
import { parseDurationNanos, parseRfc3339 } from './wire-time.ts';

type Fields = Readonly<Record<string, unknown>>;
/** Writes a value without its tag; for messages with the length before them. */
type Write = (writer: ReverseWriter, value: unknown) => void;
/** Writes one field of a message, tag included, or nothing. */
type Step = (writer: ReverseWriter, holder: Fields) => void;

const lengthDelimited = 2;
const emptyFields: Fields = Object.freeze({});
const messages = new WeakMap<SchemaNode, MessageEncoder>();
const shared = new ReverseWriter();

/** A message's bytes, without an envelope. Throws EncodeError where a value has not the type of its schema. */
export function encodeProtobuf(object: object, node: SchemaNode): Buffer {
  shared.reset();
  encoderOf(node).writeBody(shared, object as Fields);
  return shared.take();
}

function encoderOf(node: SchemaNode): MessageEncoder {
  let found = messages.get(node);
  if (found === undefined) {
    if (node.form !== 'struct') throw new EncodeError(`a ${node.form} has no protobuf message`);
    found = new MessageEncoder(
      [...(node.fields?.values() ?? [])].filter((field) => field.numbers.length > 0),
      0,
    );
    messages.set(node, found);
  }
  return found;
}

/** The steps of one message in the reverse of wire order, made when the first object comes by. */
class MessageEncoder {
  readonly #fields: readonly FieldSchema[];
  /** How many numbers of the fields' paths lead to this message: more than 0 inside an embedded one. */
  readonly #level: number;
  #steps: readonly Step[] | undefined;
  #zero: Buffer | undefined;

  constructor(fields: readonly FieldSchema[], level: number) {
    this.#fields = fields;
    this.#level = level;
  }

  writeBody(writer: ReverseWriter, holder: Fields): void {
    this.#steps ??= this.#compile();
    const steps = this.#steps;
    for (let i = 0; i < steps.length; i++) (steps[i] as Step)(writer, holder);
  }

  write(writer: ReverseWriter, value: unknown): void {
    if (value === undefined || value === null) {
      this.#zero ??= this.#encodeZero();
      writer.bytes(this.#zero);
      writer.varint(this.#zero.length);
      return;
    }
    if (typeof value !== 'object') throw mismatch('an object', value);
    const before = writer.written;
    writer.enter();
    this.writeBody(writer, value as Fields);
    writer.depth--;
    writer.varint(writer.written - before);
  }

  #encodeZero(): Buffer {
    const writer = new ReverseWriter(256);
    this.writeBody(writer, emptyFields);
    return writer.take();
  }

  #compile(): Step[] {
    const byNumber = new Map<number, FieldSchema[]>();
    for (const field of this.#fields) {
      const number = field.numbers[this.#level] as number;
      const together = byNumber.get(number);
      if (together === undefined) byNumber.set(number, [field]);
      else together.push(field);
    }
    return [...byNumber.entries()]
      .sort(([a], [b]) => b - a)
      .map(([number, fields]) => {
        const [first] = fields as [FieldSchema];
        return first.numbers.length > this.#level + 1 ? this.#embedded(number, fields) : fieldStep(number, first);
      });
  }

  #embedded(number: number, fields: FieldSchema[]): Step {
    const inner = new MessageEncoder(fields, this.#level + 1);
    const tag = (number << 3) | lengthDelimited;
    return (writer, holder) => {
      const before = writer.written;
      inner.writeBody(writer, holder);
      writer.varint(writer.written - before);
      writer.varint(tag);
    };
  }
}

function mismatch(wanted: string, value: unknown): EncodeError {
  return new EncodeError(
    `expected ${wanted}, found ${value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value}`,
  );
}

function fieldStep(number: number, field: FieldSchema): Step {
  const { name, node, pointer } = field;
  const repeated = node.form === 'map' || (node.form === 'list' && node.itemsMessage !== true);
  const write = repeated ? repeatedOf(number, node) : writeOf(node);
  const tag = repeated ? 0 : (number << 3) | wireTypeOf(node);
  const optional = repeated || pointer || node.itemsMessage === true || node.scalar === 'bytes';
  return (writer, holder) => {
    const value = holder[name];
    if (optional && (value === undefined || value === null)) return;
    try {
      write(writer, value);
    } catch (error) {
      if (error instanceof EncodeError) throw new EncodeError(`${name}: ${error.message}`);
      throw error;
    }
    if (tag !== 0) writer.varint(tag);
  };
}

function repeatedOf(number: number, node: SchemaNode): Write {
  const element = node.element as SchemaNode;
  return node.form === 'map' ? mapStep(number, element) : listStep(number, element);
}

/** A field of a message that is not of the schema, written when it is there. */
function optionalStep(number: number, node: SchemaNode): Write {
  const tag = (number << 3) | wireTypeOf(node);
  const write = writeOf(node);
  return (writer, value) => {
    if (value === undefined || value === null) return;
    write(writer, value);
    writer.varint(tag);
  };
}

function listStep(number: number, element: SchemaNode): Write {
  const tag = (number << 3) | wireTypeOf(element);
  const write = writeOf(element);
  return (writer, value) => {
    if (value === undefined || value === null) return;
    if (!Array.isArray(value)) throw mismatch('a list', value);
    for (let i = value.length - 1; i >= 0; i--) {
      write(writer, value[i]);
      writer.varint(tag);
    }
  };
}

function mapStep(number: number, element: SchemaNode): Write {
  const tag = (number << 3) | lengthDelimited;
  const valueTag = (2 << 3) | wireTypeOf(element);
  const write = writeOf(element);
  return (writer, value) => {
    if (value === undefined || value === null) return;
    if (typeof value !== 'object' || Array.isArray(value)) throw mismatch('an object', value);
    const keys = Object.keys(value).sort();
    for (let i = keys.length - 1; i >= 0; i--) {
      const key = keys[i] as string;
      const before = writer.written;
      write(writer, (value as Fields)[key]);
      writer.varint(valueTag);
      writer.string(key);
      writer.varint(0x0a);
      writer.varint(writer.written - before);
      writer.varint(tag);
    }
  };
}

function wireTypeOf(node: SchemaNode): number {
  if (node.scalar === 'boolean' || node.scalar === 'int32' || node.scalar === 'int64') return 0;
  return node.scalar === 'float64' ? 1 : lengthDelimited;
}

function writeOf(node: SchemaNode): Write {
  if (node.form === 'struct') {
    const encoder = encoderOf(node);
    return (writer, value) => encoder.write(writer, value);
  }
  if (node.form === 'any') return writeOpaque(node);
  if (node.itemsMessage === true) return inMessage(listStep(1, node.element as SchemaNode));
  if (node.form !== 'scalar') throw new EncodeError(`a ${node.form} cannot be an element in protobuf`);
  return scalarWrites[node.scalar ?? 'string'];
}

/** What `body` writes, as a message with its length. */
function inMessage(body: Write): Write {
  return (writer, value) => {
    const before = writer.written;
    body(writer, value);
    writer.varint(writer.written - before);
  };
}

function whole(value: unknown): number | bigint {
  if (value === undefined || value === null) return 0;
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value))) return value;
  throw mismatch('an integer', value);
}

function text(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  throw mismatch('a string', value);
}

function writeTimestamp(micro: boolean): Write {
  return inMessage((writer, value) => {
    const given = text(value);
    if (given === '') return;
    const time = parseRfc3339(given);
    if (time === undefined) throw new EncodeError(`${JSON.stringify(given)} is no RFC 3339 time`);
    writer.varint(micro ? time.nanos - (time.nanos % 1000) : 0);
    writer.varint(0x10);
    writer.int64(time.seconds);
    writer.varint(0x08);
  });
}

const scalarWrites: Readonly<Record<NonNullable<SchemaNode['scalar']>, Write>> = {
  string: (writer, value) => writer.string(text(value)),
  bytes: (writer, value) => writer.base64(text(value)),
  boolean(writer, value) {
    if (value !== undefined && value !== null && typeof value !== 'boolean') throw mismatch('a boolean', value);
    writer.varint(value === true ? 1 : 0);
  },
  int32: (writer, value) => writer.int64(whole(value)),
  int64: (writer, value) => writer.int64(whole(value)),
  float64(writer, value) {
    if (value !== undefined && value !== null && typeof value !== 'number') throw mismatch('a number', value);
    writer.double(value ?? 0);
  },
  Time: writeTimestamp(false),
  MicroTime: writeTimestamp(true),
  Duration: inMessage((writer, value) => {
    const nanos = parseDurationNanos(text(value) || '0');
    if (nanos === undefined) throw new EncodeError(`${JSON.stringify(value)} is no duration`);
    writer.int64(nanos);
    writer.varint(0x08);
  }),
  Quantity: inMessage((writer, value) => {
    writer.string(typeof value === 'number' ? String(value) : text(value) || '0');
    writer.varint(0x0a);
  }),
  IntOrString: inMessage((writer, value) => {
    const isText = typeof value === 'string';
    writer.string(isText ? value : '');
    writer.varint(0x1a);
    writer.int64(isText ? 0 : whole(value));
    writer.varint(0x10);
    writer.varint(isText ? 1 : 0);
    writer.varint(0x08);
  }),
};

function writeOpaque(node: SchemaNode): Write {
  switch (node.opaque) {
    case 'JSONSchemaPropsOrArray':
      return eitherSchema(node, 1, listStep(2, node.element as SchemaNode), Array.isArray);
    case 'JSONSchemaPropsOrStringArray':
      return eitherSchema(node, 1, listStep(2, { form: 'scalar', scalar: 'string' }), Array.isArray);
    case 'JSONSchemaPropsOrBool': {
      const allows = optionalStep(1, { form: 'scalar', scalar: 'boolean' });
      const schema = optionalStep(2, node.element as SchemaNode);
      return inMessage((writer, value) => {
        if (typeof value !== 'boolean') schema(writer, value);
        allows(writer, typeof value === 'boolean' ? value : value !== undefined && value !== null);
      });
    }
    default:
      return inMessage((writer, value) => {
        if (value === undefined || (value === null && node.opaque !== 'JSON')) return;
        const raw = encodeJson(value);
        writer.bytes(raw);
        writer.varint(raw.length);
        writer.varint(0x0a);
      });
  }
}

function eitherSchema(node: SchemaNode, number: number, other: Write, isOther: (value: unknown) => boolean): Write {
  const schema = optionalStep(number, node.element as SchemaNode);
  return inMessage((writer, value) => (isOther(value) ? other(writer, value) : schema(writer, value)));
}
