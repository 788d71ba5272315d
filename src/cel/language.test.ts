import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CelList,
  CelMap,
  CompileError,
  type CelType,
  dynType,
  Duration,
  Environment,
  intType,
  listOf,
  mapOf,
  Optional,
  stringType,
  Timestamp,
  typeOfSchema,
  Uint,
  type Value,
  valueOf,
} from './index.ts';
import { durationText, timestampText } from './time.ts';

const self = { a: { b: [1, 2, 3] }, s: 'h\u00e9llo', x: 1.5, m: { p: 1, q: 'z' }, n: null, t: true };
const environment = new Environment({
  bindings: true,
  variables: { self: dynType, n: intType, words: listOf(stringType), counts: mapOf(stringType, intType) },
});
const values: Record<string, unknown> = { self, n: 5, words: ['b', 'a', 'c'], counts: { x: 1, y: 2 } };

/** A value as a test writes it: ints `1`, doubles `1.0`. */
function shown(value: Value | undefined): string {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return Number.isInteger(value) ? `${value}.0` : String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Uint) return `${value.value}u`;
  if (value instanceof CelList) return `[${[...value].map(shown).join(', ')}]`;
  if (value instanceof CelMap)
    return `{${value
      .keys()
      .map((key) => `${shown(key)}: ${shown(value.get(key))}`)
      .join(', ')}}`;
  if (value instanceof Optional) return value.content === undefined ? 'none' : `some(${shown(value.content)})`;
  if (value instanceof Timestamp) return timestampText(value.ns);
  if (value instanceof Duration) return durationText(value.ns);
  if (value instanceof Uint8Array) return `b${JSON.stringify(Buffer.from(value).toString('latin1'))}`;
  if (typeof value === 'object' && value !== null)
    return `<${(value as { typeName?: string; name?: string }).typeName ?? (value as { name?: string }).name}>`;
  return String(value);
}

function run(source: string): string {
  const { value, error } = environment.compile(source).run({ get: (name) => valueOf(values[name]) });
  return error === undefined ? shown(value) : `! ${error.message}`;
}

