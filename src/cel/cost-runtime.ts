import type { Overload } from './function.ts';
import { sortByKeys } from './library/lists.ts';
import { CelList, CelMap, sizeOf, type Value } from './values.ts';

/** Prices as upstream has them: characters of strings are a tenth each, characters of patterns a quarter. */
const perCharacter = 0.1;
const perPatternCharacter = 0.25;
const authorizationCheck = 350_000;
const tooMany = 1_000_000;

type Price = (args: readonly Value[], overload: Overload) => number;

const one: Price = () => 1;
const scan =
  (times = 1): Price =>
  ([text = null]) =>
    Math.ceil(sizeOf(text) * times * perCharacter);
const pattern: Price = ([text = null, expression = null]) =>
  Math.ceil((1 + sizeOf(text)) * perCharacter) * Math.ceil(sizeOf(expression) * perPatternCharacter);

const selector: Price = ([, text = null]) => {
  const size = sizeOf(text);
  return 10 + Math.ceil(size / 2) * 50 + Math.ceil(size * perCharacter);
};

/** Every element below, strings by their length. Counting ends where no limit reaches: values may share parts without end. */
function traversal(value: Value): number {
  const count = { left: tooMany };
  const visit = (one: Value): number => {
    if (--count.left < 0) return tooMany;
    if (typeof one === 'string' || one instanceof Uint8Array) return Math.trunc(sizeOf(one) * perCharacter);
    let cost = 0;
    if (one instanceof CelList) {
      if (one.size > count.left) return one.size;
      for (const element of one) cost += visit(element);
      return Math.max(cost, one.size * perCharacter);
    }
    if (!(one instanceof CelMap)) return 1;
    for (const key of one.keys()) cost += visit(key) + visit(one.get(key) as Value);
    return cost;
  };
  return visit(value);
}

const byFunction: ReadonlyMap<string, Price> = new Map<string, Price>([
  ['check', () => authorizationCheck],
  ...['isSorted', 'sum', 'max', 'min', 'indexOf', 'lastIndexOf'].map(
    (name) => [name, ([list = null]) => traversal(list)] as [string, Price],
  ),
  ...[
    'url',
    'isURL',
    'lowerAscii',
    'upperAscii',
    'substring',
    'trim',
    'cidr',
    'isIP',
    'isCIDR',
    'quantity',
    'isQuantity',
    'semver',
    'isSemver',
    'validate',
    'charAt',
    'strings.quote',
    'format',
  ].map((name) => [name, scan()] as [string, Price]),
  ['ip', (args, { id }) => (id === 'cidr_ip' ? 1 : scan()(args, undefined as never))],
  ['ip.isCanonical', scan(2)],
  ['replace', scan(2)],
  ['split', scan(2)],
  ['join', ([list = null]) => Math.ceil(sizeOf(list) * perCharacter)],
  ...['fieldSelector', 'labelSelector'].map((name) => [name, selector] as [string, Price]),
  ['find', pattern],
  ['findAll', pattern],
  ['matches', pattern],
  [
    'containsIP',
    ([cidr = null, other = null], { id }) =>
      Math.ceil(sizeOf(cidr) * 2 * perCharacter) +
      (id === 'cidr_contains_ip_string' ? Math.ceil(sizeOf(other) * perCharacter) : 0),
  ],
  [
    'containsCIDR',
    ([cidr = null, other = null], { id }) =>
      Math.ceil(sizeOf(cidr) * 2 * perCharacter) +
      Math.ceil(sizeOf(cidr) * perCharacter) +
      1 +
      (id === 'cidr_contains_cidr_string' ? Math.ceil(sizeOf(other) * perCharacter) : 0),
  ],
  ...['sets.contains', 'sets.equivalent', 'sets.intersects'].map(
    (name) => [name, ([a = null, b = null]) => Math.ceil(sizeOf(a) * sizeOf(b)) + 1] as [string, Price],
  ),
  [
    'contains',
    ([text = null, part = null]) => Math.ceil(sizeOf(text) * perCharacter) * Math.ceil(sizeOf(part) * perCharacter),
  ],
  ['slice', ([, start = null, end = null]) => allocated(1, numberOf(end) - numberOf(start))],
  ['lists.range', ([count = null]) => allocated(1, numberOf(count))],
  ['reverse', ([list = null]) => allocated(1, sizeOf(list))],
  ['flatten', ([list = null, levels = 1n]) => allocated(numberOf(levels), sizeOf(list))],
  ['distinct', ([list = null]) => selfCompared(list)],
  ['sort', ([list = null]) => selfCompared(list)],
  [sortByKeys, ([, keys = null]) => selfCompared(keys)],
  ['unwrapOpt', ([list = null]) => sizeOf(list)],
  ['optional.unwrap', ([list = null]) => sizeOf(list)],
  ['startsWith', scan()],
  ['endsWith', scan()],
  ['_==_', smaller],
  ['_!=_', smaller],
]);

/** A call that makes a list of that many elements. */
function allocated(factor: number, size: number): number {
  return Math.trunc(Math.max(0, size) * Math.max(0, factor)) + 11;
}

/** Every element of a list beside every other. */
function selfCompared(list: Value): number {
  const size = sizeOf(list);
  const first = list instanceof CelList && size > 0 ? list.at(0) : null;
  const isText = typeof first === 'string' || first instanceof Uint8Array;
  return allocated(isText ? 2 + perCharacter : 2, size * size);
}

const numberOf = (value: Value): number => (typeof value === 'bigint' ? Number(value) : 0);

function smaller([a = null, b = null]: readonly Value[]): number {
  return Math.ceil(Math.min(sizeOf(a), sizeOf(b)) * perCharacter);
}

const byOverload: ReadonlyMap<string, Price> = new Map<string, Price>([
  ['in_list', ([, list = null]) => sizeOf(list)],
  ['add_string', ([a = null, b = null]) => Math.ceil((sizeOf(a) + sizeOf(b)) * perCharacter)],
  ['add_bytes', ([a = null, b = null]) => Math.ceil((sizeOf(a) + sizeOf(b)) * perCharacter)],
  ['string_to_bytes', scan()],
  ['bytes_to_string', scan()],
  ['string_to_int64', scan()],
  ['string_to_uint64', scan()],
  ['string_to_double', scan()],
  ...['less', 'less_equals', 'greater', 'greater_equals'].flatMap((name) =>
    ['string', 'bytes'].map((type) => [`${name}_${type}`, smaller] as [string, Price]),
  ),
]);

/** What a call costs, told before it runs. */
export function runtimeCost(overload: Overload, args: readonly Value[]): number {
  const price = byOverload.get(overload.id) ?? byFunction.get(overload.function) ?? one;
  return price(args, overload);
}
