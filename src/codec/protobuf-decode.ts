import type { FieldSchema, SchemaNode } from '#api';
import { decodeJson } from './json.ts';
import { invalidProtobuf, WireReader } from './wire-reader.ts';
import { formatDurationNanos, formatMicroTime, formatTime } from './wire-time.ts';

type Holder = Record<string, unknown>;
/** Reads one field into the message's object; answers whether it was more than a zero that JSON leaves out. */
type Step = (reader: WireReader, holder: Holder, wireType: number) => boolean;
/** Reads one value (messages with their length). */
type Read = (reader: WireReader) => unknown;

const messages = new WeakMap<SchemaNode, MessageDecoder>();

/**
 * A message without its envelope as the object that JSON would have given: fields that are zero upstream and optional in
 * JSON are absent, required ones present (lists as [], times as null). Goes into `into` when given, so that apiVersion
 * and kind can come first. Throws DecodeError on malformed bytes or nesting beyond 1000.
 */
export function decodeProtobuf(bytes: Uint8Array, node: SchemaNode, into: object = {}): Record<string, unknown> {
  const reader = new WireReader(bytes);
  decoderOf(node).read(reader, bytes.length, into as Holder);
  return into as Holder;
}

function decoderOf(node: SchemaNode): MessageDecoder {
  let found = messages.get(node);
  if (found === undefined) {
    if (node.form !== 'struct') throw invalidProtobuf(`a ${node.form} has no protobuf message`);
    found = new MessageDecoder(
      [...(node.fields?.values() ?? [])].filter((field) => field.numbers.length > 0),
      0,
    );
    messages.set(node, found);
  }
  return found;
}

/** What one message's numbers mean, made when the first message comes by. */
class MessageDecoder {
  readonly #fields: readonly FieldSchema[];
  readonly #level: number;
  #steps: (Step | undefined)[] | undefined;
  #required: readonly { readonly name: string; readonly zero: () => unknown }[] = [];

  constructor(fields: readonly FieldSchema[], level: number) {
    this.#fields = fields;
    this.#level = level;
  }

  /** True when anything in it differs from the zero message. */
  read(reader: WireReader, length: number, holder: Holder): boolean {
    const steps = this.#compiled();
    const outer = reader.end;
    const end = reader.at + length;
    reader.end = end;
    reader.enter();
    let live = false;
    while (reader.at < end) {
      const tag = reader.uint32();
      const step = steps[tag >>> 3];
      if (step === undefined) reader.skip(tag & 7);
      else if (step(reader, holder, tag & 7)) live = true;
    }
    reader.depth--;
    reader.end = outer;
    this.complete(holder);
    return live;
  }

  /** Gives the required fields that are absent their zero. */
  complete(holder: Holder): void {
    this.#compiled();
    for (const { name, zero } of this.#required) {
      if (holder[name] === undefined) holder[name] = zero();
    }
  }

