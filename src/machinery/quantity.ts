import { errBadRequest } from './errors.ts';

/**
 * Exact amounts with suffixes. Everything is kept in units of 10^-9 as a BigInt; finer fractions are rounded away from
 * zero, and nothing above 2^63-1 is kept (both as upstream). The form decides how an amount is printed.
 */
type Form = 'decimal' | 'binary' | 'exponent';

interface Amount {
  readonly nano: bigint;
  readonly form: Form;
}

const formatMessage = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const suffixMessage = "unable to parse quantity's suffix";

const decimalExponents = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
]);
const decimalSuffixes = new Map([...decimalExponents].map(([suffix, exponent]) => [exponent, suffix]));
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const binaryExponents = new Map(binarySuffixes.map((suffix, index) => [suffix, index]));
binaryExponents.delete('');

const giga = 1_000_000_000n;
const maxNano = (2n ** 63n - 1n) * giga;
const grammar = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*)([-+]?[0-9]*)$/;
const longest = 4096;

function parse(text: string): Amount | string {
  if (text.length === 0 || text.length > longest) return formatMessage;
  const match = grammar.exec(text);
  if (match === null) return formatMessage;
  const [, sign, whole = '', fraction = '', letters = '', exponentDigits = ''] = match;
  if (whole === '' && fraction === '') return formatMessage;

  let form: Form = 'decimal';
  let exponent = 0;
  let binary = 0;
  if (exponentDigits !== '') {
    if ((letters !== 'e' && letters !== 'E') || !/[0-9]/.test(exponentDigits)) return suffixMessage;
    form = 'exponent';
    exponent = Number(exponentDigits);
    if (!Number.isSafeInteger(exponent) || Math.abs(exponent) > 2 ** 31) return suffixMessage;
  } else {
    const decimal = decimalExponents.get(letters);
    const power = binaryExponents.get(letters);
    if (decimal !== undefined) exponent = decimal;
    else if (power !== undefined) {
      form = 'binary';
      binary = power;
    } else return suffixMessage;
  }

  const digits = BigInt(`${whole}${fraction}` || '0');
  const nano = round(digits * 1024n ** BigInt(binary), exponent - fraction.length + 9);
  const capped = nano > maxNano ? maxNano : nano;
  return { nano: sign === '-' ? -capped : capped, form };
}

/** digits × 10^power, fractions rounded up; powers beyond any amount are not computed. */
function round(digits: bigint, power: number): bigint {
  if (digits === 0n) return 0n;
  if (power >= 0) return power > 40 ? maxNano + 1n : digits * 10n ** BigInt(power);
  if (-power > longest * 2) return 1n;
  const divisor = 10n ** BigInt(-power);
  return (digits + divisor - 1n) / divisor;
}

const cache = new Map<string, Amount>();
const cacheSize = 4096;

function amountOf(quantity: string | number): Amount {
  const parsed = read(typeof quantity === 'string' ? quantity : numberText(quantity));
  if (typeof parsed === 'string') throw errBadRequest(parsed);
  return parsed;
}

/** The amount, remembered, or why there is none. */
function read(text: string): Amount | string {
  const known = cache.get(text);
  if (known !== undefined) return known;
  const parsed = parse(text);
  if (typeof parsed === 'string') return parsed;
  if (cache.size >= cacheSize) cache.clear();
  if (text.length <= 32) cache.set(text, parsed);
  return parsed;
}

/** A JSON number in a form that the grammar knows. */
function numberText(value: number): string {
  const text = String(value);
  return /[Ee]\+/.test(text) ? text.replace('+', '') : text;
}

function print({ nano, form }: Amount): string {
  if (nano === 0n) return '0';
  const negative = nano < 0n;
  let value = negative ? -nano : nano;
  const sign = negative ? '-' : '';
  if (form === 'binary' && value >= 1024n * giga) {
    let units = (value + giga - 1n) / giga;
    let power = 0;
    while (power < 6 && units % 1024n === 0n) {
      units /= 1024n;
      power++;
    }
    return `${sign}${units}${binarySuffixes[power]}`;
  }
  let exponent = -9;
  while (exponent < 18 && value % 1000n === 0n) {
    value /= 1000n;
    exponent += 3;
  }
  if (form === 'exponent') return exponent === 0 ? `${sign}${value}` : `${sign}${value}e${exponent}`;
  return `${sign}${value}${decimalSuffixes.get(exponent) ?? ''}`;
}

const divideUp = (value: bigint, divisor: bigint): bigint =>
  value >= 0n ? (value + divisor - 1n) / divisor : -((-value + divisor - 1n) / divisor);

/** True when `text` is a quantity: `1`, `100m`, `1.5Gi`, `1e3`. */
export function isQuantity(text: string): boolean {
  return typeof text === 'string' && typeof read(text) !== 'string';
}

/** Why `text` is no quantity, in upstream's words; undefined when it is one. */
export function quantityError(text: string): string | undefined {
  const parsed = read(text);
  return typeof parsed === 'string' ? parsed : undefined;
}

/** Whole units, rounded up. Exact up to 2^53. Throws ApiError 400 on text that is no quantity. */
export function quantityValue(quantity: string | number): number {
  if (typeof quantity === 'number' && Number.isInteger(quantity)) return quantity;
  return Number(divideUp(amountOf(quantity).nano, giga));
}

/** Thousandths, rounded up: 1500 for "1.5", 100 for "100m". */
export function quantityMilli(quantity: string | number): number {
  return Number(divideUp(amountOf(quantity).nano, 1_000_000n));
}

/** The form in which the server stores it: "1" for "1000m", "1536Mi" for "1.5Gi", "500m" for 0.5. */
export function canonicalQuantity(quantity: string | number): string {
  return print(amountOf(quantity));
}

/** a + b, printed in a's form (in b's when a is zero). */
export function addQuantities(a: string | number, b: string | number): string {
  return combine(amountOf(a), amountOf(b), 1n);
}

export function subtractQuantities(a: string | number, b: string | number): string {
  return combine(amountOf(a), amountOf(b), -1n);
}

function combine(a: Amount, b: Amount, sign: bigint): string {
  return print({ nano: a.nano + sign * b.nano, form: a.nano === 0n ? b.form : a.form });
}

export function compareQuantities(a: string | number, b: string | number): -1 | 0 | 1 {
  const left = amountOf(a).nano;
  const right = amountOf(b).nano;
  return left < right ? -1 : left > right ? 1 : 0;
}
