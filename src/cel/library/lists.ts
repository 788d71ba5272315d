import { CelError } from '../errors.ts';
import { define, type Overload } from '../function.ts';
import { ArrayList, CelList, compare, equal, type Meter, Optional, typeNameOf, type Value } from '../values.ts';

/** Types whose values have an order. */
export const comparableTypes = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes'] as const;

/** The function behind the macro `sortBy`: no expression can name it. */
export const sortByKeys = '@sortByAssociatedKeys';

function slice(list: CelList, start: bigint, end: bigint): CelList {
  const told = `cannot slice(${start}, ${end})`;
  if (start < 0n || end < 0n) throw new CelError(`${told}, negative indexes not supported`);
  if (start > end) throw new CelError(`${told}, start index must be less than or equal to end index`);
  if (BigInt(list.size) < end) throw new CelError(`${told}, list is length ${list.size}`);
  const items: Value[] = [];
  for (let at = Number(start); at < Number(end); at++) items.push(list.at(at));
  return new ArrayList(items);
}

/** Lists in the list are replaced by their elements, `levels` deep. */
function flatten(meter: Meter, list: CelList, levels: bigint): CelList {
  if (levels < 0n) throw new CelError('level must be non-negative');
  const items: Value[] = [];
  const open = [list[Symbol.iterator]()];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const { value, done } = top.next();
    if (done === true) open.pop();
    else if (value instanceof CelList && BigInt(open.length) <= levels) {
      meter.charge(value.size);
      open.push(value[Symbol.iterator]());
    } else items.push(value);
  }
  return new ArrayList(items);
}

function sortedBy(list: CelList, keys: CelList): CelList {
  if (list.size !== keys.size)
    throw new CelError(
      `${sortByKeys}() expected a list of the same size as the associated keys list, but got ${list.size} and ${keys.size} elements respectively`,
    );
  if (list.size === 0) return list;
  const first = keys.at(0);
  if (compare(first, first) === undefined && !Number.isNaN(first))
    throw new CelError('list elements must be comparable');
  const type = typeNameOf(first);
  const pairs = [...keys].map((key, at) => {
    if (typeNameOf(key) !== type) throw new CelError('list elements must have the same type');
    return { key, value: list.at(at) };
  });
  return new ArrayList(pairs.sort((a, b) => compare(a.key, b.key) ?? 0).map(({ value }) => value));
}

function distinct(meter: Meter, list: CelList): CelList {
  const kept: Value[] = [];
  for (const one of list) if (!kept.some((other) => equal(one, other, meter))) kept.push(one);
  return new ArrayList(kept);
}

function range(count: bigint): CelList {
  return new ArrayList(Array.from({ length: Number(count > 0n ? count : 0n) }, (_, at) => BigInt(at)));
}

/** The extension library of lists: third version. */
export function listExtensions(): Overload[] {
  return [
    define('slice', 'list_slice', 'list<A>.(int, int): list<A>', (_, list, start, end) =>
      slice(list as CelList, start as bigint, end as bigint),
    ),
    define('flatten', 'list_flatten', 'list<list<A>>.(): list<A>', (meter, list) =>
      flatten(meter, list as CelList, 1n),
    ),
    define('flatten', 'list_flatten_int', 'list<dyn>.(int): list<dyn>', (meter, list, levels) =>
      flatten(meter, list as CelList, levels as bigint),
    ),
    ...comparableTypes.flatMap((type) => [
      define('sort', `list_${type}_sort`, `list<${type}>.(): list<${type}>`, (_, list) =>
        sortedBy(list as CelList, list as CelList),
      ),
      define(sortByKeys, `list_${type}_sortByAssociatedKeys`, `list<A>.(list<${type}>): list<A>`, (_, list, keys) =>
        sortedBy(list as CelList, keys as CelList),
      ),
    ]),
    define('lists.range', 'lists_range', '(int): list<int>', (_, count) => range(count as bigint)),
    define(
      'reverse',
      'list_reverse',
      'list<A>.(): list<A>',
      (_, list) => new ArrayList([...(list as CelList)].reverse()),
    ),
    define('distinct', 'list_distinct', 'list<A>.(): list<A>', (meter, list) => distinct(meter, list as CelList)),
    define('first', 'list_first', 'list<A>.(): optional<A>', (_, list) => endOf(list as CelList, 0)),
    define('last', 'list_last', 'list<A>.(): optional<A>', (_, list) =>
      endOf(list as CelList, (list as CelList).size - 1),
    ),
  ];
}

function endOf(list: CelList, at: number): Optional {
  return list.size === 0 ? Optional.none : new Optional(list.at(at));
}
