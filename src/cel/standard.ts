import { parseTimeMs } from '#machinery';
import { CelError } from './errors.ts';
import { define, guardOf, type Overload } from './function.ts';
import { matcherOf } from './pattern.ts';
import { durationText, parseDurationNs, timestampText, zonedParts } from './time.ts';
import type { CelType } from './types.ts';
import {
  ArrayList,
  CelList,
  CelMap,
  codePoints,
  compare,
  Duration,
  equal,
  JoinedList,
  type Meter,
  numeric,
  Optional,
  Timestamp,
  TypeValue,
  typeNameOf,
  Uint,
  type Value,
} from './values.ts';

const maxInt = 2n ** 63n - 1n;
const minInt = -(2n ** 63n);

function int(value: bigint): bigint {
  if (value > maxInt || value < minInt) throw new CelError('integer overflow');
  return value;
}

function uint(value: bigint): Uint {
  if (value < 0n || value >= 2n ** 64n) throw new CelError('unsigned integer overflow');
  return new Uint(value);
}

function nonZero(value: bigint, what: string): bigint {
  if (value === 0n) throw new CelError(what);
  return value;
}

const noOverload = (): never => {
  throw new CelError('no such overload');
};

/** The operators by their arguments' types. */
function arithmetic(): Overload[] {
  const overloads: Overload[] = [];
  const numbers = (
    name: string,
    word: string,
    ints: (a: bigint, b: bigint) => bigint,
    doubles?: (a: number, b: number) => number,
  ): void => {
    overloads.push(define(name, `${word}_int64`, '(int, int): int', (_, a, b) => int(ints(a as bigint, b as bigint))));
    overloads.push(
      define(name, `${word}_uint64`, '(uint, uint): uint', (_, a, b) =>
        uint(ints((a as Uint).value, (b as Uint).value)),
      ),
    );
    if (doubles !== undefined)
      overloads.push(
        define(name, `${word}_double`, '(double, double): double', (_, a, b) => doubles(a as number, b as number)),
      );
  };
  numbers(
    '_+_',
    'add',
    (a, b) => a + b,
    (a, b) => a + b,
  );
  numbers(
    '_-_',
    'subtract',
    (a, b) => a - b,
    (a, b) => a - b,
  );
  numbers(
    '_*_',
    'multiply',
    (a, b) => a * b,
    (a, b) => a * b,
  );
  numbers(
    '_/_',
    'divide',
    (a, b) => a / nonZero(b, 'division by zero'),
    (a, b) => a / b,
  );
  numbers('_%_', 'modulo', (a, b) => a % nonZero(b, 'modulus by zero'));
  overloads.push(
    define('_+_', 'add_string', '(string, string): string', (_, a, b) => (a as string) + (b as string)),
    define('_+_', 'add_bytes', '(bytes, bytes): bytes', (_, a, b) => Buffer.concat([a as Uint8Array, b as Uint8Array])),
    define('_+_', 'add_list', '(list<A>, list<A>): list<A>', (context, a, b) =>
      concatenated(context, a as CelList, b as CelList),
    ),
    define('_+_', 'add_timestamp_duration', '(timestamp, duration): timestamp', (_, a, b) => shifted(a, b, 1n)),
    define('_+_', 'add_duration_timestamp', '(duration, timestamp): timestamp', (_, a, b) => shifted(b, a, 1n)),
    define(
      '_+_',
      'add_duration_duration',
      '(duration, duration): duration',
      (_, a, b) => new Duration((a as Duration).ns + (b as Duration).ns),
    ),
    define(
      '_-_',
      'subtract_timestamp_timestamp',
      '(timestamp, timestamp): duration',
      (_, a, b) => new Duration((a as Timestamp).ns - (b as Timestamp).ns),
    ),
    define('_-_', 'subtract_timestamp_duration', '(timestamp, duration): timestamp', (_, a, b) => shifted(a, b, -1n)),
    define(
      '_-_',
      'subtract_duration_duration',
      '(duration, duration): duration',
      (_, a, b) => new Duration((a as Duration).ns - (b as Duration).ns),
    ),
    define('-_', 'negate_int64', '(int): int', (_, a) => int(-(a as bigint))),
    define('-_', 'negate_double', '(double): double', (_, a) => -(a as number)),
  );
  return overloads;
}

function shifted(time: Value, by: Value, sign: bigint): Timestamp {
  return new Timestamp((time as Timestamp).ns + sign * (by as Duration).ns);
}

