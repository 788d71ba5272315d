import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addQuantities,
  canonicalQuantity,
  compareQuantities,
  isQuantity,
  quantityMilli,
  quantityValue,
  subtractQuantities,
} from './index.ts';

test('canonical form', () => {
  const table: [string | number, string][] = [
    ['0', '0'],
    ['1000m', '1'],
    ['1.5Gi', '1536Mi'],
    ['0.5', '500m'],
    [0.5, '500m'],
    [1000, '1k'],
    ['1e3', '1e3'],
    ['1E3', '1e3'],
    ['1E', '1E'],
    ['12e-1', '1200e-3'],
    ['0.1Ki', '102400m'],
    ['1023', '1023'],
    ['1024Ki', '1Mi'],
    ['100.5Ki', '102912'],
    ['.5', '500m'],
    ['5.', '5'],
    ['-1.5', '-1500m'],
    ['0.1n', '1n'],
    ['+5k', '5k'],
    ['9223372036854775808', '9223372036854775807'],
    ['1e-100', '1e-9'],
    ['128974848', '128974848'],
    ['129e6', '129e6'],
    ['128974848000m', '128974848'],
    ['123Mi', '123Mi'],
  ];
  for (const [given, want] of table) assert.equal(canonicalQuantity(given), want, String(given));
});

test('what is no quantity', () => {
  for (const text of [
    '',
    ' ',
    '1 ',
    'x',
    '1x',
    '1ki',
    '1KI',
    '.',
    '1.2.3',
    '--1',
    '1e',
    '1e+',
    '1Eki',
    '0x1',
    '1i',
    '١',
  ]) {
    assert.equal(isQuantity(text), false, text);
  }
  assert.throws(() => quantityValue('1Q'), { message: /quantities must match the regular expression/ });
  assert.throws(() => quantityValue('1mm'), { message: "unable to parse quantity's suffix" });
});

test('values round up', () => {
  assert.equal(quantityValue('1500m'), 2);
  assert.equal(quantityMilli('1.0001'), 1001);
  assert.equal(quantityMilli('1'), 1000);
  assert.equal(quantityValue('-1500m'), -2);
  assert.equal(quantityValue('1Gi'), 1073741824);
});

const amount = fc
  .tuple(
    fc.integer({ min: -1_000_000, max: 1_000_000 }),
    fc.constantFrom('n', 'u', 'm', '', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi'),
  )
  .map(([digits, suffix]) => `${digits}${suffix}`);

test('canonical form keeps the amount and is its own canonical form', () => {
  fc.assert(
    fc.property(amount, (text) => {
      const canonical = canonicalQuantity(text);
      assert.equal(compareQuantities(text, canonical), 0);
      assert.equal(canonicalQuantity(canonical), canonical);
    }),
  );
});

test('sums', () => {
  fc.assert(
    fc.property(amount, amount, (a, b) => {
      if (/i$/.test(a) === /i$/.test(b))
        assert.equal(compareQuantities(subtractQuantities(addQuantities(a, b), b), a), 0);
      assert.equal(compareQuantities(a, b), 0 - compareQuantities(b, a));
    }),
  );
  assert.equal(addQuantities('1Gi', '512Mi'), '1536Mi');
  assert.equal(addQuantities('0', '512Mi'), '512Mi');
  assert.equal(addQuantities('100m', '1'), '1100m');
});
