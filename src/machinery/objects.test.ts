import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  cloneObject,
  deepEqual,
  deepFreeze,
  fnv32a,
  formatGoDuration,
  parseGoDuration,
  parseTimeMs,
  resolveIntOrPercent,
  safeEncode,
} from './index.ts';

test('clone, equal, freeze', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const copy = cloneObject(value);
      assert.deepEqual(copy, value);
      assert.equal(deepEqual(copy, value), true);
      deepFreeze(copy);
      assert.deepEqual(cloneObject(copy), value);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) =>
      assert.equal(deepEqual(a, b), JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))),
    ),
  );
  assert.equal(deepEqual({ a: 1, b: undefined }, { a: 1 }), true);
  assert.equal(deepEqual({ a: 1 }, { a: 1, b: 2 }), false);
  assert.equal(deepEqual({ a: undefined, b: 1 }, { a: 2, b: 1 }), false);
  assert.equal(deepEqual(5n, 5), true);
  assert.equal(deepEqual([], {}), false);
  const hostile = JSON.parse('{"__proto__":{"x":1}}') as object;
  assert.equal(JSON.stringify(cloneObject(hostile)), '{"__proto__":{"x":1}}');
  assert.equal(({} as { x?: number }).x, undefined);
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return ['list', ...value.map(sorted)];
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.entries(value)
    .map(([key, one]) => [key, sorted(one)])
    .sort((a, b) => ((a[0] as string) < (b[0] as string) ? -1 : 1));
}

test('times and durations', () => {
  assert.equal(parseTimeMs('2026-11-22T23:28:14Z'), Date.UTC(2026, 10, 22, 23, 28, 14));
  assert.equal(parseTimeMs('2026-11-22T23:28:14.123456+01:00'), Date.UTC(2026, 10, 22, 22, 28, 14, 123));
  for (const bad of ['', 'x', '2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-01', undefined])
    assert.ok(Number.isNaN(parseTimeMs(bad)), String(bad));
  const table: [string, number, string][] = [
    ['1h30m', 5_400_000, '1h30m0s'],
    ['60m', 3_600_000, '1h0m0s'],
    ['1.5s', 1500, '1.5s'],
    ['500ms', 500, '500ms'],
    ['0', 0, '0s'],
    ['-2m', -120_000, '-2m0s'],
    ['100us', 0.1, '100µs'],
  ];
  for (const [text, ms, canonical] of table) {
    assert.equal(parseGoDuration(text), ms);
    assert.equal(formatGoDuration(ms), canonical);
  }
  for (const bad of ['', '1', 'x', '1h 2m', '.s']) assert.throws(() => parseGoDuration(bad));
});

test('small values', () => {
  assert.equal(resolveIntOrPercent('25%', 10, true), 3);
  assert.equal(resolveIntOrPercent('25%', 10, false), 2);
  assert.equal(resolveIntOrPercent(4, 10, false), 4);
  assert.throws(() => resolveIntOrPercent('x', 1, true), { code: 400 });
  assert.equal(fnv32a(''), 2166136261);
  assert.equal(fnv32a('a'), 0xe40c292c);
  assert.match(safeEncode('1234567890'), /^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
});
