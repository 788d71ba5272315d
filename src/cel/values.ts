import { CelError } from './errors.ts';

/**
 * Values while an expression runs: int is bigint, double is number, uint is Uint, bytes is Uint8Array; bool, string and null are
 * their own; everything else is one of the classes and interfaces below or an Opaque of a library.
 */
export type Value =
  | bigint
  | number
  | boolean
  | string
  | null
  | Uint8Array
  | Uint
  | Timestamp
  | Duration
  | TypeValue
  | Optional
  | CelList
  | CelMap
  | Opaque;

export class Uint {
  readonly value: bigint;

  constructor(value: bigint) {
    if (value < 0n || value >= 2n ** 64n) throw new CelError('unsigned integer overflow');
    this.value = value;
  }
}

const minTimeNs = -62_135_596_800n * 1_000_000_000n;
const maxTimeNs = 253_402_300_800n * 1_000_000_000n;

/** Nanoseconds since 1970. */
export class Timestamp {
  readonly ns: bigint;

  constructor(ns: bigint) {
    if (ns < minTimeNs || ns >= maxTimeNs) throw new CelError('timestamp overflow');
    this.ns = ns;
  }
}

/** Nanoseconds, of Go's range. */
export class Duration {
  readonly ns: bigint;

  constructor(ns: bigint) {
    if (ns < -(2n ** 63n) || ns >= 2n ** 63n) throw new CelError('duration overflow');
    this.ns = ns;
  }
}

export class TypeValue {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

export class Optional {
  static readonly none = new Optional(undefined);
  readonly content: Value | undefined;

  constructor(content: Value | undefined) {
    this.content = content;
  }
}

/** A value of a library's own type. */
export abstract class Opaque {
  abstract readonly typeName: string;
  abstract equals(other: Opaque): boolean;
  /** What size-dependent costs count; 1 when absent. */
  get size(): number {
    return 1;
  }
}

export abstract class CelList {
  abstract readonly size: number;
  /** Within bounds. */
  abstract at(index: number): Value;

  *[Symbol.iterator](): Generator<Value> {
    for (let index = 0; index < this.size; index++) yield this.at(index);
  }

  /** Lists of a schema may compare as sets or maps. */
  equals(other: CelList, meter?: Meter): boolean {
    if (this.size !== other.size) return false;
    for (let index = 0; index < this.size; index++) if (!equal(this.at(index), other.at(index), meter)) return false;
    return true;
  }

  /** What `+` makes of it with another list; undefined: one after the other. */
  plus(_other: CelList, _meter: Meter): CelList | undefined {
    return undefined;
  }
}

/** Two lists one after the other, without a copy: doubling one many times costs nothing until it is looked at. */
export class JoinedList extends CelList {
  readonly #left: CelList;
  readonly #right: CelList;
  readonly size: number;

  constructor(left: CelList, right: CelList) {
    super();
    this.#left = left;
    this.#right = right;
    this.size = left.size + right.size;
  }

  at(index: number): Value {
    let list: CelList = this;
    let at = index;
    while (list instanceof JoinedList) {
      const { size } = list.#left;
      if (at < size) list = list.#left;
      else {
        at -= size;
        list = list.#right;
      }
    }
    return list.at(at);
  }
}

export class ArrayList extends CelList {
  readonly items: Value[];

  constructor(items: Value[]) {
    super();
    this.items = items;
  }

  get size(): number {
    return this.items.length;
  }

  at(index: number): Value {
    return this.items[index] as Value;
  }
}

/** Maps, and objects of a schema: those have fields. */
export abstract class CelMap {
  abstract readonly size: number;
  abstract get(key: Value): Value | undefined;
  abstract keys(): readonly Value[];
  abstract readonly typeName: string;

  has(key: Value): boolean {
    return this.get(key) !== undefined;
  }

  /** What an expression reads with `.name`. */
  field(name: string): Value | undefined {
    return this.get(name);
  }

  equals(other: CelMap, meter?: Meter): boolean {
    if (this.size !== other.size) return false;
    for (const key of this.keys()) {
      const right = other.get(key);
      if (right === undefined || !equal(this.get(key) as Value, right, meter)) return false;
    }
    return true;
  }
}

/** Keys that are equal have one name: 1, 1u and 1.0 are one key. */
export function keyName(key: Value): string {
  if (typeof key === 'string') return `s${key}`;
  if (typeof key === 'bigint') return `n${key}`;
  if (typeof key === 'boolean') return `b${key}`;
  if (key instanceof Uint) return `n${key.value}`;
  if (typeof key === 'number' && Number.isInteger(key)) return `n${BigInt(key)}`;
  if (typeof key === 'number') return `d${key}`;
  throw new CelError(`unsupported key type: ${typeNameOf(key)}`);
}

/** A map that an expression made. */
export class EntryMap extends CelMap {
  readonly #entries = new Map<string, readonly [Value, Value]>();
  readonly typeName = 'map';

  get size(): number {
    return this.#entries.size;
  }

  set(key: Value, value: Value): void {
    this.#entries.set(keyName(key), [key, value]);
  }

