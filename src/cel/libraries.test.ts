import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompileError, dynType, Environment, listOf, stringType, valueOf } from './index.ts';

const environment = new Environment({ variables: { any: dynType, words: listOf(stringType) } });
const values: Record<string, unknown> = {
  any: { list: [3, 1, 2], deep: [[1], [2, [3]]] },
  words: ['b', 'a', 'c', 'a'],
};

function outcome(source: string): unknown {
  try {
    const { value, error } = environment.compile(source).run({ get: (name) => valueOf(values[name]) });
    return error === undefined ? value : `! ${error.message}`;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return `? ${error.issues.map(({ message }) => message).join(' | ')}`;
  }
}

/** What the libraries of Kubernetes 1.36 document, as expressions that are true. */
const documented: Readonly<Record<string, readonly string[]>> = {
  'lists (extension, version 3)': [
    '[1, 2, 3, 4].slice(1, 3) == [2, 3]',
    '[1, 2, 3, 4].slice(2, 4) == [3, 4]',
    '[1, 2].slice(2, 2) == []',
    '[[1, 2], [3, 4]].flatten() == [1, 2, 3, 4]',
    'dyn([[1], [2, 3]]).flatten() == [1, 2, 3]',
    'any.deep.flatten(2) == [1, 2, 3]',
    'any.deep.flatten(0) == any.deep',
    '[3, 2, 1].sort() == [1, 2, 3]',
    'words.sort() == ["a", "a", "b", "c"]',
    '[2.5, 1.5].sort() == [1.5, 2.5] && [true, false].sort() == [false, true]',
    "[duration('2m'), duration('1s')].sort()[0] == duration('1s')",
    '[].sort() == []',
    "[{'n': 'foo', 's': '0'}, {'n': 'bar', 's': '-10'}, {'n': 'baz', 's': '1000'}].sortBy(e, int(e.s)).map(e, e.n) == ['bar', 'foo', 'baz']",
    'any.list.sortBy(e, -int(e)) == [3, 2, 1]',
    'words.filter(w, w != "a").sortBy(w, w) == ["b", "c"]',
    'lists.range(5) == [0, 1, 2, 3, 4] && lists.range(0) == [] && lists.range(-1) == []',
    '[5, 3, 1, 2].reverse() == [2, 1, 3, 5]',
    '[1, 2, 2, 3, 3, 3].distinct() == [1, 2, 3]',
    "['b', 'b', 'c', 'a', 'c'].distinct() == ['b', 'c', 'a']",
    "[dyn(1), dyn('b'), dyn(1.0), dyn('b')].distinct() == [dyn(1), dyn('b')]",
    "words.transformList(i, w, w == 'a', i) == [1, 3]",
  ],
  'lists (Kubernetes)': [
    '[1, 3].sum() == 4 && [1.0, 3.0].sum() == 4.0 && [1u, 2u].sum() == 3u',
    "[duration('1m'), duration('1s')].sum() == duration('61s')",
    "['a', 'b', 'b', 'c'].isSorted() && ![2.0, 1.0].isSorted() && [].isSorted()",
    '[1, 3].min() == 1 && [1, 3].max() == 3',
    "['a', 'b', 'b', 'c'].indexOf('b') == 1 && ['a', 'b', 'b', 'c'].lastIndexOf('b') == 2 && [1].indexOf(4) == -1",
  ],
  'optional types': [
    '[1, 2, 3].first().value() == 1 && [1, 2, 3].last().value() == 3',
    "[].first().orValue('none') == 'none' && ![].last().hasValue()",
    'optional.unwrap([optional.of(42), optional.none()]) == [42]',
    '[optional.of(42), optional.none()].unwrapOpt() == [42]',
    "optional.of('x').or(optional.of('y')).value() == 'x'",
    'any.?list.optFlatMap(l, l[?7]).orValue(9) == 9',
    '{1: 2}[?1].value() == 2 && !{1: 2}[?3].hasValue()',
    "has({'a': {'b': 1}}.?a.b) && !optional.ofNonZeroValue('').hasValue()",
  ],
  strings: [
    "'hello'.charAt(4) == 'o' && 'hello'.charAt(5) == ''",
    "'hello mellow'.indexOf('') == 0 && 'hello mellow'.indexOf('ello', 2) == 7 && 'hello mellow'.indexOf('jello') == -1",
    "'hello mellow'.lastIndexOf('') == 12 && 'hello mellow'.lastIndexOf('ello', 6) == 1",
    "['hello', 'mellow'].join(' ') == 'hello mellow' && ['hello', 'mellow'].join() == 'hellomellow'",
    "'hello hello'.replace('he', 'we', 1) == 'wello hello' && 'hello hello'.replace('he', 'we', 0) == 'hello hello'",
    "'hello hello hello'.split(' ') == ['hello', 'hello', 'hello'] && 'a b c'.split(' ', 0) == [] && 'a b c'.split(' ', 1) == ['a b c']",
    "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco'",
    "'  \\ttrim\\n    '.trim() == 'trim' && '\\u2003\\u3000a\\u0085'.trim() == 'a' && '\\ufeffa\\u200b'.trim() == '\\ufeffa\\u200b'",
    "'tacocat'.indexOf('a', 30) == -1 && 'tacocat'.indexOf('', 30) == 7 && 'tacocat'.lastIndexOf('a', 30) == -1",
    "'TacoCat'.lowerAscii() == 'tacocat' && 'TacoCÆt Xii'.lowerAscii() == 'tacocÆt xii' && 'TacoCat'.upperAscii() == 'TACOCAT'",
    "'this is a string: %s\\nand an integer: %d'.format([dyn('str'), dyn(42)]) == 'this is a string: str\\nand an integer: 42'",
    "'a double substituted with %%s: %s'.format([64.2]) == 'a double substituted with %s: 64.2'",
    "'hex: %x %X'.format([43, 43]) == 'hex: 2b 2B' && '%x'.format(['taco']) == '7461636f'",
    "'%b %o'.format([5, 8]) == '101 10'",
    "'strings.quote: %s'.format([strings.quote('a\\nb')]) == 'strings.quote: \"a\\\\nb\"'",
  ],
  regex: [
    "'abc 123'.find('[0-9]*') == '' && 'abc 123'.find('xyz') == ''",
    "'123 abc 456'.findAll('[0-9]+') == ['123', '456'] && '123 abc 456'.findAll('[0-9]+', 1) == ['123'] && '123 abc 456'.findAll('xyz') == []",
  ],
  url: [
    "url('https://example.com:80/').getHost() == 'example.com:80' && url('https://[::1]:80/').getHost() == '[::1]:80' && url('/path').getHost() == ''",
    "url('https://example.com:80/').getHostname() == 'example.com' && url('https://[::1]:80/').getHostname() == '::1'",
    "url('https://example.com/path with spaces/').getEscapedPath() == '/path%20with%20spaces/' && url('https://example.com').getEscapedPath() == ''",
    "url('https://example.com/').getPort() == '' && url('/path').getScheme() == ''",
    "url('https://example.com/path?k1=a&k2=b&k2=c').getQuery() == {'k1': ['a'], 'k2': ['b', 'c']} && url('/path').getQuery() == {}",
    "isURL('https://user:pass@example.com:80/path?query=val#fragment') && isURL('/absolute-path') && !isURL('https://a:b:c/') && !isURL('../relative-path')",
  ],
  ip: [
    "isIP('127.0.0.1') && !isIP('127.0.0.256') && isIP('::1') && !isIP('::g') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%en0')",
    "ip.isCanonical('127.0.0.1') && !ip.isCanonical('2001:DB8::ABCD') && !ip.isCanonical('2001:db8::0:0:0:abcd')",
    "ip('0.0.0.0').isUnspecified() && ip('::').isUnspecified() && !ip('127.0.0.1').isUnspecified()",
    "ip('224.0.0.1').isLinkLocalMulticast() && !ip('224.0.1.1').isLinkLocalMulticast() && ip('ff02::1').isLinkLocalMulticast()",
    "ip('169.254.169.254').isLinkLocalUnicast() && !ip('192.168.0.1').isLinkLocalUnicast()",
    "ip('192.168.0.1').isGlobalUnicast() && !ip('255.255.255.255').isGlobalUnicast() && !ip('ff00::1').isGlobalUnicast()",
    "string(ip('2001:DB8::ABCD')) == '2001:db8::abcd' && ip('127.0.0.1') == ip('127.0.0.1')",
  ],
  cidr: [
    "isCIDR('192.168.0.0/16') && isCIDR('::1/128') && !isCIDR('192.168.0.0/33') && !isCIDR('::ffff:192.168.0.0/112')",
    "cidr('192.168.0.0/24').containsIP(ip('192.168.0.1')) && !cidr('192.168.0.0/24').containsIP('192.168.1.1')",
    "cidr('192.168.0.0/16').containsCIDR(cidr('192.168.10.0/24')) && !cidr('192.168.0.0/24').containsCIDR('192.168.0.0/16')",
    "cidr('192.168.0.1/24').ip() == ip('192.168.0.1') && cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')",
    "type(ip('::1')) == net.IP && type(cidr('::/0')) == net.CIDR && type(cidr('::/0')) != net.IP",
    "cidr('192.168.0.0/24').prefixLength() == 24 && cidr('::1/128').ip().family() == 6",
  ],
  quantity: [
    "isQuantity('1.3Gi') && !isQuantity('1,3G') && !isQuantity('10000k1') && isQuantity('1.5M') && !isQuantity('200K') && !isQuantity('Mi')",
    "quantity('50000000G').isInteger() && quantity('50k').asInteger() == 50000 && !quantity('50.703').isInteger()",
    "quantity('50.703k').asApproximateFloat() == 50703.0",
    "quantity('200M').compareTo(quantity('0.2G')) == 0 && quantity('50M').compareTo(quantity('50Mi')) == -1 && quantity('50Mi').compareTo(quantity('50M')) == 1",
    "quantity('150Mi').isGreaterThan(quantity('100Mi')) && quantity('50M').isLessThan(quantity('100M'))",
    "quantity('50k').add(20) == quantity('50020') && quantity('50k').sub(20000) == quantity('30k') && quantity('50k').add(quantity('20')).sub(quantity('100k')).sub(-50000) == quantity('20')",
    "!quantity('9999999999999999999999999999999999999G').isInteger() && quantity('9Gi').isInteger() && !quantity('1.5Gi').isInteger()",
    "quantity('-3').sign() == -1 && quantity('0').sign() == 0",
  ],
  semver: [
    "isSemver('1.0.0') && !isSemver('hello') && !isSemver('v1.0') && isSemver('v1.0', true) && isSemver('01.02.03', true)",
    "semver('1.2.3').major() == 1 && semver('1.2.3').minor() == 2 && semver('1.2.3').patch() == 3",
    "semver('1.2.3').compareTo(semver('2.0.0')) == -1 && semver('1.2.3').isGreaterThan(semver('0.1.2')) && semver('1.0.0-a.2').isLessThan(semver('1.0.0-a.10'))",
  ],
  format: [
    "!format.dns1123Label().validate('contains-only-legal').hasValue() && format.dns1123Label().validate('UPPER').hasValue()",
    "format.named('dns1035LabelPrefix').hasValue() && !format.named('invalid').hasValue()",
    "!format.labelValue().validate('').hasValue() && !format.qualifiedName().validate('a.b/c').hasValue() && format.qualifiedName().validate('/c').hasValue()",
    "!format.date().validate('2024-01-01').hasValue() && format.date().validate('2024-13-01').hasValue() && !format.datetime().validate('2024-01-01T00:00:00Z').hasValue()",
    "!format.byte().validate('aGVsbG8=').hasValue() && format.byte().validate('a').hasValue() && !format.uri().validate('https://a.b/c').hasValue()",
  ],
  sets: [
    'sets.contains([], []) && !sets.contains([], [1]) && sets.contains([1, 2, 3, 4], [2, 3]) && sets.contains([dyn(1), dyn(2.0), dyn(3u)], [dyn(1.0), dyn(2u), dyn(3)])',
    'sets.equivalent([], []) && sets.equivalent([1], [1, 1]) && !sets.equivalent([1], [2])',
    'sets.intersects([1], [1, 2]) && !sets.intersects([], [1])',
  ],
  'two variables': [
    '[1, 2, 3].all(i, v, i < v) && [2].exists(i, v, i == 0 && v == 2) && {"a": 1}.exists_one(k, v, v == 1)',
    "{'hello': 'world'}.transformMap(k, v, v + '!') == {'hello': 'world!'} && {'a': 1, 'b': 2}.transformMap(k, v, v > 1, v) == {'b': 2}",
    "{'greeting': 'tacocat'}.transformMapEntry(k, v, {v: k}) == {'tacocat': 'greeting'}",
    "['a', 'b'].transformMap(i, v, v) == {0: 'a', 1: 'b'} && {'x': 1}.transformList(k, v, k) == ['x']",
  ],
  'types and times': [
    "timestamp('2023-12-25T00:30:00.5Z').getMilliseconds() == 500 && timestamp('2023-12-25T00:00:00Z').getDate() == 25 && timestamp('2023-12-25T00:00:00Z').getDayOfMonth() == 24",
    "duration('1h30m').getMinutes() == 90 && duration('1h30m').getHours() == 1 && duration('1500ms').getMilliseconds() == 500",
    "int(timestamp('1970-01-01T00:01:00Z')) == 60 && timestamp(60) == timestamp('1970-01-01T00:01:00Z')",
    "b'abc'.size() == 3 && string(b'abc') == 'abc' && bytes('é').size() == 2 && type(dyn(1u)) == uint",
  ],
};

