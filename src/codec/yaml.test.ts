import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeYaml, decodeYamlDocuments, encodeYaml, readWithLibrary } from './yaml.ts';
import { decodeJson } from './json.ts';
import { readPlainYaml } from './yaml-block.ts';
import { notPlainYaml } from './yaml-quoted.ts';

const decode = (text: string, options?: Parameters<typeof decodeYaml>[1]): unknown =>
  decodeYaml(Buffer.from(text), options);

test("plain scalars mean what they mean to Go's YAML 1.1", () => {
  const golden: [string, unknown][] = [
    ['yes', true],
    ['On', true],
    ['y', true],
    ['no', false],
    ['OFF', false],
    ['yEs', 'yEs'],
    ['~', null],
    ['', null],
    ['0777', 511],
    ['0o17', 15],
    ['08', 8],
    ['0x1F', 31],
    ['0b101', 5],
    ['-12', -12],
    ['1_000', 1000],
    ['1:30', '1:30'],
    ['2001-12-14', '2001-12-14'],
    ['2026-11-22T23:28:14Z', '2026-11-22T23:28:14Z'],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['1e3', 1000],
    ['12345678901234567', 12345678901234567n],
    ['1.2.3', '1.2.3'],
    ['100m', '100m'],
    ['"1.10"', '1.10'],
    ["'yes'", 'yes'],
    ['!!str 12', '12'],
    ['!!int "12"', 12],
    ['!!binary aGVsbG8=', 'hello'],
    ['1e999', '1e999'],
  ];
  for (const [text, value] of golden) assert.deepEqual(decode(`a: ${text}`), { a: value }, text);
  assert.throws(() => decode('a: .inf'), { code: 'InvalidYaml' });
  assert.throws(() => decode('a: !!int x'), { code: 'InvalidYaml' });
});

test('anchors are copied, merged and bounded', () => {
  const value = decode('b: &b {x: 1, z: [1]}\nc: {<<: *b, x: 2}\nd: [*b, *b]\ne: {<<: [{x: 5}, *b]}') as Record<
    string,
    unknown[]
  >;
  assert.deepEqual(value, { b: { x: 1, z: [1] }, c: { x: 2, z: [1] }, d: [value.b, value.b], e: { x: 5, z: [1] } });
  assert.notEqual(value.d?.[0], value.d?.[1]);
  let bomb = 'a0: &a0 [x,x,x,x,x,x,x,x,x]\n';
  for (let i = 1; i < 10; i++)
    bomb += `a${i}: &a${i} [${Array(9)
      .fill(`*a${i - 1}`)
      .join(',')}]\n`;
  assert.throws(() => decode(bomb), { code: 'TooLarge', message: 'yaml: document contains excessive aliasing' });
  assert.throws(() => decode('a: &a [*a]'), { message: "yaml: anchor 'a' value contains itself" });
  assert.throws(() => decode('a: &a {b: *a}'), { message: "yaml: anchor 'a' value contains itself" });
  assert.throws(() => decode('a: *b'), { code: 'InvalidYaml' });
  assert.throws(() => decode('<<: 1'), { code: 'InvalidYaml' });
});

test('size and depth are bounded', () => {
  assert.throws(() => decode('['.repeat(1_000_000)), { code: 'TooDeep' });
  assert.throws(() => decode('- '.repeat(200_000)), { code: 'TooDeep' });
  assert.throws(() => decode(`a: ${'['.repeat(1500)}${']'.repeat(1500)}`), { code: 'TooDeep' });
  assert.throws(() => decode('a: b', { maxBytes: 3 }), { code: 'TooLarge' });
  assert.deepEqual(decode('a: "[[[["', { maxDepth: 3 }), { a: '[[[[' });
});

test('JSON is taken as JSON, keys become text, __proto__ is data', () => {
  assert.deepEqual(decode(' {"a": 9007199254740993, "b": "yes"}'), { a: 9007199254740993n, b: 'yes' });
  assert.deepEqual(decode('{a: b, c: [d]}'), { a: 'b', c: ['d'] });
  assert.deepEqual(decode('1: a\ntrue: b\n~: c'), { 1: 'a', true: 'b', null: 'c' });
  const value = decode('__proto__: {x: 1}') as object;
  assert.deepEqual(Object.keys(value), ['__proto__']);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.throws(() => decode('? [a]\n: b'), { code: 'InvalidYaml' });
});

test('duplicates, documents and errors', () => {
  assert.deepEqual(decode('a: 1\na: 2'), { a: 2 });
  assert.throws(() => decode('a: 1\na: 2', { strict: true }), {
    code: 'InvalidYaml',
    message: /key "a" already set in map/,
  });
  assert.throws(() => decode('a: 1\n---\nb: 2'), { code: 'InvalidYaml' });
  assert.deepEqual(decodeYamlDocuments(Buffer.from('---\n# nothing\n---\na: 1\n---\n\n---\nb: 2\n...\n')), [
    { a: 1 },
    { b: 2 },
  ]);
  assert.equal(decode(''), null);
  assert.equal(decode('# only a comment'), null);
  assert.throws(() => decode('a: b: c'), { code: 'InvalidYaml', message: /^yaml: line 1: / });
  assert.throws(() => decode('a:\n\t- b'), { code: 'InvalidYaml', message: /^yaml: line 2: / });
  assert.throws(() => decodeYaml(Buffer.from([0x61, 0x3a, 0x20, 0xff])), { code: 'InvalidYaml' });
});

