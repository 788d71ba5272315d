import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#base';
import {
  CelError,
  CompileError,
  CostExceeded,
  dynType,
  Environment,
  intType,
  listOf,
  stringType,
  valueOf,
} from './index.ts';

const environment = new Environment({
  bindings: true,
  variables: { self: dynType, n: intType, s: stringType, l: listOf(stringType), d: listOf(dynType) },
});
const data: Record<string, unknown> = {
  self: { a: [1, 'x', null, { b: 2 }], m: { k: 'v', 'x-y': 1.5 }, t: '2020-01-01T00:00:00Z' },
  n: 7,
  s: 'a😀b',
  l: ['p', 'q'],
  d: [1, 'a', null, [2], { k: 1 }],
};
const members = [
  'size()',
  'startsWith(X)',
  'contains(X)',
  'matches(X)',
  'find(X)',
  'findAll(X)',
  'split(X)',
  'split(X, X)',
  'replace(X, X)',
  'substring(X)',
  'substring(X, X)',
  'charAt(X)',
  'indexOf(X)',
  'lastIndexOf(X, X)',
  'format(X)',
  'join(X)',
  'trim()',
  'sum()',
  'min()',
  'max()',
  'isSorted()',
  'all(v, X)',
  'exists(v, X)',
  'exists_one(v, X)',
  'map(v, X)',
  'map(v, X, X)',
  'filter(v, X)',
  'transformList(i, v, X)',
  'transformMap(k, v, X)',
  'transformMapEntry(k, v, X)',
  'optMap(v, X)',
  'orValue(X)',
  'value()',
  'hasValue()',
  'getFullYear()',
  'getHours(X)',
  'family()',
  'containsIP(X)',
  'asInteger()',
  'isGreaterThan(X)',
  'add(X)',
  'getQuery()',
  'validate(X)',
  'unwrapOpt()',
  'masked()',
  'a',
  'm',
  '?a',
  'k',
];
const heads = [
  'self',
  'n',
  's',
  'l',
  'd',
  'v',
  '1',
  '-1',
  '1.5',
  '2u',
  "'x'",
  "'%s %d'",
  "'[a-z]+'",
  "b'ab'",
  'true',
  'null',
  '[]',
  '{}',
  '[X, X]',
  '{X: X}',
  'dyn(X)',
  'string(X)',
  'int(X)',
  'double(X)',
  'bytes(X)',
  'type(X)',
  'duration(X)',
  'timestamp(X)',
  'optional.of(X)',
  'optional.none()',
  'size(X)',
  "ip('1.2.3.4')",
  "cidr('1.0.0.0/8')",
  "quantity('1Gi')",
  "url('https://a/b?c=d')",
  "semver('1.2.3')",
  'sets.contains(X, X)',
  'has(self.a)',
  '(X)',
  'cel.bind(v, X, X)',
  'X + X',
  'X - X',
  'X == X',
  'X < X',
  'X && X',
  'X || X',
  'X ? X : X',
  'X in X',
  '!X',
  '-X',
  'X[X]',
  'X[?X]',
  'X % X',
  'X / X',
  'X * X',
];

test('no expression throws anything but its own errors, and none runs for long', () => {
  const random = seededRandom(20);
  const pick = (list: readonly string[]): string => list[random.int(list.length)] as string;
  const make = (depth: number): string => {
    const fill = (text: string): string =>
      text.replace(/X/g, () => (depth <= 0 ? pick(heads.slice(0, 18)) : make(depth - 1)));
    const head = fill(pick(heads));
    return random.int(2) === 0 ? `${/[ ?]/.test(head) ? `(${head})` : head}.${fill(pick(members))}` : head;
  };
  let compiled = 0;
  let evaluated = 0;
  for (let round = 0; round < 20_000; round++) {
    const source = make(3);
    try {
      const program = environment.compile(source);
      compiled++;
      const { min, max } = program.estimatedCost();
      assert.ok(min <= max && min >= 0, `${source}: ${min}..${max}`);
      const started = performance.now();
      const { value, error, cost } = program.run({
        get: (name) => (Object.hasOwn(data, name) ? valueOf(data[name]) : undefined),
      });
      assert.ok(performance.now() - started < 30_000, source);
      assert.ok(Number.isInteger(cost), source);
      assert.ok(value !== undefined || error instanceof CelError || error instanceof CostExceeded, source);
      if (value !== undefined) evaluated++;
    } catch (error) {
      if (!(error instanceof CompileError)) throw new Error(`${source}: ${(error as Error).stack}`);
    }
  }
  assert.ok(compiled > 1000 && evaluated > 500, `${compiled} compiled, ${evaluated} evaluated`);
});