test('the libraries do what is documented of them', () => {
  const wrong = Object.entries(documented).flatMap(([library, sources]) =>
    sources.map((source) => [library, source, outcome(source)]).filter((one) => one[2] !== true),
  );
  assert.deepEqual(wrong, []);
});

test('what lists refuse', () => {
  const refused: readonly (readonly [string, string])[] = [
    ['[1, 2].slice(0, 3)', '! cannot slice(0, 3), list is length 2'],
    ['[1, 2].slice(-1, 1)', '! cannot slice(-1, 1), negative indexes not supported'],
    ['[1, 2].slice(2, 1)', '! cannot slice(2, 1), start index must be less than or equal to end index'],
    ['any.deep.flatten(-1)', '! level must be non-negative'],
    ["any.list.map(x, x > 2 ? dyn('a') : dyn(x)).sort()", '! list elements must have the same type'],
    ['[[1]].sort()', "? found no matching overload for 'sort' applied to 'list(list(int)).()'"],
    ['[1].sortBy(1, 2)', '? argument is not an identifier'],
    [
      '"a".sortBy(e, e)',
      '? sortBy can only be applied to a list, identifier, comprehension, call or select expression',
    ],
    [
      'cel.bind(x, 1, true)',
      "? undeclared reference to 'cel' (in container '') | undeclared reference to 'bind' (in container '') | undeclared reference to 'x' (in container '')",
    ],
    ['[1].slice(1)', "? found no matching overload for 'slice' applied to 'list(int).(int)'"],
  ];
  for (const [source, message] of refused) assert.equal(outcome(source), message, source);
});

test('lists are paid for before they are made', () => {
  const costs: readonly (readonly [string, number, number])[] = [
    ['[1, 2, 3].reverse()', 14, 24],
    ['lists.range(7)', 18, 18],
    ['[3, 1, 2].sort()', 29, 39],
    ['["a", "b"].distinct()', 19, 29],
  ];
  for (const [source, run, estimated] of costs) {
    const program = environment.compile(source);
    assert.equal(program.run({ get: () => undefined }).cost, run, source);
    assert.equal(program.estimatedCost().max, estimated, source);
  }
  const { error, cost } = environment.compile('lists.range(9223372036854775807).size()').run({ get: () => undefined });
  assert.match(error?.message ?? '', /cost limit exceeded/);
  assert.ok(cost > 1_000_000);
  assert.equal(environment.compile('lists.range(any.list[0]).size()').estimatedCost().max, Number.POSITIVE_INFINITY);
});
