import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Environment, opaqueOf } from './index.ts';

const environment = new Environment({
  variables: { authorizer: opaqueOf('kubernetes.authorization.Authorizer') },
});
const ints = '[1, 2, 3, 4, 5]';
const uints = '[uint(1), uint(2), uint(3), uint(4), uint(5)]';
const v6 = '2001:db8:3333:4444:5555:6666:7777:8888';
const pods = "authorizer.group('apps').resource('deployments').subresource('status').namespace('test').name('backend')";

/** Expression, and what upstream estimates for it at least and at most. */
const golden: readonly (readonly [source: string, min: number, max: number])[] = [
  [`${ints}.sum()`, 15, 15],
  [`${uints}.sum()`, 20, 20],
  [`${ints}.isSorted()`, 15, 15],
  [`${ints}.indexOf(3)`, 15, 15],
  [`${uints}.indexOf(uint(3))`, 21, 21],
  ["'01234567890123456789012345678901234567890123456789'.indexOf('123')", 5, 5],
  ["url('https:://kubernetes.io/').getHost()", 4, 4],
  ["ip('192.168.0.1')", 2, 2],
  [`ip('${v6}').family()`, 5, 5],
  ["ip('192.168.0.1') == ip('192.168.0.1')", 5, 5],
  ["ip.isCanonical('192.168.0.1')", 3, 3],
  [`ip.isCanonical('${v6}')`, 8, 8],
  ["cidr('192.168.0.0/16').masked()", 3, 3],
  ["cidr('192.168.0.0/16').containsCIDR(cidr('192.0.0.0/30'))", 7, 11],
  ["cidr('192.168.0.0/16').containsCIDR('192.0.0.0/30')", 7, 11],
  ["cidr('192.168.0.0/16').containsIP(ip('192.0.0.1'))", 4, 7],
  ["cidr('192.168.0.0/16').containsIP('192.169.0.1')", 5, 8],
  ["'ABCDEFGHIJ abcdefghij'.lowerAscii()", 3, 3],
  ["'ABCDEFGHIJ abcdefghij'.lowerAscii() == 'abcdefghij ABCDEFGHIJ'.lowerAscii()", 7, 9],
  ["strings.quote('ABCDEFGHIJ abcdefghij')", 3, 3],
  ["strings.quote('ABCDEFGHIJ abcdefghij') == strings.quote('ABCDEFGHIJ abcdefghij')", 7, 11],
  ["'abc 123 def 123'.replace('', 'x')", 3, 3],
  ["'abc 123 def 123'.split(' ', 1)", 3, 3],
  ["'abc 123 def 123'.substring(5)", 2, 2],
  ["'abc 123 def 123'.findAll('123')", 2, 2],
  ["authorizer.path('/healthz')", 2, 2],
  [pods, 6, 6],
  [
    "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=example-node-name.fully.qualified.domain.name.example.com')",
    1821,
    1821,
  ],
  [`${pods}.check('create').allowed()`, 350_007, 350_007],
  ['quantity("12Mi")', 1, 1],
  ['quantity("200M") == quantity("0.2G") && quantity("0.2G") == quantity("200M")', 3, 6],
  ['quantity("50k").add(20).sub(quantity("100k")).sub(-50000).asInteger() > 0', 7, 7],
  ['quantity("50.703k").asApproximateFloat() > 0.0', 3, 3],
  ['format.named("dns1123subdomain")', 1, 1],
  ['format.named("dns1123Label").value().validate("my-name")', 34, 34],
  ['format.named("dns1123Label").value() == format.named("dns1123Label").value()', 5, 11],
  ["url('https:://kubernetes.io/') == url('https:://kubernetes.io/')", 7, 9],
  ['semver("1234.56789012345.67890123456789")', 4, 4],
  ['semver("1.0.0").compareTo(semver("1.2.3"))', 3, 3],
  ['sets.contains([], [])', 21, 21],
  ['sets.contains([1, 2, 3, 4], [2, 3])', 29, 29],
  ['sets.equivalent([1, 2], [2])', 25, 25],
  ['!sets.intersects([1], [2])', 23, 23],
  ["{'a': 1, 'b': 2}.all(k, v, v > 0)", 37, 41],
  ["{'a': 1, 'b': 2}.exists(k, v, v > 0)", 39, 43],
  ["{'a': 1, 'b': 2}.existsOne(k, v, v > 0)", 38, 40],
  ["{'a': 1, 'b': 2}.transformMap(k, v, v + 1)", 71, 71],
  ["{'a': 1, 'b': 2}.transformMap(k, v, v < 5, v + 1)", 67, 75],
  ["{'a': 1, 'b': 2}.transformMapEntry(k, v, {k: v + 1})", 131, 131],
  ['[1, 2].all(i, v, v > 0)', 17, 21],
  ['[1, 2].exists(i, v, v > 0)', 19, 23],
  ['[1, 2].transformList(i, v, v + 1)', 49, 49],
  ['[1, 2].transformList(i, v, v < 5, v + 1)', 27, 53],
];

test('estimates are what upstream estimates', () => {
  const found = golden.map(([source]) => {
    const { min, max } = environment.compile(source).estimatedCost();
    return [source, min, max];
  });
  assert.deepEqual(found, golden);
});