  #compiled(): (Step | undefined)[] {
    if (this.#steps !== undefined) return this.#steps;
    const steps: (Step | undefined)[] = [];
    const embedded = new Map<number, FieldSchema[]>();
    for (const field of this.#fields) {
      const number = field.numbers[this.#level] as number;
      if (field.numbers.length === this.#level + 1) steps[number] = fieldStep(field);
      else embedded.set(number, [...(embedded.get(number) ?? []), field]);
    }
    for (const [number, fields] of embedded) {
      const inner = new MessageDecoder(fields, this.#level + 1);
      steps[number] = (reader, holder, wireType) => {
        expect(wireType, 2);
        return inner.read(reader, reader.length(), holder);
      };
    }
    this.#steps = steps;
    this.#required = this.#fields
      .filter((field) => alwaysPresent(field))
      .map((field) => ({ name: field.name, zero: zeroOf(field.node) }));
    return steps;
  }
}

/** An empty selector selects everything: left out it would read as "nothing". Upstream prints quantities even when zero. */
function alwaysPresent({ node, pointer, required }: FieldSchema): boolean {
  return !pointer && (required || node.typeName === 'meta/v1.LabelSelector' || node.scalar === 'Quantity');
}

function zeroOf(node: SchemaNode): () => unknown {
  if (node.form === 'list') return () => [];
  if (node.form === 'map') return () => ({});
  if (node.form === 'any') return () => null;
  if (node.form === 'struct') {
    return () => {
      const zero: Holder = {};
      decoderOf(node).complete(zero);
      return zero;
    };
  }
  const zeros = { string: '', bytes: '', boolean: false, Time: null, MicroTime: null, Duration: '0s', Quantity: '0' };
  const zero = Object.hasOwn(zeros, node.scalar ?? '') ? zeros[node.scalar as keyof typeof zeros] : 0;
  return () => zero;
}

function expect(wireType: number, wanted: number): void {
  if (wireType !== wanted) throw invalidProtobuf(`wrong wire type ${wireType}`);
}

function fieldStep(field: FieldSchema): Step {
  const { name, node } = field;
  if (node.form === 'list' && node.itemsMessage !== true) return listStep(name, node.element as SchemaNode);
  if (node.form === 'map') return mapStep(name, node.element as SchemaNode);
  const keepZero = field.pointer || alwaysPresent(field);
  if (node.form === 'struct') return structStep(name, node, { pointer: field.pointer, keepZero });
  const wanted = wireTypeOf(node);
  const read = readOf(node);
  const isZero = zeroTest(node);
  return (reader, holder, wireType) => {
    expect(wireType, wanted);
    const value = read(reader);
    const zero = isZero(value);
    if (keepZero || !zero) holder[name] = value;
    else if (holder[name] !== undefined) delete holder[name];
    return !zero || field.pointer;
  };
}

function structStep(
  name: string,
  node: SchemaNode,
  { pointer, keepZero }: { readonly pointer: boolean; readonly keepZero: boolean },
): Step {
  const decoder = decoderOf(node);
  return (reader, holder, wireType) => {
    expect(wireType, 2);
    const before = holder[name];
    const value = (before ?? {}) as Holder;
    const live = decoder.read(reader, reader.length(), value);
    if (live || keepZero) holder[name] = value;
    return live || pointer;
  };
}

function zeroTest(node: SchemaNode): (value: unknown) => boolean {
  if (node.form === 'list') return (value) => (value as unknown[]).length === 0;
  if (node.form === 'any') return (value) => value === null;
  if (node.scalar === 'Quantity') return (value) => value === '0' || value === '';
  if (node.scalar === 'Duration') return (value) => value === '0s';
  return (value) => value === '' || value === 0 || value === false || value === null;
}

function listStep(name: string, element: SchemaNode): Step {
  const wanted = wireTypeOf(element);
  const read = readOf(element);
  return (reader, holder, wireType) => {
    let list = holder[name] as unknown[] | undefined;
    if (list === undefined) {
      list = [];
      holder[name] = list;
    }
    if (wireType === 2 && wanted !== 2) {
      const end = reader.length() + reader.at;
      while (reader.at < end) list.push(read(reader));
    } else {
      expect(wireType, wanted);
      list.push(read(reader));
    }
    return true;
  };
}

function mapStep(name: string, element: SchemaNode): Step {
  const read = readOf(element);
  const zero = zeroOf(element);
  return (reader, holder, wireType) => {
    expect(wireType, 2);
    let map = holder[name] as Holder | undefined;
    if (map === undefined) {
      map = {};
      holder[name] = map;
    }
    const length = reader.length();
    const outer = reader.end;
    const end = reader.at + length;
    reader.end = end;
    let key = '';
    let value: unknown;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === 0x0a) key = reader.string();
      else if (tag >>> 3 === 2) value = read(reader);
      else reader.skip(tag & 7);
    }
    reader.end = outer;
    if (value === undefined) value = zero();
    if (key === '__proto__')
      Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
    else map[key] = value;
    return true;
  };
}

function wireTypeOf(node: SchemaNode): number {
  if (node.scalar === 'boolean' || node.scalar === 'int32' || node.scalar === 'int64') return 0;
  return node.scalar === 'float64' ? 1 : 2;
}

function readOf(node: SchemaNode): Read {
  if (node.form === 'struct') {
    const decoder = decoderOf(node);
    return (reader) => {
      const value: Holder = {};
      decoder.read(reader, reader.length(), value);
      return value;
    };
  }
  if (node.form === 'any') return readOpaque(node);
  if (node.itemsMessage === true) {
    const step = listStep('items', node.element as SchemaNode);
    return (reader) => {
      const holder: Holder = {};
      reader.message(reader.length(), (number, wireType) => {
        if (number === 1) step(reader, holder, wireType);
        else reader.skip(wireType);
      });
      return holder.items ?? [];
    };
  }
  if (node.form !== 'scalar') throw invalidProtobuf(`a ${node.form} cannot be an element`);
  return scalarReads[node.scalar ?? 'string'];
}

function readTimestamp(micro: boolean): Read {
  return (reader) => {
    const length = reader.length();
    if (length === 0) return null;
    const outer = reader.end;
    const end = reader.at + length;
    reader.end = end;
    let seconds: number | bigint = 0;
    let nanos = 0;
    while (reader.at < end) {
      const tag = reader.uint32();
      if (tag === 0x08) seconds = reader.int64();
      else if (tag === 0x10) nanos = reader.int32();
      else reader.skip(tag & 7);
    }
    reader.end = outer;
    if (
      typeof seconds !== 'number' ||
      seconds < earliestSecond ||
      seconds > latestSecond ||
      nanos < 0 ||
      nanos > 999_999_999
    ) {
      throw invalidProtobuf('time outside of the years 0 to 9999');
    }
    return micro ? formatMicroTime(seconds, nanos) : formatTime(seconds);
  };
}

const earliestSecond = -62_167_219_200;
const latestSecond = 253_402_300_799;

const scalarReads: Readonly<Record<NonNullable<SchemaNode['scalar']>, Read>> = {
  string: (reader) => reader.string(),
  bytes: (reader) => reader.base64(),
  boolean: (reader) => reader.uint32() !== 0,
  int32: (reader) => reader.int32(),
  int64: (reader) => reader.int64(),
  float64(reader) {
    const value = reader.double();
    if (!Number.isFinite(value)) throw invalidProtobuf('a number that JSON cannot hold');
    return value;
  },
  Time: readTimestamp(false),
  MicroTime: readTimestamp(true),
  Duration(reader) {
    let nanos: number | bigint = 0;
    reader.message(reader.length(), (number, wireType) => {
      if (number === 1 && wireType === 0) nanos = reader.int64();
      else reader.skip(wireType);
    });
    return formatDurationNanos(BigInt(nanos));
  },
  Quantity(reader) {
    let text = '0';
    reader.message(reader.length(), (number, wireType) => {
      if (number === 1 && wireType === 2) text = reader.string();
      else reader.skip(wireType);
    });
    return text === '' ? '0' : text;
  },
  IntOrString(reader) {
    let type: number | bigint = 0;
    let number = 0;
    let text = '';
    reader.message(reader.length(), (field, wireType) => {
      if (field === 1 && wireType === 0) type = reader.int64();
      else if (field === 2 && wireType === 0) number = reader.int32();
      else if (field === 3 && wireType === 2) text = reader.string();
      else reader.skip(wireType);
    });
    return Number(type) === 1 ? text : number;
  },
};

function readOpaque(node: SchemaNode): Read {
  switch (node.opaque) {
    case 'JSONSchemaPropsOrArray':
      return eitherSchema(node, node.element as SchemaNode);
    case 'JSONSchemaPropsOrStringArray':
      return eitherSchema(node, { form: 'scalar', scalar: 'string' });
    case 'JSONSchemaPropsOrBool': {
      const schema = structStep('schema', node.element as SchemaNode, { pointer: true, keepZero: true });
      return (reader) => {
        const holder: Holder = {};
        let allows = false;
        reader.message(reader.length(), (number, wireType) => {
          if (number === 1 && wireType === 0) allows = reader.uint32() !== 0;
          else if (number === 2) schema(reader, holder, wireType);
          else reader.skip(wireType);
        });
        return holder.schema ?? allows;
      };
    }
    default:
      return (reader) => {
        let raw: Buffer | undefined;
        reader.message(reader.length(), (number, wireType) => {
          if (number === 1 && wireType === 2) raw = reader.bytes();
          else reader.skip(wireType);
        });
        return raw === undefined || raw.length === 0 ? null : decodeJson(raw);
      };
  }
}

function eitherSchema(node: SchemaNode, other: SchemaNode): Read {
  const schema = structStep('schema', node.element as SchemaNode, { pointer: true, keepZero: true });
  const list = listStep('list', other);
  return (reader) => {
    const holder: Holder = {};
    reader.message(reader.length(), (number, wireType) => {
      if (number === 1) schema(reader, holder, wireType);
      else if (number === 2) list(reader, holder, wireType);
      else reader.skip(wireType);
    });
    return holder.schema ?? holder.list ?? [];
  };
}