const copied = 64;

function concatenated(meter: Meter, a: CelList, b: CelList): CelList {
  const special = a.plus(b, meter);
  if (special !== undefined) return special;
  return a.size + b.size <= copied ? new ArrayList([...a, ...b]) : new JoinedList(a, b);
}

const orders: readonly (readonly [name: string, word: string, test: (order: number) => boolean])[] = [
  ['_<_', 'less', (order) => order < 0],
  ['_<=_', 'less_equals', (order) => order <= 0],
  ['_>_', 'greater', (order) => order > 0],
  ['_>=_', 'greater_equals', (order) => order >= 0],
];

function comparisons(): Overload[] {
  const comparable = ['bool', 'int', 'uint', 'double', 'string', 'bytes', 'timestamp', 'duration'];
  const mixed = ['int', 'uint', 'double'];
  const width: Record<string, string> = { int: 'int64', uint: 'uint64' };
  return orders.flatMap(([name, word, test]) => {
    const run = (_: unknown, a: Value, b: Value): Value => {
      const order = compare(a, b);
      if (order !== undefined) return test(order);
      return numeric(a) === undefined || numeric(b) === undefined ? noOverload() : false;
    };
    return [
      ...comparable.map((type) => define(name, `${word}_${width[type] ?? type}`, `(${type}, ${type}): bool`, run)),
      ...mixed.flatMap((left) =>
        mixed
          .filter((right) => right !== left)
          .map((right) =>
            define(name, `${word}_${width[left] ?? left}_${width[right] ?? right}`, `(${left}, ${right}): bool`, run),
          ),
      ),
    ];
  });
}

/** The element of a list. */
export function elementAt(list: CelList, index: Value): Value {
  const number = numeric(index);
  if (number === undefined || (typeof number === 'number' && !Number.isInteger(number)))
    throw new CelError(`unsupported index type '${typeNameOf(index)}' in list`);
  const at = Number(number);
  if (at < 0 || at >= list.size) throw new CelError(`index out of bounds: ${number}`);
  return list.at(at);
}

export function keyText(key: Value): string {
  const number = numeric(key);
  return number === undefined ? String(key) : String(number);
}

function indexed(container: Value, key: Value): Value {
  if (container instanceof CelList) return elementAt(container, key);
  if (container instanceof CelMap) {
    const found = container.get(key);
    if (found === undefined) throw new CelError(`no such key: ${keyText(key)}`);
    return found;
  }
  return noOverload();
}

function maybeIndexed(container: Value, key: Value): Optional {
  if (container instanceof CelList) {
    const number = numeric(key);
    const at = Number(number);
    return number !== undefined && at >= 0 && at < container.size ? new Optional(container.at(at)) : Optional.none;
  }
  if (container instanceof CelMap) return new Optional(container.get(key));
  return noOverload();
}

function contains(meter: Meter, list: CelList, value: Value): boolean {
  for (const one of list) if (equal(one, value, meter)) return true;
  return false;
}

/** The outermost level is in the price of the operator. */
function equalBelow(meter: Meter, a: Value, b: Value): boolean {
  if (a instanceof CelList) return b instanceof CelList && a.equals(b, meter);
  if (a instanceof CelMap) return b instanceof CelMap && a.equals(b, meter);
  return equal(a, b, meter);
}

/** Elements and entries. Behind dyn an index or key may be of another type of number: only the container is looked at. */
function indexing(): Overload[] {
  const get = (_: unknown, container: Value, key: Value): Value => indexed(container, key);
  const maybe = (_: unknown, container: Value, key: Value): Value => maybeIndexed(container, key);
  const inside = (_: unknown, one: Value, key: Value): Value => through(one, (it) => maybeIndexed(it, key));
  const overloads = [
    define('_[_]', 'index_list', '(list<A>, int): A', get),
    define('_[_]', 'index_map', '(map<A, B>, A): B', get),
    define('_[_]', 'optional_list_index_int', '(optional<list<A>>, int): optional<A>', inside),
    define('_[_]', 'optional_map_index_value', '(optional<map<A, B>>, A): optional<B>', inside),
    define('_[?_]', 'list_optindex_optional_int', '(list<A>, int): optional<A>', maybe),
    define('_[?_]', 'map_optindex_optional_value', '(map<A, B>, A): optional<B>', maybe),
    define('_[?_]', 'optional_list_optindex_optional_int', '(optional<list<A>>, int): optional<A>', inside),
    define('_[?_]', 'optional_map_optindex_optional_value', '(optional<map<A, B>>, A): optional<B>', inside),
  ];
  return overloads.map((one): Overload => {
    const isContainer = guardOf(one.parameters[0] as CelType);
    return { ...one, accepts: ([container]) => isContainer(container as Value) };
  });
}

