import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findRangeClashes, ipv4Range, ipv4Text, mergeRanges, withoutRanges } from './ipv4-ranges.ts';

test('a range is read and written', () => {
  assert.deepEqual(ipv4Range('10.0.0.0/30'), { first: 167772160, last: 167772163 });
  assert.deepEqual(ipv4Range('10.0.0.3/30'), { first: 167772160, last: 167772163 });
  assert.deepEqual(ipv4Range('0.0.0.0/0'), { first: 0, last: 2 ** 32 - 1 });
  assert.equal(ipv4Text(2 ** 32 - 1), '255.255.255.255');
  for (const wrong of ['', '10.0.0.0/33', '256.0.0.1', 'fd00::/8', '10.0.0/8', '10.0.0.0/ 8'])
    assert.equal(ipv4Range(wrong), undefined, wrong);
});

test('merging and taking away agree with sets of numbers', () => {
  const range = fc
    .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 12 }))
    .map(([first, length]) => ({ first, last: first + length }));
  const numbers = (ranges: readonly { first: number; last: number }[]): number[] =>
    ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, index) => first + index));
  fc.assert(
    fc.property(range, fc.array(range, { maxLength: 6 }), (one, others) => {
      const taken = new Set(numbers(others));
      assert.deepEqual(
        numbers(withoutRanges(one, others)),
        numbers([one]).filter((number) => !taken.has(number)),
      );
      assert.deepEqual(
        numbers(mergeRanges(others)),
        [...taken].sort((a, b) => a - b),
      );
    }),
  );
});

test('a cluster range that meets a route, a node or another range is told once each, with the way', () => {
  const pods = { name: 'pods (--pod-network-cidr)', cidr: '10.244.0.0/16' };
  const services = { name: 'Services (--service-cidr)', cidr: '10.96.0.0/12' };
  const clean = [
    { dst: 'default', gateway: '192.168.1.1', dev: 'eth0' },
    { dst: '192.168.1.0/24', dev: 'eth0' },
    { dst: '10.244.3.0/24', gateway: '192.168.1.7', protocol: '118' },
    { dst: '10.96.0.10', dev: 'lo', type: 'local' },
  ];
  const options = { ranges: [pods, services], nodeAddresses: ['192.168.1.5'], routes: clean };
  assert.deepEqual(findRangeClashes(options), []);
  assert.deepEqual(
    findRangeClashes({ ...options, routes: [{ dst: '10.0.0.0/8', gateway: '192.168.1.9', dev: 'tun0' }] }),
    [
      '10.244.0.0/16 of pods (--pod-network-cidr) overlaps the route 10.0.0.0/8 via 192.168.1.9 dev tun0 of this machine: choose another range for pods (--pod-network-cidr)',
      '10.96.0.0/12 of Services (--service-cidr) overlaps the route 10.0.0.0/8 via 192.168.1.9 dev tun0 of this machine: choose another range for Services (--service-cidr)',
    ],
  );
  assert.match(findRangeClashes({ ...options, nodeAddresses: ['10.244.0.9'] })[0] ?? '', /contains the node address/);
  assert.match(
    findRangeClashes({ ...options, ranges: [pods, { ...services, cidr: '10.244.128.0/20' }] })[0] ?? '',
    /overlaps 10\.244\.128\.0\/20 of Services/,
  );
});
