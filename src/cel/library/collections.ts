import { CelError } from '../errors.ts';
import { define, type Overload } from '../function.ts';
import { matcherOf } from '../pattern.ts';
import { comparableTypes } from './lists.ts';
import { ArrayList, CelList, compare, Duration, EntryMap, equal, type Meter, Uint, type Value } from '../values.ts';

const maxInt = 2n ** 63n;

function extreme(list: CelList, name: string, sign: 1 | -1): Value {
  let best: Value | undefined;
  for (const one of list) if (best === undefined || (compare(one, best) ?? 0) * sign > 0) best = one;
  if (best === undefined) throw new CelError(`${name} called on empty list`);
  return best;
}

function isSorted(list: CelList): boolean {
  let before: Value | undefined;
  for (const one of list) {
    if (before !== undefined && compare(before, one) === 1) return false;
    before = one;
  }
  return true;
}

const sums: Readonly<Record<string, (list: CelList) => Value>> = {
  int: (list) => {
    let sum = 0n;
    for (const one of list) sum += one as bigint;
    if (sum >= maxInt || sum < -maxInt) throw new CelError('integer overflow');
    return sum;
  },
  uint: (list) => {
    let sum = 0n;
    for (const one of list) sum += (one as Uint).value;
    return new Uint(sum);
  },
  double: (list) => {
    let sum = 0;
    for (const one of list) sum += one as number;
    return sum;
  },
  duration: (list) => {
    let sum = 0n;
    for (const one of list) sum += (one as Duration).ns;
    return new Duration(sum);
  },
};

function indexIn(meter: Meter, list: CelList, value: Value, last: boolean): bigint {
  const { size } = list;
  for (let step = 0; step < size; step++) {
    const at = last ? size - 1 - step : step;
    if (equal(list.at(at), value, meter)) return BigInt(at);
  }
  return -1n;
}

/** Kubernetes' functions of lists. */
export function listFunctions(): Overload[] {
  return [
    ...comparableTypes.flatMap((type) => [
      define('isSorted', `list_${type}_is_sorted_bool`, `list<${type}>.(): bool`, (_, list) =>
        isSorted(list as CelList),
      ),
      define('min', `list_${type}_min_${type}`, `list<${type}>.(): ${type}`, (_, list) =>
        extreme(list as CelList, 'min', -1),
      ),
      define('max', `list_${type}_max_${type}`, `list<${type}>.(): ${type}`, (_, list) =>
        extreme(list as CelList, 'max', 1),
      ),
    ]),
    ...Object.entries(sums).map(([type, sum]) =>
      define('sum', `list_${type}_sum_${type}`, `list<${type}>.(): ${type}`, (_, list) => sum(list as CelList)),
    ),
    define('indexOf', 'list_a_index_of_int', 'list<A>.(A): int', (meter, list, value) =>
      indexIn(meter, list as CelList, value, false),
    ),
    define('lastIndexOf', 'list_a_last_index_of_int', 'list<A>.(A): int', (meter, list, value) =>
      indexIn(meter, list as CelList, value, true),
    ),
  ];
}

function subset(meter: Meter, sub: CelList, list: CelList): boolean {
  meter.charge(Math.ceil((sub.size * list.size) / 10));
  for (const one of sub) if (indexIn(meter, list, one, false) < 0n) return false;
  return true;
}

/** Lists as sets. */
export function setFunctions(): Overload[] {
  return [
    define('sets.contains', 'list_sets_contains_list', '(list<A>, list<A>): bool', (meter, list, sub) =>
      subset(meter, sub as CelList, list as CelList),
    ),
    define(
      'sets.equivalent',
      'list_sets_equivalent_list',
      '(list<A>, list<A>): bool',
      (meter, a, b) => subset(meter, a as CelList, b as CelList) && subset(meter, b as CelList, a as CelList),
    ),
    define('sets.intersects', 'list_sets_intersects_list', '(list<A>, list<A>): bool', (meter, a, b) => {
      meter.charge(Math.ceil(((a as CelList).size * (b as CelList).size) / 10));
      for (const one of a as CelList) if (indexIn(meter, b as CelList, one, false) >= 0n) return true;
      return false;
    }),
  ];
}

/** find and findAll, on RE2. */
export function regexFunctions(): Overload[] {
  const all = (meter: Meter, text: Value, pattern: Value, most: number): Value =>
    new ArrayList(matcherOf(pattern as string).find(text as string, most, meter));
  return [
    define(
      'find',
      'string_find_string',
      'string.(string): string',
      (meter, text, pattern) => matcherOf(pattern as string).find(text as string, 1, meter)[0] ?? '',
    ),
    define('findAll', 'string_find_all_string', 'string.(string): list<string>', (meter, text, pattern) =>
      all(meter, text, pattern, Number.POSITIVE_INFINITY),
    ),
    define(
      'findAll',
      'string_find_all_string_int',
      'string.(string, int): list<string>',
      (meter, text, pattern, most) =>
        all(meter, text, pattern, (most as bigint) < 0n ? Number.POSITIVE_INFINITY : Number(most)),
    ),
  ];
}

/** What transformMap and transformMapEntry insert with. */
export function mapFunctions(): Overload[] {
  const inserted = (map: EntryMap, key: Value, value: Value): EntryMap => {
    if (map.get(key) !== undefined) throw new CelError(`insert failed: key ${String(key)} already exists`);
    map.set(key, value);
    return map;
  };
  return [
    define('cel.@mapInsert', '@mapInsert_map_key_value', '(map<A, B>, A, B): map<A, B>', (_, map, key, value) =>
      inserted(map as EntryMap, key, value),
    ),
    define('cel.@mapInsert', '@mapInsert_map_map', '(map<A, B>, map<A, B>): map<A, B>', (_, map, more) => {
      const entries = more as EntryMap;
      for (const key of entries.keys()) inserted(map as EntryMap, key, entries.get(key) as Value);
      return map;
    }),
  ];
}