/** Expression and outcome; `!` a failure while it runs. */
const golden: readonly (readonly [string, string])[] = [
  ['1 + 2 * 3 - 4 / 2 % 3', '5'],
  ['-7 / 2', '-3'],
  ['-7 % 2', '-1'],
  ['7u % 4u', '3u'],
  ['1.0 / 0.0', 'Infinity'],
  ['1 / 0', '! division by zero'],
  ['1 % 0', '! modulus by zero'],
  ['9223372036854775807 + 1', '! integer overflow'],
  ['-9223372036854775808 - 1', '! integer overflow'],
  ['-(-9223372036854775808)', '! integer overflow'],
  ['0u - 1u', '! unsigned integer overflow'],
  ['0x1F', '31'],
  ['1 < 1.5 && 2u > 1 && dyn(1) == 1.0', 'true'],
  ["'\\u00e9' + r'\\n' + \"\\x41\\101\"", '"é\\\\nAA"'],
  ["'''a\nb'''", '"a\\nb"'],
  ["b'\\xff' + b'a'", 'b"ÿa"'],
  ["size('\\U0001F600é')", '2'],
  ["'a' < 'b' && [1, 2] == [1, 2] && {'a': 1} == {'a': dyn(1.0)}", 'true'],
  ['[1, 2] + [3]', '[1, 2, 3]'],
  ['[1, 2][2]', '! index out of bounds: 2'],
  ["{'a': 1}['b']", '! no such key: b'],
  ["{'a': 1, 'a': 2}", '! Failed with repeated key: a'],
  ["'a' in {'a': 1} && 2 in [1, 2] && !(3 in [1])", 'true'],
  ['true || self.none == 1', 'true'],
  ['self.none == 1 || true', 'true'],
  ['self.none == 1 && false', 'false'],
  ['self.none == 1 || false', '! no such key: none'],
  ['true ? 1 : 2', '1'],
  ['self.a.b.all(x, x > 0)', 'true'],
  ['self.a.b.all(x, x / (x - 1) > 100)', 'false'],
  ['self.a.b.exists(x, x / (x - 1) > 1)', 'true'],
  ['self.a.b.exists(x, x / (x - 1) > 100)', '! division by zero'],
  ['self.a.b.exists_one(x, x == 2)', 'true'],
  ['self.a.b.map(x, x * 2)', '[2, 4, 6]'],
  ['self.a.b.map(x, x > 1, x * 2)', '[4, 6]'],
  ['self.a.b.filter(x, x != 2)', '[1, 3]'],
  ['self.m.map(k, k)', '["p", "q"]'],
  ['counts.all(k, v, size(k) == 1 && v > 0)', 'true'],
  ['words.exists(i, v, i == 1 && v == "a")', 'true'],
  ['[1, 2, 2].existsOne(i, v, v == 1)', 'true'],
  ['words.transformList(i, v, v + string(i))', '["b0", "a1", "c2"]'],
  ['words.transformList(i, v, i > 0, v)', '["a", "c"]'],
  ['counts.transformMap(k, v, v + 1)', '{"x": 2, "y": 3}'],
  ['counts.transformMapEntry(k, v, {string(v): k})', '{"1": "x", "2": "y"}'],
  ["words.transformMapEntry(i, v, {'same': v})", '! insert failed: key same already exists'],
  ['cel.bind(x, n * 2, x + x)', '20'],
  ['has(self.a.b) && !has(self.zz) && has(self.n)', 'true'],
  ['self.?a.?zz.orValue(3)', '3'],
  ['self.?a.?b[?1].orValue(0)', '2'],
  ['self.a.b[?9].hasValue()', 'false'],
  ['optional.of(1).optMap(x, x + 1)', 'some(2)'],
  ['optional.none().optMap(x, x).orValue(7)', '7'],
  ['[?self.?zz, ?self.?t]', '[true]'],
  ["{?'a': self.?zz, 'b': 1}", '{"b": 1}'],
  ['optional.ofNonZeroValue(0).hasValue()', 'false'],
  ['optional.none().value()', '! optional.none() dereference'],
  [
    'type(1) == int && type(1.0) == double && type("") == string && type([]) == list && type(null) == null_type',
    'true',
  ],
  ['int("-12") + int(3.9) + int(2u)', '-7'],
  ["int('1.5')", '! strconv.ParseInt: parsing "1.5": invalid syntax'],
  ["double('1e3')", '1000.0'],
  ["string(1.5) + string(true) + string(b'a') + string(10000000000000000000000.0)", '"1.5truea1e+22"'],
  ["bool('t') && !bool('FALSE')", 'true'],
  ["timestamp('2023-12-25T12:34:56.789Z') + duration('1h')", '2023-12-25T13:34:56.789Z'],
  ["timestamp('2023-12-25T00:00:00Z').getDayOfWeek('America/New_York')", '0'],
  ["timestamp('2024-03-01T00:00:00Z').getDayOfYear()", '60'],
  ["timestamp('2023-12-25T12:00:00Z').getHours('+02:30')", '14'],
  ["timestamp('2023-01-02T00:00:00Z') - timestamp('2023-01-01T00:00:00Z')", '86400s'],
  ["duration('1h30m1.5s').getSeconds()", '5401'],
  ["string(duration('-1.5s'))", '"-1.5s"'],
  ["timestamp('9999-12-31T23:59:59Z') + duration('1s')", '! timestamp overflow'],
  ["'hello'.matches('^h.*o$') && matches('abc', 'b')", 'true'],
  ["'abc 123 def 456'.findAll('[0-9]+')", '["123", "456"]'],
  ["'abc 123'.find('[0-9]+') + 'x'.find('y')", '"123"'],
  ["'abc 123 def 456'.findAll('[0-9]+', 1)", '["123"]'],
  ["'h\\u00e9llo'.charAt(1) + 'abc'.substring(1) + 'abc'.substring(0, 1)", '"ébca"'],
  ["'abc'.substring(2, 1)", '! invalid substring range. start: 2, end: 1'],
  ["'abcabc'.indexOf('c') + 'abcabc'.lastIndexOf('c') + 'abc'.indexOf('z')", '6'],
  ["'a,b,c'.split(',', 2) + [' x '.trim(), 'aBc'.upperAscii(), 'aBc'.lowerAscii()]", '["a", "b,c", "x", "ABC", "abc"]'],
  ["'aaa'.replace('a', 'bb', 2) + 'ab'.replace('', '-')", '"bbbba-a-b-"'],
  ["['a', 'b'].join('-') + [].join()", '"a-b"'],
  [
    "'%s %d %.2f %x %b %o %e %%'.format([dyn('a'), 255, 3.14159, 255, 5, 8, 1234.5])",
    '"a 255 3.14 ff 101 10 1.234500e+03 %"',
  ],
  ["'%s %s'.format([dyn([dyn(1), 'a']), {'k': true}])", '"[1, a] {k: true}"'],
  [
    "'%d'.format([dyn('a')])",
    '! error during formatting: decimal clause can only be used on ints, uints, and doubles, was given string',
  ],
  ["'%s'.format(self.a.b.filter(x, x > 5))", '! index 0 out of range'],
  ["'%.0f %.2f %.3f'.format([2.5, 2.675, 1.0])", '"2 2.67 1.000"'],
  ["strings.quote('a\"\\n')", '"\\"a\\\\\\"\\\\n\\""'],
  ['[3, 1, 2].max() + [3, 1, 2].min() + [3, 1, 2].sum()', '10'],
  ['[1, 2, 3].isSorted() && ![2, 1].isSorted() && words.indexOf("a") == 1 && [1, 1].lastIndexOf(1) == 1', 'true'],
  ['[].sum()', '0'],
  ['sets.contains([1, 2, 3], [1, 2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])', 'true'],
  ["ip('192.168.0.1').family() + ip('::1').family()", '10'],
  [
    "ip('127.0.0.1').isLoopback() && ip('fe80::1').isLinkLocalUnicast() && ip('8.8.8.8').isGlobalUnicast() && isIP('::') && !isIP('1.2.3.04')",
    'true',
  ],
  ["ip.isCanonical('2001:db8::abcd') && !ip.isCanonical('2001:DB8::ABCD')", 'true'],
  ["string(cidr('192.168.1.7/24').masked()) + ' ' + string(cidr('::1/128').ip())", '"192.168.1.0/24 ::1"'],
  [
    "cidr('10.0.0.0/8').containsIP('10.2.3.4') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.0.0.0/8').containsCIDR('0.0.0.0/0')",
    'true',
  ],
  ["url('https://user@example.com:80/a%20b?k=v&k=w&z').getQuery()", '{"k": ["v", "w"], "z": [""]}'],
  [
    "url('https://[::1]:443/p').getHostname() + url('https://[::1]:443/p').getPort() + url('/p/q').getEscapedPath()",
    '"::1443/p/q"',
  ],
  ["isURL('/absolute') && !isURL('relative') && isURL('https://a.b')", 'true'],
  [
    "quantity('1.5Gi').isGreaterThan(quantity('1500M')) && quantity('1k') == quantity('1000') && !isQuantity('a')",
    'true',
  ],
  ["quantity('2k').add(quantity('1')).sub(1).asInteger()", '2000'],
  ["quantity('100m').asApproximateFloat()", '0.1'],
  ["quantity('1.1').asInteger()", '! cannot convert value to integer'],
  [
    "semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && semver('v1.2', true) == semver('1.2.0') && !isSemver('1.2') && semver('3.4.5').minor() == 4",
    'true',
  ],
  [
    "format.named('dns1123Label').value().validate('ok').hasValue() || format.dns1123Subdomain().validate('a.b').hasValue()",
    'false',
  ],
  ["format.uuid().validate('x')", 'some(["does not match the UUID format"])'],
  ['self.s + 1', '! no such overload: _+_'],
  ['dyn(1) == "a"', 'false'],
];

