import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Findings } from '../findings.ts';
import { isIpv6, isStrictSubset, sameFamilyTwice, validateNonSpecialAddress } from './address-validation.ts';

const special: readonly (readonly [address: string, ok: boolean])[] = [
  ['10.0.0.1', true],
  ['fd00::1', true],
  ['2001:db8::7f00:1', true],
  ['128.0.0.1', true],
  ['127.1.2.3', false],
  ['127.000.000.001', false],
  ['0.0.0.0', false],
  ['::', false],
  ['::1', false],
  ['0:0:0:0:0:0:0:1', false],
  ['::ffff:127.0.0.1', false],
  ['::ffff:7f00:1', false],
  ['0:0:0:0:0:ffff:7f00:0001', false],
  ['169.254.0.1', false],
  ['::ffff:169.254.169.254', false],
  ['fe80::1', false],
  ['FEBF::1', false],
  ['224.0.0.251', false],
  ['224.0.1.1', true],
  ['ff02::1', false],
  ['nonsense', false],
];

for (const [address, ok] of special)
  test(`traffic to ${address} is ${ok ? 'fine' : 'refused'}`, () => {
    const found = new Findings();
    validateNonSpecialAddress(address, 'ip', found);
    assert.equal(found.list.length === 0, ok, JSON.stringify(found.list));
  });

test('families', () => {
  assert.equal(isIpv6('fd00::1'), true);
  assert.equal(isIpv6('10.0.0.1'), false);
  assert.equal(isIpv6('::ffff:10.0.0.1'), false);
  assert.equal(sameFamilyTwice(['10.0.0.1', '10.0.0.2']), true);
  assert.equal(sameFamilyTwice(['10.0.0.1', 'fd00::1']), false);
});

test('ranges inside ranges', () => {
  assert.equal(isStrictSubset('10.0.0.0/8', '10.1.0.0/16'), true);
  assert.equal(isStrictSubset('10.0.0.0/8', '11.1.0.0/16'), false);
  assert.equal(isStrictSubset('10.0.0.0/8', '10.0.0.0/8'), false);
  assert.equal(isStrictSubset('10.0.0.0/9', '10.128.0.0/16'), false);
  assert.equal(isStrictSubset('fd00::/8', 'fd12::/16'), true);
  assert.equal(isStrictSubset('fd00::/8', '10.0.0.0/16'), false);
});