test('printing is in the style of kubectl', () => {
  const object = {
    kind: 'X',
    apiVersion: 'v1',
    spec: { list: [{ a: 1, b: ['x'] }], text: 'a\nb\n', yes: 'yes', time: '2026-11-22T23:28:14Z' },
  };
  assert.equal(
    encodeYaml(object).toString(),
    'apiVersion: v1\nkind: X\nspec:\n  list:\n  - a: 1\n    b:\n    - x\n  text: |\n    a\n    b\n  time: "2026-11-22T23:28:14Z"\n  "yes": "yes"\n',
  );
});

test('any JSON value comes back from YAML', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false } as object), (value) => {
      const plain = plainly(value);
      assert.deepEqual(decodeYaml(encodeYaml({ value: plain })), { value: plain });
    }),
  );
});

/** As JSON would hand it over: no negative zero, BigInt where a double is not exact. */
const plainly = (value: unknown): unknown => decodeJson(Buffer.from(JSON.stringify(value)));

const limits = { maxDepth: 100, strict: false };

test('manifests are read without the library', () => {
  const text = `# a comment
---
apiVersion: v1  # the version
kind: ConfigMap
metadata:
  name: "a b"
  labels: {app: web, "x/y": 'it''s'}
  annotations: {}
data:
  script: |
    #!/bin/sh

    echo "a: b" # no comment
      indented
  strip: |-
    x
  keep: |+
    x

  fold: >
    one
    two

    three
  long: this goes on
    and on

    and ends
  quoted: "over
    lines\\tand \\u00e9"
list:
- a
- b: 1
  c:
  - - x
    - z
  -
    d: null
- [1, "two", {three: 3}, []]
-
- http://x:80/y#z
---
kind: Second
`;
  const [first, second] = readPlainYaml(text, limits) as [Record<string, unknown>, unknown];
  assert.deepEqual(first, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'a b', labels: { app: 'web', 'x/y': "it's" }, annotations: {} },
    data: {
      script: '#!/bin/sh\n\necho "a: b" # no comment\n  indented\n',
      strip: 'x',
      keep: 'x\n\n',
      fold: 'one two\nthree\n',
      long: 'this goes on and on\nand ends',
      quoted: 'over lines\tand é',
    },
    list: ['a', { b: 1, c: [['x', 'z'], { d: null }] }, [1, 'two', { three: 3 }, []], null, 'http://x:80/y#z'],
  });
  assert.deepEqual(second, { kind: 'Second' });
});

test('what is printed is read without the library', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue(), { minKeys: 1 }), (value) => {
      const plain = plainly(value);
      const text = encodeYaml(plain).toString();
      try {
        assert.deepEqual(readPlainYaml(text, limits), [plain]);
      } catch (error) {
        if (error !== notPlainYaml) throw error;
      }
    }),
  );
});

test('printed YAML is what another reader of YAML 1.1 takes it for', () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'binary' }),
    fc
      .array(fc.constantFrom('a', ' ', '\n', ':', '#', '-', "'", '"', '\t', '0', '1', '.', 'e', '\\', '|', 'é', '😀'), {
        maxLength: 8,
      })
      .map((parts) => parts.join('')),
    fc.constantFrom(
      'yes',
      'null',
      '~',
      '1e3',
      '0x1f',
      '1:30',
      '2001-12-14',
      '=',
      '<<',
      '---',
      '...',
      '- a',
      '? a',
      'a:',
      '.inf',
      '+1',
      '08',
      '1_0',
    ),
  );
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      text,
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => (Object.is(one, -0) ? 0 : one)),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(text, tie('value'), { maxKeys: 4 }),
    ),
  })).value;
  fc.assert(
    fc.property(value, (one) => {
      const plain = plainly(one);
      const printed = encodeYaml(plain);
      assert.deepEqual(decodeYaml(printed), plain, printed.toString());
      assert.deepEqual(readWithLibrary(printed.toString(), limits), [plain], printed.toString());
    }),
    { numRuns: 300 },
  );
});

test('where both readers read, they read the same', () => {
  const line = fc.tuple(
    fc.constantFrom('', '  ', '    ', '      ', '- ', '  - ', '- - ', '    - '),
    fc.constantFrom('a', 'b', '"c"', "'d'", 'yes', '1', 'k-1', '-'),
    fc.constantFrom(': ', ':', ' ', ': |', ': >-', ':  ', ' : ', ': # c', ':  |+'),
    fc.constantFrom(
      '',
      'x',
      'x y',
      '"q"',
      "'q",
      '"q\\',
      'q"',
      '[a, b]',
      '[a',
      '{b: c}',
      '{b}',
      'x # c',
      'x#c',
      '# c',
      'x: y',
      '- z',
      'x:',
      '&a',
      '*a',
      '0777',
      '~',
      '\\n',
      "it's",
      ']',
      '%',
      '"a" b',
      '[]',
      '{}: x',
      '! x',
      '?',
      ',',
      '> x',
    ),
  );
  const text = fc.array(
    fc.oneof(
      { weight: 12, arbitrary: line.map((parts) => parts.join('')) },
      fc.constantFrom('', '---', '# c', '  # c', '   ', ' x', '    y', '...', '\t'),
    ),
    {
      minLength: 1,
      maxLength: 7,
    },
  );
  let both = 0;
  fc.assert(
    fc.property(text, fc.constantFrom('\n', ''), (lines, end) => {
      const input = lines.join('\n') + end;
      let plain: unknown;
      try {
        plain = readPlainYaml(input, limits);
      } catch (error) {
        assert.equal(error, notPlainYaml);
        return;
      }
      both++;
      assert.deepEqual(plain, readWithLibrary(input, limits), JSON.stringify(input));
    }),
    { numRuns: 6000 },
  );
  assert.ok(both > 300, String(both));
});