  get(key: Value): Value | undefined {
    return this.#entries.get(keyName(key))?.[1];
  }

  keys(): readonly Value[] {
    return [...this.#entries.values()].map(([key]) => key);
  }

  copy(): EntryMap {
    const copy = new EntryMap();
    for (const [name, entry] of this.#entries) copy.#entries.set(name, entry);
    return copy;
  }
}

/** `int`, `string`, `list`, `google.protobuf.Timestamp` …: what `type(x)` shows. */
export function typeNameOf(value: Value): string {
  switch (typeof value) {
    case 'bigint':
      return 'int';
    case 'number':
      return 'double';
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
  }
  if (value === null) return 'null_type';
  if (value instanceof Uint8Array) return 'bytes';
  if (value instanceof CelList) return 'list';
  if (value instanceof CelMap) return value.typeName;
  if (value instanceof Uint) return 'uint';
  if (value instanceof Timestamp) return 'google.protobuf.Timestamp';
  if (value instanceof Duration) return 'google.protobuf.Duration';
  if (value instanceof TypeValue) return 'type';
  if (value instanceof Optional) return 'optional_type';
  return value.typeName;
}

/** What size-dependent costs count: characters, bytes, elements, entries. */
export function sizeOf(value: Value): number {
  if (typeof value === 'string') return codePoints(value);
  if (value instanceof Uint8Array) return value.length;
  if (value instanceof CelList || value instanceof CelMap || value instanceof Opaque) return value.size;
  return 1;
}

const surrogate = /[\ud800-\udbff][\udc00-\udfff]/g;

/** Unicode characters of a string. */
export function codePoints(text: string): number {
  let pairs = 0;
  for (const _ of text.matchAll(surrogate)) pairs++;
  return text.length - pairs;
}

/** A number's order against another's, whatever their types; undefined beside NaN. */
export function compareNumbers(left: bigint | number, right: bigint | number): -1 | 0 | 1 | undefined {
  // Beside a double a whole number counts as the nearest double.
  const mixed = typeof left !== typeof right;
  const a = mixed ? Number(left) : left;
  const b = mixed ? Number(right) : right;
  return a < b ? -1 : a > b ? 1 : a == b ? 0 : undefined;
}

export function numeric(value: Value): bigint | number | undefined {
  if (typeof value === 'bigint' || typeof value === 'number') return value;
  return value instanceof Uint ? value.value : undefined;
}

/** Counts work that grows with data; throws when there was too much of it. */
export interface Meter {
  charge(cost: number): void;
}

/** Equality of the language: numbers across types, everything else only within its own. What lies below is counted. */
export function equal(a: Value, b: Value, meter?: Meter): boolean {
  if (a === b) return true;
  const left = numeric(a);
  if (left !== undefined) {
    const right = numeric(b);
    return right !== undefined && compareNumbers(left, right) === 0;
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof CelList) {
    if (!(b instanceof CelList)) return false;
    meter?.charge(Math.ceil(a.size / 10));
    return a.equals(b, meter);
  }
  if (a instanceof CelMap) {
    if (!(b instanceof CelMap)) return false;
    meter?.charge(Math.ceil(a.size / 10));
    return a.equals(b, meter);
  }
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (a instanceof Timestamp) return b instanceof Timestamp && a.ns === b.ns;
  if (a instanceof Duration) return b instanceof Duration && a.ns === b.ns;
  if (a instanceof TypeValue) return b instanceof TypeValue && a.name === b.name;
  if (a instanceof Optional) {
    if (!(b instanceof Optional)) return false;
    return a.content === undefined || b.content === undefined
      ? a.content === b.content
      : equal(a.content, b.content, meter);
  }
  return a instanceof Opaque && b instanceof Opaque && a.typeName === b.typeName && a.equals(b);
}

/** Order of two values that have one; undefined when they have none. Strings by code point. */
export function compare(a: Value, b: Value): -1 | 0 | 1 | undefined {
  const left = numeric(a);
  if (left !== undefined) {
    const right = numeric(b);
    return right === undefined ? undefined : compareNumbers(left, right);
  }
  if (typeof a === 'string') return typeof b === 'string' ? compareText(a, b) : undefined;
  if (typeof a === 'boolean') return typeof b === 'boolean' ? compareNumbers(Number(a), Number(b)) : undefined;
  if (a instanceof Timestamp) return b instanceof Timestamp ? compareNumbers(a.ns, b.ns) : undefined;
  if (a instanceof Duration) return b instanceof Duration ? compareNumbers(a.ns, b.ns) : undefined;
  if (a instanceof Uint8Array) return b instanceof Uint8Array ? Buffer.compare(a, b) : undefined;
  return undefined;
}

function compareText(a: string, b: string): -1 | 0 | 1 {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    const wideLeft = left >= 0xd800 && left <= 0xdfff;
    const wideRight = right >= 0xd800 && right <= 0xdfff;
    if (wideLeft !== wideRight) return wideLeft ? 1 : -1;
    return left < right ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}
