import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  isQuantity,
  quantityError,
  subtractQuantities,
} from '#machinery';
import { CelError } from '../errors.ts';
import { define, type Overload } from '../function.ts';
import { Opaque } from '../values.ts';

/** An amount with a suffix. */
class Quantity extends Opaque {
  readonly typeName = 'kubernetes.Quantity';
  readonly text: string;

  constructor(text: string) {
    super();
    this.text = text;
  }

  equals(other: Opaque): boolean {
    return other instanceof Quantity && compareQuantities(this.text, other.text) === 0;
  }
}

const exponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const powers: readonly string[] = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Billionths of the unit, from the canonical form. */
function nanosOf(text: string): bigint {
  const [, digits = '0', suffix = ''] = /^([+-]?\d+)(.*)$/.exec(canonicalQuantity(text)) ?? [];
  const power = powers.indexOf(suffix);
  if (power > 0) return BigInt(digits) * 1024n ** BigInt(power) * 1_000_000_000n;
  const exponent = /^e/i.test(suffix) ? Number(suffix.slice(1)) : (exponents[suffix] ?? 0);
  return BigInt(digits) * 10n ** BigInt(exponent + 9);
}

const mostDigits = 18;

/** Whether upstream keeps the amount as a number of 64 bits with an exponent; of others it never says that they are integers. */
function isCompact(text: string): boolean {
  const [, whole = '', part = '', suffix = ''] = /^[+-]?0*(\d*)\.?(\d*)(.*)$/.exec(text) ?? [];
  const power = powers.indexOf(suffix);
  if (power <= 0) return whole.length + part.length <= mostDigits;
  return part === '' && mostDigits - 4 - whole.length - Math.trunc(power * 3) >= 0;
}

/** The amount as a whole number of 64 bits; undefined when it is none. */
function integerOf({ text }: Quantity): bigint | undefined {
  if (!isCompact(text)) return undefined;
  const nanos = nanosOf(text);
  const value = nanos / 1_000_000_000n;
  return nanos % 1_000_000_000n === 0n && value < 2n ** 63n && value >= -(2n ** 63n) ? value : undefined;
}

const plain = (value: bigint): string => String(value);

/** Quantities, exact. */
export function quantityFunctions(): Overload[] {
  const text = (one: unknown): string => (one as Quantity).text;
  return [
    define('quantity', 'string_to_quantity', '(string): kubernetes.Quantity', (_, value) => {
      const wrong = quantityError(value as string);
      if (wrong !== undefined) throw new CelError(wrong);
      return new Quantity(value as string);
    }),
    define('isQuantity', 'is_quantity_string', '(string): bool', (_, value) => isQuantity(value as string)),
    define(
      'isInteger',
      'quantity_is_integer',
      'kubernetes.Quantity.(): bool',
      (_, one) => integerOf(one as Quantity) !== undefined,
    ),
    define('asInteger', 'quantity_get_int', 'kubernetes.Quantity.(): int', (_, one) => {
      const value = integerOf(one as Quantity);
      if (value === undefined) throw new CelError('cannot convert value to integer');
      return value;
    }),
    define(
      'asApproximateFloat',
      'quantity_get_float',
      'kubernetes.Quantity.(): double',
      (_, one) => Number(nanosOf(text(one))) / 1e9,
    ),
    define('sign', 'quantity_sign', 'kubernetes.Quantity.(): int', (_, one) =>
      BigInt(compareQuantities(text(one), '0')),
    ),
    define(
      'isGreaterThan',
      'quantity_is_greater_than',
      'kubernetes.Quantity.(kubernetes.Quantity): bool',
      (_, a, b) => compareQuantities(text(a), text(b)) > 0,
    ),
    define(
      'isLessThan',
      'quantity_is_less_than',
      'kubernetes.Quantity.(kubernetes.Quantity): bool',
      (_, a, b) => compareQuantities(text(a), text(b)) < 0,
    ),
    define('compareTo', 'quantity_compare_to', 'kubernetes.Quantity.(kubernetes.Quantity): int', (_, a, b) =>
      BigInt(compareQuantities(text(a), text(b))),
    ),
    define(
      'add',
      'quantity_add',
      'kubernetes.Quantity.(kubernetes.Quantity): kubernetes.Quantity',
      (_, a, b) => new Quantity(addQuantities(text(a), text(b))),
    ),
    define(
      'add',
      'quantity_add_int',
      'kubernetes.Quantity.(int): kubernetes.Quantity',
      (_, a, b) => new Quantity(addQuantities(text(a), plain(b as bigint))),
    ),
    define(
      'sub',
      'quantity_sub',
      'kubernetes.Quantity.(kubernetes.Quantity): kubernetes.Quantity',
      (_, a, b) => new Quantity(subtractQuantities(text(a), text(b))),
    ),
    define(
      'sub',
      'quantity_sub_int',
      'kubernetes.Quantity.(int): kubernetes.Quantity',
      (_, a, b) => new Quantity(subtractQuantities(text(a), plain(b as bigint))),
    ),
  ];
}
