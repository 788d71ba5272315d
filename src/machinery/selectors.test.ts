import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  escapeFieldValue,
  labelSelectorFromMap,
  labelSelectorOf,
  parseFieldSelector,
  parseLabelSelector,
} from './index.ts';

test('texts of label selectors', () => {
  const table: [string, string][] = [
    ['', ''],
    ['a=b', 'a=b'],
    ['a==b', 'a==b'],
    [' a in ( y , x ), !b ', 'a in (x,y),!b'],
    ['b,a', 'a,b'],
    ['a in (,x,)', 'a in (,x)'],
    ['in=in', 'in=in'],
    ['a=', 'a='],
    ['a>5,b<6', 'a>5,b<6'],
    ['a notin (in)', 'a notin (in)'],
    ['a=,b', 'a=,b'],
  ];
  for (const [text, want] of table) assert.equal(parseLabelSelector(text).toString(), want, text);
});

test('what is wrong is told in upstream’s words', () => {
  const table: [string, string][] = [
    ['x y', "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt"],
    [',a', "found ',', expected: !, identifier, or 'end of string'"],
    ['a,', "found '', expected: identifier after ','"],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
    ['a in (', "unable to parse requirement: found '', expected: ',', ')' or identifier"],
    ['a in b', "unable to parse requirement: found 'b' expected: '('"],
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
  ];
  for (const [text, message] of table) assert.throws(() => parseLabelSelector(text), { message, code: 400 }, text);
  assert.throws(() => parseLabelSelector('-a=b'), {
    message: /^unable to parse requirement: <nil>: Invalid value: "-a": name part must/,
  });
  assert.throws(() => parseLabelSelector('a>b'), { message: /values\[0\]: Invalid value: "b": for 'Gt', 'Lt'/ });
});

test('matching', () => {
  const labels = { app: 'web', tier: '2', empty: '' };
  const table: [string, boolean][] = [
    ['app=web', true],
    ['app!=web', false],
    ['none!=x', true],
    ['app in (web,api)', true],
    ['app notin (web)', false],
    ['none notin (web)', true],
    ['app,!none', true],
    ['!app', false],
    ['tier>1,tier<3', true],
    ['app>1', false],
    ['empty=', true],
    ['none=', false],
    ['constructor', false],
    ['!constructor', true],
  ];
  for (const [text, want] of table) assert.equal(parseLabelSelector(text).matches(labels), want, text);
  assert.equal(parseLabelSelector('').matches(undefined), true);
  assert.equal(labelSelectorOf(undefined).matches({}), false);
  assert.equal(labelSelectorOf({}).matches({}), true);
  assert.equal(labelSelectorOf({}).isEmpty(), true);
  const api = { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'In', values: ['2', '1'] }] };
  assert.equal(labelSelectorOf(api).toString(), 'app=web,tier in (1,2)');
  assert.equal(labelSelectorOf(api).matches(labels), true);
  assert.throws(() => labelSelectorOf({ matchExpressions: [{ key: 'a', operator: 'Near' }] }), {
    message: '"Near" is not a valid label selector operator',
  });
  assert.equal(labelSelectorFromMap({ app: 'web' }).matches(labels), true);
});

const word = fc.stringMatching(/^[a-z]{1,5}$/);
const requirement = fc.oneof(
  word.map((key) => key),
  word.map((key) => `!${key}`),
  fc.tuple(word, fc.constantFrom('=', '==', '!='), word).map((parts) => parts.join('')),
  fc
    .tuple(word, fc.constantFrom('in', 'notin'), fc.array(word, { minLength: 1, maxLength: 3 }))
    .map(([k, op, v]) => `${k} ${op} (${v.join(',')})`),
);

test('a selector reads its own text back', () => {
  fc.assert(
    fc.property(fc.array(requirement, { maxLength: 4 }), fc.dictionary(word, word), (parts, labels) => {
      const selector = parseLabelSelector(parts.join(','));
      const again = parseLabelSelector(selector.toString());
      assert.equal(again.toString(), selector.toString());
      assert.equal(again.matches(labels), selector.matches(labels));
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseLabelSelector(text);
      } catch (error) {
        assert.equal((error as { code: number }).code, 400);
      }
    }),
  );
});

test('field selectors', () => {
  assert.deepEqual(parseFieldSelector('metadata.name=a,status.phase!=Running,x==y,'), [
    { field: 'metadata.name', operator: '=', value: 'a' },
    { field: 'status.phase', operator: '!=', value: 'Running' },
    { field: 'x', operator: '=', value: 'y' },
  ]);
  assert.throws(() => parseFieldSelector('a'), { message: "invalid selector: 'a'; can't understand 'a'" });
  assert.throws(() => parseFieldSelector('a=b=c'), {
    message: 'invalid field selector: unescaped character in value: 61',
  });
  assert.throws(() => parseFieldSelector('a=\\x'), { message: 'invalid field selector: invalid escape sequence: \\x' });
  fc.assert(
    fc.property(fc.string(), (value) => {
      assert.deepEqual(parseFieldSelector(`a=${escapeFieldValue(value)}`), [{ field: 'a', operator: '=', value }]);
    }),
  );
});

test('selectors made to be slow are refused or quick', () => {
  const words = (count: number): string[] => Array.from({ length: count }, (_, i) => `w${i.toString(36)}`);
  const before = process.cpuUsage();
  const selector = parseLabelSelector(`a in (${words(12_000).join(',')}),b notin (${words(100).join(',')})`);
  for (let i = 0; i < 50_000; i++) assert.equal(selector.matches({ a: 'z' }), false);
  assert.equal(selector.matches({ a: 'w0' }), true);
  assert.equal(selector.matches({ a: 'w0', b: 'w1' }), false);
  assert.ok(process.cpuUsage(before).user < 1_500_000);
  const absent = (count: number): string =>
    words(count)
      .map((word) => `!${word}`)
      .join(',');
  assert.equal(parseLabelSelector(absent(1000)).matches({ a: 'z' }), true);
  assert.throws(() => parseLabelSelector(absent(1001)), { code: 400, message: /more than 1000 requirements/ });
  assert.throws(
    () =>
      parseFieldSelector(
        words(1001)
          .map((word) => `${word}!=x`)
          .join(','),
      ),
    { code: 400 },
  );
});