test('the language and its libraries', () => {
  for (const [source, expected] of golden) assert.equal(run(source), expected, source);
});

function issues(source: string): string {
  try {
    environment.compile(source);
    return 'none';
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return error.issues.map(({ offset, message }) => `${offset} ${message}`).join(' | ');
  }
}

test('what does not compile is told with its place', () => {
  const expected: readonly (readonly [string, string])[] = [
    ['x', "0 undeclared reference to 'x' (in container '')"],
    ['f(1)', "1 undeclared reference to 'f' (in container '')"],
    ["n + 'a'", "2 found no matching overload for '_+_' applied to '(int, string)'"],
    ["'a'.startsWith(1)", "14 found no matching overload for 'startsWith' applied to 'string.(int)'"],
    ['n.field', "1 type 'int' does not support field selection"],
    [
      'n.exists(x, true)',
      "0 expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)",
    ],
    ["[1, 'a']", "4 expected type 'int' but found 'string'"],
    ["{'a': 1, 2: 2}", "9 expected type 'string' but found 'int'"],
    ['words.all(w, 1)', "9 found no matching overload for '_&&_' applied to '(bool, int)'"],
    ['words.map(1, 1)', '10 argument is not an identifier'],
    ['has(n)', '4 invalid argument to has() macro'],
    ["'a'.matches('[')", '12 invalid matches argument'],
    ["duration('x')", '9 invalid duration argument'],
    ["timestamp('x')", '10 invalid timestamp argument'],
    ['18446744073709551616u', '0 invalid uint literal'],
    ['9223372036854775808', '0 invalid int literal'],
    ["'%a'.format([1])", '11 could not parse formatting clause: unrecognized formatting clause "a"'],
    ["'%d %d'.format([1])", '14 index 1 out of range'],
    [
      "'%d'.format(['a'])",
      '13 error during formatting: decimal clause can only be used on ints, uints, and doubles, was given string',
    ],
    ['while', '0 reserved identifier: while'],
    ['x || y', "0 undeclared reference to 'x' (in container '') | 5 undeclared reference to 'y' (in container '')"],
  ];
  for (const [source, message] of expected) assert.equal(issues(source), message, source);
  for (const source of ['1 +', '(1', '[1', 'a.', '1 2', "'a", '@', '"\\q"', 'a.b.', '{1}', '?', ''])
    assert.match(issues(source), /Syntax error/, source);
});

