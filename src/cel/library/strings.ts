import { CelError } from '../errors.ts';
import { type CallContext, define, type Overload } from '../function.ts';
import { doubleText } from '../standard.ts';
import { clauseError, clausesOf, notFormatted } from './format-clauses.ts';
import { durationText, timestampText } from '../time.ts';
import {
  ArrayList,
  CelList,
  CelMap,
  codePoints,
  compare,
  Duration,
  Timestamp,
  TypeValue,
  typeNameOf,
  Uint,
  type Value,
} from '../values.ts';

/** Index of a character when the text has characters beyond 16 bits. */
const isNarrow = (text: string): boolean => codePoints(text) === text.length;

function slice(text: string, start: number, end: number): string {
  return isNarrow(text) ? text.slice(start, end) : [...text].slice(start, end).join('');
}

function indexOf(text: string, part: string, from: bigint): bigint {
  const size = codePoints(text);
  if (from < 0n) throw new CelError(`index out of range: ${from}`);
  if (from > BigInt(size)) return part === '' ? BigInt(size) : -1n;
  const skipped = slice(text, 0, Number(from)).length;
  const found = text.indexOf(part, skipped);
  return found < 0 ? -1n : BigInt(codePoints(text.slice(0, found)));
}

function lastIndexOf(text: string, part: string, from: bigint): bigint {
  const size = codePoints(text);
  if (from < 0n) throw new CelError(`index out of range: ${from}`);
  if (from > BigInt(size)) return part === '' ? BigInt(size) : -1n;
  const found = text.lastIndexOf(part, slice(text, 0, Number(from)).length);
  return found < 0 ? -1n : BigInt(codePoints(text.slice(0, found)));
}

function substring(text: string, start: bigint, end: bigint | undefined): string {
  const size = BigInt(codePoints(text));
  const stop = end ?? size;
  if (start < 0n || start > size) throw new CelError(`index out of range: ${start}`);
  if (stop < 0n || stop > size) throw new CelError(`index out of range: ${stop}`);
  if (start > stop) throw new CelError(`invalid substring range. start: ${start}, end: ${stop}`);
  return slice(text, Number(start), Number(stop));
}

function replace(context: CallContext, text: string, part: string, by: string, most: bigint): string {
  if (most === 0n) return text;
  const pieces = most < 0n ? text.split(part) : limited(text, part, Number(most) + 1);
  if (part === '') {
    const characters = [...text];
    const count = most < 0n ? characters.length + 1 : Math.min(Number(most), characters.length + 1);
    context.charge(Math.ceil((count * by.length) / 10));
    let result = '';
    for (let at = 0; at <= characters.length; at++) result += (at < count ? by : '') + (characters[at] ?? '');
    return result;
  }
  context.charge(Math.ceil(((pieces.length - 1) * by.length) / 10));
  return pieces.join(by);
}

/** At most `most` pieces; the last is the rest. */
function limited(text: string, separator: string, most: number): string[] {
  if (separator === '') {
    const letters = [...text];
    return letters.length <= most ? letters : [...letters.slice(0, most - 1), letters.slice(most - 1).join('')];
  }
  const pieces: string[] = [];
  let at = 0;
  while (pieces.length < most - 1) {
    const found = text.indexOf(separator, at);
    if (found < 0) break;
    pieces.push(text.slice(at, found));
    at = found + separator.length;
  }
  pieces.push(text.slice(at));
  return pieces;
}

function split(text: string, separator: string, most: bigint): CelList {
  if (most === 0n) return new ArrayList([]);
  if (most > 0n) return new ArrayList(limited(text, separator, Number(most)));
  return new ArrayList(separator === '' ? [...text] : text.split(separator));
}

function join(context: CallContext, list: CelList, separator: string): string {
  const parts: string[] = [];
  let length = separator.length * Math.max(0, list.size - 1);
  for (const one of list) {
    if (typeof one !== 'string') throw new CelError('no such overload');
    parts.push(one);
    length += one.length;
  }
  context.charge(Math.ceil(length / 10));
  return parts.join(separator);
}

