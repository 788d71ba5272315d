import { CelError } from '../errors.ts';
import { define, type Overload } from '../function.ts';
import { Opaque } from '../values.ts';

/** A semantic version. */
class Semver extends Opaque {
  readonly typeName = 'kubernetes.Semver';
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly prerelease: readonly string[];

  constructor(numbers: readonly [bigint, bigint, bigint], prerelease: readonly string[]) {
    super();
    this.numbers = numbers;
    this.prerelease = prerelease;
  }

  equals(other: Opaque): boolean {
    return other instanceof Semver && this.compare(other) === 0;
  }

  compare(other: Semver): -1 | 0 | 1 {
    for (const [index, mine] of this.numbers.entries()) {
      const theirs = other.numbers[index] as bigint;
      if (mine !== theirs) return mine < theirs ? -1 : 1;
    }
    if (this.prerelease.length === 0 || other.prerelease.length === 0) {
      if (this.prerelease.length === other.prerelease.length) return 0;
      return this.prerelease.length === 0 ? 1 : -1;
    }
    for (let at = 0; at < Math.max(this.prerelease.length, other.prerelease.length); at++) {
      const order = comparePart(this.prerelease[at], other.prerelease[at]);
      if (order !== 0) return order;
    }
    return 0;
  }
}

const digits = /^\d+$/;

function comparePart(a: string | undefined, b: string | undefined): -1 | 0 | 1 {
  if (a === b) return 0;
  if (a === undefined) return -1;
  if (b === undefined) return 1;
  const left = digits.test(a);
  const right = digits.test(b);
  if (left && right) return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
  if (left !== right) return left ? -1 : 1;
  return a < b ? -1 : 1;
}

const strict =
  /^(0|[1-9]\d{0,19})\.(0|[1-9]\d{0,19})\.(0|[1-9]\d{0,19})(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/;
const longest = 256;

function parse(text: string): Semver | undefined {
  const match = text.length > longest ? null : strict.exec(text);
  if (match === null) return undefined;
  const [, major = '', minor = '', patch = '', prerelease] = match;
  return new Semver([BigInt(major), BigInt(minor), BigInt(patch)], prerelease?.split('.') ?? []);
}

/** Forgives a leading `v`, missing parts and leading zeros. */
function normalized(text: string): string {
  const match = /^v?(\d{1,20})(?:\.(\d{1,20}))?(?:\.(\d{1,20}))?([-+].*)?$/.exec(text.slice(0, longest));
  if (match === null) return text;
  const [, major = '0', minor = '0', patch = '0', rest = ''] = match;
  return `${BigInt(major)}.${BigInt(minor)}.${BigInt(patch)}${rest}`;
}

function need(text: string): Semver {
  const version = parse(text);
  if (version === undefined)
    throw new CelError(`semver parse error: invalid version ${JSON.stringify(text.slice(0, 100))}`);
  return version;
}

/** Semantic versions. */
export function semverFunctions(): Overload[] {
  const text = (value: unknown, normalize: unknown): string =>
    normalize === true ? normalized(value as string) : (value as string);
  const order = (a: unknown, b: unknown): -1 | 0 | 1 => (a as Semver).compare(b as Semver);
  const number = (name: string, index: 0 | 1 | 2): Overload =>
    define(name, `semver_${name}`, 'kubernetes.Semver.(): int', (_, one) => (one as Semver).numbers[index]);
  return [
    define('semver', 'string_to_semver', '(string): kubernetes.Semver', (_, value) => need(value as string)),
    define('semver', 'string_bool_to_semver', '(string, bool): kubernetes.Semver', (_, value, normalize) =>
      need(text(value, normalize)),
    ),
    define('isSemver', 'is_semver_string', '(string): bool', (_, value) => parse(value as string) !== undefined),
    define(
      'isSemver',
      'is_semver_string_bool',
      '(string, bool): bool',
      (_, value, normalize) => parse(text(value, normalize)) !== undefined,
    ),
    number('major', 0),
    number('minor', 1),
    number('patch', 2),
    define(
      'isGreaterThan',
      'semver_is_greater_than',
      'kubernetes.Semver.(kubernetes.Semver): bool',
      (_, a, b) => order(a, b) > 0,
    ),
    define(
      'isLessThan',
      'semver_is_less_than',
      'kubernetes.Semver.(kubernetes.Semver): bool',
      (_, a, b) => order(a, b) < 0,
    ),
    define('compareTo', 'semver_compare_to', 'kubernetes.Semver.(kubernetes.Semver): int', (_, a, b) =>
      BigInt(order(a, b)),
    ),
  ];
}