function core(): Overload[] {
  return [
    define('_==_', 'equals', '(A, A): bool', (context, a, b) => equalBelow(context, a, b)),
    define('_!=_', 'not_equals', '(A, A): bool', (context, a, b) => !equalBelow(context, a, b)),
    // The evaluator runs these itself; here are their types.
    define('_&&_', 'logical_and', '(bool, bool): bool', noOverload),
    define('_||_', 'logical_or', '(bool, bool): bool', noOverload),
    define('_?_:_', 'conditional', '(bool, A, A): A', noOverload),
    define('@not_strictly_false', 'not_strictly_false', '(bool): bool', noOverload),
    define('!_', 'logical_not', '(bool): bool', (_, a) => a !== true),
    define('@in', 'in_list', '(A, list<A>): bool', (context, a, list) => contains(context, list as CelList, a)),
    define('@in', 'in_map', '(A, map<A, B>): bool', (_, a, map) => (map as CelMap).has(a)),
    ...indexing(),
    define('dyn', 'to_dyn', '(A): dyn', (_, a) => a),
    define('type', 'type', '(A): type<A>', (_, a) => new TypeValue(typeNameOf(a))),
    ...['string', 'bytes', 'list', 'map'].flatMap((type) => {
      const parameter = type === 'list' ? 'list<A>' : type === 'map' ? 'map<A, B>' : type;
      const size = (_: unknown, a: Value): Value =>
        BigInt(
          typeof a === 'string' ? codePoints(a) : a instanceof Uint8Array ? a.length : (a as CelList | CelMap).size,
        );
      return [
        define('size', `size_${type}`, `(${parameter}): int`, size),
        define('size', `${type}_size`, `${parameter}.(): int`, size),
      ];
    }),
    define('contains', 'contains_string', 'string.(string): bool', (_, a, b) => (a as string).includes(b as string)),
    define('startsWith', 'starts_with_string', 'string.(string): bool', (_, a, b) =>
      (a as string).startsWith(b as string),
    ),
    define('endsWith', 'ends_with_string', 'string.(string): bool', (_, a, b) => (a as string).endsWith(b as string)),
    define('matches', 'matches', '(string, string): bool', (_, a, b) => matcherOf(b as string).test(a as string)),
    define('matches', 'matches_string', 'string.(string): bool', (_, a, b) => matcherOf(b as string).test(a as string)),
  ];
}

function through(one: Value, then: (value: Value) => Optional): Optional {
  const { content } = one as Optional;
  return content === undefined ? Optional.none : then(content);
}

function doubleToInt(value: number): bigint {
  if (!Number.isFinite(value) || value >= 2 ** 63 || value <= -(2 ** 63)) throw new CelError('integer overflow');
  return BigInt(Math.trunc(value));
}

function parseInteger(text: string, unsigned: boolean): bigint {
  if (!(unsigned ? /^\+?\d+$/ : /^[+-]?\d+$/).test(text) || text.length > 40)
    throw new CelError(
      `strconv.Parse${unsigned ? 'Uint' : 'Int'}: parsing ${JSON.stringify(text.slice(0, 100))}: invalid syntax`,
    );
  const value = BigInt(text.replace(/^\+/, ''));
  const fits = unsigned ? value < 2n ** 64n : value <= maxInt && value >= minInt;
  if (!fits)
    throw new CelError(
      `strconv.Parse${unsigned ? 'Uint' : 'Int'}: parsing ${JSON.stringify(text)}: value out of range`,
    );
  return value;
}

function parseDouble(text: string): number {
  const fine = /^[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf(?:inity)?|nan)$/i.test(text);
  if (!fine) throw new CelError(`strconv.ParseFloat: parsing ${JSON.stringify(text.slice(0, 100))}: invalid syntax`);
  if (/nan/i.test(text)) return Number.NaN;
  if (/inf/i.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

/** A double as Go prints it with the fewest digits. */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  if (Object.is(value, -0)) return '-0';
  const magnitude = Math.abs(value);
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e21)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  return String(value);
}

