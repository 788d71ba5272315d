import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompileError, CostExceeded, dynType, Environment, jsonOf, type Value, valueOf } from './index.ts';

const environment = new Environment({ bindings: true, variables: { self: dynType } });
const big = Array.from({ length: 1000 }, (_, index) => index);
const text = 'ab'.repeat(50_000);
const data = { list: big, text, deep: nested(150), wide: nested(20) };
const activation = { get: () => valueOf(data) };

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = { a: [value, value] };
  return value;
}

/** Ends by its cost, soon. */
function blowsUp(source: string): void {
  const started = performance.now();
  const { error } = environment.compile(source).run(activation);
  const took = performance.now() - started;
  assert.ok(error instanceof CostExceeded, `${source}: ${error?.message}`);
  assert.ok(took < 30_000, `${source}: ${Math.round(took)} ms`);
}

test('what would run for long ends by its cost', () => {
  const l = 'self.list';
  blowsUp(`${l}.all(a, ${l}.all(b, ${l}.all(c, a + b + c >= 0)))`);
  blowsUp(`${l}.map(a, ${l}.map(b, ${l}.map(c, c))).size() > 0`);
  blowsUp(`${l}.all(a, ${l}.all(b, ${l}.exists(c, a / 0 == 1) || true))`);
  blowsUp(`${l}.all(a, self.text.contains('${'a'.repeat(1000)}'))`);
  blowsUp(`${l}.all(a, self.text.matches('(a|b|ab)*c') || true)`);
  blowsUp(`${l}.all(a, self.text + self.text != '')`);
  blowsUp(`${l}.all(a, self.deep == self.deep)`);
  blowsUp(`self.text.replace('', self.text).size() > 0`);
  blowsUp(`${l}.map(a, self.text).join(self.text).size() > 0`);
  blowsUp(`${l}.all(a, ['%s'].map(f, f.format([self.wide])).size() > 0)`);
  blowsUp(`sets.contains(${l}.map(a, a), ${l}.map(a, a + 1000)) || ${l}.all(a, sets.equivalent(${l}, ${l}))`);
  blowsUp(`${l}.all(a, ${l} in [${l}, ${l}] || true) && ${l}.all(a, ${l}.transformMap(k, v, v).size() > 0)`);
  // Doubling: each level is twice the one before.
  let doubled = "'0123456789'";
  for (let level = 0; level < 40; level++) doubled = `cel.bind(x${level}, ${doubled}, x${level} + x${level})`;
  blowsUp(`${doubled}.size() > 0`);
  let lists = 'self.list';
  for (let level = 0; level < 40; level++) lists = `cel.bind(x${level}, ${lists}, x${level} + x${level})`;
  blowsUp(`${lists}.all(x, x >= 0)`);
  blowsUp(`${lists}.max() > 0`);
  blowsUp(`${lists}.map(x, string(x)).join() != ''`);
  blowsUp(`'%s'.format([${lists}]) != ''`);
  blowsUp(`5000 in ${lists}`);
  blowsUp(`${lists} == ${lists}`);
  blowsUp(`sets.contains(${lists}, [5000])`);
  blowsUp(`${lists}.indexOf(5000) > 0`);
});

test('values that share their parts are never walked whole for nothing', () => {
  const shared = (last: string): string => {
    let text = last;
    for (let level = 0; level < 60; level++) text = `cel.bind(y${level}, ${text}, [y${level}, y${level}])`;
    return text;
  };
  blowsUp(`dyn(${shared('[1]')}).max() == 1`);
  blowsUp(`dyn(${shared('[1]')}).indexOf(3) == 1`);
  blowsUp(`${shared('[1]')} == ${shared('[1]')}`);
  blowsUp(`'%s'.format([${shared('[1]')}]) == ''`);
  const { value, error } = environment.compile(shared('[1]')).run(activation);
  assert.equal(error, undefined);
  assert.throws(() => jsonOf(value as Value), /value is too large/);
  // Types double nowhere: keys are scalars.
  let typed = "'a'";
  for (let level = 0; level < 60; level++) typed = `cel.bind(z${level}, ${typed}, {z${level}: z${level}})`;
  const started = performance.now();
  assert.throws(() => environment.compile(typed), /unsupported key type: map/);
  assert.ok(performance.now() - started < 30_000);
});

test('the same with little data runs to its end', () => {
  const small = { get: () => valueOf({ list: [1, 2, 3], text: 'ab', deep: nested(3) }) };
  const { value, error, cost } = environment
    .compile('self.list.all(a, self.list.all(b, self.list.all(c, a + b + c >= 0 && self.deep == self.deep)))')
    .run(small);
  assert.equal(error, undefined);
  assert.equal(value, true);
  assert.ok(cost > 100 && cost < 10_000, String(cost));
});

test('deep and long expressions are refused, not recursed into', () => {
  const refuses = (source: string, why: RegExp): void => {
    const started = performance.now();
    assert.throws(
      () => environment.compile(source),
      (error) => error instanceof CompileError && why.test(error.message),
      source.slice(0, 40),
    );
    assert.ok(performance.now() - started < 30_000);
  };
  refuses(`${'('.repeat(300)}1${')'.repeat(300)}`, /recursion limit exceeded/);
  refuses(`${'['.repeat(50_000)}`, /recursion limit exceeded/);
  refuses(`self${'.a'.repeat(20_000)}`, /recursion limit exceeded/);
  refuses(`1${' + 1'.repeat(20_000)}`, /recursion limit exceeded/);
  refuses(`${'true ? '.repeat(5000)}1`, /Syntax error|recursion limit exceeded/);
  refuses(`self.text == '${'a'.repeat(100_001)}'`, /size exceeds limit/);
  refuses(`${'!'.repeat(40_000)}`, /Syntax error/);
  refuses(`'a'.matches('${'('.repeat(5000)}')`, /invalid matches argument/);
  refuses(`'a'.matches('(((a{1000}){1000}){1000})')`, /invalid matches argument/);
  // A long chain of the same logical operator is balanced instead.
  const chain = environment.compile(Array.from({ length: 9000 }, () => 'true').join(' && ')).run(activation);
  assert.equal(chain.value, true);
  assert.equal(environment.compile(`${'-'.repeat(20_000)}1 == 1`).run(activation).value, true);
});

test('names of prototypes are only names', () => {
  const get = (source: string): unknown => environment.compile(source).run({ get: () => valueOf({ a: {} }) });
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
    assert.match((get(`self.a.${name} == 1`) as { error: Error }).error.message, new RegExp(`no such key: ${name}`));
  assert.throws(() => environment.compile('constructor'), /undeclared reference/);
  assert.throws(() => environment.compile('toString()'), /undeclared reference/);
});