const escapes: ReadonlyMap<string, string> = new Map([
  ['\x07', '\\a'],
  ['\b', '\\b'],
  ['\f', '\\f'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
  ['\v', '\\v'],
  ['\\', '\\\\'],
  ['"', '\\"'],
]);

const quote = (text: string): string =>
  `"${text.replace(/[\x07\b\f\n\r\t\v\\"]/g, (one) => escapes.get(one) as string)}"`;

const ascii = (text: string, pattern: RegExp, change: (letters: string) => string): string =>
  text.replace(pattern, change);
const blank = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const space = new RegExp(`^${blank}|${blank}$`, 'g');
const longestPrecision = 1000;

function formatted(context: CallContext, text: string, args: CelList): string {
  let next = 0;
  let result = '';
  let last = 0;
  for (const one of clausesOf(text)) {
    result += text.slice(last, one.start);
    last = one.end;
    const { verb, precision } = one;
    if (verb === '%') {
      result += '%';
      continue;
    }
    if (precision !== undefined && precision > longestPrecision)
      throw new CelError(`precision is too large: ${precision}`);
    const wrong = clauseError(one);
    if (wrong !== undefined) throw new CelError(wrong);
    if (next >= args.size) throw new CelError(`index ${next} out of range`);
    const piece = clause(context, verb, args.at(next), precision);
    next++;
    context.charge(Math.ceil(piece.length / 10));
    result += piece;
  }
  return result + text.slice(last);
}

function clause(context: CallContext, verb: string, value: Value, precision: number | undefined): string {
  const whole = typeof value === 'bigint' ? value : value instanceof Uint ? value.value : undefined;
  const wrong = (): never => {
    throw new CelError(notFormatted(verb, typeNameOf(value)));
  };
  const based = (base: number): string => (whole === undefined ? wrong() : whole.toString(base));
  switch (verb) {
    case 's':
      return stringOf(context, value, 0);
    case 'd':
      if (whole !== undefined) return String(whole);
      return typeof value === 'number' ? numberText(value) : wrong();
    case 'f':
    case 'e': {
      const number = typeof value === 'number' ? value : whole === undefined ? wrong() : Number(whole);
      if (!Number.isFinite(number)) return Number.isNaN(number) ? 'NaN' : number > 0 ? 'Infinity' : '-Infinity';
      const digits = Math.min(precision ?? 6, 100);
      return verb === 'f' ? fixed(number, digits) : number.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2');
    }
    case 'b':
      return typeof value === 'boolean' ? (value ? '1' : '0') : based(2);
    case 'o':
      return based(8);
    case 'x':
    case 'X': {
      const hex =
        typeof value === 'string'
          ? Buffer.from(value).toString('hex')
          : value instanceof Uint8Array
            ? Buffer.from(value).toString('hex')
            : based(16);
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
    default:
      throw new CelError(`unrecognized formatting clause "${verb}"`);
  }
}

/** Infinities by their whole name. */
function numberText(value: number): string {
  return Number.isFinite(value)
    ? doubleText(value)
    : Number.isNaN(value)
      ? 'NaN'
      : value > 0
        ? 'Infinity'
        : '-Infinity';
}

/** Exactly rounded; what lies in the middle goes to the even digit. */
function fixed(value: number, digits: number): string {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = (exponent === 0 ? fraction : fraction | (1n << 52n)) * 10n ** BigInt(digits);
  const power = Math.max(exponent, 1) - 1075;
  let units = power >= 0 ? mantissa << BigInt(power) : mantissa >> BigInt(-power);
  if (power < 0) {
    const rest = mantissa - (units << BigInt(-power));
    const half = 1n << BigInt(-power - 1);
    if (rest > half || (rest === half && units % 2n === 1n)) units++;
  }
  const text = String(units).padStart(digits + 1, '0');
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  return sign + (digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`);
}

const deepestText = 100;

function stringOf(context: CallContext, value: Value, depth: number): string {
  if (depth > deepestText) throw new CelError('value is too deep to be formatted');
  if (value === null) return 'null';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (value instanceof Timestamp) return timestampText(value.ns);
  if (value instanceof Duration) return durationText(value.ns);
  if (value instanceof TypeValue) return value.name;
  if (value instanceof CelList) {
    context.charge(value.size);
    return `[${[...value].map((one) => stringOf(context, one, depth + 1)).join(', ')}]`;
  }
  if (value instanceof CelMap) {
    context.charge(value.size);
    const keys = [...value.keys()].sort((a, b) => compare(a, b) ?? 0);
    return `{${keys.map((key) => `${stringOf(context, key, depth + 1)}: ${stringOf(context, value.get(key) as Value, depth + 1)}`).join(', ')}}`;
  }
  throw new CelError(notFormatted('s', typeNameOf(value)));
}

/** The extension library of strings. */
export function stringFunctions(): Overload[] {
  return [
    define('charAt', 'string_char_at_int', 'string.(int): string', (_, text, at) => {
      const size = BigInt(codePoints(text as string));
      if ((at as bigint) < 0n || (at as bigint) > size) throw new CelError(`index out of range: ${at}`);
      return slice(text as string, Number(at), Number(at) + 1);
    }),
    define('format', 'string_format', 'string.(list<dyn>): string', (context, text, args) =>
      formatted(context, text as string, args as CelList),
    ),
    define('indexOf', 'string_index_of_string', 'string.(string): int', (_, text, part) =>
      indexOf(text as string, part as string, 0n),
    ),
    define('indexOf', 'string_index_of_string_int', 'string.(string, int): int', (_, text, part, from) =>
      indexOf(text as string, part as string, from as bigint),
    ),
    define('lastIndexOf', 'string_last_index_of_string', 'string.(string): int', (_, text, part) =>
      lastIndexOf(text as string, part as string, BigInt(codePoints(text as string))),
    ),
    define('lastIndexOf', 'string_last_index_of_string_int', 'string.(string, int): int', (_, text, part, from) =>
      lastIndexOf(text as string, part as string, from as bigint),
    ),
    define('join', 'list_join', 'list<string>.(): string', (context, list) => join(context, list as CelList, '')),
    define('join', 'list_join_string', 'list<string>.(string): string', (context, list, separator) =>
      join(context, list as CelList, separator as string),
    ),
    define('lowerAscii', 'string_lower_ascii', 'string.(): string', (_, text) =>
      ascii(text as string, /[A-Z]+/g, (one) => one.toLowerCase()),
    ),
    define('upperAscii', 'string_upper_ascii', 'string.(): string', (_, text) =>
      ascii(text as string, /[a-z]+/g, (one) => one.toUpperCase()),
    ),
    define('replace', 'string_replace_string_string', 'string.(string, string): string', (context, text, part, by) =>
      replace(context, text as string, part as string, by as string, -1n),
    ),
    define(
      'replace',
      'string_replace_string_string_int',
      'string.(string, string, int): string',
      (context, text, part, by, most) => replace(context, text as string, part as string, by as string, most as bigint),
    ),
    define('split', 'string_split_string', 'string.(string): list<string>', (_, text, separator) =>
      split(text as string, separator as string, -1n),
    ),
    define('split', 'string_split_string_int', 'string.(string, int): list<string>', (_, text, separator, most) =>
      split(text as string, separator as string, most as bigint),
    ),
    define('substring', 'string_substring_int', 'string.(int): string', (_, text, start) =>
      substring(text as string, start as bigint, undefined),
    ),
    define('substring', 'string_substring_int_int', 'string.(int, int): string', (_, text, start, end) =>
      substring(text as string, start as bigint, end as bigint),
    ),
    define('trim', 'string_trim', 'string.(): string', (_, text) => (text as string).replace(space, '')),
    define('strings.quote', 'strings_quote', '(string): string', (_, text) => quote(text as string)),
  ];
}