test('compile errors show the line and a pointer', () => {
  assert.throws(() => environment.compile('true &&\n  self.a.b == nn'), {
    message:
      "ERROR: <input>:2:15: undeclared reference to 'nn' (in container '')\n |   self.a.b == nn\n | ..............^",
  });
});

test('objects of a schema: typed, escaped names, lists that are sets and maps', () => {
  const type = typeOfSchema(
    {
      type: 'object',
      properties: {
        'a-b': {
          type: 'object',
          properties: { 'c.d': { type: 'integer' }, in: { type: 'boolean' }, __x: { type: 'string' } },
        },
        set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        map: {
          type: 'array',
          items: { type: 'object', properties: { k: { type: 'string' }, v: { type: 'integer' } } },
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['k'],
        },
        time: { type: 'string', format: 'date-time' },
        bytes: { type: 'string', format: 'byte' },
        number: { type: 'number' },
        any: { 'x-kubernetes-int-or-string': true },
        loose: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
    true,
  ) as CelType;
  const typed = new Environment({ variables: { self: type } });
  const data = {
    apiVersion: 'v1',
    metadata: { name: 'x' },
    'a-b': { 'c.d': 3, in: true, __x: 'u' },
    set: ['b', 'a'],
    map: [
      { k: 'x', v: 1 },
      { k: 'y', v: 2 },
    ],
    time: '2020-01-01T00:00:00Z',
    bytes: 'aGk=',
    number: 2,
    any: 'text',
  };
  const holds = (source: string): void => {
    const { value, error } = typed.compile(source).run({ get: () => valueOf(data, type) });
    assert.equal(error?.message, undefined, source);
    assert.equal(value, true, source);
  };
  holds("self.a__dash__b.c__dot__d == 3 && self.a__dash__b.__in__ && self.a__dash__b.__underscores__x == 'u'");
  holds("self.metadata.name == 'x' && self.apiVersion == 'v1' && !has(self.kind)");
  holds("self.set == ['b', 'a'] && self.set == dyn(['a', 'b']) && self.set + ['a', 'c'] == ['b', 'a', 'c']");
  holds("self.map.filter(e, e.k == 'y').size() == 1 && (self.map + self.map).size() == 2");
  holds('self.time.getFullYear() == 2020 && self.bytes == b"hi" && self.number == 2.0 && type(self.number) == double');
  holds("self.any == 'text' || self.any == 1");
  assert.throws(() => typed.compile('self.loose'), /undefined field 'loose'/);
  assert.throws(() => typed.compile('self.metadata.labels'), /undefined field 'labels'/);
});
