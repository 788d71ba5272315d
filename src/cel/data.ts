import { CelError } from './errors.ts';
import { parseTimestamp } from './standard.ts';
import { durationText, parseDurationNs, timestampText } from './time.ts';
import { type CelType, dynType, elementOf } from './types.ts';
import {
  ArrayList,
  CelList,
  CelMap,
  Duration,
  equal,
  keyName,
  type Meter,
  Timestamp,
  typeNameOf,
  Uint,
  type Value,
} from './values.ts';

/** JSON data as a value of the language, read as its schema says; parts are turned into values when they are looked at. */
export function valueOf(data: unknown, type: CelType = dynType): Value {
  if (data === null || data === undefined) return null;
  switch (typeof data) {
    case 'string':
      return type.dataFormat === undefined ? data : textOf(data, type.dataFormat);
    case 'boolean':
    case 'bigint':
      return data;
    case 'number':
      return type.kind !== 'double' && Number.isInteger(data) ? BigInt(data) : data;
    case 'object':
      if (Array.isArray(data)) return new DataList(data, type.kind === 'list' ? type : dynList);
      if (data instanceof Uint8Array) return data;
      return new DataMap(
        data as Record<string, unknown>,
        type.kind === 'object' || type.kind === 'map' ? type : dynMap,
      );
    default:
      throw new CelError(`unsupported value of type ${typeof data}`);
  }
}

const dynList: CelType = { kind: 'list', parameters: [dynType] };
const dynMap: CelType = { kind: 'map', parameters: [{ kind: 'string' }, dynType] };

function textOf(text: string, format: NonNullable<CelType['dataFormat']>): Value {
  switch (format) {
    case 'byte':
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new CelError('illegal base64 data');
      return Buffer.from(text, 'base64');
    case 'duration':
      return new Duration(parseDurationNs(text));
    case 'date':
      return parseTimestamp(`${text}T00:00:00Z`);
    case 'date-time':
      return parseTimestamp(text);
  }
}

class DataList extends CelList {
  readonly #items: readonly unknown[];
  readonly #type: CelType;
  readonly #element: CelType;

  constructor(items: readonly unknown[], type: CelType) {
    super();
    this.#items = items;
    this.#type = type;
    this.#element = elementOf(type);
  }

  get size(): number {
    return this.#items.length;
  }

  at(index: number): Value {
    return valueOf(this.#items[index], this.#element);
  }

  /** What makes an element the same one as another's, in lists that have such a thing. */
  #identity(): ((value: Value) => string) | undefined {
    const { listType, listMapKeys = [] } = this.#type;
    if (listType === 'set') return setName;
    if (listType !== 'map') return undefined;
    return (value) => {
      if (!(value instanceof CelMap)) return '';
      return JSON.stringify(listMapKeys.map((key) => setName(value.get(key) ?? null)));
    };
  }

  /** Sets and map lists are the same in any order. */
  override equals(other: CelList, meter?: Meter): boolean {
    const identity = this.#identity();
    if (identity === undefined) return super.equals(other, meter);
    if (this.size !== other.size) return false;
    meter?.charge(Math.ceil(this.size / 10));
    const theirs = new Map<string, Value>();
    for (const one of other) theirs.set(identity(one), one);
    for (const one of this) {
      const match = theirs.get(identity(one));
      if (match === undefined || !equal(one, match, meter)) return false;
    }
    return true;
  }

  /** A union of sets; of map lists, elements of the other replace those with their keys. */
  override plus(other: CelList, meter: Meter): CelList | undefined {
    const identity = this.#identity();
    if (identity === undefined) return undefined;
    meter.charge(this.size + other.size);
    const merged = new Map<string, Value>();
    for (const one of this) merged.set(identity(one), one);
    const isSet = this.#type.listType === 'set';
    for (const one of other) {
      const name = identity(one);
      if (!isSet || !merged.has(name)) merged.set(name, one);
    }
    return new ArrayList([...merged.values()]);
  }
}

const mostParts = 1_000_000;

/** Values may share parts: what is made of one has to be bounded by what is visited. */
class Parts {
  #left = mostParts;

  visit(): void {
    if (--this.#left < 0) throw new CelError('value is too large');
  }
}

function setName(value: Value, parts = new Parts()): string {
  parts.visit();
  if (value === null) return 'null';
  if (value instanceof CelList) return `[${[...value].map((one) => setName(one, parts)).join()}]`;
  if (value instanceof CelMap)
    return `{${value
      .keys()
      .map((key) => `${JSON.stringify(keyName(key))}:${setName(value.get(key) as Value, parts)}`)
      .sort()
      .join()}}`;
  if (value instanceof Uint8Array) return `y${Buffer.from(value).toString('base64')}`;
  if (typeof value === 'object' && 'ns' in value) return `t${value.ns}`;
  return JSON.stringify(keyName(value));
}

/** An object, or a map from strings. */
class DataMap extends CelMap {
  readonly #data: Record<string, unknown>;
  readonly #type: CelType;

  constructor(data: Record<string, unknown>, type: CelType) {
    super();
    this.#data = data;
    this.#type = type;
  }

  get typeName(): string {
    return this.#type.kind === 'object' ? (this.#type.name ?? 'object') : 'map';
  }

  get size(): number {
    return this.keys().length;
  }

  keys(): readonly string[] {
    const { fields } = this.#type;
    if (fields === undefined) return Object.keys(this.#data);
    return [...fields.keys()].filter((name) => this.get(name) !== undefined);
  }

  get(key: Value): Value | undefined {
    if (typeof key !== 'string') return undefined;
    const { fields } = this.#type;
    if (fields === undefined) {
      if (!Object.hasOwn(this.#data, key)) return undefined;
      return valueOf(this.#data[key], elementOf(this.#type));
    }
    const field = fields.get(key);
    if (field === undefined || !Object.hasOwn(this.#data, field.name)) return undefined;
    const value = this.#data[field.name];
    return value === undefined ? undefined : valueOf(value, field.type);
  }

  override has(key: Value): boolean {
    if (typeof key !== 'string') return false;
    const name = this.#type.fields === undefined ? key : this.#type.fields.get(key)?.name;
    return name !== undefined && Object.hasOwn(this.#data, name) && this.#data[name] !== undefined;
  }
}

const deepestJson = 200;

/** A value as JSON data. Throws CelError for what JSON cannot say. */
export function jsonOf(value: Value): unknown {
  return jsonBelow(value, 0, new Parts());
}

function jsonBelow(value: Value, depth: number, parts: Parts): unknown {
  parts.visit();
  if (depth > deepestJson) throw new CelError('value is nested too deeply');
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
    return value;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (value instanceof Uint) return jsonBelow(value.value, depth, parts);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (value instanceof Timestamp) return timestampText(value.ns);
  if (value instanceof Duration) return durationText(value.ns);
  if (value instanceof CelList) return [...value].map((one) => jsonBelow(one, depth + 1, parts));
  if (value instanceof CelMap) {
    const entries = value.keys().map((key) => {
      if (typeof key !== 'string') throw new CelError(`unsupported key type: ${typeNameOf(key)}`);
      return [key, jsonBelow(value.get(key) as Value, depth + 1, parts)] as const;
    });
    // No assignment: a key may be __proto__.
    return Object.fromEntries(entries);
  }
  throw new CelError(`a value of type ${typeNameOf(value)} cannot be converted to JSON`);
}