function conversions(): Overload[] {
  return [
    define('bool', 'bool_to_bool', '(bool): bool', (_, a) => a),
    define('bool', 'string_to_bool', '(string): bool', (_, a) => {
      if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(a as string)) return true;
      if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(a as string)) return false;
      throw new CelError(`strconv.ParseBool: parsing ${JSON.stringify((a as string).slice(0, 100))}: invalid syntax`);
    }),
    define('int', 'int64_to_int64', '(int): int', (_, a) => a),
    define('int', 'uint64_to_int64', '(uint): int', (_, a) => int((a as Uint).value)),
    define('int', 'double_to_int64', '(double): int', (_, a) => doubleToInt(a as number)),
    define('int', 'string_to_int64', '(string): int', (_, a) => parseInteger(a as string, false)),
    define('int', 'timestamp_to_int64', '(timestamp): int', (_, a) => floorDivide((a as Timestamp).ns, 1_000_000_000n)),
    define('int', 'duration_to_int64', '(duration): int', (_, a) => (a as Duration).ns),
    define('uint', 'uint64_to_uint64', '(uint): uint', (_, a) => a),
    define('uint', 'int64_to_uint64', '(int): uint', (_, a) => uint(a as bigint)),
    define('uint', 'double_to_uint64', '(double): uint', (_, a) => {
      const value = a as number;
      if (!Number.isFinite(value) || value < 0 || value >= 2 ** 64) throw new CelError('unsigned integer overflow');
      return new Uint(BigInt(Math.trunc(value)));
    }),
    define('uint', 'string_to_uint64', '(string): uint', (_, a) => new Uint(parseInteger(a as string, true))),
    define('double', 'double_to_double', '(double): double', (_, a) => a),
    define('double', 'int64_to_double', '(int): double', (_, a) => Number(a as bigint)),
    define('double', 'uint64_to_double', '(uint): double', (_, a) => Number((a as Uint).value)),
    define('double', 'string_to_double', '(string): double', (_, a) => parseDouble(a as string)),
    define('string', 'string_to_string', '(string): string', (_, a) => a),
    define('string', 'bool_to_string', '(bool): string', (_, a) => String(a)),
    define('string', 'int64_to_string', '(int): string', (_, a) => String(a)),
    define('string', 'uint64_to_string', '(uint): string', (_, a) => String((a as Uint).value)),
    define('string', 'double_to_string', '(double): string', (_, a) => doubleText(a as number)),
    define('string', 'bytes_to_string', '(bytes): string', (_, a) => utf8(a as Uint8Array)),
    define('string', 'timestamp_to_string', '(timestamp): string', (_, a) => timestampText((a as Timestamp).ns)),
    define('string', 'duration_to_string', '(duration): string', (_, a) => durationText((a as Duration).ns)),
    define('bytes', 'bytes_to_bytes', '(bytes): bytes', (_, a) => a),
    define('bytes', 'string_to_bytes', '(string): bytes', (_, a) => Buffer.from(a as string, 'utf8')),
    define('timestamp', 'timestamp_to_timestamp', '(timestamp): timestamp', (_, a) => a),
    define(
      'timestamp',
      'int64_to_timestamp',
      '(int): timestamp',
      (_, a) => new Timestamp((a as bigint) * 1_000_000_000n),
    ),
    define('timestamp', 'string_to_timestamp', '(string): timestamp', (_, a) => parseTimestamp(a as string)),
    define('duration', 'duration_to_duration', '(duration): duration', (_, a) => a),
    define('duration', 'int64_to_duration', '(int): duration', (_, a) => new Duration(a as bigint)),
    define(
      'duration',
      'string_to_duration',
      '(string): duration',
      (_, a) => new Duration(parseDurationNs(a as string)),
    ),
  ];
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw new CelError('invalid UTF-8 in bytes, cannot convert to string');
  }
}

/** From the year 0 to the year 2000, which repeats its days. */
const twoThousandYearsMs = 730_485 * 86_400_000;

/** RFC 3339, to the nanosecond. */
export function parseTimestamp(text: string): Timestamp {
  // Years of two digits are not in the twentieth century.
  const early = /^00\d\d-/.test(text);
  const ms = parseTimeMs(early ? `2${text.slice(1)}` : text) - (early ? twoThousandYearsMs : 0);
  const fraction = /[.,](\d+)(?:[Zz]|[+-]\d\d:\d\d)$/.exec(text)?.[1];
  if (Number.isNaN(ms)) throw new CelError(`cannot parse ${JSON.stringify(text.slice(0, 100))} as timestamp`);
  const seconds = floorDivide(BigInt(Math.floor(ms)), 1000n);
  return new Timestamp(seconds * 1_000_000_000n + BigInt((fraction ?? '').slice(0, 9).padEnd(9, '0')));
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

function times(): Overload[] {
  const part = (name: string, read: (parts: ReturnType<typeof zonedParts>) => number): Overload[] => [
    define(name, `timestamp_to_${name}`, 'timestamp.(): int', (_, a) =>
      BigInt(read(zonedParts((a as Timestamp).ns, 'UTC'))),
    ),
    define(name, `timestamp_to_${name}_with_tz`, 'timestamp.(string): int', (_, a, zone) =>
      BigInt(read(zonedParts((a as Timestamp).ns, zone as string))),
    ),
  ];
  const span = (name: string, unit: bigint): Overload =>
    define(name, `duration_to_${name}`, 'duration.(): int', (_, a) => (a as Duration).ns / unit);
  return [
    ...part('getFullYear', ({ year }) => year),
    ...part('getMonth', ({ month }) => month - 1),
    ...part('getDayOfYear', ({ dayOfYear }) => dayOfYear),
    ...part('getDayOfMonth', ({ day }) => day - 1),
    ...part('getDate', ({ day }) => day),
    ...part('getDayOfWeek', ({ weekday }) => weekday),
    ...part('getHours', ({ hour }) => hour),
    ...part('getMinutes', ({ minute }) => minute),
    ...part('getSeconds', ({ second }) => second),
    ...part('getMilliseconds', ({ millisecond }) => millisecond),
    span('getHours', 3_600_000_000_000n),
    span('getMinutes', 60_000_000_000n),
    span('getSeconds', 1_000_000_000n),
    define(
      'getMilliseconds',
      'duration_to_getMilliseconds',
      'duration.(): int',
      (_, a) => ((a as Duration).ns / 1_000_000n) % 1000n,
    ),
  ];
}

function optionals(): Overload[] {
  const isZero = (value: Value): boolean =>
    value === null ||
    value === '' ||
    value === 0 ||
    value === 0n ||
    value === false ||
    (value instanceof Uint && value.value === 0n) ||
    (value instanceof Duration && value.ns === 0n) ||
    ((value instanceof CelList || value instanceof CelMap) && value.size === 0) ||
    (value instanceof Uint8Array && value.length === 0);
  const insert = (value: Value): Optional => new Optional(value);
  return [
    define('optional.of', 'optional_of', '(A): optional<A>', (_, a) => insert(a)),
    define('optional.ofNonZeroValue', 'optional_ofNonZeroValue', '(A): optional<A>', (_, a) =>
      isZero(a) ? Optional.none : insert(a),
    ),
    define('optional.none', 'optional_none', '(): optional<A>', () => Optional.none),
    define('value', 'optional_value', 'optional<A>.(): A', (_, a) => {
      const { content } = a as Optional;
      if (content === undefined) throw new CelError('optional.none() dereference');
      return content;
    }),
    define('hasValue', 'optional_hasValue', 'optional<A>.(): bool', (_, a) => (a as Optional).content !== undefined),
    // The evaluator leaves the alternative alone where it is not needed.
    define('or', 'optional_or_optional', 'optional<A>.(optional<A>): optional<A>', (_, a, b) =>
      (a as Optional).content === undefined ? b : a,
    ),
    define('orValue', 'optional_orValue_value', 'optional<A>.(A): A', (_, a, b) => (a as Optional).content ?? b),
    define('optional.unwrap', 'optional_unwrap', '(list<optional<A>>): list<A>', (_, list) =>
      unwrapped(list as CelList),
    ),
    define('unwrapOpt', 'optional_unwrapOpt', 'list<optional<A>>.(): list<A>', (_, list) => unwrapped(list as CelList)),
  ];
}

function unwrapped(list: CelList): CelList {
  const items: Value[] = [];
  for (const one of list) if (one instanceof Optional && one.content !== undefined) items.push(one.content);
  return new ArrayList(items);
}

/** The functions and operators of the language itself, with optional values. */
export function standardFunctions(): Overload[] {
  return [...arithmetic(), ...comparisons(), ...core(), ...conversions(), ...times(), ...optionals()];
}
